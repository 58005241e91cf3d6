// What a call sends to its backend, made from its plan and the client's request.
#pragma once

#include "backends/request.hpp"
#include "gateway/incoming.hpp"
#include "gateway/runtime.hpp"

#include <memory>
#include <optional>
#include <string>

namespace sluice::gateway {

struct CallRequest {
  CallRequest() = default;

  std::shared_ptr<const backends::Request> request;
  std::string key;  // of the stored answer; empty: nothing is stored
};

/// Nothing when a value is missing that the path or a header needs, or when it cannot stand there; then `culprit` tells
/// whose it is, as Template::expand does. `values` has the JSON of other calls. *one worker*
[[nodiscard]] std::optional<CallRequest> make_request(const CallPlan& plan, const Incoming& incoming,
                                                      TemplateValues values, std::optional<std::size_t>& culprit);

}  // namespace sluice::gateway
