#include "concurrency/mutex.hpp"

#include "concurrency/detail/spin.hpp"

#include <stdexcept>

namespace sluice::concurrency {

namespace {

constexpr int kLooks = 64;  // about a microsecond

}  // namespace

Mutex::Turn::~Turn() {
  if (!queued_) return;
  done_.unsubscribe();
  if (taken_) return;
  bool was_handed = false;
  {
    const std::lock_guard lock(mutex_.line_.mutex);
    mutex_.line_.waiters.remove(waiter_);
    was_handed = waiter_.ok;
  }
  if (was_handed) mutex_.pass_on(mutex_.holder_.load(std::memory_order_relaxed));
}

detail::Now Mutex::Turn::start(const Context& ctx) {
  if (!mutex_.enqueue(waiter_)) return detail::Now::done;
  queued_ = true;
  return done_.subscribe(ctx) || !parked_.claim(1) ? detail::Now::wait : detail::Now::ended;
}

detail::Now Mutex::Turn::finish() noexcept {
  if (parked_.source() == 1) return detail::Now::ended;
  taken_ = true;
  return detail::Now::done;
}

bool Mutex::lock_briefly() noexcept {
  if (!detail::is_worth_spinning()) return false;
  for (int i = 0; i < kLooks; ++i) {
    const Holder holder = holder_.load(std::memory_order_relaxed);
    if (holder == kFree) {
      if (try_lock()) return true;
    } else if ((holder & kContended) != 0 || holder == here()) {
      return false;  // others are in line, or this thread would wait for itself
    }
    detail::pause();
  }
  return false;
}

bool Mutex::enqueue(detail::Waiter& waiter) {
  const std::lock_guard lock(line_.mutex);
  // From here on the holder's unlock() comes here, too, and waits for the line to be settled.
  if (holder_.fetch_or(kContended, std::memory_order_acquire) == kFree) {
    holder_.store(here(), std::memory_order_relaxed);
    return false;
  }
  line_.waiters.push_back(waiter);
  return true;
}

/// To the first in line, or else to nobody; false if it is nobody's. What it does last is to free it or to wake who has
/// it then, both without the lock of the line: from then on the mutex may be gone.
bool Mutex::pass_on(Holder holder) noexcept {
  for (;;) {
    while ((holder & kContended) == 0) {
      if (holder == kFree) return false;
      if (holder_.compare_exchange_weak(holder, kFree, std::memory_order_release, std::memory_order_relaxed)) {
        return true;
      }
    }
    detail::Waiter* next = nullptr;
    {
      const std::lock_guard lock(line_.mutex);
      next = line_.waiters.claim_front();
      if (next == nullptr) {
        holder = holder_.fetch_and(~kContended, std::memory_order_relaxed) & ~kContended;
      } else {
        next->ok = true;
        holder_.store(on(&next->parked.loop()) | (line_.waiters.empty() ? 0 : kContended), std::memory_order_release);
      }
    }
    if (next == nullptr) continue;
    next->parked.wake();
    return true;
  }
}

void Mutex::unlock_slowly(Holder holder) {
  if (!pass_on(holder)) throw std::logic_error("Mutex: unlocked, but not locked");
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

void RwLock::runlock_slowly() {
  const std::int64_t held = units_.held_.load(std::memory_order_relaxed) & ~Semaphore::kLine;
  if (held == 0 || held >= kAll) {
    throw std::logic_error("RwLock: unlocked for reading, but not locked for reading");
  }
  units_.release(1);
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
