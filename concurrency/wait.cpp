#include "concurrency/wait.hpp"

namespace sluice::concurrency::detail {

Task<Result<>> wait_for_turn(Context ctx, Gathering& state, Waiter& waiter) {
  Parked& parked = waiter.parked;
  const Queued<Gathering> queued(state, state.waiters, waiter);
  const int by_context = waiter.source + 1;
  ContextWake done(parked, by_context);
  if (!done.subscribe(ctx) && parked.claim(by_context)) co_return ctx.err();
  co_await parked.wait();
  if (parked.source() == by_context) co_return ctx.err();
  co_return Result<>();
}

}  // namespace sluice::concurrency::detail
