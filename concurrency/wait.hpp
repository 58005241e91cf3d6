// The sources that can end a wait beside the thing waited for: a context and a timer.
#pragma once

#include "concurrency/context.hpp"
#include "concurrency/detail/thin_mutex.hpp"
#include "concurrency/park.hpp"

#include <mutex>

namespace sluice::concurrency::detail {

/// Claims and wakes a parked coroutine when a context is done. Unsubscribes when destroyed.
class ContextWake final : public ContextWaiter {
 public:
  ContextWake(Parked& parked, int source) : parked_(parked), source_(source) {}
  ~ContextWake() { unsubscribe(); }

 private:
  void notify() noexcept override {
    if (parked_.claim(source_)) parked_.wake();
  }
  Parked& parked_;
  const int source_;
};

/// Claims and wakes a parked coroutine when time has come. Disarms when destroyed.
class TimerWake final : public TimerEntry {
 public:
  TimerWake(Parked& parked, int source)
      : TimerEntry([](TimerEntry& entry, bool expired) noexcept {
          auto& self = static_cast<TimerWake&>(entry);
          if (expired && self.parked_.claim(self.source_)) self.parked_.wake();
        }),
        loop_(Loop::current()),
        parked_(parked),
        source_(source) {}
  ~TimerWake() { loop_.disarm(*this); }

  void arm(TimePoint when) { loop_.arm(*this, when); }

 private:
  Loop& loop_;
  Parked& parked_;
  const int source_;
};

/// Leaves a wait list under its owner's lock, at the latest when destroyed.
template <class State>
class Queued {
 public:
  Queued(State& state, WaitList& list, Waiter& waiter) : state_(state), list_(list), waiter_(waiter) {}
  ~Queued() {
    const std::lock_guard lock(state_.mutex);
    list_.remove(waiter_);
  }
  Queued(const Queued&) = delete;
  Queued& operator=(const Queued&) = delete;

 private:
  State& state_;
  WaitList& list_;
  Waiter& waiter_;
};

/// Who waits for one event that concerns them all.
struct Gathering {
  ThinMutex mutex;
  WaitList waiters;

  /// With `mutex` held.
  void wake_all() noexcept {
    while (Waiter* waiter = waiters.claim_front()) waiter->parked.wake();
  }
};

/// Waits until `waiter`, which stands in `waiters` already, is claimed. Errors: from `ctx`; it has left the list then.
Task<Result<>> wait_for_turn(Context ctx, Gathering& state, Waiter& waiter);

}  // namespace sluice::concurrency::detail
