// Context across threads: cancelling, arming and dying in every order.
#include "concurrency/context.hpp"
#include "concurrency/sleep.hpp"
#include "support/loop_threads.hpp"

#include <atomic>
#include <barrier>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::concurrency {
namespace {

using namespace std::chrono_literals;
using boost::system::error_code;
using sluice::test::LoopThreads;

const error_code kParentCause = make_error_code(boost::system::errc::host_unreachable);
const error_code kChildCause = make_error_code(boost::system::errc::broken_pipe);

struct Number {
  using value_type = int;
};

TEST(AfterFunc, StopAndCancelFromTwoThreadsAgree) {
  LoopThreads loops(1);
  for (int round = 0; round < 300; ++round) {
    auto [ctx, cancel] = with_cancel(Context());
    std::atomic<int> ran = 0;
    auto start = [](Context c, std::atomic<int>& counter) -> Task<std::shared_ptr<Stop>> {
      co_return std::make_shared<Stop>(after_func(c, [&counter] { ++counter; }));
    };
    const auto stop = loops.spawn(0, start(ctx, ran)).get();
    std::thread canceller([&c = cancel] { c(); });
    const bool stopped = (*stop)();
    canceller.join();
    auto turn = []() -> Task<> { co_return; };
    loops.spawn(0, turn()).get();
    EXPECT_EQ(ran, stopped ? 0 : 1);
  }
}

TEST(ContextThreads, WhenAnyCancelReturnsAllDescendantsAreDone) {
  for (int round = 0; round < 300; ++round) {
    auto [parent, cancel] = with_cancel(Context());
    std::vector<Cancellable> children;
    Context deep = parent;
    for (int i = 0; i < 50; ++i) {
      children.push_back(with_cancel(i % 2 == 0 ? parent : deep));
      deep = children.back().ctx;
    }
    std::barrier start(3);
    std::atomic<int> undone = 0;
    const auto race = [&, &c = cancel](error_code cause) {
      start.arrive_and_wait();
      c(cause);
      for (const Cancellable& child : children) {
        if (!child.ctx.is_done()) ++undone;
      }
    };
    std::thread a(race, kParentCause);
    std::thread b(race, kChildCause);
    start.arrive_and_wait();
    children[17].cancel();
    a.join();
    b.join();
    EXPECT_EQ(undone, 0);
    EXPECT_EQ(parent.err(), Error::canceled);
    EXPECT_TRUE(parent.cause() == kParentCause || parent.cause() == kChildCause);
  }
}

TEST(ContextThreads, InterlockedCancelsOfParentAndChildDoNotDeadlock) {
  for (int round = 0; round < 300; ++round) {
    auto a = with_cancel(Context());
    auto b = with_cancel(a.ctx);
    auto c = with_cancel(b.ctx);
    std::thread one([&] { a.cancel(); });
    std::thread two([&] { c.cancel(); });
    b.cancel();
    one.join();
    two.join();
    EXPECT_TRUE(c.ctx.is_done());
  }
}

TEST(ContextThreads, ChildrenMayBeMadeAndDieWhileTheParentEnds) {
  for (int round = 0; round < 50; ++round) {
    auto [parent, cancel] = with_cancel(Context());
    std::barrier start(4);
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&start, ctx = parent] {
        start.arrive_and_wait();
        for (int i = 0; i < 200; ++i) {
          auto [child, cancel_child] = with_cancel(ctx);
          auto [grandchild, cancel_grandchild] = with_cancel(with_value<Number>(child, i));
          if (i % 3 == 0) cancel_child();
          if (child.is_done()) {
            EXPECT_TRUE(grandchild.is_done() || i % 3 != 0);
          }
        }
      });
    }
    start.arrive_and_wait();
    cancel();
    for (std::thread& thread : threads) thread.join();
  }
}

Task<> make_timeouts_under(Context parent, int count) {
  for (int i = 0; i < count; ++i) {
    auto [child, cancel] = with_timeout(parent, 1h);
    auto [below, cancel_below] = with_timeout(child, 30min);
    if (!parent.is_done()) continue;
    co_await below.done();  // perhaps not yet: another thread is on its way down
    EXPECT_EQ(below.err(), Error::canceled);
  }
}

TEST(ContextThreads, DeadlinesMayBeArmedWhileAnotherThreadCancelsTheParent) {
  LoopThreads loops(2);
  for (int round = 0; round < 100; ++round) {
    auto [parent, cancel] = with_cancel(Context());
    auto a = loops.spawn(0, make_timeouts_under(parent, 50));
    auto b = loops.spawn(1, make_timeouts_under(parent, 50));
    cancel();
    a.get();
    b.get();
  }
}

Task<bool> has_timers() {
  co_return Loop::current().next_timer().has_value();
}

TEST(ContextThreads, CancellingFromAnotherThreadGivesTheTimerBack) {
  LoopThreads loops(1);
  std::vector<Context> contexts;
  for (int i = 0; i < 100; ++i) {
    auto cancellable = std::make_shared<std::optional<Cancellable>>();
    auto make = [](std::shared_ptr<std::optional<Cancellable>> out) -> Task<> {
      out->emplace(with_timeout(Context(), 1h));
      co_return;
    };
    loops.spawn(0, make(cancellable)).get();
    (*cancellable)->cancel();
    EXPECT_EQ((*cancellable)->ctx.err(), Error::canceled);
  }
  EXPECT_FALSE(loops.spawn(0, has_timers()).get());
}

Task<int> count_wakes(Context ctx, int rounds) {
  int woken = 0;
  for (int i = 0; i < rounds; ++i) {
    auto [child, cancel] = with_cancel(ctx);
    if (!(co_await sleep(child, 1h)).has_value()) ++woken;
    if (ctx.is_done()) break;
  }
  co_return woken;
}

TEST(ContextThreads, ASleepEndsOnItsOwnLoopWhenAnotherThreadCancels) {
  for (int round = 0; round < 50; ++round) {
    LoopThreads loops(2);
    auto [ctx, cancel] = with_cancel(Context());
    auto a = loops.spawn(0, count_wakes(ctx, 10));
    auto b = loops.spawn(1, count_wakes(ctx, 10));
    cancel();
    EXPECT_EQ(a.get(), 1);
    EXPECT_EQ(b.get(), 1);
  }
}

}  // namespace
}  // namespace sluice::concurrency
