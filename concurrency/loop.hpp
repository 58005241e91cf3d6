// One event loop: an io_context, its timers, its clock and its random generator.
#pragma once

#include "concurrency/clock.hpp"
#include "concurrency/random.hpp"
#include "concurrency/task.hpp"
#include "concurrency/timer_wheel.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace sluice::concurrency {

namespace detail {
class IoCancel;
class Parked;
}  // namespace detail

/// The time that loops in virtual time share: it stands still until somebody moves it. *one worker*
class VirtualClock {
 public:
  [[nodiscard]] TimePoint now() const { return now_; }
  void move_to(TimePoint when) { now_ = when; }

 private:
  TimePoint now_{std::chrono::hours(1)};
};

/// Runs coroutines on one thread. Sockets and spawned tasks use `executor()`.
///
/// Destroying a loop destroys the frames of all coroutines that are suspended on it, in an order that is not
/// specified; the loop must not be running, and no other thread may still wake its coroutines.
/// Thread: `executor()`, `stop()` and posting are for any thread, everything else for the thread that runs the loop.
class Loop {
 public:
  /// In real time. `seed` 0: seeded by the system.
  explicit Loop(std::uint64_t seed = 0);
  /// In the time of `clock`, which must outlive the loop; driven by poll() and advance_timers() instead of run().
  explicit Loop(VirtualClock& clock, std::uint64_t seed = 1);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Makes a loop the current one of this thread, as run() and poll() do while they run.
  class Entered {
   public:
    explicit Entered(Loop& loop);
    ~Entered();
    Entered(const Entered&) = delete;
    Entered& operator=(const Entered&) = delete;

   private:
    Loop* outer_;
  };

  /// The loop that runs on this thread; std::logic_error if there is none.
  static Loop& current() {
    Loop* const loop = current_;
    if (loop == nullptr) throw_no_current();
    return *loop;
  }
  static Loop* current_or_null() { return current_; }

  [[nodiscard]] Executor executor() const { return executor_; }
  [[nodiscard]] boost::asio::io_context& io() { return *io_; }
  [[nodiscard]] TimePoint now() const { return clock_ != nullptr ? clock_->now() : std::chrono::steady_clock::now(); }
  /// When the coroutine that runs was resumed, as far as it has asked before: one look at the clock for all that are
  /// called from there. What is counted from it ends too early by as long as the coroutine has run since.
  [[nodiscard]] TimePoint turn_time() {
    if (!is_resuming_) return now();
    return turn_time_ == TimePoint() ? renew_turn_time() : turn_time_;
  }
  [[nodiscard]] Random& random() { return random_; }
  /// Whether other coroutines are ready to go on.
  [[nodiscard]] bool has_others_ready() const { return has_ready() || is_in_mid_turn_; }

  /// Now, which is the time of the turn from here on.
  TimePoint renew_turn_time() { return turn_time_ = now(); }
  void arm(TimerEntry& entry, TimePoint expiry) { arm(entry, expiry, turn_time()); }
  /// For who has just asked for the time.
  void arm(TimerEntry& entry, TimePoint expiry, TimePoint now);
  void disarm(TimerEntry& entry) { wheel_.disarm(entry); }

  /// Runs until stop().
  void run();
  /// Runs what is ready, without waiting; returns whether anything was.
  bool poll();
  void stop() { io_->stop(); }
  /// So much has come for coroutines that were woken. When it is a lot they go on at once, before reading more for
  /// others moves it out of the caches. For handlers of Asio, not for coroutines.
  void has_read(std::size_t bytes);

  /// Virtual time: when the next timer is due, and firing those that are.
  [[nodiscard]] std::optional<TimePoint> next_timer() const { return wheel_.next_turn(); }
  void advance_timers();

  /// Coroutines that wait, through anything of this library, and timers that are armed.
  struct Leftover {
    std::size_t waiting;
    std::size_t timers;
  };
  [[nodiscard]] Leftover leftover() const { return {waiting_, wheel_.size()}; }
  /// From now on every loop that is destroyed with either calls `report` before it destroys them; null: none does.
  /// For leak checks. *any thread*
  static void report_leftovers_to(void (*report)(const Leftover&));

  /// Starting a task runs it at once, on the stack of whoever starts it. This counts how deep that has gone, so that a
  /// task that starts the next, which starts the next, can give way in time.
  class Nested {
   public:
    explicit Nested(Loop& loop) : loop_(loop) { ++loop_.nesting_; }
    ~Nested() { --loop_.nesting_; }
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;

   private:
    Loop& loop_;
  };
  [[nodiscard]] bool is_deeply_nested() const { return nesting_ > 16; }

 private:
  friend class detail::Parked;
  friend class detail::IoCancel;

  [[noreturn]] static void throw_no_current();
  [[nodiscard]] bool has_ready() const { return ready_ != nullptr || urgent_ != nullptr; }
  void make_ready(detail::Parked& parked) { make_ready(parked, is_urgent_ ? urgent_ : ready_); }
  void make_ready(detail::Parked& parked, detail::Parked*& list);
  void make_ready_from_elsewhere(detail::Parked& parked);
  void take_from_elsewhere();
  void resume_from_elsewhere();
  [[nodiscard]] detail::Parked* watching();
  /// Waits for a wake-up from another thread, awake, which spares both a system call; false: there was none.
  bool watch(TimePoint until);
  void post_turn();
  void resume_ready();
  void resume_turn();
  void resume_urgent();
  struct Turn;
  struct Urgent;
  void fire_timers(TimePoint now);
  void drive();  // makes the steady_timer wake the loop for the wheel's next turn

  static constinit thread_local Loop* current_;

  VirtualClock* clock_ = nullptr;
  Random random_;
  TimerWheel wheel_;
  detail::Parked* parked_ = nullptr;  // those that only a wake-up of ours can resume
  detail::Parked* ready_ = nullptr;   // those of them that were woken on this thread, the last one first
  detail::Parked* urgent_ = nullptr;  // likewise, by a timer or by who was; they go before those
  std::atomic<detail::Parked*> from_elsewhere_{nullptr};  // likewise, on other threads
  unsigned in_vain_ = 0;                                  // watches in a row: the more, the seldomer
  unsigned unwatched_ = 0;                                // wake-ups before the next watch
  bool is_resuming_ = false;
  bool is_urgent_ = false;        // whom this thread wakes now
  std::size_t unused_bytes_ = 0;  // that were read since the last turn
  bool is_in_mid_turn_ = false;   // the coroutine that runs is not the last one of the turn
  TimePoint turn_time_{};         // none: nobody has asked in this turn
  std::size_t waiting_ = 0;       // those, and those that wait in io()
  unsigned nesting_ = 0;
  // The two below are destroyed in the destructor's body: frames that die with them use what stands above.
  std::optional<boost::asio::io_context> io_;
  std::optional<boost::asio::steady_timer> steady_;
  Executor executor_;  // frames that die with `io_` still wake each other, in vain
  TimePoint steady_expiry_ = TimePoint::max();
  TimePoint due_ = TimePoint::max();  // the wheel's next turn
};

}  // namespace sluice::concurrency
