// Mutex and RwLock: held across co_await, waited for without blocking the thread.
#pragma once

#include "concurrency/context.hpp"
#include "concurrency/semaphore.hpp"
#include "concurrency/task.hpp"
#include "concurrency/wait.hpp"

#include <atomic>

namespace sluice::concurrency {

/// Uncontended, locking and unlocking are one compare-and-swap each. With waiters, unlock() hands the lock to the one
/// that has waited longest, so nobody is ever overtaken. It must outlive those who wait. *any thread*
class Mutex {
 public:
  /// Errors: canceled, deadline_exceeded from `ctx`; the lock is not held then.
  [[nodiscard]] Task<Result<>> lock(Context ctx);
  /// Never blocks. `if (!mutex.try_lock()) co_await mutex.lock(ctx)` spares the coroutine frame.
  [[nodiscard]] bool try_lock() noexcept;
  /// Throws std::logic_error if it is not locked.
  void unlock();
  using Guard = detail::Guard<Mutex, &Mutex::unlock>;
  /// lock() with a guard.
  [[nodiscard]] Task<Result<Guard>> hold(Context ctx);

 private:
  enum : int { kFree, kLocked, kContended };
  class Turn;
  bool enqueue(detail::Waiter& waiter);
  void hand_over_locked() noexcept;

  std::atomic<int> state_{kFree};  // kContended: somebody may wait, so unlock() has to look
  detail::Gathering line_;
};

/// Many readers or one writer, served in order of arrival: a waiting writer holds back new readers.
/// It must outlive those who wait. *any thread*
class RwLock {
 public:
  /// Errors: canceled, deadline_exceeded from `ctx`; nothing is held then.
  [[nodiscard]] Task<Result<>> lock(Context ctx);
  [[nodiscard]] Task<Result<>> rlock(Context ctx) { return units_.acquire(std::move(ctx), 1); }
  [[nodiscard]] bool try_lock();
  [[nodiscard]] bool try_rlock() { return units_.try_acquire(1); }
  /// Both throw std::logic_error if it is not held in that way.
  void unlock();
  void runlock();
  using ReadGuard = detail::Guard<RwLock, &RwLock::runlock>;
  using WriteGuard = detail::Guard<RwLock, &RwLock::unlock>;
  [[nodiscard]] Task<Result<WriteGuard>> hold(Context ctx);
  [[nodiscard]] Task<Result<ReadGuard>> rhold(Context ctx);

 private:
  static constexpr std::int64_t kAll = std::int64_t{1} << 32;  // a reader holds one unit, a writer all

  Semaphore units_{kAll};
  std::atomic<bool> writing_{false};
};

}  // namespace sluice::concurrency
