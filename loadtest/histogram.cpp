// Bucket arithmetic: below 2^8 a bucket a value, above that 2^7 buckets for each doubling.
#include "loadtest/histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace sluice::loadtest {

std::size_t Histogram::index_of(std::uint64_t value) {
  const int shift = std::max(0, static_cast<int>(std::bit_width(value)) - (kSubBits + 1));
  return (static_cast<std::size_t>(shift) << kSubBits) + static_cast<std::size_t>(value >> shift);
}

std::uint64_t Histogram::upper_end_of(std::size_t index) {
  constexpr std::size_t kSub = std::size_t{1} << kSubBits;
  const std::size_t shift = index < 2 * kSub ? 0 : (index >> kSubBits) - 1;
  return ((static_cast<std::uint64_t>(index - (shift << kSubBits)) + 1) << shift) - 1;
}

void Histogram::record(std::chrono::nanoseconds latency) {
  const auto value =
      static_cast<std::uint64_t>(std::clamp<std::int64_t>(latency.count(), 1, (std::int64_t{1} << kMaxBits) - 1));
  ++buckets_[index_of(value)];
  min_ = count_ ? std::min(min_, value) : value;
  max_ = std::max(max_, value);
  sum_ += value;
  ++count_;
}

std::chrono::nanoseconds Histogram::mean() const {
  return std::chrono::nanoseconds(count_ ? sum_ / count_ : 0);
}

std::chrono::nanoseconds Histogram::percentile(double percent) const {
  const auto wanted = static_cast<std::uint64_t>(std::ceil(static_cast<double>(count_) * percent / 100));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen > 0 && seen >= wanted) return std::chrono::nanoseconds(std::clamp(upper_end_of(i), min_, max_));
  }
  return std::chrono::nanoseconds(0);
}

}  // namespace sluice::loadtest
