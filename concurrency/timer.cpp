#include "concurrency/timer.hpp"

#include <stdexcept>
#include <utility>

namespace sluice::concurrency {

Timer::Timer(Duration duration)
    : TimerEntry([](TimerEntry& entry, bool expired) noexcept {
        auto& self = static_cast<Timer&>(entry);
        if (!expired) return;
        self.has_sent_ = true;
        (void)self.expired_.try_send(self.loop_.now());
      }),
      loop_(Loop::current()) {
  loop_.arm(*this, later(loop_.now(), duration));
}

bool Timer::stop() {
  if (is_armed()) {
    loop_.disarm(*this);
    return true;
  }
  if (!std::exchange(has_sent_, false)) return false;
  const auto unread = expired_.try_receive();  // an error if somebody has closed the channel
  return unread && unread->has_value();
}

bool Timer::reset(Duration duration) {
  const bool was_running = stop();
  const TimePoint now = loop_.now();
  loop_.arm(*this, later(now, duration), now);
  return was_running;
}

Ticker::Ticker(Duration period)
    : TimerEntry([](TimerEntry& entry, bool expired) noexcept {
        if (expired) static_cast<Ticker&>(entry).fire();
      }),
      loop_(Loop::current()) {
  reset(period);
}

void Ticker::fire() {
  const TimePoint now = loop_.now();
  (void)ticks_.try_send(now);
  next_ = later(next_, period_);
  if (next_ <= now) next_ = later(next_, (now - next_) / period_ * period_ + period_);  // those that were missed
  loop_.arm(*this, next_);
}

void Ticker::stop() {
  loop_.disarm(*this);
  (void)ticks_.try_receive();
}

void Ticker::reset(Duration period) {
  if (period <= Duration(0)) throw std::invalid_argument("Ticker: period must be positive");
  stop();
  period_ = period;
  next_ = later(loop_.now(), period);
  loop_.arm(*this, next_);
}

}  // namespace sluice::concurrency
