#include "gateway/endpoint.hpp"

#include "gateway/fan_out.hpp"
#include "gateway/request_identity.hpp"

#include <algorithm>

namespace sluice::gateway {

concurrency::Duration deadline_of(const EndpointPlan& endpoint, const RequestParser& request,
                                  const DeadlineHeader& header, const Counter& malformed) {
  const concurrency::Duration configured = endpoint.config.deadline;
  if (!header.accept) return configured;
  const auto wish = request.headers().find(*header.accept);
  if (!wish) return configured;
  const auto ms = milliseconds_from(*wish);
  if (!ms) malformed.add();
  return ms ? std::min<concurrency::Duration>(configured, *ms) : configured;
}

concurrency::Task<> answer(const concurrency::Context& ctx, const EndpointPlan& endpoint, const Incoming& incoming,
                           Reply& reply) {
  Calls calls;
  calls.reserve(endpoint.calls.size());
  for (const CallPlan& plan : endpoint.calls) calls.emplace_back(plan, incoming);
  std::optional<std::size_t> winner;
  if (endpoint.config.strategy == Strategy::first) {
    winner = co_await fan_out_first(ctx, calls, endpoint.config.stagger);
  } else {
    co_await fan_out_merge(ctx, calls, endpoint.config.quorum);
  }
  if (endpoint.config.strategy == Strategy::first) {
    reply = chosen(endpoint, std::move(calls), winner);
  } else if (endpoint.layout.is_flat()) {
    reply = merged_flat(endpoint, std::move(calls));
  } else {
    reply = co_await merged(ctx, endpoint, std::move(calls));
  }
  for (const Call& call : reply.calls) call.count();
}

}  // namespace sluice::gateway
