// What a change made through the gateway takes out of the store (RFC 9111 §4.4).
#pragma once

#include "backends/request.hpp"
#include "gateway/incoming.hpp"
#include "gateway/runtime.hpp"

#include <string_view>

namespace sluice::gateway {

/// Whether a request with this method may change what is stored.
[[nodiscard]] bool is_unsafe(std::string_view method);

/// If the answer to an unsafe request is no error: forgets what is stored of its backend for its target, and for what
/// Location and Content-Location name on the same host.
void invalidate(const Incoming& incoming, const CallPlan& plan, const backends::Request& request, unsigned status,
                const backends::Headers& headers);

}  // namespace sluice::gateway
