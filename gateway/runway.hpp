// How long the stored data that stands in for a backend will last.
#pragma once

#include "concurrency/clock.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>

namespace sluice::gateway {

/// Remembers, of what was served as stale in the last minute (60 to 70 seconds), what ends first: one number for each
/// ten seconds. Serving costs a load while something else ends earlier. Thread: any.
class Runway {
 public:
  using Duration = concurrency::Duration;
  using TimePoint = concurrency::TimePoint;

  Runway() {
    for (auto& slot : slots_) slot.store(kNothing, std::memory_order_relaxed);
  }

  /// Something was served as stale at `now` that may be served until `until`.
  void served(TimePoint now, TimePoint until) noexcept {
    const std::uint64_t period = period_of(now);
    const std::uint64_t entry = (period << 32U) | seconds_of(until);
    std::atomic<std::uint64_t>& slot = slots_[period % slots_.size()];
    std::uint64_t seen = slot.load(std::memory_order_relaxed);
    while ((seen >> 32U) != period || seen > entry) {
      if (slot.compare_exchange_weak(seen, entry, std::memory_order_relaxed)) return;
    }
  }

  /// Until the first of it may not be served any longer, in whole seconds; zero if that is past. Nothing if nothing was
  /// served as stale, or if all of it may be served for ever.
  [[nodiscard]] std::optional<std::chrono::seconds> left(TimePoint now) const noexcept {
    std::uint64_t first = kForEver;
    for (const auto& slot : slots_) {
      const std::uint64_t seen = slot.load(std::memory_order_relaxed);
      if (period_of(now) - (seen >> 32U) < slots_.size()) first = std::min(first, seen & kForEver);
    }
    if (first == kForEver) return std::nullopt;
    const std::uint64_t at = seconds_of(now);
    return std::chrono::seconds(first > at ? first - at : 0);
  }

 private:
  static constexpr std::uint64_t kForEver = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::uint64_t kNothing = std::numeric_limits<std::uint64_t>::max();  // a period that never comes

  static std::uint64_t seconds_of(TimePoint time) noexcept {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
    return std::min(static_cast<std::uint64_t>(seconds), kForEver);
  }
  static std::uint64_t period_of(TimePoint time) noexcept { return seconds_of(time) / 10; }

  std::array<std::atomic<std::uint64_t>, 7> slots_;  // the period in the high half, the end in seconds in the low one
};

}  // namespace sluice::gateway
