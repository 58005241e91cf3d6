// select: one case, a fair choice, and the same channel on both sides.
#include "concurrency/select.hpp"

#include "concurrency/sleep.hpp"
#include "concurrency/virtual_time.hpp"
#include "support/leak_check.hpp"
#include "support/loop_threads.hpp"

#include <array>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::concurrency {
namespace {

using namespace std::chrono_literals;
using sluice::test::LoopThreads;

Task<std::size_t> receive_either(Channel<int> a, Channel<int> b, std::optional<int>& out) {
  co_return co_await select(when_received(a, out), when_received(b, out));
}

TEST(Select, TakesTheCaseThatIsReady) {
  VirtualTime time;
  Channel<int> a(1);
  Channel<int> b(1);
  std::optional<int> out;
  (void)b.try_send(4);
  EXPECT_EQ(time.run(receive_either(a, b, out)), 1U);
  EXPECT_EQ(out, 4);
}

TEST(Select, WaitsForTheFirstAndLeavesTheOthersAlone) {
  VirtualTime time;
  Channel<int> a(0);
  Channel<int> b(0);
  std::optional<int> out;
  auto selected = time.spawn(receive_either(a, b, out));
  time.settle();
  EXPECT_FALSE(selected.done());
  EXPECT_TRUE(b.try_send(9).value());
  EXPECT_FALSE(a.try_send(8).value()) << "the select has been claimed: it takes no second value";
  time.settle();
  EXPECT_EQ(selected.get(), 1U);
  EXPECT_EQ(out, 9);
  EXPECT_FALSE(a.try_send(8).value()) << "and waits nowhere any more";
}

Task<std::size_t> receive_or_default(Channel<int> a, std::optional<int>& out) {
  co_return co_await select(otherwise(), when_received(a, out));
}

TEST(Select, DefaultFiresOnlyIfNothingIsReady) {
  VirtualTime time;
  Channel<int> a(1);
  std::optional<int> out;
  EXPECT_EQ(time.run(receive_or_default(a, out)), 0U);
  (void)a.try_send(1);
  EXPECT_EQ(time.run(receive_or_default(a, out)), 1U);
  (void)a.close();
  EXPECT_EQ(time.run(receive_or_default(a, out)), 1U) << "closed is ready";
  EXPECT_FALSE(out.has_value());
  EXPECT_EQ(time.run(receive_or_default(Channel<int>(), out)), 0U) << "nil is not";
}

Task<std::size_t> send_or_receive(Channel<int> a, int& value, Channel<int> b, std::optional<int>& out) {
  co_return co_await select(when_sent(a, value), when_received(b, out));
}

TEST(Select, CloseWakesAReceivingCase) {
  VirtualTime time;
  Channel<int> a(0);
  Channel<int> b(0);
  std::optional<int> out = 7;
  int value = 1;
  auto selected = time.spawn(send_or_receive(a, value, b, out));
  time.settle();
  (void)b.close();
  time.settle();
  EXPECT_EQ(selected.get(), 1U);
  EXPECT_FALSE(out.has_value());
}

TEST(Select, SendingOnAClosedChannelThrows) {
  VirtualTime time;
  Channel<int> a(0);
  Channel<int> b(0);
  std::optional<int> out;
  int value = 1;
  auto selected = time.spawn(send_or_receive(a, value, b, out));
  time.settle();
  (void)a.close();
  time.settle();
  EXPECT_THROW((void)selected.get(), boost::system::system_error) << "closed while it waited";
  EXPECT_THROW((void)time.run(send_or_receive(a, value, b, out)), boost::system::system_error) << "closed before";
  EXPECT_FALSE(b.try_send(1).value()) << "nothing waits any more";
}

Task<std::size_t> send_unique(Channel<std::unique_ptr<int>> a, std::unique_ptr<int>& value, Duration patience) {
  co_return co_await select(when_sent(a, value), after(patience));
}

TEST(Select, MovesAValueOnlyIfItsCaseFires) {
  VirtualTime time;
  Channel<std::unique_ptr<int>> channel(1);
  auto one = std::make_unique<int>(1);
  auto two = std::make_unique<int>(2);
  EXPECT_EQ(time.run(send_unique(channel, one, 5ms)), 0U);
  EXPECT_EQ(one, nullptr);
  const TimePoint start = time.now();
  EXPECT_EQ(time.run(send_unique(channel, two, 5ms)), 1U);
  EXPECT_EQ(time.now() - start, 5ms);
  EXPECT_NE(two, nullptr);
}

Task<std::size_t> until_done_or_after(Context ctx, Duration patience) {
  co_return co_await select(when_done(ctx), after(patience));
}

TEST(Select, ContextsAndTimersAreCases) {
  VirtualTime time;
  auto [ctx, cancel] = with_timeout(Context(), 3ms);
  EXPECT_EQ(time.run(until_done_or_after(ctx, 10ms)), 0U);
  EXPECT_EQ(time.run(until_done_or_after({}, 10ms)), 1U);
  EXPECT_EQ(time.run(until_done_or_after({}, 0ms)), 1U);
  auto [ctx2, cancel2] = with_cancel(Context());
  auto selected = time.spawn(until_done_or_after(ctx2, Duration::max()));
  time.advance(1h);
  EXPECT_FALSE(selected.done()) << "the longest patience is no overflow";
  cancel2();
  time.settle();
  EXPECT_EQ(selected.get(), 0U);
  EXPECT_FALSE(time.loop().next_timer().has_value()) << "the loser's timer is gone";
}

Task<std::size_t> select_nothing() {
  co_return co_await select();
}

TEST(Select, WithoutCasesWaitsForEver) {
  const sluice::test::AllowLeftovers for_ever;
  bool destroyed = false;
  {
    VirtualTime time;
    EXPECT_THROW((void)time.run(select_nothing()), std::logic_error);
    auto selected = time.spawn([](bool& flag) -> Task<> {
      const std::shared_ptr<bool> guard(&flag, [](bool* f) { *f = true; });
      (void)co_await select_nothing();
    }(destroyed));
    time.settle();
    EXPECT_FALSE(selected.done());
  }
  EXPECT_TRUE(destroyed);
}

/// Pearson's statistic of counts that should be equal.
double chi_square(const std::vector<int>& counts) {
  double total = 0;
  for (const int count : counts) total += count;
  const double expected = total / static_cast<double>(counts.size());
  double sum = 0;
  for (const int count : counts) sum += (count - expected) * (count - expected) / expected;
  return sum;
}

Task<std::vector<int>> choose_among_four(int rounds) {
  std::array<Channel<int>, 4> in{Channel<int>(1), Channel<int>(1), Channel<int>(1), Channel<int>(1)};
  Channel<int> out(1);
  std::vector<int> counts(6);
  std::optional<int> got;
  int value = 0;
  auto [ended, cancel] = with_cancel(Context());
  cancel();
  for (Channel<int>& channel : in) (void)channel.try_send(0);
  for (int i = 0; i < rounds; ++i) {
    const std::size_t fired =
        co_await select(when_received(in[0], got), when_received(in[1], got), when_received(in[2], got),
                        when_received(in[3], got), when_sent(out, value), when_done(ended));
    ++counts[fired];
    if (fired < 4) (void)in[fired].try_send(0);
    (void)out.try_receive();
  }
  co_return counts;
}

TEST(Select, ChoosesFairlyAmongTheReady) {
  // 5 degrees of freedom: above 20.5 by chance once in a thousand. The generator is seeded: no chance is left.
  for (const std::uint64_t seed : {1U, 2U, 3U, 4U, 5U}) {
    VirtualTime time(seed);
    const std::vector<int> counts = time.run(choose_among_four(60'000));
    EXPECT_LT(chi_square(counts), 20.5) << testing::PrintToString(counts);
  }
}

Task<std::vector<std::size_t>> choices(int rounds) {
  Channel<int> a(1);
  Channel<int> b(1);
  std::vector<std::size_t> chosen;
  std::optional<int> got;
  for (int i = 0; i < rounds; ++i) {
    (void)a.try_send(0);
    (void)b.try_send(0);
    chosen.push_back(co_await select(when_received(a, got), when_received(b, got)));
  }
  co_return chosen;
}

TEST(Select, IsReplayedByItsSeed) {
  VirtualTime a(42);
  const auto first = a.run(choices(100));
  VirtualTime b(42);
  EXPECT_EQ(first, b.run(choices(100)));
  VirtualTime c(43);
  EXPECT_NE(first, c.run(choices(100)));
}

TEST(Select, ABlockedSelectServesItsChannelsInTurnWithoutStarvation) {
  // As in Go's fairness test: both of two channels that are always ready get through.
  VirtualTime time;
  Channel<int> a(0);
  Channel<int> b(0);
  auto feed = [](Channel<int> channel, Context ctx) -> Task<> {
    for (;;) {
      const auto sent = co_await channel.send(ctx, 1);
      if (sent.has_error()) break;
    }
  };
  auto [ctx, cancel] = with_cancel(Context());
  auto sender_a = time.spawn(feed(a, ctx));
  auto sender_b = time.spawn(feed(b, ctx));
  auto count = [](Channel<int> x, Channel<int> y) -> Task<std::vector<int>> {
    std::vector<int> counts(2);
    std::optional<int> got;
    for (int i = 0; i < 10'000; ++i) ++counts[co_await select(when_received(x, got), when_received(y, got))];
    co_return counts;
  };
  const auto counts = time.run(count(a, b));
  cancel();
  time.settle();
  EXPECT_GT(counts[0], 4000);
  EXPECT_GT(counts[1], 4000);
  EXPECT_TRUE(sender_a.done() && sender_b.done());
}

// --- the same channel twice -----------------------------------------------------------------------------------------

Task<std::size_t> both_sides(Channel<int> channel, int value, std::optional<int>& out) {
  co_return co_await select(when_sent(channel, value), when_received(channel, out));
}

TEST(Select, NeverMeetsItself) {
  VirtualTime time;
  Channel<int> channel(0);
  std::optional<int> a;
  std::optional<int> b;
  auto alone = time.spawn(both_sides(channel, 1, a));
  time.settle();
  EXPECT_FALSE(alone.done());
  auto other = time.spawn(both_sides(channel, 2, b));
  time.settle();
  ASSERT_TRUE(alone.done() && other.done()) << "two of them meet";
  EXPECT_EQ(alone.get() + other.get(), 1U) << "one sent, the other received";
  EXPECT_EQ(a.has_value() ? a : b, a.has_value() ? 2 : 1);
  EXPECT_FALSE(channel.try_send(3).value());
  EXPECT_FALSE(channel.try_receive().value().has_value());
}

TEST(Select, SendsToItselfThroughABuffer) {
  VirtualTime time;
  Channel<int> channel(1);
  std::optional<int> out;
  EXPECT_EQ(time.run(both_sides(channel, 5, out)), 0U);
  EXPECT_EQ(time.run(both_sides(channel, 6, out)), 1U);
  EXPECT_EQ(out, 5);
}

Task<std::size_t> receive_twice(Channel<int> a, std::optional<int>& first, std::optional<int>& second) {
  co_return co_await select(when_received(a, first), when_received(a, second));
}

TEST(Select, TheSameChannelMayAppearTwiceOnOneSide) {
  VirtualTime time;
  Channel<int> a(0);
  std::optional<int> first;
  std::optional<int> second;
  auto selected = time.spawn(receive_twice(a, first, second));
  time.settle();
  EXPECT_TRUE(a.try_send(3).value());
  EXPECT_FALSE(a.try_send(4).value());
  time.settle();
  EXPECT_EQ(selected.get(), 0U);
  EXPECT_EQ(first, 3);
  EXPECT_FALSE(second.has_value());
}

Task<int> exchange(Channel<int> channel, int rounds) {
  int received = 0;
  for (int i = 0; i < rounds; ++i) {
    int value = i;
    std::optional<int> got;
    const std::size_t fired =
        co_await select(when_sent(channel, value), when_received(channel, got), when_sent(channel, value));
    if (fired == 1) ++received;
  }
  co_return received;
}

TEST(SelectThreads, SelfSelectOnFourThreadsSendsAsMuchAsItReceives) {
  for (const std::size_t capacity : {0U, 10U}) {
    LoopThreads loops(4);
    Channel<int> channel(capacity);
    std::vector<std::future<int>> peers;
    for (std::size_t i = 0; i < 4; ++i) peers.push_back(loops.spawn(i, exchange(channel, 2000)));
    // An odd one out at the end would wait for ever: this one takes and gives until all are through.
    int received = 0;
    int sent_here = 0;
    int received_here = 0;
    for (auto& peer : peers) {
      while (peer.wait_for(0s) != std::future_status::ready) {
        if (channel.try_receive().value().has_value()) ++received_here;
        if (channel.try_send(0).value()) ++sent_here;
      }
      received += peer.get();
    }
    const int sent = 8000 - received;
    EXPECT_EQ(static_cast<std::size_t>(sent + sent_here - received - received_here), channel.size());
  }
}

Task<long> stress_peer(std::array<Channel<int>, 4> channels, int id, int rounds, std::shared_ptr<Random> random) {
  // Sends and receives on random pairs of channels, sometimes giving up; returns sent minus received values.
  long balance = 0;
  for (int i = 0; i < rounds; ++i) {
    Channel<int> in = channels[random->below(4)];
    Channel<int> out = channels[random->below(4)];
    int value = id * 1000 + i;
    std::optional<int> got;
    auto [ctx, cancel] = with_timeout(Context(), random->below(3) * 1ms);
    switch (co_await select(when_received(in, got), when_sent(out, value), when_done(ctx))) {
      case 0:
        balance -= *got;
        break;
      case 1:
        balance += value;
        break;
      default:
        break;
    }
  }
  co_return balance;
}

TEST(SelectThreads, RandomSelectsNeitherLoseNorDuplicate) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    LoopThreads loops(4, seed);
    const std::array<Channel<int>, 4> channels{Channel<int>(0), Channel<int>(0), Channel<int>(1), Channel<int>(3)};
    std::vector<std::future<long>> peers;
    for (std::size_t i = 0; i < 12; ++i) {
      peers.push_back(loops.spawn(
          i, stress_peer(channels, static_cast<int>(i) + 1, 300, std::make_shared<Random>(seed * 100 + i))));
    }
    long balance = 0;
    for (auto& peer : peers) balance += peer.get();
    for (Channel<int> channel : channels) {
      while (const auto left = channel.try_receive().value()) balance -= *left;
    }
    EXPECT_EQ(balance, 0);
  }
}

}  // namespace
}  // namespace sluice::concurrency
