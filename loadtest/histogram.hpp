// Latencies, counted in buckets whose width grows with the value (as HdrHistogram's).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace sluice::loadtest {

/// Durations from 1 ns to 4.9 hours, longer ones count as that; every figure read from it is at most 1 / 2^`sub_bits`
/// too large, `min`, `max` and `mean` are exact. Fixed memory. Thread: one.
class Histogram {
 public:
  explicit Histogram(int sub_bits = 7);

  /// Adds what `other`, of the same `sub_bits`, has counted.
  void add(const Histogram& other);
  void record(std::chrono::nanoseconds latency);

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::chrono::nanoseconds min() const { return std::chrono::nanoseconds(count_ ? min_ : 0); }
  [[nodiscard]] std::chrono::nanoseconds max() const { return std::chrono::nanoseconds(max_); }
  [[nodiscard]] std::chrono::nanoseconds mean() const;
  /// The smallest recordable latency that at least `percent` % of all are not above; 0 when there are none.
  [[nodiscard]] std::chrono::nanoseconds percentile(double percent) const;
  /// Calls `use(longest latency of the bucket, count)` for each bucket that is not empty, shortest first.
  template <class Use>
  void each_bucket(Use use) const {
    for (std::size_t i = 0; i < buckets_.size(); ++i)
      if (buckets_[i] > 0) use(std::chrono::nanoseconds(upper_end_of(i)), buckets_[i]);
  }

 private:
  static constexpr int kMaxBits = 44;

  [[nodiscard]] std::size_t index_of(std::uint64_t value) const;
  [[nodiscard]] std::uint64_t upper_end_of(std::size_t index) const;

  int sub_bits_;  // 2^sub_bits buckets for each doubling
  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0, sum_ = 0, min_ = 0, max_ = 0;
};

}  // namespace sluice::loadtest
