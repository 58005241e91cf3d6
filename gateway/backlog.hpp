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

  /// A request is begun at `now` that had waited for so long. Returns whether none has waited less than kTarget for
  /// kInterval, in which they followed one another closely.
  bool is_standing(concurrency::Duration waited, concurrency::TimePoint now) {
    if (waited < kTarget || now - last_ > kInterval) since_ = now;
    last_ = now;
    return now - since_ >= kInterval;
  }

 private:
  concurrency::TimePoint since_{};
  concurrency::TimePoint last_{};
};

}  // namespace sluice::gateway
