// SingleFlight: one run for all who ask meanwhile, each with a context of their own.
#include "concurrency/single_flight.hpp"

#include "concurrency/sleep.hpp"
#include "concurrency/virtual_time.hpp"
#include "support/leak_check.hpp"
#include "support/loop_threads.hpp"

#include <atomic>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

namespace sluice::concurrency {
namespace {

using namespace std::chrono_literals;
using sluice::test::LoopThreads;
using Flights = SingleFlight<std::string, int>;

struct Calls {
  std::atomic<int> started = 0;
  std::atomic<int> cancelled = 0;
};

Task<Result<int>> load(Context ctx, Calls& calls, Duration duration) {
  const int call = ++calls.started;
  if (const auto slept = co_await sleep(ctx, duration); !slept) {
    ++calls.cancelled;
    co_return slept.error();
  }
  co_return call;
}

/// What a caller got: the value, or minus the value if it was shared.
Task<Result<int>> ask(Flights& flights, Context ctx, std::string key, Calls& calls, Duration duration) {
  const auto got = co_await flights.run(ctx, key, load, std::ref(calls), duration);
  if (!got) co_return got.error();
  co_return got->shared ? -got->value : got->value;
}

TEST(SingleFlight, RunsOnceForAllWhoAskMeanwhile) {
  VirtualTime time;
  Flights flights;
  Calls calls;
  EXPECT_EQ(time.run(ask(flights, {}, "a", calls, 1ms)).value(), 1) << "alone: not shared";
  std::vector<Spawned<Result<int>>> asking;
  for (int i = 0; i < 5; ++i) asking.push_back(time.spawn(ask(flights, {}, "a", calls, 10ms)));
  auto other = time.spawn(ask(flights, {}, "b", calls, 10ms));
  time.advance(10ms);
  for (auto& each : asking) EXPECT_EQ(each.get().value(), -2);
  EXPECT_EQ(other.get().value(), 3) << "another key is other work";
  EXPECT_EQ(time.run(ask(flights, {}, "a", calls, 1ms)).value(), 4) << "and results are not kept";
}

TEST(SingleFlight, ErrorsAndExceptionsGoToAll) {
  VirtualTime time;
  Flights flights;
  auto fails = [](Context ctx) -> Task<Result<int>> {
    (void)co_await sleep(ctx, 1ms);
    co_return make_error_code(boost::system::errc::io_error);
  };
  auto throws = [](Context ctx) -> Task<Result<int>> {
    (void)co_await sleep(ctx, 1ms);
    throw std::runtime_error("broken");
  };
  auto code = [](Flights& f, Task<Result<int>> (*work)(Context)) -> Task<boost::system::error_code> {
    const auto got = co_await f.run(Context(), "key", work);
    co_return got.has_error() ? got.error() : boost::system::error_code();
  };
  auto a = time.spawn(code(flights, fails));
  auto b = time.spawn(code(flights, fails));
  time.advance(1ms);
  EXPECT_EQ(a.get(), boost::system::errc::io_error);
  EXPECT_EQ(b.get(), boost::system::errc::io_error);
  auto c = time.spawn(code(flights, throws));
  auto d = time.spawn(code(flights, throws));
  time.advance(1ms);
  EXPECT_THROW((void)c.get(), std::runtime_error);
  EXPECT_THROW((void)d.get(), std::runtime_error);
}

TEST(SingleFlight, OutlivesTheCallerWhoStartedItWhileSomebodyWaits) {
  VirtualTime time;
  Flights flights;
  Calls calls;
  auto [ctx, cancel] = with_timeout(Context(), 5ms);
  auto first = time.spawn(ask(flights, ctx, "a", calls, 20ms));
  time.settle();
  auto second = time.spawn(ask(flights, {}, "a", calls, 20ms));
  time.advance(5ms);
  EXPECT_EQ(first.get().error(), Error::deadline_exceeded) << "each waiter keeps its own deadline";
  EXPECT_FALSE(second.done());
  time.advance(15ms);
  EXPECT_EQ(second.get().value(), -1);
  EXPECT_EQ(calls.cancelled, 0);
}

TEST(SingleFlight, IsCancelledWhenTheLastWaiterGivesUp) {
  VirtualTime time;
  Flights flights;
  Calls calls;
  auto [ctx, cancel] = with_timeout(Context(), 5ms);
  auto a = time.spawn(ask(flights, ctx, "a", calls, 1h));
  auto b = time.spawn(ask(flights, ctx, "a", calls, 1h));
  time.advance(5ms);
  EXPECT_EQ(a.get().error(), Error::deadline_exceeded);
  EXPECT_EQ(b.get().error(), Error::deadline_exceeded);
  EXPECT_EQ(calls.cancelled, 1);
  EXPECT_EQ(time.run(ask(flights, {}, "a", calls, 1ms)).value(), 2) << "the key is free";
  EXPECT_EQ(time.run(ask(flights, ctx, "a", calls, 1ms)).error(), Error::deadline_exceeded);
  EXPECT_EQ(calls.started, 2) << "a done context starts nothing";
}

TEST(SingleFlight, ForgottenItStartsAnew) {
  VirtualTime time;
  Flights flights;
  Calls calls;
  auto first = time.spawn(ask(flights, {}, "a", calls, 10ms));
  time.settle();
  flights.forget("a");
  auto second = time.spawn(ask(flights, {}, "a", calls, 20ms));
  time.advance(10ms);
  EXPECT_EQ(first.get().value(), 1);
  auto third = time.spawn(ask(flights, {}, "a", calls, 20ms));
  time.advance(10ms);
  EXPECT_EQ(second.get().value(), -2) << "the end of the forgotten one did not remove it";
  EXPECT_EQ(third.get().value(), -2);
}

TEST(SingleFlight, ForgottenWhenItIsTooOld) {
  VirtualTime time;
  Flights flights;
  Calls calls;
  auto first = time.spawn(ask(flights, {}, "a", calls, 10ms));
  time.advance(5ms);
  EXPECT_TRUE(flights.is_under_way("a"));
  flights.forget_if_older("a", time.now() - 5ms);
  EXPECT_TRUE(flights.is_under_way("a"));
  flights.forget_if_older("a", time.now() - 4ms);
  EXPECT_FALSE(flights.is_under_way("a"));
  flights.forget_if_older("b", time.now());
  auto second = time.spawn(ask(flights, {}, "a", calls, 10ms));
  time.advance(10ms);
  EXPECT_EQ(first.get().value(), 1);
  EXPECT_EQ(second.get().value(), 2);
}

TEST(SingleFlight, LearnsWhyTheLastWaiterGaveUp) {
  VirtualTime time;
  Flights flights;
  boost::system::error_code cause;
  auto work = [](Context ctx, boost::system::error_code* told) -> Task<Result<int>> {
    const auto slept = co_await sleep(ctx, 1h);
    *told = ctx.cause();
    co_return slept.error();
  };
  auto run = [](Flights& f, Context ctx, Task<Result<int>> (*w)(Context, boost::system::error_code*),
                boost::system::error_code* told) -> Task<> { (void)co_await f.run(ctx, "a", w, told); };
  auto [late, cancel_late] = with_timeout(Context(), 1ms);
  auto first = time.spawn(run(flights, late, work, &cause));
  time.advance(1ms);
  EXPECT_EQ(cause, Error::deadline_exceeded);
  auto [given_up, cancel] = with_cancel(Context());
  auto second = time.spawn(run(flights, given_up, work, &cause));
  time.settle();
  cancel();
  time.settle();
  EXPECT_EQ(cause, Error::canceled);
}

TEST(SingleFlight, GivesAllWhoseTimeIsOverWhatTheWorkComesToAtOnce) {
  VirtualTime time;
  Flights flights;
  auto work = [](Context ctx) -> Task<Result<int>> {
    (void)co_await sleep(ctx, 1h);
    co_return 7;  // it was there already
  };
  auto ask_for = [](Flights& f, Context ctx, Task<Result<int>> (*w)(Context)) -> Task<Result<int>> {
    const auto got = co_await f.run(ctx, "a", w);
    if (got.has_error()) co_return got.error();
    co_return got->value;
  };
  auto [ctx, cancel] = with_timeout(Context(), 5ms);
  auto a = time.spawn(ask_for(flights, ctx, work));
  auto b = time.spawn(ask_for(flights, ctx, work));
  time.advance(5ms);
  EXPECT_EQ(a.get().value(), 7);
  EXPECT_EQ(b.get().value(), 7);
  auto [given_up, give_up] = with_cancel(Context());
  auto c = time.spawn(ask_for(flights, given_up, work));
  time.settle();
  give_up();
  time.settle();
  EXPECT_EQ(c.get().error(), Error::canceled);
}

struct Tenant {
  using value_type = std::string;
};

TEST(SingleFlight, TheWorkSeesTheValuesButNotTheDeadlineOfItsStarter) {
  VirtualTime time;
  Flights flights;
  auto work = [](Context ctx) -> Task<Result<int>> {
    EXPECT_EQ(*ctx.value<Tenant>(), "x");
    EXPECT_FALSE(ctx.deadline().has_value());
    co_return 1;
  };
  auto run = [](Flights& f, Context ctx, Task<Result<int>> (*w)(Context)) -> Task<int> {
    const auto got = co_await f.run(ctx, "a", w);
    co_return got->value;
  };
  auto [ctx, cancel] = with_timeout(with_value<Tenant>(Context(), "x"), 1s);
  EXPECT_EQ(time.run(run(flights, ctx, work)), 1);
}

TEST(SingleFlight, WorkThatDiesWithItsLoopEndsItsWaiters) {
  const sluice::test::AllowLeftovers doomed_work;
  VirtualTime time;
  Flights flights;
  Calls calls;
  Spawned<Result<int>> waiting;
  {
    VirtualTime doomed;
    (void)doomed.spawn(ask(flights, {}, "a", calls, 1h));
    doomed.settle();
    waiting = time.spawn(ask(flights, {}, "a", calls, 1h));
    time.settle();
  }
  time.settle();
  ASSERT_TRUE(waiting.done());
  EXPECT_EQ(waiting.get().error(), Error::canceled);
}

Task<int> ask_often(Flights& flights, Calls& calls, int rounds, std::size_t who) {
  int got = 0;
  for (int i = 0; i < rounds; ++i) {
    auto [ctx, cancel] = with_timeout(Context(), (static_cast<std::size_t>(i) + who) % 5 == 0 ? 1ms : 1h);
    const auto value = co_await ask(flights, ctx, std::to_string(i % 3), calls, (i % 4) * 1ms / 2);
    if (value) ++got;
  }
  co_return got;
}

TEST(SingleFlightThreads, EveryPatientCallerGetsAValue) {
  LoopThreads loops(4);
  Flights flights;
  Calls calls;
  std::vector<std::future<int>> tasks;
  for (std::size_t i = 0; i < 8; ++i) tasks.push_back(loops.spawn(i, ask_often(flights, calls, 100, i)));
  int got = 0;
  for (auto& task : tasks) got += task.get();
  EXPECT_GE(got, 8 * 80);
  EXPECT_GT(calls.started, 0);
}

Task<> ask_in_vain(Flights& flights, Calls& calls) {
  (void)co_await ask(flights, Context(), "key", calls, 1ms);
}

TEST(SingleFlight, ThatCannotStartLeavesTheKeyFree) {
  Flights flights;
  Calls calls;
  boost::asio::io_context no_loop;
  std::exception_ptr thrown;
  const auto keep = [&thrown](std::exception_ptr e) { thrown = std::move(e); };
  boost::asio::co_spawn(no_loop, ask_in_vain(flights, calls), keep);
  no_loop.run();
  EXPECT_THROW(std::rethrow_exception(thrown), std::logic_error);
  EXPECT_FALSE(flights.is_under_way("key"));
  VirtualTime time;
  EXPECT_EQ(time.run(ask(flights, {}, "key", calls, 1ms)), Result<int>(1));
}

}  // namespace
}  // namespace sluice::concurrency
