// Who a request is: its id and its place in a trace, accepted from the client or made; and small header values.
#pragma once

#include "concurrency/random.hpp"
#include "gateway/call.hpp"

#include <chrono>
#include <optional>
#include <string_view>

namespace sluice::gateway {

/// Sets `request_id`, `traceparent` and `tracestate` of `incoming`. An id of the client's is taken if it is 1 to 128
/// visible ASCII characters; a traceparent (W3C Trace Context, version 00) keeps its trace id and flags and gets a new
/// parent id. The tracestate of a client whose traceparent is not taken is dropped.
void identify(Incoming& incoming, concurrency::Random& random, const AddedHeaders& names);

/// A new id, for a request whose head could not be read.
void identify_unread(Incoming& incoming, concurrency::Random& random, const AddedHeaders& names);

/// A whole number of milliseconds, at least 1; nothing for anything else.
std::optional<std::chrono::milliseconds> milliseconds_from(std::string_view text);

}  // namespace sluice::gateway
