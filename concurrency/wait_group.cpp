#include "concurrency/wait_group.hpp"

#include <stdexcept>

namespace sluice::concurrency {

std::int64_t WaitGroup::sum(std::int64_t state, std::int64_t count) {
  const std::int64_t before = state & ~kWaited;
  if (count > kWaited - 1 - before) throw std::logic_error("WaitGroup: the count overflows");
  if (before + count < 0) throw std::logic_error("WaitGroup: negative count");
  return state + count;
}

void WaitGroup::add_slowly(std::int64_t count) {
  const std::lock_guard lock(gathering_.mutex);
  std::int64_t state = count_.load();
  while (!count_.compare_exchange_weak(state, sum(state, count))) {
  }
  if (((state + count) & ~kWaited) == 0) gathering_.wake_all();
}

Task<Result<>> WaitGroup::wait_for_zero(Context ctx) {
  detail::Parked parked;
  detail::Waiter waiter(parked, 0);
  {
    const std::lock_guard lock(gathering_.mutex);
    const std::int64_t state = count_.fetch_or(kWaited);
    if ((state & ~kWaited) == 0) {
      count_.fetch_and(~kWaited);
      co_return Result<>();
    }
    if (ctx.is_done()) co_return ctx.err();
    gathering_.waiters.push_back(waiter);
  }
  co_return co_await detail::wait_for_turn(std::move(ctx), gathering_, waiter);
}

}  // namespace sluice::concurrency
