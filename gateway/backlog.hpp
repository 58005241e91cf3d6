// Whether a worker has fallen behind.
#pragma once

#include "concurrency/clock.hpp"

#include <chrono>

namespace sluice::gateway {

/// Tells a worker to which more comes than it can do from one that was held up for a moment: of the first every request
/// has to wait. Pure. *one worker*
///
/// Source: CoDel (RFC 8289), whose target and interval these are.
class Backlog {
 public:
  static constexpr concurrency::Duration kTarget = std::chrono::milliseconds(5);
  static constexpr concurrency::Duration kInterval = std::chrono::milliseconds(100);

  /// A request is begun at `now` that had waited for so long. Returns whether for kInterval all that were begun, one
  /// closely after the other, had waited for kTarget at least.
  bool is_standing(concurrency::Duration waited, concurrency::TimePoint now) {
    const bool goes_on = is_behind_ && now - last_ <= kInterval;
    if (!goes_on) since_ = now;
    is_behind_ = waited >= kTarget;
    last_ = now;
    return is_behind_ && now - since_ >= kInterval;
  }

 private:
  bool is_behind_ = false;
  concurrency::TimePoint since_{};
  concurrency::TimePoint last_{};
};

}  // namespace sluice::gateway
