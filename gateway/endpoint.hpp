// The pipeline of one route: from a request to its reply.
#pragma once

#include "concurrency/context.hpp"
#include "concurrency/task.hpp"
#include "gateway/call.hpp"
#include "gateway/reply.hpp"
#include "gateway/runtime.hpp"

namespace sluice::gateway {

/// Makes the reply by the deadline of `ctx`, whatever backends do. `incoming` must live until the reply is written.
concurrency::Task<Reply> answer(concurrency::Context ctx, const EndpointPlan& endpoint, const Incoming& incoming);

}  // namespace sluice::gateway
