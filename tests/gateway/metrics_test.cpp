// Counting per worker, interning, and the text that a scrape gets.
#include "gateway/metrics.hpp"

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

using testing::HasSubstr;

constexpr std::string_view kOneLabel[] = {"name"};
constexpr std::string_view kTwoLabels[] = {"name", "code"};
constexpr std::uint64_t kBuckets[] = {500, 1000};

constexpr MetricFamily kCounted = {"test_counted_total", "Things counted.", MetricType::counter, kOneLabel};
constexpr MetricFamily kPairs = {"test_pairs_total", "Pairs counted.", MetricType::counter, kTwoLabels};
constexpr MetricFamily kLevel = {"test_level", "How many there are.", MetricType::gauge, {}};
constexpr MetricFamily kTook = {"test_took_seconds", "Time taken.", MetricType::histogram, kOneLabel, kBuckets, 1e6};

TEST(Metrics, AreWrittenSortedWithHelpTypeAndSeconds) {
  Metrics metrics;
  const Histogram took = metrics.histogram(kTook, {"a"});
  const Gauge level = metrics.gauge(kLevel, {});
  const Counter second = metrics.counter(kCounted, {"b \"quoted\"\\\n"});
  const Counter first = metrics.counter(kCounted, {"a"});
  took.observe(499);
  took.observe(500);
  took.observe(501);
  took.observe(1001);
  level.add(5);
  level.add(-7);
  second.add(3);
  first.add();
  EXPECT_EQ(metrics.text(), R"(# HELP test_counted_total Things counted.
# TYPE test_counted_total counter
test_counted_total{name="a"} 1
test_counted_total{name="b \"quoted\"\\\n"} 3
# HELP test_level How many there are.
# TYPE test_level gauge
test_level -2
# HELP test_took_seconds Time taken.
# TYPE test_took_seconds histogram
test_took_seconds_count{name="a"} 4
test_took_seconds_sum{name="a"} 0.002501
test_took_seconds_bucket{name="a",le="0.0005"} 2
test_took_seconds_bucket{name="a",le="0.001"} 3
test_took_seconds_bucket{name="a",le="+Inf"} 4
)");
}

TEST(Metrics, GiveTheSameSeriesToWhoeverAsksAgain) {
  Metrics metrics;
  metrics.counter(kPairs, {"a", "200"}).add(2);
  metrics.counter(kPairs, {"a", "404"}).add(10);
  metrics.counter(kPairs, {"a", "200"}).add(3);
  EXPECT_THAT(metrics.text(), HasSubstr("test_pairs_total{name=\"a\",code=\"200\"} 5\n"));
  EXPECT_THAT(metrics.text(), HasSubstr("test_pairs_total{name=\"a\",code=\"404\"} 10\n"));
}

TEST(Metrics, RefuseLabelsThatDoNotFitAndASecondMetricOfTheSameName) {
  static constexpr MetricFamily kImpostor = {"test_level", "Another.", MetricType::counter, {}};
  Metrics metrics;
  (void)metrics.gauge(kLevel, {});
  EXPECT_THROW((void)metrics.counter(kPairs, {"a"}), std::logic_error);
  EXPECT_THROW((void)metrics.counter(kImpostor, {}), std::logic_error);
}

TEST(Metrics, SumWhatWorkersAndOtherThreadsCountedWhileBeingScraped) {
  constexpr std::size_t kWorkers = 3;
  constexpr std::size_t kOthers = 2;
  constexpr std::uint64_t kRounds = 20'000;
  Metrics metrics;
  const Counter counter = metrics.counter(kCounted, {"a"});
  const Gauge gauge = metrics.gauge(kLevel, {});
  const Histogram histogram = metrics.histogram(kTook, {"a"});
  std::atomic<std::size_t> running = kWorkers + kOthers;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kWorkers + kOthers; ++i) {
    threads.emplace_back([&, i] {
      if (i < kWorkers) metrics.enter(i);
      for (std::uint64_t round = 0; round < kRounds; ++round) {
        counter.add();
        gauge.add(round % 2 == 0 ? 2 : -1);
        histogram.observe(round);
      }
      --running;
    });
  }
  while (running > 0) EXPECT_THAT(metrics.text(), HasSubstr("test_counted_total{name=\"a\"} "));
  for (auto& thread : threads) thread.join();
  const std::string text = metrics.text();
  EXPECT_THAT(text, HasSubstr("test_counted_total{name=\"a\"} 100000\n"));
  EXPECT_THAT(text, HasSubstr("test_level 50000\n"));
  EXPECT_THAT(text, HasSubstr("test_took_seconds_count{name=\"a\"} 100000\n"));
  EXPECT_THAT(text, HasSubstr("le=\"0.0005\"} 2505\n"));
  EXPECT_THAT(text, HasSubstr("le=\"0.001\"} 5005\n"));
  EXPECT_THAT(text, HasSubstr("test_took_seconds_sum{name=\"a\"} 999.95\n"));
}

