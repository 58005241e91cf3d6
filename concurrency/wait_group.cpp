#include "concurrency/wait_group.hpp"

#include <limits>
#include <stdexcept>

namespace sluice::concurrency {

void WaitGroup::add(long count) {
  const std::lock_guard lock(gathering_.mutex);
  if (count > std::numeric_limits<long>::max() - count_) throw std::logic_error("WaitGroup: the count overflows");
  if (count_ + count < 0) throw std::logic_error("WaitGroup: negative count");
  count_ += count;
  if (count_ == 0) gathering_.wake_all();
}

Task<Result<>> WaitGroup::wait(Context ctx) {
  detail::Parked parked;
  detail::Waiter waiter(parked, 0);
  {
    const std::lock_guard lock(gathering_.mutex);
    if (count_ == 0) co_return Result<>();
    if (ctx.is_done()) co_return ctx.err();
    gathering_.waiters.push_back(waiter);
  }
  co_return co_await detail::wait_for_turn(std::move(ctx), gathering_, waiter);
}

}  // namespace sluice::concurrency
