// The headers of a reply that its endpoint's configuration asks for: CORS, `response_headers`, Vary, Server-Timing.
#pragma once

#include "gateway/incoming.hpp"
#include "gateway/reply.hpp"
#include "gateway/response_writer.hpp"

#include <string>

namespace sluice::gateway {

/// Who says what about cross-origin requests for this path: the endpoint of the request; of a preflight, or of a method
/// that no endpoint has, one that has the path. Null: nobody.
[[nodiscard]] const Cors* cors_of(const Runtime& runtime, const RouteMatch& match, const RequestParser& request);

/// Call after all other fields are written, since it changes them; then finish the head.
void write_configured(ResponseWriter& writer, const Reply& reply, const Incoming& incoming, std::string& scratch);

}  // namespace sluice::gateway
