// Channel under random schedules: nothing is lost, nothing comes twice, order is kept per sender.
#include "concurrency/channel.hpp"
#include "concurrency/sleep.hpp"
#include "concurrency/virtual_time.hpp"
#include "support/loop_threads.hpp"

#include <algorithm>
#include <iterator>
#include <memory>
#include <vector>

#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

namespace sluice::concurrency {
namespace {

using namespace std::chrono_literals;
using sluice::test::LoopThreads;

// ---------------------------------

struct Tally {
  std::vector<int> sent;
  std::vector<int> received;
};

Task<> random_sender(Channel<int> channel, int id, int count, Tally& tally, Random& random) {
  for (int i = 0; i < count; ++i) {
    const int value = id * 100'000 + i;
    auto [ctx, cancel] = with_timeout(Context(), random.below(4) * 1ms);
    if ((co_await channel.send(ctx, value)).has_value()) tally.sent.push_back(value);
    if (random.below(3) == 0) (void)co_await sleep({}, random.below(3) * 1ms);
  }
}
Task<> random_receiver(Channel<int> channel, Tally& tally, Random& random) {
  for (;;) {
    auto [ctx, cancel] = with_timeout(Context(), random.below(4) * 1ms);
    const auto value = co_await channel.receive(ctx);
    if (value) {
      tally.received.push_back(*value);
    } else if (value.error() == Error::closed) {
      co_return;
    } else {
      (void)co_await sleep({}, 1ms + random.below(2) * 1ms);
    }
  }
}

TEST(Channel, RandomlyCancelledOperationsNeitherLoseNorDuplicate) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    VirtualTime time(seed);
    Random random(seed);
    Channel<int> channel(random.below(4));
    Tally tally;
    std::vector<Spawned<void>> senders;
    std::vector<Spawned<void>> receivers;
    for (int i = 0; i < 4; ++i) senders.push_back(time.spawn(random_sender(channel, i, 50, tally, random)));
    for (int i = 0; i < 3; ++i) receivers.push_back(time.spawn(random_receiver(channel, tally, random)));
    for (auto& sender : senders) {
      while (!sender.done()) time.advance(1ms);
    }
    (void)channel.close();
    while (!receivers[0].done() || !receivers[1].done() || !receivers[2].done()) time.advance(1ms);
    for (int id = 0; id < 4; ++id) {
      std::vector<int> in;
      std::vector<int> out;
      const auto mine = [id](int value) { return value / 100'000 == id; };
      std::copy_if(tally.sent.begin(), tally.sent.end(), std::back_inserter(in), mine);
      std::copy_if(tally.received.begin(), tally.received.end(), std::back_inserter(out), mine);
      std::sort(out.begin(), out.end());
      EXPECT_EQ(in, out) << "seed " << seed;
    }
  }
}

Task<std::vector<int>> sender_on_thread(Channel<int> channel, int id, int count, std::shared_ptr<Random> random) {
  std::vector<int> sent;
  for (int i = 0; i < count; ++i) {
    const int value = id * 100'000 + i;
    auto [ctx, cancel] = with_cancel(Context());
    if (random->below(4) == 0) {
      // Another coroutine of this loop cancels while other loops receive.
      auto later = [](Cancel c) -> Task<> {
        co_await boost::asio::post(Loop::current().executor(), boost::asio::deferred);
        c();
      };
      boost::asio::co_spawn(Loop::current().executor(), later(std::move(cancel)), boost::asio::detached);
    }
    if ((co_await channel.send(ctx, value)).has_value()) sent.push_back(value);
  }
  co_return sent;
}
Task<std::vector<int>> receiver_on_thread(Channel<int> channel) {
  std::vector<int> received;
  for (;;) {
    const auto value = co_await channel.receive({});
    if (!value) co_return received;
    received.push_back(*value);
  }
}

TEST(ChannelThreads, EveryValueArrivesOnceAndInTheOrderOfItsSender) {
  for (const std::size_t capacity : {0U, 1U, 10U}) {
    LoopThreads loops(4, capacity + 1);
    Channel<int> channel(capacity);
    std::vector<std::future<std::vector<int>>> senders;
    std::vector<std::future<std::vector<int>>> receivers;
    for (int i = 0; i < 4; ++i) {
      senders.push_back(loops.spawn(static_cast<std::size_t>(i),
                                    sender_on_thread(channel, i, 1000, std::make_shared<Random>(i + 1))));
      receivers.push_back(loops.spawn(static_cast<std::size_t>(i + 1), receiver_on_thread(channel)));
    }
    std::vector<int> sent;
    for (auto& sender : senders) {
      for (const int value : sender.get()) sent.push_back(value);
    }
    (void)channel.close();
    std::vector<int> received;
    for (auto& receiver : receivers) {
      std::vector<int> last(4, -1);
      for (const int value : receiver.get()) {
        received.push_back(value);
        EXPECT_GT(value, last[static_cast<std::size_t>(value / 100'000)]);
        last[static_cast<std::size_t>(value / 100'000)] = value;
      }
    }
    std::sort(sent.begin(), sent.end());
    std::sort(received.begin(), received.end());
    EXPECT_EQ(sent, received);
  }
}

}  // namespace
}  // namespace sluice::concurrency
