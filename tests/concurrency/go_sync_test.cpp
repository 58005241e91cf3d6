// What Go's tests of sync, errgroup, singleflight and context insist on, in our own words.
#include "concurrency/context.hpp"
#include "concurrency/errgroup.hpp"
#include "concurrency/mutex.hpp"
#include "concurrency/pool.hpp"
#include "concurrency/semaphore.hpp"
#include "concurrency/sleep.hpp"
#include "concurrency/virtual_time.hpp"
#include "concurrency/wait_group.hpp"
#include "support/loop_threads.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

namespace sluice::concurrency {
namespace {

using namespace std::chrono_literals;
using boost::system::error_code;
using sluice::test::LoopThreads;

// --------------------------------- objects that end as soon as their last user says so (TestWaitGroupRace)

Task<> finish_one(WaitGroup& group, std::atomic<int>& count) {
  ++count;
  group.done();
  co_return;
}
Task<int> wait_on_stack(LoopThreads& loops) {
  std::atomic<int> count = 0;
  std::optional<WaitGroup> group(std::in_place);
  group->add(2);
  for (std::size_t i = 1; i <= 2; ++i) {
    boost::asio::co_spawn(loops.loop(i).executor(), finish_one(*group, count), boost::asio::detached);
  }
  (void)co_await group->wait();
  group.reset();
  co_return count;
}

TEST(GoWaitGroupThreads, MayEndAsSoonAsWaitReturns) {
  LoopThreads loops(3);
  for (int i = 0; i < 2000; ++i) EXPECT_EQ(loops.spawn(0, wait_on_stack(loops)).get(), 2);
}

Task<> unlock_last(std::shared_ptr<Mutex> mutex, int& guarded) {
  const auto held = co_await mutex->hold({});
  ++guarded;
}

TEST(GoMutexThreads, MayEndWithItsLastUser) {
  LoopThreads loops(3);
  for (int i = 0; i < 2000; ++i) {
    int guarded = 0;
    auto mutex = std::make_shared<Mutex>();
    std::array<std::future<void>, 3> users;
    for (std::size_t u = 0; u < users.size(); ++u) users[u] = loops.spawn(u, unlock_last(mutex, guarded));
    mutex.reset();
    for (auto& user : users) user.get();
    EXPECT_EQ(guarded, 3);
  }
}

// --------------------------------- Mutex (HammerMutex tries, too)

Task<> hammer(Mutex& mutex, int rounds, int& guarded, std::atomic<int>& done) {
  for (int i = 0; i < rounds; ++i) {
    if (i % 3 == 0) {
      if (!mutex.try_lock()) continue;
    } else {
      auto [ctx, cancel] = with_cancel(Context());
      if (i % 3 == 1) cancel();
      const Result<> locked = co_await mutex.lock(ctx);
      if (!locked) continue;
    }
    ++guarded;
    ++done;
    mutex.unlock();
  }
}

TEST(GoMutexThreads, TryingGivingUpAndWaitingExcludeEachOther) {
  Mutex mutex;
  int guarded = 0;
  std::atomic<int> done = 0;
  {
    LoopThreads loops(4);
    std::vector<std::future<void>> users;
    for (std::size_t i = 0; i < 8; ++i) users.push_back(loops.spawn(i, hammer(mutex, 3000, guarded, done)));
    for (auto& user : users) user.get();
  }
  EXPECT_EQ(guarded, done);
  EXPECT_TRUE(mutex.try_lock());
}

// --------------------------------- errgroup: which error wins (TestWithContext)

Task<Result<>> end_with(error_code ec, Duration after_this) {
  (void)co_await sleep({}, after_this);
  if (ec) co_return ec;
  co_return Result<>();
}

TEST(GoErrGroup, TheFirstErrorInTimeIsTheOneWhateverTheOrderOfStarting) {
  const error_code a = make_error_code(boost::system::errc::io_error);
  const error_code b = make_error_code(boost::system::errc::bad_message);
  struct Row {
    std::vector<error_code> errors;  // the n-th ends n ms before the one in front of it
    error_code want;
  };
  const std::array<Row, 5> rows{{{{}, {}}, {{{}}, {}}, {{a}, a}, {{a, {}, b}, b}, {{{}, a, {}}, a}}};
  for (const Row& row : rows) {
    VirtualTime time;
    auto [group, ctx] = ErrGroup::with_context(Context());
    Duration wait = 10ms;
    for (const error_code& ec : row.errors) group.go(end_with, ec, wait -= 1ms);
    const Result<> result = time.run(group.wait());
    EXPECT_EQ(result.has_error() ? result.error() : error_code(), row.want);
    EXPECT_EQ(ctx.err(), Error::canceled);
    EXPECT_EQ(ctx.cause(), row.want ? row.want : make_error_code(Error::canceled));
  }
}

Task<> start_more(ErrGroup& group, int depth, int& ran) {
  ++ran;
  if (depth == 0) co_return;
  for (int i = 0; i < 2; ++i) group.go(start_more, std::ref(group), depth - 1, std::ref(ran));
  (void)co_await sleep({}, 1ms);
}

TEST(GoErrGroup, TasksMayStartTasksAndWaitSeesThemAll) {
  VirtualTime time;
  auto [group, ctx] = ErrGroup::with_context(Context());
  int ran = 0;
  group.go(start_more, std::ref(group), 8, std::ref(ran));
  EXPECT_TRUE(time.run(group.wait()).has_value());
  EXPECT_EQ(ran, 511);
}

TEST(GoErrGroup, AThrownErrorFreesItsPlaceUnderTheLimit) {
  VirtualTime time;
  auto [group, ctx] = ErrGroup::with_context(Context());
  group.set_limit(1);
  int ran = 0;
  const auto fail = [](int& count) -> Task<> {
    ++count;
    throw std::runtime_error("no");
    co_return;
  };
  for (int i = 0; i < 3; ++i) group.go(fail, std::ref(ran));
  EXPECT_THROW((void)time.run(group.wait()), std::runtime_error);
  EXPECT_EQ(ran, 3);
  group.set_limit(2);  // none runs
}

TEST(GoErrGroup, StartingATaskWithoutALoopIsAnErrorAndChangesNothing) {
  auto [group, ctx] = ErrGroup::with_context(Context());
  group.set_limit(1);
  EXPECT_THROW(group.go(end_with, error_code(), 1ms), std::logic_error);
  EXPECT_THROW((void)group.try_go(end_with, error_code(), 1ms), std::logic_error);
  VirtualTime time;
  EXPECT_FALSE(ctx.is_done());
  EXPECT_TRUE(group.try_go(end_with, error_code(), 1ms));
  EXPECT_TRUE(time.run(group.wait()).has_value());
}

Task<int> three() {
  (void)co_await sleep({}, 1ms);
  co_return 3;
}

TEST(Collect, OfSeveralWhoWaitForTheLastOutcomeOneGetsItAndNoneWaitsForEver) {
  VirtualTime time;
  Collect<int> calls(Context(), 1);
  auto nobody = time.spawn(calls.next({}));
  time.settle();
  EXPECT_EQ(nobody.get().error(), Error::closed) << "none was started";
  (void)calls.go(three);
  auto [ctx, cancel] = with_cancel(Context());
  auto given_up = time.spawn(calls.next(ctx));
  time.settle();
  cancel();
  time.settle();
  EXPECT_EQ(given_up.get().error(), Error::canceled);
  auto first = time.spawn(calls.next({}));
  auto second = time.spawn(calls.next({}));
  time.advance(1ms);
  EXPECT_EQ(first.get()->result, Result<int>(3));
  EXPECT_EQ(second.get().error(), Error::closed);
}

// --------------------------------- misuse names what was misused

std::string message_of(const std::function<void()>& misuse) {
  try {
    misuse();
  } catch (const std::logic_error& e) {
    return e.what();
  }
  return "";
}

TEST(GoRwLock, UnlockingWhatIsNotHeldInThatWaySaysSo) {
  RwLock lock;
  EXPECT_EQ(message_of([&] { lock.runlock(); }), "RwLock: unlocked for reading, but not locked for reading");
  EXPECT_EQ(message_of([&] { lock.unlock(); }), "RwLock: unlocked, but not locked for writing");
  EXPECT_TRUE(lock.try_lock());
  EXPECT_EQ(message_of([&] { lock.runlock(); }), "RwLock: unlocked for reading, but not locked for reading");
  lock.unlock();
  EXPECT_TRUE(lock.try_rlock());
  EXPECT_EQ(message_of([&] { lock.unlock(); }), "RwLock: unlocked, but not locked for writing");
  lock.runlock();
  EXPECT_TRUE(lock.try_lock()) << "misuse has changed nothing";
  lock.unlock();
}

// --------------------------------- what is free may be tried for, though who was served has not run yet

TEST(GoSemaphore, TriesAgreeWithWhatIsFreeBeforeWhoWasServedRuns) {
  VirtualTime time;
  Semaphore semaphore(10);
  EXPECT_TRUE(semaphore.try_acquire(10));
  auto waiting = time.spawn(semaphore.acquire({}, 3));
  time.settle();
  semaphore.release(10);
  EXPECT_FALSE(semaphore.try_acquire(8));
  EXPECT_TRUE(semaphore.try_acquire(7));
  EXPECT_FALSE(semaphore.try_acquire(1));
  EXPECT_THROW(semaphore.release(11), std::logic_error);
  semaphore.release(10);
  EXPECT_TRUE(semaphore.try_acquire(10));
  time.settle();
  EXPECT_TRUE(waiting.done());
  EXPECT_FALSE(semaphore.try_acquire(1));
  semaphore.release(10);
  EXPECT_THROW(semaphore.release(1), std::logic_error);
}

// --------------------------------- context: its errors as others know them (TestDeadlineExceededSupportsTimeout)

TEST(GoContext, ItsErrorsAreConditionsOfTheSystem) {
  EXPECT_EQ(make_error_code(Error::deadline_exceeded), boost::system::errc::timed_out);
  EXPECT_EQ(make_error_code(Error::canceled), boost::system::errc::operation_canceled);
  EXPECT_NE(make_error_code(Error::closed), boost::system::errc::timed_out);
}

Task<> done_of_its_own() {
  auto made = with_timeout(Context(), 1ms);
  const Context ctx = std::move(made.ctx);
  Task<> done = Context(ctx).done();
  co_await std::move(done);
  EXPECT_EQ(ctx.err(), Error::deadline_exceeded);
}

TEST(GoContext, DoneMayOutliveItsHandle) {
  VirtualTime time;
  time.run(done_of_its_own());
}

// --------------------------------- context: what after_func may do

TEST(GoAfterFunc, MayCancelStopAndStartOthers) {
  VirtualTime time;
  auto root = with_cancel(Context());
  auto child = with_cancel(root.ctx);
  int ran = 0;
  std::optional<Stop> own;
  own.emplace(after_func(child.ctx, [&] {
    ++ran;
    EXPECT_FALSE((*own)());
    root.cancel();
    (void)after_func(root.ctx, [&] { ran += 10; });
  }));
  const Stop other = after_func(root.ctx, [&] { ran += 100; });
  child.cancel();
  EXPECT_EQ(ran, 0) << "in a turn of its own";
  time.settle();
  EXPECT_EQ(ran, 111);
  EXPECT_FALSE(other());
}

struct Held {
  using value_type = std::shared_ptr<Cancel>;
};

TEST(GoContext, AValueMayHoldTheCancelOfAnotherContext) {
  VirtualTime time;
  auto other = with_cancel(Context());
  {
    auto made = with_cancel(Context());
    const Context named = with_value<Held>(made.ctx, std::make_shared<Cancel>(std::move(other.cancel)));
    EXPECT_FALSE(other.ctx.is_done());
  }
  EXPECT_TRUE(other.ctx.is_done());
}

// --------------------------------- context on threads: children come and go while others cancel (TestCauseRace)

Task<> make_children(Context parent, std::uint64_t seed) {
  Random random(seed);
  for (int i = 0; i < 300; ++i) {
    auto [ctx, cancel] = random.below(2) == 0 ? with_cancel(parent) : with_timeout(parent, 1h);
    const Context named = with_value<Held>(ctx, nullptr);
    auto [leaf, cancel_leaf] = with_cancel(named);
    const Stop stop = after_func(leaf, [] {});
    if (random.below(3) == 0) cancel();
    if (random.below(3) == 0) (void)stop();
    if (ctx.is_done()) {
      const error_code err = ctx.err();
      EXPECT_EQ(err, Error::canceled);
      EXPECT_TRUE(static_cast<bool>(ctx.cause()));
    }
    if (random.below(4) == 0) co_await boost::asio::post(Loop::current().executor(), boost::asio::deferred);
  }
}
Task<> cancel_soon(std::shared_ptr<Cancellable> made, int turns) {
  for (int i = 0; i < turns; ++i) co_await boost::asio::post(Loop::current().executor(), boost::asio::deferred);
  made->cancel(make_error_code(boost::system::errc::io_error));
}

TEST(GoContextThreads, ChildrenComeAndGoWhileTheirAncestorsEnd) {
  LoopThreads loops(4);
  for (std::uint64_t round = 0; round < 20; ++round) {
    auto root = std::make_shared<Cancellable>(with_cancel(Context()));
    auto middle = std::make_shared<Cancellable>(with_cancel(root->ctx));
    std::vector<std::future<void>> tasks;
    for (std::size_t i = 0; i < 4; ++i) tasks.push_back(loops.spawn(i, make_children(middle->ctx, round * 4 + i + 1)));
    tasks.push_back(loops.spawn(2, cancel_soon(root, static_cast<int>(round))));
    tasks.push_back(loops.spawn(3, cancel_soon(middle, static_cast<int>(round))));
    for (auto& task : tasks) task.get();
    EXPECT_EQ(middle->ctx.cause(), make_error_code(boost::system::errc::io_error));
  }
}

// --------------------------------- LeasePool: whatever opening does

Task<Result<int>> open_badly(Context ctx, int& opened) {
  const int which = opened++;
  if (which == 0) throw std::runtime_error("no");
  const Result<> slept = co_await sleep(std::move(ctx), 10ms);
  if (!slept) co_return slept.error();
  co_return which;
}

TEST(LeasePool, AnOpeningThatThrowsOrIsGivenUpLeavesItsPlaceFree) {
  VirtualTime time;
  int opened = 0;
  LeasePool<int> pool(1, [&opened](Context ctx) { return open_badly(std::move(ctx), opened); });
  EXPECT_THROW((void)time.run(pool.acquire({})), std::runtime_error);
  auto [ctx, cancel] = with_timeout(Context(), 5ms);
  EXPECT_EQ(time.run(pool.acquire(ctx)).error(), Error::deadline_exceeded);
  const auto lease = time.run(pool.acquire({}));
  EXPECT_EQ(**lease, 2);
}

}  // namespace
}  // namespace sluice::concurrency
