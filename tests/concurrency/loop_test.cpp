// Loop: turns, time, and what becomes of coroutines that are parked when it is destroyed.
#include "concurrency/loop.hpp"

#include "concurrency/channel.hpp"
#include "concurrency/errgroup.hpp"
#include "concurrency/io.hpp"
#include "concurrency/select.hpp"
#include "concurrency/sleep.hpp"
#include "concurrency/virtual_time.hpp"
#include "support/leak_check.hpp"
#include "support/loop_threads.hpp"

#include <array>
#include <memory>
#include <stdexcept>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

namespace sluice::concurrency {
namespace {

using namespace std::chrono_literals;
using boost::asio::deferred;
using sluice::test::AllowLeftovers;
using sluice::test::LoopThreads;

TEST(Loop, IsCurrentOnlyWhereItRuns) {
  EXPECT_EQ(Loop::current_or_null(), nullptr);
  EXPECT_THROW((void)Loop::current(), std::logic_error);
  VirtualTime outer;
  EXPECT_EQ(&Loop::current(), &outer.loop());
  {
    VirtualTime inner;
    EXPECT_EQ(&Loop::current(), &inner.loop());
    auto which = []() -> Task<Loop*> { co_return &Loop::current(); };
    auto in_outer = outer.spawn(which());
    outer.settle();
    EXPECT_EQ(in_outer.get(), &outer.loop());
  }
  EXPECT_EQ(&Loop::current(), &outer.loop());
}

TEST(Loop, InVirtualTimeIsNotRun) {
  VirtualTime time;
  EXPECT_THROW(time.loop().run(), std::logic_error);
}

Task<> note_after(Duration duration, int id, std::vector<int>& order) {
  (void)co_await sleep({}, duration);
  order.push_back(id);
}

Task<> note_turn_times(Channel<int> turns, VirtualClock& clock, std::vector<TimePoint>& seen) {
  for (int i = 0; i < 2; ++i) {
    (void)co_await turns.receive(Context());
    for (int look = 0; look < 2; ++look) {
      seen.push_back(Loop::current().turn_time());
      clock.move_to(clock.now() + 1s);
    }
  }
}

TEST(Loop, LooksAtTheClockOnceForAllThatIsDoneInATurn) {
  VirtualClock clock;
  Loop loop(clock);
  const Loop::Entered entered(loop);
  const Channel<int> turns(0);
  std::vector<TimePoint> seen;
  const TimePoint start = clock.now();
  boost::asio::co_spawn(loop.executor(), note_turn_times(turns, clock, seen), boost::asio::detached);
  for (int i = 0; i < 2; ++i) {
    loop.poll();
    EXPECT_TRUE(*turns.try_send(i));
  }
  loop.poll();
  EXPECT_EQ(seen, (std::vector<TimePoint>{start, start, start + 2s, start + 2s}));
  EXPECT_EQ(loop.turn_time(), start + 4s);
}

TEST(Loop, SleepersWakeInTheOrderOfTheirDeadlines) {
  VirtualTime time;
  std::vector<int> order;
  const std::vector<Duration> delays{30ms, 10ms, 20ms, 10ms, 5s, 0ms};
  for (int i = 0; i < 6; ++i) (void)time.spawn(note_after(delays[static_cast<std::size_t>(i)], i, order));
  time.advance(5s);
  EXPECT_EQ(order, (std::vector<int>{5, 1, 3, 2, 0, 4}));
}

TEST(Loop, SleepNeverEndsEarlyAndEndsWithItsContext) {
  VirtualTime time;
  auto nap = time.spawn(sleep({}, 100ms));
  time.advance(99ms);
  EXPECT_FALSE(nap.done());
  time.advance(1ms);
  EXPECT_TRUE(nap.get().has_value());
  auto [ctx, cancel] = with_timeout(Context(), 5ms);
  EXPECT_EQ(time.run(sleep(ctx, 1h)).error(), Error::deadline_exceeded);
  EXPECT_EQ(time.run(sleep(ctx, 0s)).error(), Error::deadline_exceeded);
  EXPECT_TRUE(time.run(sleep({}, -1s)).has_value());
  EXPECT_FALSE(time.loop().next_timer().has_value());
}

TEST(Loop, TheLongestSleepDoesNotOverflow) {
  VirtualTime time;
  auto [ctx, cancel] = with_cancel(Context());
  auto forever = time.spawn(sleep(ctx, Duration::max()));
  auto until_the_end = time.spawn(sleep_until(ctx, TimePoint::max()));
  time.advance(std::chrono::hours(24 * 365));
  EXPECT_FALSE(forever.done());
  EXPECT_FALSE(until_the_end.done());
  cancel();
  time.settle();
  EXPECT_TRUE(forever.done() && until_the_end.done());
}

Task<> throw_now() {
  throw std::runtime_error("broken");
  co_return;
}

TEST(Loop, GoesOnAfterAnException) {
  VirtualTime time;
  EXPECT_THROW(time.run(throw_now()), std::runtime_error);
  boost::asio::post(time.loop().executor(), [] { throw std::runtime_error("of a handler"); });
  EXPECT_THROW(time.settle(), std::runtime_error);
  EXPECT_TRUE(time.run(sleep({}, 1ms)).has_value());
}

Task<int> one() {
  co_return 1;
}
Task<int> count_ready(int times) {
  int sum = 0;
  for (int i = 0; i < times; ++i) sum += co_await one();
  co_return sum;
}

TEST(Loop, TwoMillionReadyAwaitsNeedNoStack) {
  VirtualTime time;
  EXPECT_EQ(time.run(count_ready(2'000'000)), 2'000'000);
}

TEST(Loop, StopFromAnotherThreadEndsRun) {
  Loop loop;
  std::thread stopper;
  boost::asio::post(loop.executor(), [&] { stopper = std::thread([&] { loop.stop(); }); });
  loop.run();
  stopper.join();
  EXPECT_EQ(Loop::current_or_null(), nullptr);
}

TEST(Loop, RealTimeTimersFireInOrderAndNeverEarly) {
  Loop loop;
  auto steps = [](Loop& l, std::vector<int>& order) -> Task<> {
    auto [group, ctx] = ErrGroup::with_context(Context());
    const TimePoint start = l.now();
    group.go(note_after, 4ms, 2, std::ref(order));
    group.go(note_after, 2ms, 1, std::ref(order));
    (void)co_await group.wait();
    EXPECT_GE(l.now() - start, 4ms);
    l.stop();
  };
  std::vector<int> order;
  boost::asio::co_spawn(loop.executor(), steps(loop, order), boost::asio::detached);
  loop.run();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

// --- destruction with parked coroutines -----------------------------------------------------------------------------

/// Counts those that live.
class Live {
 public:
  explicit Live(int& count) : count_(&count) { ++*count_; }
  Live(Live&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
  ~Live() {
    if (count_ != nullptr) --*count_;
  }

 private:
  int* count_;
};

using Tcp = boost::asio::ip::tcp;
using Acceptor = boost::asio::basic_socket_acceptor<Tcp, Executor>;
using Way = Task<> (*)(Context, Channel<int>);

Task<> by_send(Context ctx, Channel<int> never) {
  (void)co_await never.send(ctx, 1);
}
Task<> by_receive(Context ctx, Channel<int> never) {
  (void)co_await never.receive(ctx);
}
Task<> by_nil_receive(Context ctx, Channel<int>) {
  (void)co_await Channel<int>().receive(ctx);
}
Task<> by_select(Context ctx, Channel<int> never) {
  std::optional<int> got;
  int value = 0;
  (void)co_await select(when_received(never, got), when_sent(never, value), when_done(ctx), after(1h));
}
Task<> by_sending_select(Context, Channel<int> never) {
  int value = 0;
  (void)co_await select(when_sent(never, value), after(1h));
}
Task<> by_empty_select(Context, Channel<int>) {
  (void)co_await select();
}
Task<> by_sleep(Context ctx, Channel<int>) {
  (void)co_await sleep(ctx, 1h);
}
Task<> by_done(Context ctx, Channel<int>) {
  co_await ctx.done();
}
Task<> by_group(Context ctx, Channel<int> never) {
  auto [group, group_ctx] = ErrGroup::with_context(ctx);
  group.go(by_send, group_ctx, never);
  (void)co_await group.wait();
}
Task<> by_io(Context ctx, Channel<int>) {
  Acceptor acceptor(Loop::current().executor(), Tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
  (void)co_await io(ctx, acceptor.async_accept(deferred));
}
Task<> by_spawned(Context ctx, Channel<int> never) {
  co_await boost::asio::co_spawn(Loop::current().executor(), by_receive(ctx, never),
                                 boost::asio::use_awaitable_t<Executor>());
}
Task<> by_nested(Context ctx, Channel<int> never) {
  co_await by_sleep(ctx, never);
}

constexpr std::array<Way, 12> kWays{by_send,  by_receive, by_nil_receive, by_select, by_sending_select, by_empty_select,
                                    by_sleep, by_done,    by_group,       by_io,     by_spawned,        by_nested};

/// Waits in the `way`-th of all the ways there are, holding a Cancel of its own.
Task<> park(std::size_t way, Context ctx, Channel<int> never, int& live) {
  const Live alive(live);
  auto [child, cancel] = with_timeout(ctx, 1h);
  co_await kWays[way](child, never);
  ADD_FAILURE() << "way " << way << " came back";
}

TEST(LoopDestruction, DestroysTheFramesOfEveryKindOfWait) {
  const AllowLeftovers parked_on_purpose;
  for (std::size_t way = 0; way < kWays.size(); ++way) {
    int live = 0;
    {
      VirtualTime time;
      (void)time.spawn(park(way, Context(), Channel<int>(0), live));
      time.settle();
      EXPECT_GE(live, 1);
    }
    EXPECT_EQ(live, 0) << "way " << way;
  }
}

Task<> cancel_when_destroyed(Cancel cancel, int& live) {
  const Live alive(live);
  const Cancel held = std::move(cancel);
  co_await Context().done();
}

TEST(LoopDestruction, FramesMayCancelWhatOtherDyingFramesWaitFor) {
  const AllowLeftovers parked_on_purpose;
  for (std::size_t way = 0; way < kWays.size(); ++way) {
    for (const bool canceller_first : {false, true}) {
      int live = 0;
      {
        VirtualTime time;
        auto made = with_cancel(Context());
        const Context ctx = made.ctx;
        if (canceller_first) (void)time.spawn(cancel_when_destroyed(std::move(made.cancel), live));
        time.settle();
        (void)time.spawn(park(way, ctx, Channel<int>(0), live));
        time.settle();
        if (!canceller_first) (void)time.spawn(cancel_when_destroyed(std::move(made.cancel), live));
        time.settle();
      }
      EXPECT_EQ(live, 0) << "way " << way;
    }
  }
}

/// Closes a channel and sends on another when it dies.
class Meddler {
 public:
  Meddler(Channel<int> a, Channel<int> b) : closes_(std::move(a)), sends_(std::move(b)) {}
  Meddler(Meddler&&) = default;
  ~Meddler() {
    if (closes_.is_nil()) return;
    (void)closes_.close();
    (void)sends_.try_send(1);
  }

 private:
  Channel<int> closes_;
  Channel<int> sends_;
};

Task<> hold(Meddler meddler, int& live) {
  const Live alive(live);
  const Meddler held = std::move(meddler);
  co_await Context().done();
}
Task<> receive_quietly(Channel<int> channel, int& live) {
  const Live alive(live);
  (void)co_await channel.receive({});
}

TEST(LoopDestruction, FramesMayWakeOtherDyingFrames) {
  const AllowLeftovers parked_on_purpose;
  for (const bool meddler_first : {false, true}) {
    int live = 0;
    {
      VirtualTime time;
      const Channel<int> a(0);
      const Channel<int> b(0);
      if (meddler_first) (void)time.spawn(hold(Meddler(a, b), live));
      time.settle();
      (void)time.spawn(receive_quietly(a, live));
      (void)time.spawn(receive_quietly(b, live));
      time.settle();
      if (!meddler_first) (void)time.spawn(hold(Meddler(a, b), live));
      time.settle();
      EXPECT_EQ(live, 3);
    }
    EXPECT_EQ(live, 0);
  }
}

TEST(LoopDestruction, WokenButNotYetResumedFramesDieToo) {
  const AllowLeftovers parked_on_purpose;
  int live = 0;
  {
    VirtualTime time;
    Channel<int> channel(0);
    (void)time.spawn(receive_quietly(channel, live));
    time.settle();
    EXPECT_TRUE(channel.try_send(1).value());
  }
  EXPECT_EQ(live, 0);
}

TEST(LoopDestruction, TasksThatNeverRanDieToo) {
  const AllowLeftovers parked_on_purpose;
  int live = 0;
  {
    VirtualTime time;
    (void)time.spawn(receive_quietly(Channel<int>(0), live));
    boost::asio::post(time.loop().executor(), [alive = std::make_shared<Live>(live)] {});
    EXPECT_EQ(live, 1);
  }
  EXPECT_EQ(live, 0);
}

TEST(LoopDestruction, ARealLoopDestroysItsFramesAfterRun) {
  const AllowLeftovers parked_on_purpose;
  int live = 0;
  {
    LoopThreads loops(2);
    std::vector<std::future<void>> parked;
    for (std::size_t way = 0; way < kWays.size(); ++way) {
      parked.push_back(loops.spawn(0, park(way, Context(), Channel<int>(0), live)));
    }
    auto turns = []() -> Task<> { co_await boost::asio::post(Loop::current().executor(), deferred); };
    for (int i = 0; i < 3; ++i) loops.spawn(0, turns()).get();
  }
  EXPECT_EQ(live, 0);
}

TEST(LeakCheck, SeesWhatALoopLeavesBehind) {
  const AllowLeftovers only_counted;
  {
    VirtualTime time;
    int live = 0;
    for (std::size_t way = 0; way < kWays.size(); ++way) {
      if (kWays[way] != by_group) (void)time.spawn(park(way, Context(), Channel<int>(0), live));
    }
    time.settle();
    EXPECT_EQ(time.loop().leftover().waiting, kWays.size() - 1);
    EXPECT_GE(time.loop().leftover().timers, kWays.size() - 1);
  }
}

}  // namespace
}  // namespace sluice::concurrency
