// Wake-ups by the loop's own thread: their order, and what they leave to others.
#include "concurrency/channel.hpp"
#include "concurrency/sleep.hpp"
#include "concurrency/virtual_time.hpp"
#include "support/loop_threads.hpp"

#include <chrono>
#include <exception>
#include <future>
#include <stdexcept>
#include <vector>

#include <boost/asio/co_spawn.hpp>
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

/// A loop whose time passes without its turns.
struct Turns {
  void spawn(Task<> task) { boost::asio::co_spawn(loop.executor(), std::move(task), kRethrow); }
  void pass_a_millisecond() {
    clock.move_to(clock.now() + std::chrono::milliseconds(1));
    loop.advance_timers();
    loop.poll();
  }

  VirtualClock clock;
  Loop loop{clock};
  const Loop::Entered entered{loop};
};

Task<> wake_after_a_while(Channel<int> next, std::vector<int>& order) {
  (void)co_await sleep({}, std::chrono::milliseconds(1));
  order.push_back(1);
  EXPECT_TRUE(next.try_send(0).value());
}

TEST(WakeUps, ByATimerGoBeforeTheOthersAndSoDoThoseThatTheseWake) {
  Turns turns;
  std::vector<int> order;
  Channel<int> early(0);
  Channel<int> chained(0);
  turns.spawn(receive_and_note_twice(early, 3, order));
  turns.spawn(receive_and_note_twice(chained, 2, order));
  turns.spawn(wake_after_a_while(chained, order));
  turns.loop.poll();
  (void)early.close();
  turns.pass_a_millisecond();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3, -2, -3}));
}

/// Makes the next timer due, as a turn that takes long does.
Task<> receive_and_let_time_pass(Channel<int> channel, VirtualClock& clock, std::vector<int>& order) {
  (void)co_await channel.receive({});
  clock.move_to(clock.now() + std::chrono::milliseconds(1));
  (void)Loop::current().turn_time();
  order.push_back(4);
}

TEST(WakeUps, ByATimerGoBeforeTheRestOfATurnThatTakesLong) {
  Turns turns;
  std::vector<int> order;
  Channel<int> channel(0);
  Channel<int> chained(0);
  turns.spawn(receive_and_let_time_pass(channel, turns.clock, order));
  turns.spawn(receive_and_note(channel, 5, order));
  turns.spawn(receive_and_note(chained, 2, order));
  turns.spawn(wake_after_a_while(chained, order));
  turns.loop.poll();
  (void)channel.close();
  turns.loop.poll();
  EXPECT_EQ(order, (std::vector<int>{4, 1, 2, 5}));
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

Task<> close_both(Channel<int> when, Channel<int> one, Channel<int> other) {
  (void)co_await when.receive({});
  (void)one.close();
  (void)other.close();
}

TEST(WakeUps, ByATimerThatKeepWakingEachOtherDoNotStarveTheRest) {
  Turns turns;
  std::vector<int> order;
  Channel<int> ready(0);
  Channel<int> ping(1);
  Channel<int> pong(1);
  turns.spawn(answer_for_ever(ping, pong));
  turns.spawn(answer_for_ever(pong, ping));
  turns.spawn(wake_after_a_while(ping, order));
  turns.spawn(close_both(ready, ping, pong));
  turns.loop.poll();
  (void)ready.close();
  turns.pass_a_millisecond();
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
