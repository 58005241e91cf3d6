// Mutex and RwLock: held across co_await, waited for without blocking the thread.
#pragma once

#include "concurrency/context.hpp"
#include "concurrency/operation.hpp"
#include "concurrency/semaphore.hpp"
#include "concurrency/task.hpp"
#include "concurrency/wait.hpp"

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

namespace sluice::concurrency {

/// Uncontended, locking and unlocking are one compare-and-swap each. With waiters, unlock() hands the lock to the one
/// that has waited longest, so nobody in the line is ever overtaken; who comes while a coroutine of another loop holds
/// the lock and nobody waits looks again for about a microsecond before it gets in line. It must outlive those who
/// wait. *any thread*
class Mutex {
  template <class R>
  class Locking;

 public:
  /// Errors: canceled, deadline_exceeded from `ctx`; the lock is not held then.
  [[nodiscard]] Locking<Result<>> lock(Context ctx);
  /// Never blocks.
  [[nodiscard]] bool try_lock() noexcept {
    Holder free = kFree;
    return holder_.compare_exchange_strong(free, here(), std::memory_order_acquire, std::memory_order_relaxed);
  }
  /// Throws std::logic_error if it is not locked.
  void unlock() {
    Holder holder = here();
    if (!holder_.compare_exchange_strong(holder, kFree, std::memory_order_release, std::memory_order_relaxed)) {
      unlock_slowly(holder);
    }
  }
  using Guard = detail::Guard<Mutex, &Mutex::unlock>;
  /// lock() with a guard.
  [[nodiscard]] Locking<Result<Guard>> hold(Context ctx);

 private:
  // The address of the loop on which it was locked, if there was one, with two bits beside it.
  using Holder = std::uintptr_t;
  static constexpr Holder kFree = 0;
  static constexpr Holder kContended = 1;  // somebody may wait, so unlock() has to look
  static constexpr Holder kHeld = 2;
  static Holder on(const Loop* loop) noexcept { return reinterpret_cast<Holder>(loop) | kHeld; }
  static Holder here() noexcept { return on(Loop::current_or_null()); }

  /// A place in the line, in the frame of who waits.
  class Turn {
   public:
    explicit Turn(Mutex& mutex) : mutex_(mutex) {}
    /// A lock that was handed to a coroutine which is destroyed instead of resumed is handed on.
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    /// If there is something to wait for: suspend(), and afterwards finish().
    detail::Now start(const Context& ctx);
    template <class T>
    void suspend(std::coroutine_handle<detail::Promise<T>> coroutine) {
      parked_.suspend(coroutine);
    }
    detail::Now finish() noexcept;

   private:
    Mutex& mutex_;
    detail::Parked parked_;
    detail::Waiter waiter_{parked_, 0};
    detail::ContextWake done_{parked_, 1};
    bool queued_ = false;
    bool taken_ = false;
  };

  void unlock_slowly(Holder holder);
  bool lock_briefly() noexcept;
  bool enqueue(detail::Waiter& waiter);
  bool pass_on(Holder holder) noexcept;

  std::atomic<Holder> holder_{kFree};
  detail::Gathering line_;
};

template <class R>
class [[nodiscard]] Mutex::Locking : public detail::Awaiter {
 public:
  using value_type = R;

  Locking(Mutex& mutex, Context&& ctx) : mutex_(mutex), ctx_(std::move(ctx)) {}
  /// Of one that has not been awaited.
  Locking(Locking&& other) noexcept : mutex_(other.mutex_), ctx_(std::move(other.ctx_)) {}
  Locking& operator=(Locking&&) = delete;
  ~Locking() = default;

