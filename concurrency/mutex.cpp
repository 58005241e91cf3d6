#include "concurrency/mutex.hpp"

#include <stdexcept>

namespace sluice::concurrency {

/// A place in the line. A lock that was handed to a coroutine which is destroyed instead of resumed is handed on.
class Mutex::Turn {
 public:
  Turn(Mutex& mutex, detail::Waiter& waiter) : mutex_(mutex), waiter_(waiter) {}
  ~Turn() {
    if (taken_) return;
    const std::lock_guard lock(mutex_.line_.mutex);
    if (waiter_.ok) mutex_.hand_over_locked();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  void take() { taken_ = true; }

 private:
  Mutex& mutex_;
  detail::Waiter& waiter_;
  bool taken_ = false;
};

bool Mutex::enqueue(detail::Waiter& waiter) {
  const std::lock_guard lock(line_.mutex);
  // From here on the holder's unlock() comes here, too, and waits for the line to be settled.
  if (state_.exchange(kContended, std::memory_order_acquire) == kFree) return false;
  line_.waiters.push_back(waiter);
  return true;
}

Task<Result<>> Mutex::wait_and_lock(Context ctx) {
  if (ctx.is_done()) co_return ctx.err();
  detail::Parked parked;
  detail::Waiter waiter(parked, 0);
  if (!enqueue(waiter)) co_return Result<>();
  Turn turn(*this, waiter);
  const Result<> waited = co_await detail::wait_for_turn(std::move(ctx), line_, waiter);
  if (waited) turn.take();
  co_return waited;
}

void Mutex::hand_over_locked() noexcept {
  detail::Waiter* const next = line_.waiters.claim_front();
  if (next == nullptr) {
    state_.store(kFree, std::memory_order_release);
    return;
  }
  next->ok = true;
  next->parked.wake();
}

void Mutex::hand_over(int state) {
  if (state == kFree) throw std::logic_error("Mutex: unlocked, but not locked");
  const std::lock_guard lock(line_.mutex);
  hand_over_locked();
}

Task<Result<Mutex::Guard>> Mutex::wait_and_hold(Context ctx) {
  const Result<> locked = co_await wait_and_lock(std::move(ctx));
  if (!locked) co_return locked.error();
  co_return Guard(*this);
}

Task<Result<>> RwLock::wait_and_lock(Context ctx) {
  const Result<> acquired = co_await units_.acquire(std::move(ctx), kAll);
  if (acquired) writing_ = true;
  co_return acquired;
}

bool RwLock::try_lock() {
  if (!units_.try_acquire(kAll)) return false;
  writing_ = true;
  return true;
}

void RwLock::unlock() {
  if (!writing_.exchange(false)) throw std::logic_error("RwLock: unlocked, but not locked for writing");
  units_.release(kAll);
}

void RwLock::throw_not_reading() {
  throw std::logic_error("RwLock: unlocked for reading, but not locked for reading");
}

Task<Result<RwLock::WriteGuard>> RwLock::wait_and_hold(Context ctx) {
  const Result<> locked = co_await lock(std::move(ctx));
  if (!locked) co_return locked.error();
  co_return WriteGuard(*this);
}

Task<Result<RwLock::ReadGuard>> RwLock::wait_and_rhold(Context ctx) {
  const Result<> locked = co_await rlock(std::move(ctx));
  if (!locked) co_return locked.error();
  co_return ReadGuard(*this);
}

}  // namespace sluice::concurrency
