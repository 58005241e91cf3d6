// Wake-ups by the loop's own thread: their order, and what they leave to others.
#include "concurrency/channel.hpp"
#include "concurrency/virtual_time.hpp"
#include "support/loop_threads.hpp"

#include <exception>
#include <future>
#include <stdexcept>
#include <vector>

#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

namespace sluice::concurrency {
namespace {

using sluice::test::LoopThreads;

Task<> receive_and_note(Channel<int> channel, int id, std::vector<int>& order) {
  (void)co_await channel.receive({});
  order.push_back(id);
  if (id < 0) throw std::runtime_error("broken");
}
constexpr auto kRethrow = [](std::exception_ptr thrown) {
  if (thrown) std::rethrow_exception(thrown);
};

TEST(WakeUps, ResumeInTheirOrderAlsoAfterAnException) {
  VirtualTime time;
  std::vector<int> order;
  std::vector<Channel<int>> channels;
  const std::vector<int> ids{1, 2, -3, 4, 5};
  for (const int id : ids) {
    channels.emplace_back(0);
    boost::asio::co_spawn(time.loop().executor(), receive_and_note(channels.back(), id, order), kRethrow);
  }
  time.settle();
  for (Channel<int>& channel : channels) EXPECT_TRUE(channel.try_send(0).value());
  EXPECT_THROW(time.settle(), std::runtime_error);
  time.settle();
  EXPECT_EQ(order, ids);
}

Task<> receive_and_note_twice(Channel<int> channel, int id, std::vector<int>& order) {
  (void)co_await channel.receive({});
  order.push_back(id);
  co_await detail::AfterOthers();
  order.push_back(-id);
}

TEST(WakeUps, OfThoseThatGoAfterOthersAreInARow) {
  VirtualTime time;
  std::vector<int> order;
  Channel<int> channel(0);
  std::vector<Spawned<void>> tasks;
  for (const int id : {1, 2, 3}) tasks.push_back(time.spawn(receive_and_note_twice(channel, id, order)));
  time.settle();
  (void)channel.close();
  time.settle();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3, -1, -2, -3}));
}

std::vector<int> order_after_reading(std::size_t bytes) {
  VirtualTime time;
  std::vector<int> order;
  Channel<int> channel(0);
  auto task = time.spawn(receive_and_note(channel, 1, order));
  time.settle();
  boost::asio::post(time.loop().executor(), [&] {
    EXPECT_TRUE(channel.try_send(0).value());
    time.loop().has_read(bytes);
  });
  boost::asio::post(time.loop().executor(), [&] { order.push_back(2); });
  time.settle();
  return order;
}

TEST(WakeUps, WaitForOtherHandlersUnlessMuchWasRead) {
  EXPECT_EQ(order_after_reading(1000), (std::vector<int>{2, 1}));
  EXPECT_EQ(order_after_reading(1000 * 1000), (std::vector<int>{1, 2}));
}

Task<> answer_for_ever(Channel<int> from, Channel<int> to) {
  for (;;) {
    const auto got = co_await from.receive({});
    if (!got || !to.try_send(0)) co_return;
  }
}

TEST(WakeUps, OfCoroutinesThatKeepWakingEachOtherDoNotStarveTheRest) {
  VirtualTime time;
  Channel<int> ping(1);
  Channel<int> pong(1);
  (void)time.spawn(answer_for_ever(ping, pong));
  (void)time.spawn(answer_for_ever(pong, ping));
  EXPECT_TRUE(ping.try_send(0).value());
  boost::asio::post(time.loop().executor(), [&] {
    boost::asio::post(time.loop().executor(), [&] {
      (void)ping.close();
      (void)pong.close();
    });
  });
  time.settle();
  EXPECT_TRUE(ping.try_send(0).has_error());
}

TEST(WakeUpThreads, OfLoopsThatKeepWakingEachOtherDoNotStarveTheRest) {
  LoopThreads loops(2);
  Channel<int> ping(0);
  Channel<int> pong(0);
  const auto echo = [](Channel<int> from, Channel<int> to) -> Task<> {
    for (;;) {
      const auto got = co_await from.receive({});
      if (!got) co_return;
      const Result<> sent = co_await to.send({}, *got);
      if (!sent) co_return;
    }
  };
  std::future<void> one = loops.spawn(0, echo(ping, pong));
  std::future<void> other = loops.spawn(1, echo(pong, ping));
  std::future<Result<>> begun = loops.spawn(0, ping.send({}, 1));
  EXPECT_TRUE(begun.get().has_value());
  std::promise<void> had_its_turn;
  boost::asio::post(loops.loop(0).executor(), [&] { had_its_turn.set_value(); });
  had_its_turn.get_future().get();
  EXPECT_TRUE(ping.close().has_value());
  EXPECT_TRUE(pong.close().has_value());
  one.get();
  other.get();
}

}  // namespace
}  // namespace sluice::concurrency
