// What Go's own tests insist on, and misuse that Go answers with a panic: here it is an error.
#include "concurrency/channel.hpp"
#include "concurrency/context.hpp"
#include "concurrency/errgroup.hpp"
#include "concurrency/mutex.hpp"
#include "concurrency/once.hpp"
#include "concurrency/select.hpp"
#include "concurrency/semaphore.hpp"
#include "concurrency/single_flight.hpp"
#include "concurrency/sleep.hpp"
#include "concurrency/timer.hpp"
#include "concurrency/virtual_time.hpp"
#include "concurrency/wait_group.hpp"
#include "support/leak_check.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

namespace sluice::concurrency {
namespace {

using namespace std::chrono_literals;
using boost::system::error_code;
namespace errc = boost::system::errc;

const error_code kParents = make_error_code(errc::connection_reset);
const error_code kChilds = make_error_code(errc::io_error);
const error_code kTooSlow = make_error_code(errc::timed_out);

void expect_end(const Context& ctx, error_code err, error_code cause) {
  EXPECT_EQ(ctx.err(), err);
  EXPECT_EQ(ctx.cause(), cause);
}

TEST(GoContext, TheFirstCauseOnTheWayDownCounts) {
  VirtualTime time;
  {
    auto [parent, cancel_parent] = with_cancel_cause(Context());
    auto [child, cancel_child] = with_cancel_cause(parent);
    cancel_parent(kParents);
    cancel_child(kChilds);
    expect_end(parent, Error::canceled, kParents);
    expect_end(child, Error::canceled, kParents);
  }
  {
    auto [parent, cancel_parent] = with_cancel_cause(Context());
    auto [child, cancel_child] = with_cancel_cause(parent);
    cancel_child(kChilds);
    expect_end(parent, {}, {});
    cancel_parent(kParents);
    expect_end(parent, Error::canceled, kParents);
    expect_end(child, Error::canceled, kChilds);
  }
  {
    auto [parent, cancel_parent] = with_cancel_cause(Context());
    cancel_parent(kParents);
    auto [child, cancel_child] = with_timeout_cause(parent, 1ms, kTooSlow);
    expect_end(child, Error::canceled, kParents);
    expect_end(without_cancel(parent), {}, {});
    auto [fresh, cancel_fresh] = with_cancel_cause(without_cancel(child));
    expect_end(fresh, {}, {});
    EXPECT_FALSE(fresh.deadline().has_value());
    cancel_fresh(kChilds);
    expect_end(fresh, Error::canceled, kChilds);
  }
}

TEST(GoContext, ADeadlinesCauseIsTheOneOfTheDeadlineThatCame) {
  VirtualTime time;
  auto [sooner, cancel_sooner] = with_timeout_cause(Context(), 10ms, kTooSlow);
  auto [later_child, cancel_later] = with_timeout_cause(sooner, 20ms, kChilds);
  auto [sooner_child, cancel_sooner_child] = with_timeout_cause(sooner, 5ms, kChilds);
  auto [early, cancel_early] = with_timeout_cause(Context(), 10ms, kTooSlow);
  cancel_early();
  expect_end(early, Error::canceled, Error::canceled);
  time.advance(5ms);
  expect_end(sooner_child, Error::deadline_exceeded, kChilds);
  expect_end(sooner, {}, {});
  time.advance(5ms);
  expect_end(sooner, Error::deadline_exceeded, kTooSlow);
  expect_end(later_child, Error::deadline_exceeded, kTooSlow);
}

TEST(GoContext, EachAfterFuncOfAContextRunsOnceAndOnlyItsOwn) {
  VirtualTime time;
  auto [parent, cancel_parent] = with_cancel(Context());
  auto [child, cancel_child] = with_cancel(parent);
  int of_parent = 0;
  int of_child = 0;
  const Stop first = after_func(parent, [&] { ++of_parent; });
  const Stop second = after_func(parent, [&] { ++of_parent; });
  Stop stopped = after_func(parent, [&] { of_parent += 100; });
  (void)after_func(child, [&] { ++of_child; });
  EXPECT_TRUE(stopped());
  cancel_child();
  time.settle();
  EXPECT_EQ(of_parent, 0);
  EXPECT_EQ(of_child, 1);
  cancel_parent();
  EXPECT_EQ(of_parent, 0) << "in a turn of its own";
  EXPECT_FALSE(first()) << "too late";
  time.settle();
  EXPECT_EQ(of_parent, 2);
  EXPECT_EQ(of_child, 1);
  EXPECT_FALSE(second());
  const Stop moved = std::move(stopped);
  EXPECT_FALSE(moved());
  EXPECT_FALSE(stopped()) << "a Stop that was moved from stops nothing";  // NOLINT(bugprone-use-after-move)
}

Task<Result<>> nothing() {
  co_return Result<>();
}
Task<Result<>> fail_with(error_code ec) {
  co_return ec;
}
Task<Result<>> hold(Context ctx, int& most, int& now) {
  most = std::max(most, ++now);
  const Result<> slept = co_await sleep(std::move(ctx), 1ms);
  --now;
  co_return slept;
}

TEST(GoErrGroup, WaitCancelsWithThePlainErrorAndTheGroupKeepsItsFirstError) {
  VirtualTime time;
  auto [group, ctx] = ErrGroup::with_context(Context());
  group.go(nothing);
  EXPECT_TRUE(time.run(group.wait()).has_value());
  expect_end(ctx, Error::canceled, Error::canceled);
  group.go(fail_with, kParents);
  group.go(fail_with, kChilds);
  EXPECT_EQ(time.run(group.wait()).error(), kParents);
  group.go(nothing);
  EXPECT_EQ(time.run(group.wait()).error(), kParents) << "used again, it still has its error";
}

TEST(GoErrGroup, ANegativeLimitIsNone) {
  VirtualTime time;
  auto [group, ctx] = ErrGroup::with_context(Context());
  int most = 0;
  int now = 0;
  group.set_limit(1);
  for (int i = 0; i < 5; ++i) group.go(hold, ctx, std::ref(most), std::ref(now));
  (void)time.run(group.wait());
  EXPECT_EQ(most, 1);
  group.set_limit(-1);
  for (int i = 0; i < 5; ++i) group.go(hold, Context(), std::ref(most), std::ref(now));
  EXPECT_TRUE(group.try_go(hold, Context(), std::ref(most), std::ref(now)));
  (void)time.run(group.wait());
  EXPECT_EQ(most, 6);
}

Task<Result<int>> throw_after(Context ctx, Duration duration) {
  (void)co_await sleep(std::move(ctx), duration);
  throw std::runtime_error("of a task");
}
Task<Result<int>> number_after(Context ctx, Duration duration, int number) {
  const Result<> slept = co_await sleep(std::move(ctx), duration);
  if (!slept) co_return slept.error();
  co_return number;
}
Task<int> count_outcomes(Collect<int>& calls) {
  for (int count = 0;; ++count) {
    const auto outcome = co_await calls.next({});
    if (!outcome) co_return count;
  }
}

TEST(Collect, AnExceptionEndsTheOutcomesAndArrivesAtWait) {
  VirtualTime time;
  Collect<int> calls(Context(), 3);
  calls.go(number_after, calls.context(), 5ms, 1);
  calls.go(throw_after, calls.context(), 10ms);
  calls.go(number_after, calls.context(), 20ms, 3);
  EXPECT_EQ(time.run(count_outcomes(calls)), 1) << "what came before the exception";
  EXPECT_THROW((void)time.run(calls.wait()), std::runtime_error);
}

TEST(GoSemaphore, AnEndedContextTakesNothingEvenIfThereIsEnough) {
  VirtualTime time;
  Semaphore semaphore(2);
  auto [ctx, cancel] = with_cancel(Context());
  cancel();
  EXPECT_EQ(time.run(semaphore.acquire(ctx, 1)).error(), Error::canceled);
  EXPECT_TRUE(semaphore.try_acquire(2));
  EXPECT_FALSE(semaphore.try_acquire(1));
  EXPECT_TRUE(semaphore.try_acquire(0));
  semaphore.release(2);
}

TEST(GoWaitGroup, ACountThatOverflowsIsAnErrorAndChangesNothing) {
  VirtualTime time;
  WaitGroup group;
  constexpr long kMost = (1L << 62) - 1;
  group.add(kMost);
  EXPECT_THROW(group.add(1), std::logic_error);
  EXPECT_THROW(group.add(std::numeric_limits<long>::max()), std::logic_error);
  group.add(-kMost);
  EXPECT_TRUE(time.run(group.wait()).has_value());
}

TEST(GoTimer, ANonPositiveDurationExpiresAtOnce) {
  VirtualTime time;
  Timer zero(0ms);
  Timer negative(-1h);
  time.advance(1ms);
  EXPECT_TRUE(zero.expired().try_receive().value().has_value());
  EXPECT_TRUE(negative.expired().try_receive().value().has_value());
}

TEST(GoTimer, ClosingItsChannelHarmsNothing) {
  VirtualTime time;
  Timer timer(1ms);
  Ticker ticker(1ms);
  for (Channel<TimePoint> channel : {timer.expired(), ticker.ticks()}) EXPECT_TRUE(channel.close().has_value());
  time.advance(10ms);
  EXPECT_FALSE(timer.stop());
  EXPECT_FALSE(timer.reset(1ms));
  ticker.stop();
}

TEST(GoTicker, ABadPeriodForResetLeavesItTicking) {
  VirtualTime time;
  Ticker ticker(5ms);
  EXPECT_THROW(ticker.reset(0ms), std::invalid_argument);
  time.advance(5ms);
  EXPECT_TRUE(ticker.ticks().try_receive().value().has_value());
}

// Go's chart of TryLock and TryRLock.
TEST(GoRwLock, TryingAgreesWithWhatIsHeld) {
  RwLock lock;
  ASSERT_TRUE(lock.try_lock());
  EXPECT_FALSE(lock.try_lock());
  EXPECT_FALSE(lock.try_rlock());
  lock.unlock();
  ASSERT_TRUE(lock.try_rlock());
  EXPECT_TRUE(lock.try_rlock());
  EXPECT_FALSE(lock.try_lock());
  lock.runlock();
  EXPECT_FALSE(lock.try_lock());
  lock.runlock();
  EXPECT_TRUE(lock.try_lock());
  lock.unlock();
  EXPECT_THROW(lock.runlock(), std::logic_error);
}

Task<> call_inside(Once& once, Context ctx, error_code& seen) {
  const Result<> inner = co_await once.call(std::move(ctx), [] {});
  if (!inner) seen = inner.error();
}

TEST(GoOnce, CalledFromInsideItselfItWaitsForTheContext) {
  VirtualTime time;
  Once once;
  error_code seen;
  auto [ctx, cancel] = with_timeout(Context(), 5ms);
  EXPECT_TRUE(time.run(once.call(Context(), call_inside, std::ref(once), ctx, std::ref(seen))).has_value());
  EXPECT_EQ(seen, Error::deadline_exceeded);
  EXPECT_TRUE(once.is_done());
}

Task<Result<int>> answer_after(Context ctx, Duration duration, int answer) {
  const Result<> slept = co_await sleep(std::move(ctx), duration);
  if (!slept) co_return slept.error();
  co_return answer;
}

using Flights = SingleFlight<std::string, int>;
Task<std::pair<int, bool>> fly(Flights& flights, Duration duration, int answer) {
  const auto landed = co_await flights.run(Context(), "key", answer_after, duration, answer);
  co_return std::pair(landed.value().value, landed.value().shared);
}

TEST(GoSingleFlight, WhatWasForgottenNeitherEndsNorAnswersTheNextFlight) {
  VirtualTime time;
  Flights flights;
  auto first = time.spawn(fly(flights, 10ms, 1));
  time.settle();
  flights.forget("key");
  auto second = time.spawn(fly(flights, 20ms, 2));
  time.advance(10ms);
  ASSERT_TRUE(first.done());
  EXPECT_FALSE(second.done());
  auto third = time.spawn(fly(flights, 1h, 3));
  time.advance(10ms);
  ASSERT_TRUE(second.done());
  ASSERT_TRUE(third.done()) << "joined the second";
  EXPECT_EQ(first.get(), std::pair(1, false));
  EXPECT_EQ(second.get(), std::pair(2, true));
  EXPECT_EQ(third.get(), std::pair(2, true));
}

Task<std::size_t> select_over_nil(Channel<int> nil, Channel<int> open, std::optional<int>& out) {
  int value = 5;
  co_return co_await select(when_received(nil, out), when_sent(nil, value), when_received(open, out));
}

TEST(GoSelect, CasesOfANilChannelNeverFire) {
  VirtualTime time;
  Channel<int> open(0);
  std::optional<int> out;
  auto selected = time.spawn(select_over_nil(Channel<int>(), open, out));
  time.settle();
  EXPECT_FALSE(selected.done());
  EXPECT_TRUE(open.try_send(3).value());
  time.settle();
  EXPECT_EQ(selected.get(), 2U);
  EXPECT_EQ(out, 3);
}

// As TestChanSendBarrier and TestMultiConsumer: what several consumers take is what was sent, each value once.
Task<> consume(Channel<int> values, std::vector<int>& taken) {
  for (;;) {
    const Result<int> value = co_await values.receive({});
    if (!value) co_return;
    taken.push_back(*value);
    co_await boost::asio::post(Loop::current().executor(), boost::asio::deferred);
  }
}
Task<> produce(Channel<int> values, int count) {
  for (int i = 0; i < count; ++i) (void)co_await values.send({}, i);
  (void)values.close();
}

TEST(GoChannel, SeveralConsumersTakeEachValueOnce) {
  for (const std::size_t capacity : {0U, 1U, 10U}) {
    VirtualTime time;
    const Channel<int> values(capacity);
    std::vector<std::vector<int>> taken(7);
    for (auto& mine : taken) time.spawn(consume(values, mine));
    time.run(produce(values, 1000));
    time.settle();
    std::vector<int> all;
    for (const auto& mine : taken) {
      EXPECT_TRUE(std::is_sorted(mine.begin(), mine.end()));
      all.insert(all.end(), mine.begin(), mine.end());
    }
    std::sort(all.begin(), all.end());
    ASSERT_EQ(all.size(), 1000U);
    EXPECT_EQ(std::adjacent_find(all.begin(), all.end()), all.end());
  }
}

struct NoDefault {
  explicit NoDefault(int v) : value(v) {}
  int value;
};
Task<Result<NoDefault>> make_without_default() {
  co_return NoDefault(3);
}

TEST(VirtualTime, RunsTasksWhoseResultHasNoDefault) {
  VirtualTime time;
  EXPECT_EQ(time.run(make_without_default())->value, 3);
}

TEST(VirtualTime, DoesNotGoBack) {
  VirtualTime time;
  const TimePoint start = time.now();
  EXPECT_THROW(time.advance(-1ms), std::invalid_argument);
  EXPECT_EQ(time.now(), start);
}

}  // namespace
}  // namespace sluice::concurrency
