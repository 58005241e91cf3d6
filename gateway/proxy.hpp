// The strategy `proxy`: one call, whose request and response are passed on as they come.
#pragma once

#include "concurrency/clock.hpp"
#include "concurrency/context.hpp"
#include "concurrency/task.hpp"
#include "gateway/client_stream.hpp"
#include "gateway/incoming.hpp"
#include "gateway/reply.hpp"
#include "gateway/runtime.hpp"

namespace sluice::gateway {

/// Answers a request of `endpoint` by its one call: `reply`, which is a new one, tells how. There is a head of a reply
/// by `deadline`, whatever the backend does; a reply that was begun on `client` is written already, or cut off, when
/// this ends. `ctx` is done when the client is gone.
///
/// Nothing of the framing of one side reaches the other: each body is framed anew, of the headers those that concern a
/// connection are dropped. At each end at most a few buffers are held: who sends faster than the other side takes has
/// to wait.
concurrency::Task<> proxy(const concurrency::Context& ctx, const EndpointPlan& endpoint, const Incoming& incoming,
                          ClientStream& client, concurrency::TimePoint deadline, Reply& reply);

}  // namespace sluice::gateway