  [[nodiscard]] bool await_ready() {
    if (ctx_.is_done()) {
      now_ = detail::Now::ended;
    } else if (mutex_.try_lock()) {
      now_ = detail::Now::done;
    } else {
      now_ = mutex_.lock_briefly() ? detail::Now::done : turn_.emplace(mutex_).start(ctx_);
    }
    return now_ != detail::Now::wait;
  }
  template <class T>
  void await_suspend(std::coroutine_handle<detail::Promise<T>> coroutine) {
    turn_->suspend(coroutine);
  }
  R await_resume() {
    if (now_ == detail::Now::wait) now_ = turn_->finish();
    if (now_ == detail::Now::ended) return ctx_.err();
    if constexpr (std::is_same_v<R, Result<>>) {
      return R();
    } else {
      return R(boost::system::in_place_value, mutex_);
    }
  }

  // NOLINTNEXTLINE(google-explicit-constructor): for functions that return it as their Task
  operator Task<R>() && { return run(mutex_, std::move(ctx_)); }

 private:
  static Task<R> run(Mutex& mutex, Context ctx) {
    Locking locking(mutex, std::move(ctx));
    co_return co_await std::move(locking);
  }

  Mutex& mutex_;
  Context ctx_;
  detail::Now now_ = detail::Now::wait;
  std::optional<Turn> turn_;
};

inline Mutex::Locking<Result<>> Mutex::lock(Context ctx) {
  return {*this, std::move(ctx)};
}
inline Mutex::Locking<Result<Mutex::Guard>> Mutex::hold(Context ctx) {
  return {*this, std::move(ctx)};
}

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
  [[nodiscard]] auto rlock(Context ctx) {
    return detail::Operation(
        std::move(ctx), *this, detail::Nothing(),
        [](RwLock& m, detail::Nothing, const Context& c) { return m.rlock_now(c); },
        [](RwLock&, detail::Nothing) { return Result<>(); },
        [](RwLock& m, detail::Nothing, Context c) { return m.units_.wait_and_acquire(std::move(c), 1); });
  }
  [[nodiscard]] bool try_lock();
  [[nodiscard]] bool try_rlock() { return units_.try_acquire(1); }
  /// Both throw std::logic_error if it is not held in that way.
  void unlock();
  void runlock() {
    // A guess instead of a look: of no use to several readers, but what fails has the cache line for itself.
    std::int64_t held = 1;
    do {
      if (!is_plain(held - 1)) return runlock_slowly();
    } while (!units_.held_.compare_exchange_weak(held, held - 1, std::memory_order_release, std::memory_order_relaxed));
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
        [](RwLock& m, detail::Nothing, const Context& c) { return m.rlock_now(c); },
        [](RwLock& m, detail::Nothing) { return Result<ReadGuard>(boost::system::in_place_value, m); },
        [](RwLock& m, detail::Nothing, Context c) { return m.wait_and_rhold(std::move(c)); });
  }

 private:
  detail::Now lock_now(const Context& ctx) {
    if (ctx.is_done()) return detail::Now::ended;
    return try_lock() ? detail::Now::done : detail::Now::wait;
  }
  detail::Now rlock_now(const Context& ctx) {
    if (ctx.is_done()) return detail::Now::ended;
    // One instruction, not a look and another. If it was in vain, others may see one reader too many for a moment.
    if (is_plain(units_.held_.fetch_add(1, std::memory_order_acquire))) return detail::Now::done;
    units_.release_to_line(1);
    return detail::Now::wait;
  }
  Task<Result<>> wait_and_lock(Context ctx);
  static constexpr std::int64_t kAll = std::int64_t{1} << 32;  // a reader holds one unit, a writer all

  /// Nobody waits, and there are that many readers or none.
  static bool is_plain(std::int64_t held) { return static_cast<std::uint64_t>(held) < std::uint64_t{kAll} - 1; }
  void runlock_slowly();
  Task<Result<WriteGuard>> wait_and_hold(Context ctx);
  Task<Result<ReadGuard>> wait_and_rhold(Context ctx);

  Semaphore units_{kAll};
  std::atomic<bool> writing_{false};
};

}  // namespace sluice::concurrency
