#include "gateway/backlog.hpp"

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

using namespace std::chrono_literals;
using concurrency::TimePoint;

const TimePoint kStart{std::chrono::hours(1)};

TEST(BacklogTest, StandsOnceEveryRequestHasWaitedForAnInterval) {
  Backlog backlog;
  for (auto at = 0ms; at < 100ms; at += 10ms) EXPECT_FALSE(backlog.is_standing(50ms, kStart + at)) << at.count();
  EXPECT_TRUE(backlog.is_standing(50ms, kStart + 100ms));
  EXPECT_TRUE(backlog.is_standing(Backlog::kTarget, kStart + 110ms));
}

TEST(BacklogTest, IsOverWhenOneHasNotWaited) {
  Backlog backlog;
  for (auto at = 0ms; at <= 200ms; at += 10ms) (void)backlog.is_standing(50ms, kStart + at);
  EXPECT_FALSE(backlog.is_standing(4ms, kStart + 210ms));
  EXPECT_FALSE(backlog.is_standing(50ms, kStart + 220ms));
}

TEST(BacklogTest, DoesNotCountThePauseThatItBeganWith) {
  Backlog backlog;
  (void)backlog.is_standing(0ms, kStart);
  for (auto at = 98ms; at < 198ms; at += 10ms) EXPECT_FALSE(backlog.is_standing(98ms, kStart + at)) << at.count();
  EXPECT_TRUE(backlog.is_standing(50ms, kStart + 198ms));
}

TEST(BacklogTest, DoesNotCountATimeInWhichNoneCame) {
  Backlog backlog;
  (void)backlog.is_standing(50ms, kStart);
  EXPECT_FALSE(backlog.is_standing(50ms, kStart + 1h));
  EXPECT_FALSE(backlog.is_standing(50ms, kStart + 1h + 99ms));
  EXPECT_TRUE(backlog.is_standing(50ms, kStart + 1h + 100ms));
}

}  // namespace
}  // namespace sluice::gateway
