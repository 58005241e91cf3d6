// The pipeline of one route: from a request to its reply.
#pragma once

#include "concurrency/context.hpp"
#include "concurrency/task.hpp"
#include "gateway/call.hpp"
#include "gateway/reply.hpp"
#include "gateway/runtime.hpp"

namespace sluice::gateway {

/// The endpoint's deadline, or the client's shorter wish in `header`; counts the wishes that say nothing.
[[nodiscard]] concurrency::Duration deadline_of(const EndpointPlan& endpoint, const RequestParser& request,
                                                const DeadlineHeader& header, const Counter& malformed);

/// Makes the reply by the deadline of `ctx`, whatever backends do. `incoming` must live until the reply is written.
concurrency::Task<> answer(const concurrency::Context& ctx, const EndpointPlan& endpoint, const Incoming& incoming,
                           Reply& reply);

}  // namespace sluice::gateway
