// Latencies, counted in buckets whose width grows with the value (as HdrHistogram's).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace sluice::loadtest {

/// Durations from 1 ns to 4.9 hours, longer ones count as that; every figure read from it is at most 1/128 too large,
/// `min`, `max` and `mean` are exact. Fixed memory. Thread: one.
class Histogram {
 public:
  void record(std::chrono::nanoseconds latency);

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::chrono::nanoseconds min() const { return std::chrono::nanoseconds(count_ ? min_ : 0); }
  [[nodiscard]] std::chrono::nanoseconds max() const { return std::chrono::nanoseconds(max_); }
  [[nodiscard]] std::chrono::nanoseconds mean() const;
  /// The smallest recordable latency that at least `percent` % of all are not above; 0 when there are none.
  [[nodiscard]] std::chrono::nanoseconds percentile(double percent) const;

 private:
  static constexpr int kSubBits = 7;  // 128 buckets for each doubling
  static constexpr int kMaxBits = 44;

  static std::size_t index_of(std::uint64_t value);
  static std::uint64_t upper_end_of(std::size_t index);

  std::vector<std::uint64_t> buckets_ = std::vector<std::uint64_t>((kMaxBits - kSubBits + 1) << kSubBits);
  std::uint64_t count_ = 0, sum_ = 0, min_ = 0, max_ = 0;
};

}  // namespace sluice::loadtest
