// ErrGroup: the first error, the cancellation of the rest, and the end of all.
#include "concurrency/errgroup.hpp"

#include "concurrency/channel.hpp"
#include "concurrency/sleep.hpp"
#include "concurrency/virtual_time.hpp"
#include "support/leak_check.hpp"
#include "support/loop_threads.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::concurrency {
namespace {

using namespace std::chrono_literals;
using boost::system::error_code;
using sluice::test::LoopThreads;

error_code code(const Result<>& result) {
  return result.has_error() ? result.error() : error_code();
}
const error_code kFirst = make_error_code(boost::system::errc::io_error);
const error_code kSecond = make_error_code(boost::system::errc::timed_out);

Task<Result<>> end_after(Context ctx, Duration duration, error_code ec) {
  if (const auto slept = co_await sleep(ctx, duration); !slept) co_return slept.error();
  if (ec) co_return ec;
  co_return Result<>();
}
Task<> count(int& counter) {
  ++counter;
  co_return;
}

TEST(ErrGroup, WaitsForAllAndReturnsTheFirstError) {
  struct Case {
    std::vector<error_code> ends;
    error_code expected;
  };
  const std::vector<Case> cases{{{}, {}},
                                {{error_code()}, {}},
                                {{kFirst}, kFirst},
                                {{kFirst, error_code()}, kFirst},
                                {{error_code(), kFirst, kSecond}, kFirst}};
  for (const Case& c : cases) {
    VirtualTime time;
    auto [group, ctx] = ErrGroup::with_context(Context());
    Duration delay = 1ms;
    for (const error_code ec : c.ends) group.go(end_after, Context(), delay += 1ms, ec);
    EXPECT_EQ(code(time.run(group.wait())), c.expected);
    EXPECT_EQ(time.now() - VirtualClock().now(), c.ends.empty() ? 0ms : delay) << "it waits for those after the error";
    EXPECT_EQ(ctx.err(), Error::canceled) << "the context ends when wait returns";
    EXPECT_EQ(ctx.cause(), c.expected ? c.expected : error_code(Error::canceled));
  }
}

TEST(ErrGroup, TheFirstErrorCancelsTheOthersAtOnce) {
  VirtualTime time;
  auto [group, ctx] = ErrGroup::with_context(Context());
  group.go(end_after, ctx, 1h, error_code());
  group.go(end_after, ctx, 10ms, kFirst);
  group.go(end_after, ctx, 2h, error_code());
  const TimePoint start = time.now();
  EXPECT_EQ(code(time.run(group.wait())), kFirst) << "not the cancellation that it caused";
  EXPECT_EQ(time.now() - start, 10ms);
  EXPECT_EQ(ctx.cause(), kFirst);
}

TEST(ErrGroup, TheParentsEndReachesTheTasks) {
  VirtualTime time;
  auto [parent, cancel] = with_timeout(Context(), 5ms);
  auto [group, ctx] = ErrGroup::with_context(parent);
  group.go(end_after, ctx, 1h, error_code());
  EXPECT_EQ(code(time.run(group.wait())), Error::deadline_exceeded);
}

TEST(ErrGroup, DestroyingTheGroupCancelsItsTasks) {
  VirtualTime time;
  Context kept;
  int ended = 0;
  {
    auto [group, ctx] = ErrGroup::with_context(Context());
    kept = ctx;
    group.go(
        [](Context c, int& counter) -> Task<> {
          co_await c.done();
          ++counter;
        },
        ctx, std::ref(ended));
    time.settle();
  }
  EXPECT_TRUE(kept.is_done());
  time.settle();
  EXPECT_EQ(ended, 1);
}

Task<Result<>> throw_after(Context ctx, Duration duration) {
  (void)co_await sleep(ctx, duration);
  throw std::runtime_error("broken");
}

TEST(ErrGroup, AnExceptionArrivesAtWaitAndCancels) {
  VirtualTime time;
  auto [group, ctx] = ErrGroup::with_context(Context());
  group.go(throw_after, Context(), 5ms);
  group.go(end_after, ctx, 1h, error_code());
  const TimePoint start = time.now();
  EXPECT_THROW((void)time.run(group.wait()), std::runtime_error);
  EXPECT_EQ(time.now() - start, 5ms);
}

TEST(ErrGroup, AnErrorBeforeAnExceptionIsWhatCounts) {
  VirtualTime time;
  auto [group, ctx] = ErrGroup::with_context(Context());
  group.go(end_after, Context(), 1ms, kFirst);
  group.go(throw_after, Context(), 5ms);
  EXPECT_EQ(code(time.run(group.wait())), kFirst);
}

TEST(ErrGroup, RunsTasksOfEitherKindWithMoveOnlyArguments) {
  VirtualTime time;
  int counter = 0;
  auto [group, ctx] = ErrGroup::with_context(Context());
  group.go(count, std::ref(counter));
  group.go(
      [](std::unique_ptr<int> value, int& to) -> Task<Result<>> {
        to += *value;
        co_return Result<>();
      },
      std::make_unique<int>(10), std::ref(counter));
  EXPECT_FALSE(code(time.run(group.wait())));
  EXPECT_EQ(counter, 11);
}

Task<> chain(ErrGroup& group, int left, int& ran) {
  ++ran;
  if (left > 0) group.go(chain, std::ref(group), left - 1, std::ref(ran));
  co_return;
}

TEST(ErrGroup, ATaskMayStartTheNextAMillionTimesOver) {
  VirtualTime time;
  int ran = 0;
  auto [group, ctx] = ErrGroup::with_context(Context());
  group.go(chain, std::ref(group), 1'000'000, std::ref(ran));
  EXPECT_FALSE(code(time.run(group.wait())));
  EXPECT_EQ(ran, 1'000'001);
}

Task<> hold_until(Context ctx, std::shared_ptr<int> held) {
  co_await ctx.done();
  EXPECT_EQ(*held, 1);
}

TEST(ErrGroup, SeveralMayWait) {
  VirtualTime time;
  auto [ctx, cancel] = with_cancel(Context());
  auto [group, unused] = ErrGroup::with_context(Context());
  group.go(hold_until, ctx, std::make_shared<int>(1));
  auto a = time.spawn(group.wait());
  auto b = time.spawn(group.wait());
  time.settle();
  EXPECT_FALSE(a.done());
  cancel();
  time.settle();
  EXPECT_TRUE(a.done() && b.done());
}

// A task that dies with its loop ends, too: those who wait on other loops must not wait for ever.
TEST(ErrGroup, ATaskDestroyedWithItsLoopCounts) {
  const sluice::test::AllowLeftovers doomed_task;
  VirtualTime time;
  auto [group, ctx] = ErrGroup::with_context(Context());
  {
    VirtualTime doomed;
    group.go(hold_until, Context(), std::make_shared<int>(1));
    doomed.settle();
  }
  auto waited = time.spawn(group.wait());
  time.settle();
  ASSERT_TRUE(waited.done());
  EXPECT_EQ(code(waited.get()), Error::canceled);
}

// --- limits ---------------------------------------------------------------------------------------------------------

struct Gauge {
  int now = 0;
  int most = 0;
  std::vector<int> order;
};
Task<> measured(Gauge& gauge, int id, Duration duration) {
  gauge.order.push_back(id);
  gauge.most = std::max(gauge.most, ++gauge.now);
  (void)co_await sleep({}, duration);
  --gauge.now;
}

TEST(ErrGroup, NeverRunsMoreThanItsLimitAndStartsInOrder) {
  for (const std::size_t limit : {1U, 2U, 5U}) {
    VirtualTime time;
    Gauge gauge;
    auto [group, ctx] = ErrGroup::with_context(Context());
    group.set_limit(limit);
    for (int i = 0; i < 20; ++i) group.go(measured, std::ref(gauge), i, 3ms);
    EXPECT_FALSE(code(time.run(group.wait())));
    EXPECT_EQ(gauge.most, static_cast<int>(limit));
    ASSERT_EQ(gauge.order.size(), 20U);
    EXPECT_TRUE(std::is_sorted(gauge.order.begin(), gauge.order.end()));
  }
}

TEST(ErrGroup, TryGoStartsOnlyBelowTheLimit) {
  VirtualTime time;
  Gauge gauge;
  auto [group, ctx] = ErrGroup::with_context(Context());
  EXPECT_TRUE(group.try_go(measured, std::ref(gauge), 0, 1ms)) << "no limit yet";
  EXPECT_THROW(group.set_limit(1), std::logic_error) << "not while a task runs";
  (void)time.run(group.wait());
  group.set_limit(2);
  EXPECT_TRUE(group.try_go(measured, std::ref(gauge), 1, 1ms));
  EXPECT_TRUE(group.try_go(measured, std::ref(gauge), 2, 1ms));
  EXPECT_FALSE(group.try_go(measured, std::ref(gauge), 3, 1ms));
  time.advance(1ms);
  EXPECT_TRUE(group.try_go(measured, std::ref(gauge), 4, 1ms));
  (void)time.run(group.wait());
  EXPECT_EQ(gauge.order, (std::vector<int>{0, 1, 2, 4}));
  group.set_limit(0);
  EXPECT_FALSE(group.try_go(measured, std::ref(gauge), 5, 1ms));
}

TEST(ErrGroup, WaitMayBeGivenUpAndCancelsThen) {
  VirtualTime time;
  auto [group, ctx] = ErrGroup::with_context(Context());
  group.go(hold_until, ctx, std::make_shared<int>(1));
  auto [patience, cancel] = with_timeout(Context(), 5ms);
  EXPECT_EQ(code(time.run(group.wait(patience))), Error::deadline_exceeded);
  EXPECT_TRUE(ctx.is_done());
  EXPECT_FALSE(code(time.run(group.wait())));
}

// --- collecting -----------------------------------------------------------------------------------------------------

Task<Result<int>> number_after(Context ctx, Duration duration, int number) {
  if (const auto slept = co_await sleep(ctx, duration); !slept) co_return slept.error();
  if (number < 0) co_return kFirst;
  co_return number;
}
Task<std::vector<std::size_t>> collect_all(Collect<int>& calls, Context ctx) {
  std::vector<std::size_t> order;
  for (;;) {
    const auto outcome = co_await calls.next(ctx);
    if (!outcome) break;
    order.push_back(outcome->index);
    EXPECT_EQ(outcome->result.has_error(), outcome->index == 1);
  }
  co_return order;
}

TEST(Collect, OutcomesArriveInTheOrderOfCompletionAndAnErrorCancelsNobody) {
  VirtualTime time;
  Collect<int> calls(Context(), 3);
  EXPECT_EQ(calls.go(number_after, calls.context(), 30ms, 3), 0U);
  EXPECT_EQ(calls.go(number_after, calls.context(), 10ms, -1), 1U);
  EXPECT_EQ(calls.go(number_after, calls.context(), 20ms, 2), 2U);
  EXPECT_THROW(calls.go(number_after, calls.context(), 20ms, 2), std::logic_error);
  const TimePoint start = time.now();
  EXPECT_EQ(time.run(collect_all(calls, Context())), (std::vector<std::size_t>{1, 2, 0}));
  EXPECT_EQ(time.now() - start, 30ms);
  EXPECT_FALSE(code(time.run(calls.wait())));
}

TEST(Collect, WhatIsThereAtTheDeadlineCounts) {
  VirtualTime time;
  Collect<int> calls(Context(), 2);
  calls.go(number_after, calls.context(), 10ms, 1);
  calls.go(number_after, calls.context(), 1h, 2);
  auto [ctx, cancel] = with_timeout(Context(), 50ms);
  EXPECT_EQ(time.run(collect_all(calls, ctx)).size(), 1U);
  EXPECT_EQ(code(time.run(calls.wait(ctx))), Error::deadline_exceeded) << "and the rest is cancelled";
  time.settle();
}

Task<> succeed() {
  co_return;
}
Task<int> one() {
  co_return 1;
}

TEST(ErrGroup, ThatWasMovedFromSaysSo) {
  VirtualTime time;
  auto [group, ctx] = ErrGroup::with_context(Context());
  const ErrGroup moved = std::move(group);
  EXPECT_THROW(group.go(succeed), std::logic_error);  // NOLINT(bugprone-use-after-move)
  EXPECT_THROW((void)group.try_go(succeed), std::logic_error);
  EXPECT_THROW(group.set_limit(1), std::logic_error);
  EXPECT_THROW((void)group.wait(), std::logic_error);
  group.cancel();
  EXPECT_FALSE(ctx.is_done());

  Collect<int> calls(Context(), 1);
  Collect<int> moved_calls = std::move(calls);
  EXPECT_THROW(calls.go(one), std::logic_error);  // NOLINT(bugprone-use-after-move)
  EXPECT_THROW((void)time.run(calls.next({})), std::logic_error);
  EXPECT_EQ(moved_calls.go(one), 0U);
  EXPECT_EQ(time.run(moved_calls.next({}))->result, Result<int>(1));
}

Task<Result<>> fail_there(int i) {
  co_return i == 7 ? Result<>(kFirst) : Result<>();
}
Task<error_code> wait_and_tell_cause(std::shared_ptr<std::pair<ErrGroup, Context>> made) {
  const Result<> result = co_await made->first.wait();
  EXPECT_EQ(code(result), kFirst);
  co_return made->second.cause();
}
Task<> start_there(std::shared_ptr<std::pair<ErrGroup, Context>> made) {
  for (int i = 0; i < 10; ++i) made->first.go(fail_there, i);
  co_return;
}

TEST(ErrGroupThreads, TheFirstErrorIsTheCauseWhoeverWaits) {
  LoopThreads loops(2);
  for (int round = 0; round < 300; ++round) {
    auto made = std::make_shared<std::pair<ErrGroup, Context>>(ErrGroup::with_context(Context()));
    auto failing = [](std::shared_ptr<std::pair<ErrGroup, Context>> m, Channel<int> started,
                      Channel<int> go) -> Task<> {
      auto one = [](Channel<int> g) -> Task<Result<>> {
        (void)co_await g.receive({});
        co_return kFirst;
      };
      m->first.go(one, go);
      (void)co_await started.send({}, 0);
    };
    Channel<int> started(1);
    Channel<int> go(1);
    loops.spawn(0, failing(made, started, go)).get();
    auto waiting = loops.spawn(1, wait_and_tell_cause(made));
    EXPECT_TRUE(go.try_send(0).value());
    EXPECT_EQ(waiting.get(), kFirst);
    loops.spawn(0, start_there(made)).get();
    EXPECT_EQ(loops.spawn(0, wait_and_tell_cause(made)).get(), kFirst);
  }
}

}  // namespace
}  // namespace sluice::concurrency
