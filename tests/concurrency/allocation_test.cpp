// In the steady state, what waits allocates nothing. A program of its own, since it replaces operator new.
#include "concurrency/channel.hpp"
#include "concurrency/io.hpp"
#include "concurrency/loop.hpp"
#include "concurrency/mutex.hpp"
#include "concurrency/once.hpp"
#include "concurrency/pool.hpp"
#include "concurrency/select.hpp"
#include "concurrency/semaphore.hpp"
#include "concurrency/sleep.hpp"
#include "concurrency/snapshot.hpp"
#include "concurrency/timer.hpp"
#include "concurrency/wait_group.hpp"
#include "support/allocations.hpp"
#include "support/leak_check.hpp"

#include <array>

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <gtest/gtest.h>

namespace sluice::concurrency {
namespace {

using namespace std::chrono_literals;
using boost::asio::deferred;

template <class Step>
Task<> count(Step& step, int warm_up, int rounds, std::size_t& counted) {
  for (int i = 0; i < warm_up; ++i) co_await step();
  const std::size_t before = test::allocations();
  for (int i = 0; i < rounds; ++i) co_await step();
  counted = test::allocations() - before;
  Loop::current().stop();
}

/// How often `rounds` times `step()` allocate, once it has run for a while. `partner` runs beside it, for ever.
template <class Step>
std::size_t allocations_of(Step step, Task<> partner = {}, int rounds = 1000) {
  const sluice::test::AllowLeftovers of_the_partner;
  Loop loop(1);
  std::size_t counted = 1;
  if (partner.valid()) boost::asio::co_spawn(loop.executor(), std::move(partner), boost::asio::detached);
  boost::asio::co_spawn(loop.executor(), count(step, rounds, rounds, counted), boost::asio::detached);
  loop.run();
  return counted;
}

Task<> echo(Channel<int> from, Channel<int> to) {
  for (;;) {
    const auto value = co_await from.receive({});
    if (!value) co_return;
    (void)co_await to.send({}, *value);
  }
}

TEST(Allocations, TheCountSeesThem) {
  EXPECT_EQ(allocations_of([]() -> Task<> {
              const auto kept = std::make_unique<int>(1);
              EXPECT_EQ(*kept, 1);
              co_return;
            }),
            1000U);
}

TEST(Allocations, ARendezvousMakesNone) {
  Channel<int> ping(0);
  Channel<int> pong(0);
  const auto step = [&]() -> Task<> {
    (void)co_await ping.send({}, 1);
    EXPECT_EQ((co_await pong.receive({})).value(), 1);
  };
  EXPECT_EQ(allocations_of(step, echo(ping, pong)), 0U);
}

TEST(Allocations, ARendezvousUnderAContextMakesNone) {
  Channel<int> ping(0);
  Channel<int> pong(0);
  auto [ctx, cancel] = with_cancel(Context());
  const auto step = [&, ctx = ctx]() -> Task<> {
    (void)co_await ping.send(ctx, 1);
    EXPECT_EQ((co_await pong.receive(ctx)).value(), 1);
  };
  EXPECT_EQ(allocations_of(step, echo(ping, pong)), 0U);
}

TEST(Allocations, ABufferedChannelMakesNone) {
  Channel<int> channel(8);
  const auto step = [&]() -> Task<> {
    (void)co_await channel.send({}, 1);
    EXPECT_TRUE(channel.try_send(2).value());
    EXPECT_EQ((co_await channel.receive({})).value(), 1);
    EXPECT_EQ(*channel.try_receive().value(), 2);
  };
  EXPECT_EQ(allocations_of(step), 0U);
}

TEST(Allocations, ASelectMakesNoneWhetherItWaitsOrNot) {
  Channel<int> ping(0);
  Channel<int> pong(0);
  Channel<int> ready(1);
  auto [ctx, cancel] = with_cancel(Context());
  const auto step = [&, ctx = ctx]() -> Task<> {
    std::optional<int> got;
    int value = 1;
    EXPECT_EQ(co_await select(when_sent(ready, value), when_received(pong, got), when_done(ctx)), 0U);
    EXPECT_EQ(co_await select(when_received(ready, got), otherwise()), 0U);
    EXPECT_EQ(co_await select(when_received(pong, got), otherwise()), 1U);
    (void)co_await ping.send(ctx, 1);
    EXPECT_EQ(co_await select(when_received(pong, got), when_done(ctx), after(1h)), 0U);
  };
  EXPECT_EQ(allocations_of(step, echo(ping, pong)), 0U);
}

Task<> take_turns(Mutex& mutex) {
  for (;;) {
    (void)co_await mutex.lock({});
    mutex.unlock();
  }
}

TEST(Allocations, AMutexMakesNoneWhetherContendedOrNot) {
  Mutex alone;
  Mutex shared;
  EXPECT_TRUE(shared.try_lock());
  const auto step = [&]() -> Task<> {
    (void)co_await alone.lock({});
    alone.unlock();
    {
      const auto guard = co_await alone.hold({});
    }
    shared.unlock();
    (void)co_await shared.lock({});
  };
  EXPECT_EQ(allocations_of(step, take_turns(shared)), 0U);
}

TEST(Allocations, LocksSemaphoresGroupsAndOnceMakeNone) {
  RwLock lock;
  Semaphore semaphore(2);
  WaitGroup group;
  Once once;
  const auto step = [&]() -> Task<> {
    {
      const auto reading = co_await lock.rhold({});
    }
    {
      const auto writing = co_await lock.hold({});
    }
    {
      const auto permit = co_await semaphore.permit({}, 2);
    }
    group.add(1);
    group.done();
    (void)co_await group.wait();
    const auto nothing = [] {};
    (void)co_await once.call({}, nothing);
  };
  EXPECT_EQ(allocations_of(step), 0U);
}

TEST(Allocations, ReadingASnapshotMakesNone) {
  Snapshot<int> snapshot(std::make_shared<const int>(1));
  const auto step = [&]() -> Task<> {
    const auto now = snapshot.read();
    EXPECT_EQ(*now + *snapshot.load(), 2);
    co_return;
  };
  EXPECT_EQ(allocations_of(step), 0U);
}

TEST(Allocations, APoolMakesNone) {
  Pool<int> pool([] { return std::make_unique<int>(1); });
  const auto step = [&]() -> Task<> {
    pool.put(pool.get());
    co_return;
  };
  EXPECT_EQ(allocations_of(step), 0U);
}

TEST(Allocations, SleepingAndTimersMakeNone) {
  const auto step = []() -> Task<> { EXPECT_TRUE((co_await sleep({}, 1ns)).has_value()); };
  EXPECT_EQ(allocations_of(step, {}, 8), 0U);
  Loop loop(1);
  const Loop::Entered entered(loop);
  Timer timer(1h);
  const std::size_t before = test::allocations();
  for (int i = 0; i < 1000; ++i) {
    timer.reset(1h);
    EXPECT_TRUE(timer.stop());
  }
  EXPECT_EQ(test::allocations() - before, 0U);
}

TEST(Allocations, IoMakesNone) {
  using Local = boost::asio::local::stream_protocol;
  using Socket = boost::asio::basic_stream_socket<Local, Executor>;
  Loop loop(1);
  Socket one(loop.executor());
  Socket other(loop.executor());
  boost::asio::local::connect_pair(one, other);
  auto [ctx, cancel] = with_cancel(Context());
  auto step = [&, ctx = ctx]() -> Task<> {
    std::array<char, 1> byte{};
    auto writing = other.async_write_some(boost::asio::buffer(byte), deferred);
    auto reading = one.async_read_some(boost::asio::buffer(byte), deferred);
    EXPECT_EQ((co_await io(ctx, std::move(writing))).value(), 1U);
    EXPECT_EQ((co_await io(ctx, std::move(reading))).value(), 1U);
  };
  std::size_t counted = 1;
  boost::asio::co_spawn(loop.executor(), count(step, 100, 100, counted), boost::asio::detached);
  loop.run();
  EXPECT_EQ(counted, 0U);
}

}  // namespace
}  // namespace sluice::concurrency
