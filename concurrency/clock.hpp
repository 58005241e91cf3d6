// The one clock of the project: monotonic, in nanoseconds, real or virtual (see Loop).
#pragma once

#include <chrono>

namespace sluice::concurrency {

using TimePoint = std::chrono::steady_clock::time_point;
using Duration = std::chrono::nanoseconds;

/// `from + duration`, or the end of time if that is later. `from` is not before the clock's epoch.
constexpr TimePoint later(TimePoint from, Duration duration) {
  return duration > TimePoint::max() - from ? TimePoint::max() : from + duration;
}

}  // namespace sluice::concurrency
