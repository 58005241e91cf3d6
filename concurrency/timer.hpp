// Timer and Ticker: time that arrives by channel.
#pragma once

#include "concurrency/channel.hpp"
#include "concurrency/clock.hpp"
#include "concurrency/loop.hpp"

namespace sluice::concurrency {

/// Sends the time once, on the loop that was current when it was made. *one worker*
///
/// As in Go since 1.23: after stop() or reset() no earlier time is received any more. In a select, `after(d)` is
/// cheaper.
class Timer final : private TimerEntry {
 public:
  explicit Timer(Duration duration);
  ~Timer() { (void)stop(); }

  /// Holds the time from its expiry until received.
  [[nodiscard]] const Channel<TimePoint>& expired() const { return expired_; }
  /// True if that kept it from expiring.
  bool stop();
  /// Starts anew. True if it had been running.
  bool reset(Duration duration);

 private:
  Loop& loop_;
  bool has_sent_ = false;  // since stop() has last looked
  Channel<TimePoint> expired_{1};
};

/// Sends the time every `period`, without drift; drops ticks that nobody has received when the next is due.
/// *one worker*
class Ticker final : private TimerEntry {
 public:
  /// Throws std::invalid_argument if `period` is not positive.
  explicit Ticker(Duration period);
  ~Ticker() { stop(); }

  [[nodiscard]] const Channel<TimePoint>& ticks() const { return ticks_; }
  /// No more ticks. The channel is not closed, so that nobody takes its end for a tick.
  void stop();
  /// The next tick comes a new `period` from now.
  void reset(Duration period);

 private:
  void fire();

  Loop& loop_;
  Channel<TimePoint> ticks_{1};
  Duration period_{};
  TimePoint next_{};
};

}  // namespace sluice::concurrency
