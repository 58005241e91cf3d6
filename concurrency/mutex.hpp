// Mutex and RwLock: held across co_await, waited for without blocking the thread.
#pragma once

#include "concurrency/context.hpp"
#include "concurrency/operation.hpp"
#include "concurrency/semaphore.hpp"
#include "concurrency/task.hpp"
#include "concurrency/wait.hpp"

#include <atomic>
#include <cstdint>
#include <utility>

namespace sluice::concurrency {

/// Uncontended, locking and unlocking are one compare-and-swap each. With waiters, unlock() hands the lock to the one
/// that has waited longest, so nobody is ever overtaken. It must outlive those who wait. *any thread*
class Mutex {
 public:
  /// Errors: canceled, deadline_exceeded from `ctx`; the lock is not held then.
  [[nodiscard]] auto lock(Context ctx) {
    return detail::Operation(
        std::move(ctx), *this, detail::Nothing(),
        [](Mutex& m, detail::Nothing, const Context& c) { return m.lock_now(c); },
        [](Mutex&, detail::Nothing) { return Result<>(); },
        [](Mutex& m, detail::Nothing, Context c) { return m.wait_and_lock(std::move(c)); });
  }
  /// Never blocks.
  [[nodiscard]] bool try_lock() noexcept {
    int free = kFree;
    return state_.compare_exchange_strong(free, kLocked, std::memory_order_acquire, std::memory_order_relaxed);
  }
  /// Throws std::logic_error if it is not locked.
  void unlock() {
    int locked = kLocked;
    if (!state_.compare_exchange_strong(locked, kFree, std::memory_order_release, std::memory_order_relaxed)) {
      hand_over(locked);
    }
  }
  using Guard = detail::Guard<Mutex, &Mutex::unlock>;
  /// lock() with a guard.
  [[nodiscard]] auto hold(Context ctx) {
    return detail::Operation(
        std::move(ctx), *this, detail::Nothing(),
        [](Mutex& m, detail::Nothing, const Context& c) { return m.lock_now(c); },
        [](Mutex& m, detail::Nothing) { return Result<Guard>(boost::system::in_place_value, m); },
        [](Mutex& m, detail::Nothing, Context c) { return m.wait_and_hold(std::move(c)); });
  }

 private:
  enum : int { kFree, kLocked, kContended };
  class Turn;
  detail::Now lock_now(const Context& ctx) {
    if (ctx.is_done()) return detail::Now::ended;
    return try_lock() ? detail::Now::done : detail::Now::wait;
  }
  Task<Result<>> wait_and_lock(Context ctx);
  Task<Result<Guard>> wait_and_hold(Context ctx);
  void hand_over(int state);
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
  [[nodiscard]] auto lock(Context ctx) {
    return detail::Operation(
        std::move(ctx), *this, detail::Nothing(),
        [](RwLock& m, detail::Nothing, const Context& c) { return m.lock_now(c); },
        [](RwLock&, detail::Nothing) { return Result<>(); },
        [](RwLock& m, detail::Nothing, Context c) { return m.wait_and_lock(std::move(c)); });
  }
  [[nodiscard]] auto rlock(Context ctx) { return units_.acquire(std::move(ctx), 1); }
  [[nodiscard]] bool try_lock();
  [[nodiscard]] bool try_rlock() { return units_.try_acquire(1); }
  /// Both throw std::logic_error if it is not held in that way.
  void unlock();
  void runlock() {
    if (writing_.load(std::memory_order_relaxed) || units_.held_.load(std::memory_order_relaxed) == 0) {
      throw_not_reading();
    }
    units_.release(1);
  }
  using ReadGuard = detail::Guard<RwLock, &RwLock::runlock>;
  using WriteGuard = detail::Guard<RwLock, &RwLock::unlock>;
  [[nodiscard]] auto hold(Context ctx) {
    return detail::Operation(
        std::move(ctx), *this, detail::Nothing(),
        [](RwLock& m, detail::Nothing, const Context& c) { return m.lock_now(c); },
        [](RwLock& m, detail::Nothing) { return Result<WriteGuard>(boost::system::in_place_value, m); },
        [](RwLock& m, detail::Nothing, Context c) { return m.wait_and_hold(std::move(c)); });
  }
  [[nodiscard]] auto rhold(Context ctx) {
    return detail::Operation(
        std::move(ctx), *this, detail::Nothing(),
        [](RwLock& m, detail::Nothing, const Context& c) { return m.units_.acquire_now(c, 1); },
        [](RwLock& m, detail::Nothing) { return Result<ReadGuard>(boost::system::in_place_value, m); },
        [](RwLock& m, detail::Nothing, Context c) { return m.wait_and_rhold(std::move(c)); });
  }

 private:
  detail::Now lock_now(const Context& ctx) {
    if (ctx.is_done()) return detail::Now::ended;
    return try_lock() ? detail::Now::done : detail::Now::wait;
  }
  Task<Result<>> wait_and_lock(Context ctx);
  [[noreturn]] static void throw_not_reading();
  Task<Result<WriteGuard>> wait_and_hold(Context ctx);
  Task<Result<ReadGuard>> wait_and_rhold(Context ctx);

  static constexpr std::int64_t kAll = std::int64_t{1} << 32;  // a reader holds one unit, a writer all

  Semaphore units_{kAll};
  std::atomic<bool> writing_{false};
};

}  // namespace sluice::concurrency
