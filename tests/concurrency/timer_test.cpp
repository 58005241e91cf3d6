// Timer and Ticker: time by channel, on the virtual clock.
#include "concurrency/timer.hpp"

#include "concurrency/select.hpp"
#include "concurrency/virtual_time.hpp"

#include <optional>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::concurrency {
namespace {

using namespace std::chrono_literals;

std::optional<TimePoint> now_in(Channel<TimePoint> channel) {
  return channel.try_receive().value();
}

TEST(Timer, SendsTheTimeOnce) {
  VirtualTime time;
  const TimePoint start = time.now();
  Timer timer(20ms);
  time.advance(19ms);
  EXPECT_FALSE(now_in(timer.expired()).has_value());
  time.advance(1ms);
  EXPECT_EQ(now_in(timer.expired()), start + 20ms);
  time.advance(1h);
  EXPECT_FALSE(now_in(timer.expired()).has_value());
}

TEST(Timer, IsReceivedFromInASelect) {
  VirtualTime time;
  auto wait = []() -> Task<std::size_t> {
    Timer late(20ms);
    Timer early(10ms);
    std::optional<TimePoint> when;
    co_return co_await select(when_received(late.expired(), when), when_received(early.expired(), when));
  };
  const TimePoint start = time.now();
  EXPECT_EQ(time.run(wait()), 1U);
  EXPECT_EQ(time.now() - start, 10ms);
  EXPECT_FALSE(time.loop().next_timer().has_value()) << "a timer that dies is disarmed";
}

TEST(Timer, StoppedOrResetItSendsNoStaleTime) {
  VirtualTime time;
  Timer timer(10ms);
  EXPECT_TRUE(timer.stop());
  EXPECT_FALSE(timer.stop());
  time.advance(1h);
  EXPECT_FALSE(now_in(timer.expired()).has_value());
  EXPECT_FALSE(timer.reset(5ms));
  EXPECT_TRUE(timer.reset(10ms));
  time.advance(10ms);
  EXPECT_TRUE(timer.reset(7ms)) << "expired, but nobody has received it: it still counts as running";
  EXPECT_FALSE(now_in(timer.expired()).has_value());
  const TimePoint expected = time.now() + 7ms;
  time.advance(1h);
  EXPECT_EQ(now_in(timer.expired()), expected);
  EXPECT_FALSE(timer.stop()) << "received";
}

Task<std::vector<Duration>> receive_ticks(Channel<TimePoint> ticks, int count, TimePoint start) {
  std::vector<Duration> received;
  for (int i = 0; i < count; ++i) received.push_back(*(co_await ticks.receive({})) - start);
  co_return received;
}

TEST(Ticker, TicksWithoutDrift) {
  VirtualTime time;
  Ticker ticker(7ms + 300us);
  const auto received = time.run(receive_ticks(ticker.ticks(), 20, time.now()));
  for (int i = 0; i < 20; ++i) {
    const Duration exact = (i + 1) * (7ms + 300us);
    EXPECT_GE(received[static_cast<std::size_t>(i)], exact);
    EXPECT_LT(received[static_cast<std::size_t>(i)], exact + 1ms);
  }
}

TEST(Ticker, DropsTicksForASlowReceiver) {
  VirtualTime time;
  Ticker ticker(10ms);
  const TimePoint start = time.now();
  time.advance(95ms);
  EXPECT_EQ(now_in(ticker.ticks()), start + 10ms) << "the first was kept";
  EXPECT_FALSE(now_in(ticker.ticks()).has_value()) << "the others were not";
  time.advance(5ms);
  EXPECT_EQ(now_in(ticker.ticks()), start + 100ms);
}

TEST(Ticker, StopsAndResets) {
  VirtualTime time;
  Ticker ticker(10ms);
  time.advance(10ms);
  ticker.stop();
  EXPECT_FALSE(now_in(ticker.ticks()).has_value());
  time.advance(1h);
  EXPECT_FALSE(now_in(ticker.ticks()).has_value());
  ticker.reset(3ms);
  const TimePoint start = time.now();
  time.advance(3ms);
  EXPECT_EQ(now_in(ticker.ticks()), start + 3ms);
}

TEST(Ticker, NeedsAPositivePeriod) {
  VirtualTime time;
  EXPECT_THROW(Ticker(0ms), std::invalid_argument);
  Ticker ticker(1ms);
  EXPECT_THROW(ticker.reset(-1ms), std::invalid_argument);
}

}  // namespace
}  // namespace sluice::concurrency
