#include "concurrency/virtual_time.hpp"

#include <algorithm>
#include <thread>

namespace sluice::concurrency {

void VirtualTime::settle() {
  // The kernel may deliver loopback traffic on its own thread when it is busy: give way before calling it quiet.
  for (int quiet = 0; quiet < 3;) {
    if (loop_.poll()) {
      quiet = 0;
    } else {
      ++quiet;
      std::this_thread::yield();
    }
  }
}

bool VirtualTime::step(TimePoint limit) {
  const auto next = loop_.next_timer();
  if (!next || *next > limit) return false;
  clock_.move_to(std::max(clock_.now(), *next));
  loop_.advance_timers();
  settle();
  return true;
}

void VirtualTime::advance(Duration duration) {
  if (duration < Duration(0)) throw std::invalid_argument("VirtualTime: time does not go back");
  const TimePoint target = clock_.now() + duration;
  settle();
  while (step(target)) {
  }
  clock_.move_to(target);
  loop_.advance_timers();
  settle();
}

}  // namespace sluice::concurrency
