// The latency histogram against exact figures.
#include "loadtest/histogram.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::loadtest {
namespace {

using std::chrono::nanoseconds;

TEST(Histogram, IsAllZeroesWhenEmpty) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.percentile(99).count(), 0);
  EXPECT_EQ(histogram.mean().count(), 0);
}

TEST(Histogram, IsExactForOneValueOfAnySize) {
  for (std::int64_t value = 1; value < (std::int64_t{1} << 44); value = value * 3 + 1) {
    Histogram histogram;
    histogram.record(nanoseconds(value));
    EXPECT_EQ(histogram.min().count(), value);
    EXPECT_EQ(histogram.max().count(), value);
    EXPECT_EQ(histogram.percentile(50).count(), value);
    EXPECT_EQ(histogram.percentile(100).count(), value);
  }
}

TEST(Histogram, CountsWhatIsOutOfRangeAtItsEnds) {
  Histogram histogram;
  histogram.record(nanoseconds(-5));
  histogram.record(std::chrono::hours(100));
  EXPECT_EQ(histogram.min().count(), 1);
  EXPECT_EQ(histogram.max().count(), (std::int64_t{1} << 44) - 1);
}

TEST(Histogram, GivesPercentilesThatAreNeverTooSmallAndAtMostOne128thTooLarge) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> latency(13, 2);
  Histogram histogram;
  std::vector<std::int64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(1 + static_cast<std::int64_t>(latency(random)));
    histogram.record(nanoseconds(values.back()));
  }
  std::sort(values.begin(), values.end());
  for (const double percent : {0.01, 1.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0}) {
    const auto rank = static_cast<std::size_t>(std::ceil(static_cast<double>(values.size()) * percent / 100));
    const std::int64_t exact = values[rank - 1];
    EXPECT_GE(histogram.percentile(percent).count(), exact) << percent;
    EXPECT_LE(histogram.percentile(percent).count(), exact + exact / 128 + 1) << percent;
  }
}

TEST(Histogram, AddsUpToTheSameAsOneThatCountedAll) {
  Histogram one(4), other(4), both(4);
  for (std::int64_t value : {5, 700, 90'000, 90'001, 12'345'678}) {
    one.record(nanoseconds(value));
    both.record(nanoseconds(value));
  }
  for (std::int64_t value : {1, 800, 99'000'000}) {
    other.record(nanoseconds(value));
    both.record(nanoseconds(value));
  }
  one.add(other);
  one.add(Histogram(4));
  EXPECT_EQ(one.count(), 8u);
  EXPECT_EQ(one.min().count(), 1);
  EXPECT_EQ(one.max(), both.max());
  EXPECT_EQ(one.mean(), both.mean());
  for (const double percent : {10.0, 50.0, 90.0}) EXPECT_EQ(one.percentile(percent), both.percentile(percent));
  std::uint64_t counted = 0;
  one.each_bucket([&](nanoseconds, std::uint64_t count) { counted += count; });
  EXPECT_EQ(counted, 8u);
}

}  // namespace
}  // namespace sluice::loadtest
