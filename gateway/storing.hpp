// What of an answer goes into the store, and how what is there is validated.
#pragma once

#include "backends/request.hpp"
#include "gateway/deployment.hpp"
#include "gateway/origin.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace sluice::gateway {

/// What asking a backend for what is stored needs, without the request of the client that began it.
struct Question {
  Question(std::shared_ptr<const Deployment> d, const CallPlan& p, std::shared_ptr<const backends::Request> r,
           std::string k, std::shared_ptr<const StaleEntry> s)
      : deployment(std::move(d)), plan(&p), request(std::move(r)), key(std::move(k)), stored(std::move(s)) {}

  std::shared_ptr<const Deployment> deployment;  // keeps `plan` alive
  const CallPlan* plan;
  std::shared_ptr<const backends::Request> request;
  std::string key;
  std::shared_ptr<const StaleEntry> stored;  // not fresh any more, to be validated; null: nothing
};

/// Whether a client's credentials are sent although they are not part of the key (RFC 9111 §3.5).
[[nodiscard]] bool sends_credentials(const CallPlan& plan, const backends::Request& request);

/// What the origin of the answer to `what` allows, as far as the configuration lets it say. Further refusals: vary (by
/// what is not in the key), authorization; and where whole responses are stored: partial, set_cookie, status (it says
/// nothing of a lifetime, and the status is not one that is stored by default). It was asked at `asked_at`.
[[nodiscard]] Origin origin_for(const Question& what, unsigned status, const backends::Headers& headers,
                                TimePoint asked_at);

/// Whether the refusal means that others who ask the same must not get the answer either.
[[nodiscard]] bool is_for_one(std::string_view refusal);

/// Counts it, and warns of it once a call.
void refuse(const Question& what, std::string_view reason);

/// Puts the answer into the store, or refuses it for its size. Room is made in turns of the loop: no request waits for
/// that.
void keep(const Question& what, const Origin& origin, unsigned status, const backends::Headers& headers,
          std::shared_ptr<const backends::Body> body);

/// Whether there is a stored answer to be validated.
[[nodiscard]] bool can_validate(const Question& what);
/// The request with what validates the stored answer, for which a 304 counts as success.
[[nodiscard]] std::shared_ptr<const backends::Request> conditional(const Question& what);
/// The fields of the stored answer with what a 304 says of it (§4.3.4); nothing if that means another one.
[[nodiscard]] std::optional<backends::Headers> renewed_fields(const StaleEntry& stored,
                                                              const backends::Headers& not_modified);

}  // namespace sluice::gateway