TEST(Metrics, TakeNewSeriesWhileWorkersCount) {
  constexpr int kSeries = 3000;  // three chunks
  Metrics metrics;
  CounterTable table(metrics, kPairs, kSeries,
                     [](std::size_t i) { return std::vector<std::string>{std::to_string(i), "lazy"}; });
  std::vector<std::thread> threads;
  for (std::size_t worker = 0; worker < 2; ++worker) {
    threads.emplace_back([&, worker] {
      metrics.enter(worker);
      for (std::size_t i = 0; i < kSeries; ++i) table.add(worker == 0 ? i : kSeries - 1 - i);
    });
  }
  for (int i = 0; i < kSeries; ++i) metrics.counter(kCounted, {std::to_string(i)}).add();
  for (auto& thread : threads) thread.join();
  const std::string text = metrics.text();
  for (int i = 0; i < kSeries; i += 7) {
    const std::string name = "{name=\"" + std::to_string(i) + "\"";
    ASSERT_THAT(text, HasSubstr("test_counted_total" + name + "} 1\n"));
    ASSERT_THAT(text, HasSubstr("test_pairs_total" + name + ",code=\"lazy\"} 2\n"));
  }
}

TEST(Metrics, KeepWhatAWorkerCountedWhenAnotherThreadTakesItsPlace) {
  Metrics metrics;
  const Counter counter = metrics.counter(kCounted, {"a"});
  for (int i = 0; i < 3; ++i) {
    std::thread([&] {
      metrics.enter(0);
      counter.add();
    }).join();
  }
  EXPECT_THAT(metrics.text(), HasSubstr("test_counted_total{name=\"a\"} 3\n"));
}

TEST(Metrics, OfTwoProgramsInOneThreadDoNotMix) {
  auto old = std::make_unique<Metrics>();
  old->enter(0);
  old->counter(kCounted, {"a"}).add(5);
  old.reset();
  Metrics metrics;
  const Counter counter = metrics.counter(kCounted, {"a"});
  counter.add();
  metrics.enter(0);
  counter.add();
  EXPECT_THAT(metrics.text(), HasSubstr("test_counted_total{name=\"a\"} 2\n"));
}

TEST(CounterTable, ExportsOnlyWhatWasCountedOrMade) {
  Metrics metrics;
  CounterTable table(metrics, kCounted, 4, [](std::size_t i) { return std::vector<std::string>{std::to_string(i)}; });
  table.make(3);
  table.add(1);
  table.add(1);
  EXPECT_EQ(metrics.text(), R"(# HELP test_counted_total Things counted.
# TYPE test_counted_total counter
test_counted_total{name="1"} 2
test_counted_total{name="3"} 0
)");
}

TEST(Gauge, CountsAHoldOnceHoweverOftenItIsMoved) {
  Metrics metrics;
  const Gauge gauge = metrics.gauge(kLevel, {});
  {
    Gauge::Hold hold = gauge.hold();
    const Gauge::Hold moved = std::move(hold);
    EXPECT_THAT(metrics.text(), HasSubstr("test_level 1\n"));
  }
  EXPECT_THAT(metrics.text(), HasSubstr("test_level 0\n"));
}

TEST(Gauge, CanBeSetByAnyThread) {
  Metrics metrics;
  const Gauge gauge = metrics.gauge(kLevel, {});
  gauge.set(7);
  metrics.enter(0);
  gauge.set(-3);
  EXPECT_THAT(metrics.text(), HasSubstr("test_level -3\n"));
}

}  // namespace
}  // namespace sluice::gateway
