// When each request of an open loop is meant to be sent.
#pragma once

#include "loadtest/scenario.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace sluice::loadtest {

/// Hands out the times of the requests of all phases in order, as offsets from the start: evenly spaced at a phase's
/// rate, or with spaces that shrink or grow as the rate goes from `rate` to `rate_to`. Pure. Thread: one.
class Schedule {
 public:
  struct Due {
    std::chrono::nanoseconds when;
    std::size_t phase;
  };

  /// `phases` is referred to. No more than `most` requests are handed out.
  explicit Schedule(const std::vector<Phase>& phases, std::uint64_t most = std::numeric_limits<std::uint64_t>::max());

  /// The next; nullopt: that was the last.
  [[nodiscard]] const std::optional<Due>& next() const { return next_; }
  void advance();

 private:
  void find_next();

  const std::vector<Phase>& phases_;
  std::uint64_t left_;
  std::size_t phase_ = 0;
  std::chrono::nanoseconds phase_begin_{};
  std::uint64_t index_ = 0;  // in the phase
  std::optional<Due> next_;
};

}  // namespace sluice::loadtest
