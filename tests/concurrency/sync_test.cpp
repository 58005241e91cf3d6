// WaitGroup, Once, OnceValue, Semaphore: what Go's tests of sync and x/sync/semaphore insist on.
#include "concurrency/once.hpp"
#include "concurrency/semaphore.hpp"
#include "concurrency/sleep.hpp"
#include "concurrency/virtual_time.hpp"
#include "concurrency/wait_group.hpp"
#include "support/leak_check.hpp"
#include "support/loop_threads.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <stdexcept>
#include <vector>

#include <boost/asio/deferred.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

namespace sluice::concurrency {
namespace {

using namespace std::chrono_literals;
using sluice::test::AllowLeftovers;
using sluice::test::LoopThreads;

// --- WaitGroup ------------------------------------------------------------------------------------------------------

TEST(WaitGroup, WaitsUntilTheCountIsZeroAndMayBeUsedAgain) {
  VirtualTime time;
  WaitGroup group;
  EXPECT_TRUE(time.run(group.wait()).has_value()) << "zero from the start";
  for (int round = 0; round < 3; ++round) {
    group.add(2);
    auto a = time.spawn(group.wait());
    auto b = time.spawn(group.wait());
    group.done();
    time.settle();
    EXPECT_FALSE(a.done());
    group.done();
    time.settle();
    EXPECT_TRUE(a.get().has_value() && b.get().has_value());
  }
}

TEST(WaitGroup, ANegativeCountIsAnErrorAndChangesNothing) {
  VirtualTime time;
  WaitGroup group;
  group.add(1);
  EXPECT_THROW(group.add(-2), std::logic_error);
  group.done();
  EXPECT_THROW(group.done(), std::logic_error);
  EXPECT_TRUE(time.run(group.wait()).has_value());
}

TEST(WaitGroup, AWaitEndsWithItsContext) {
  VirtualTime time;
  WaitGroup group;
  group.add(1);
  auto [ctx, cancel] = with_timeout(Context(), 5ms);
  EXPECT_EQ(time.run(group.wait(ctx)).error(), Error::deadline_exceeded);
  group.done();
  EXPECT_TRUE(time.run(group.wait(ctx)).has_value()) << "nothing to wait for";
}

Task<> finish(WaitGroup& group, std::atomic<int>& finished) {
  ++finished;
  group.done();
  co_return;
}

TEST(WaitGroupThreads, SeesAllThatWasDoneBefore) {
  LoopThreads loops(3);
  for (int round = 0; round < 200; ++round) {
    WaitGroup group;
    std::atomic<int> finished = 0;
    group.add(10);
    auto waiting = loops.spawn(0, group.wait());
    std::vector<std::future<void>> tasks;
    for (std::size_t i = 0; i < 10; ++i) tasks.push_back(loops.spawn(i, finish(group, finished)));
    waiting.get();
    EXPECT_EQ(finished, 10);
    for (auto& task : tasks) task.get();
  }
}

// --- Once -----------------------------------------------------------------------------------------------------------

Task<> slow_step(int& count) {
  (void)co_await sleep({}, 10ms);
  ++count;
}

TEST(Once, RunsTheFirstFunctionOnlyAndTheOthersWaitForIt) {
  VirtualTime time;
  Once once;
  int count = 0;
  auto first = time.spawn(once.call({}, slow_step, std::ref(count)));
  auto second = time.spawn(once.call({}, [](int& c) { c = 100; }, std::ref(count)));
  time.advance(9ms);
  EXPECT_FALSE(first.done() || second.done());
  EXPECT_FALSE(once.is_done());
  time.advance(1ms);
  EXPECT_TRUE(first.get().has_value() && second.get().has_value());
  EXPECT_EQ(count, 1);
  EXPECT_TRUE(time.run(once.call({}, slow_step, std::ref(count))).has_value());
  EXPECT_EQ(count, 1);
}

TEST(Once, IsDoneEvenIfTheFunctionThrows) {
  VirtualTime time;
  Once once;
  auto throws = [](int&) { throw std::runtime_error("broken"); };
  int count = 0;
  EXPECT_THROW((void)time.run(once.call({}, throws, std::ref(count))), std::runtime_error);
  EXPECT_TRUE(time.run(once.call({}, slow_step, std::ref(count))).has_value());
  EXPECT_EQ(count, 0);
}

TEST(Once, AWaiterMayGiveUpWithoutHarm) {
  VirtualTime time;
  Once once;
  int count = 0;
  auto first = time.spawn(once.call({}, slow_step, std::ref(count)));
  auto [ctx, cancel] = with_timeout(Context(), 5ms);
  EXPECT_EQ(time.run(once.call(ctx, slow_step, std::ref(count))).error(), Error::deadline_exceeded);
  time.advance(5ms);
  EXPECT_TRUE(first.done());
  EXPECT_EQ(count, 1);
}

TEST(Once, IsDoneIfItsRunnerDiesWithItsLoop) {
  const AllowLeftovers runner;
  VirtualTime time;
  Once once;
  int count = 0;
  {
    VirtualTime doomed;
    (void)doomed.spawn(once.call({}, slow_step, std::ref(count)));
    doomed.settle();
  }
  EXPECT_TRUE(time.run(once.call({}, slow_step, std::ref(count))).has_value());
  EXPECT_EQ(count, 0);
}

TEST(OnceThreads, OneOfManyThreadsRunsIt) {
  LoopThreads loops(4);
  for (int round = 0; round < 100; ++round) {
    Once once;
    int count = 0;  // not atomic: TSan sees whether the others are ordered behind it
    auto step = [](int& c) { ++c; };
    std::vector<std::future<Result<>>> calls;
    for (std::size_t i = 0; i < 8; ++i) calls.push_back(loops.spawn(i, once.call({}, step, std::ref(count))));
    for (auto& call : calls) EXPECT_TRUE(call.get().has_value());
    EXPECT_EQ(count, 1);
  }
}

Task<int> make_slowly(int& made) {
  (void)co_await sleep({}, 1ms);
  co_return ++made * 7;
}
Task<int> fail_to_make(int& made) {
  ++made;
  throw std::runtime_error("broken");
  co_return 1;
}

TEST(OnceValue, IsMadeByTheFirstWhoAsks) {
  VirtualTime time;
  int made = 0;
  OnceValue<int> value([&made] { return make_slowly(made); });
  auto a = time.spawn(value.get({}));
  auto b = time.spawn(value.get({}));
  time.advance(1ms);
  EXPECT_EQ(a.get().value() + b.get().value() + time.run(value.get({})).value(), 21);
  EXPECT_EQ(made, 1);
}

TEST(OnceValue, RethrowsToAllWhoAskEachTime) {
  VirtualTime time;
  int made = 0;
  OnceValue<int> value([&made] { return fail_to_make(made); });
  for (int i = 0; i < 3; ++i) EXPECT_THROW((void)time.run(value.get({})), std::runtime_error);
  EXPECT_EQ(made, 1);
}

// --- Semaphore ------------------------------------------------------------------------------------------------------

TEST(Semaphore, TakesAndGivesBackByWeight) {
  VirtualTime time;
  Semaphore semaphore(3);
  EXPECT_TRUE(semaphore.try_acquire(2));
  EXPECT_FALSE(semaphore.try_acquire(2));
  EXPECT_TRUE(semaphore.try_acquire(0));
  EXPECT_TRUE(time.run(semaphore.acquire({}, 1)).has_value());
  EXPECT_FALSE(semaphore.try_acquire());
  semaphore.release(3);
  EXPECT_TRUE(semaphore.try_acquire(3));
  semaphore.release(3);
}

TEST(Semaphore, MisuseIsAnError) {
  VirtualTime time;
  Semaphore semaphore(2);
  EXPECT_THROW(semaphore.release(), std::logic_error);
  EXPECT_THROW(semaphore.release(-1), std::invalid_argument);
  EXPECT_THROW((void)semaphore.try_acquire(-1), std::invalid_argument);
  EXPECT_THROW((void)time.run(semaphore.acquire({}, -1)), std::invalid_argument);
  EXPECT_THROW(Semaphore(-1), std::invalid_argument);
}

TEST(Semaphore, MoreThanItsCapacityWaitsForTheContextWithoutBlockingOthers) {
  VirtualTime time;
  Semaphore semaphore(2);
  auto [ctx, cancel] = with_timeout(Context(), 5ms);
  auto doomed = time.spawn(semaphore.acquire(ctx, 3));
  time.settle();
  EXPECT_TRUE(time.run(semaphore.acquire({}, 2)).has_value());
  semaphore.release(2);
  time.advance(5ms);
  EXPECT_EQ(doomed.get().error(), Error::deadline_exceeded);
}

TEST(Semaphore, ALargeRequestIsNotStarvedBySmallOnes) {
  VirtualTime time;
  Semaphore semaphore(4);
  EXPECT_TRUE(semaphore.try_acquire(1));
  auto large = time.spawn(semaphore.acquire({}, 4));
  time.settle();
  EXPECT_FALSE(semaphore.try_acquire(1)) << "room enough, but somebody waits";
  auto small = time.spawn(semaphore.acquire({}, 1));
  time.settle();
  EXPECT_FALSE(small.done());
  semaphore.release(1);
  time.settle();
  EXPECT_TRUE(large.done());
  EXPECT_FALSE(small.done());
  semaphore.release(4);
  time.settle();
  EXPECT_TRUE(small.get().has_value());
  semaphore.release(1);
}

TEST(Semaphore, GrantedThenCancelledIsGranted) {
  VirtualTime time;
  Semaphore semaphore(1);
  EXPECT_TRUE(semaphore.try_acquire());
  auto [ctx, cancel] = with_cancel(Context());
  auto waiting = time.spawn(semaphore.acquire(ctx));
  time.settle();
  semaphore.release();
  cancel();
  time.settle();
  EXPECT_TRUE(waiting.get().has_value());
  EXPECT_FALSE(semaphore.try_acquire());
  semaphore.release();
}

TEST(Semaphore, CancelledAtTheFrontLetsThoseBehindMoveUp) {
  VirtualTime time;
  Semaphore semaphore(2);
  EXPECT_TRUE(semaphore.try_acquire(1));
  auto [ctx, cancel] = with_cancel(Context());
  auto large = time.spawn(semaphore.acquire(ctx, 2));
  auto small = time.spawn(semaphore.acquire({}, 1));
  time.settle();
  EXPECT_FALSE(small.done());
  cancel();
  time.settle();
  EXPECT_EQ(large.get().error(), Error::canceled);
  EXPECT_TRUE(small.done()) << "one unit had been free all the time";
  semaphore.release(2);
  EXPECT_EQ(time.run(semaphore.acquire(ctx)).error(), Error::canceled) << "a done context takes nothing";
  EXPECT_TRUE(semaphore.try_acquire(2));
  semaphore.release(2);
}

TEST(Semaphore, APermitGivesBackWhatItHolds) {
  VirtualTime time;
  Semaphore semaphore(2);
  {
    Permit permit = time.run(semaphore.permit({}, 2)).value();
    EXPECT_FALSE(semaphore.try_acquire());
    Permit other = std::move(permit);
    EXPECT_FALSE(permit);
    EXPECT_TRUE(other);
    EXPECT_FALSE(semaphore.try_acquire());
    other = Permit();
    EXPECT_TRUE(semaphore.try_acquire()) << "an assignment gives back what was held before";
    semaphore.release();
  }
  EXPECT_TRUE(semaphore.try_acquire(2));
  semaphore.release(2);
}

TEST(Semaphore, WhatWasGrantedToADyingCoroutineIsGivenBack) {
  const AllowLeftovers doomed_waiter;
  VirtualTime time;
  Semaphore semaphore(1);
  EXPECT_TRUE(semaphore.try_acquire());
  {
    VirtualTime doomed;
    (void)doomed.spawn(semaphore.acquire({}));
    doomed.settle();
    semaphore.release();
    EXPECT_FALSE(semaphore.try_acquire()) << "handed over already";
  }
  EXPECT_TRUE(semaphore.try_acquire());
  semaphore.release();
}

Task<> hammer(Semaphore& semaphore, std::int64_t units, int rounds, std::atomic<std::int64_t>& held, int giving_up) {
  for (int i = 0; i < rounds; ++i) {
    auto [ctx, cancel] = with_timeout(Context(), giving_up != 0 && i % giving_up == 0 ? 1ms : 1h);
    if (!(co_await semaphore.acquire(ctx, units)).has_value()) continue;
    EXPECT_LE(held += units, 10);
    if (i % 7 == 0) co_await boost::asio::post(Loop::current().executor(), boost::asio::deferred);
    held -= units;
    semaphore.release(units);
  }
}

TEST(SemaphoreThreads, NeverHandsOutMoreThanThereIs) {
  Semaphore semaphore(10);
  std::atomic<std::int64_t> held = 0;
  {
    LoopThreads loops(4);
    std::vector<std::future<void>> tasks;
    for (std::size_t i = 0; i < 12; ++i) {
      tasks.push_back(
          loops.spawn(i, hammer(semaphore, static_cast<std::int64_t>(i % 10) + 1, 300, held, i % 2 == 0 ? 3 : 0)));
    }
    for (auto& task : tasks) task.get();
  }
  EXPECT_EQ(held, 0);
  EXPECT_TRUE(semaphore.try_acquire(10));
  semaphore.release(10);
}

}  // namespace
}  // namespace sluice::concurrency
