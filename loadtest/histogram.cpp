// Bucket arithmetic: below 2^(s + 1) a bucket a value, above that 2^s buckets for each doubling, s being sub_bits.
#include "loadtest/histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace sluice::loadtest {

Histogram::Histogram(int sub_bits)
    : sub_bits_(sub_bits), buckets_(static_cast<std::size_t>(kMaxBits - sub_bits + 1) << sub_bits) {}

std::size_t Histogram::index_of(std::uint64_t value) const {
  const int shift = std::max(0, static_cast<int>(std::bit_width(value)) - (sub_bits_ + 1));
  return (static_cast<std::size_t>(shift) << sub_bits_) + static_cast<std::size_t>(value >> shift);
}

std::uint64_t Histogram::upper_end_of(std::size_t index) const {
  const std::size_t sub = std::size_t{1} << sub_bits_;
  const std::size_t shift = index < 2 * sub ? 0 : (index >> sub_bits_) - 1;
  return ((static_cast<std::uint64_t>(index - (shift << sub_bits_)) + 1) << shift) - 1;
}

void Histogram::add(const Histogram& other) {
  if (other.count_ == 0) return;
  for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  min_ = count_ ? std::min(min_, other.min_) : other.min_;
  max_ = std::max(max_, other.max_);
  sum_ += other.sum_;
  count_ += other.count_;
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
