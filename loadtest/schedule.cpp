// Request i of a phase is due when i requests would have been sent: the rate's integral over time is i.
#include "loadtest/schedule.hpp"

#include <cmath>

namespace sluice::loadtest {

Schedule::Schedule(const std::vector<Phase>& phases, std::uint64_t most) : phases_(phases), left_(most) {
  find_next();
}

void Schedule::advance() {
  ++index_;
  --left_;
  find_next();
}

void Schedule::find_next() {
  next_.reset();
  if (left_ == 0) return;
  for (; phase_ < phases_.size(); phase_begin_ += phases_[phase_++].duration, index_ = 0) {
    const Phase& phase = phases_[phase_];
    const double seconds = std::chrono::duration<double>(phase.duration).count(), i = static_cast<double>(index_);
    // i = rate t + growth t^2 / 2; this way of writing the solution also holds for no growth.
    const double growth = (phase.rate_to - phase.rate) / seconds;
    const double under_root = phase.rate * phase.rate + 2 * growth * i;
    if (under_root < 0) continue;  // a falling rate does not get so far
    const double when = i == 0 ? 0 : 2 * i / (phase.rate + std::sqrt(under_root));
    const auto offset = std::chrono::nanoseconds(std::llround(when * 1e9));
    if (offset >= phase.duration) continue;
    next_ = Due{phase_begin_ + offset, phase_};
    return;
  }
}

}  // namespace sluice::loadtest
