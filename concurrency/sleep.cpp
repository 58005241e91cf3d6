#include "concurrency/sleep.hpp"

#include "concurrency/wait.hpp"

namespace sluice::concurrency {

Task<Result<>> sleep(Context ctx, Duration duration) {
  const TimePoint when = later(Loop::current().now(), duration);
  co_return co_await sleep_until(std::move(ctx), when);
}

Task<Result<>> sleep_until(Context ctx, TimePoint when) {
  if (ctx.is_done()) co_return ctx.err();
  if (when <= Loop::current().now()) co_return Result<>();
  detail::Parked parked;
  detail::TimerWake timer(parked, 0);
  detail::ContextWake done(parked, 1);
  timer.arm(when);
  if (!done.subscribe(ctx)) co_return ctx.err();
  co_await parked.wait();
  if (parked.source() == 1) co_return ctx.err();
  co_return Result<>();
}

}  // namespace sluice::concurrency
