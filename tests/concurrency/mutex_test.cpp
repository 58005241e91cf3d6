// Mutex and RwLock: exclusion, order, and nobody starves.
#include "concurrency/mutex.hpp"

#include "concurrency/sleep.hpp"
#include "concurrency/virtual_time.hpp"
#include "support/leak_check.hpp"
#include "support/loop_threads.hpp"

#include <atomic>
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

TEST(Mutex, IsHeldByOne) {
  VirtualTime time;
  Mutex mutex;
  EXPECT_TRUE(mutex.try_lock());
  EXPECT_FALSE(mutex.try_lock());
  auto waiting = time.spawn(mutex.lock({}));
  time.settle();
  EXPECT_FALSE(waiting.done());
  mutex.unlock();
  EXPECT_FALSE(mutex.try_lock()) << "handed over: nobody slips in between";
  time.settle();
  EXPECT_TRUE(waiting.get().has_value());
  mutex.unlock();
  EXPECT_TRUE(mutex.try_lock());
  mutex.unlock();
}

TEST(Mutex, UnlockingWhatIsNotLockedIsAnError) {
  VirtualTime time;
  Mutex mutex;
  EXPECT_THROW(mutex.unlock(), std::logic_error);
  EXPECT_TRUE(time.run(mutex.lock({})).has_value());
  mutex.unlock();
  EXPECT_THROW(mutex.unlock(), std::logic_error);
}

Task<> lock_and_note(Mutex& mutex, int id, std::vector<int>& order) {
  (void)co_await mutex.lock({});
  order.push_back(id);
  co_await boost::asio::post(Loop::current().executor(), boost::asio::deferred);
  mutex.unlock();
}

TEST(Mutex, IsHandedOverInOrderOfArrival) {
  VirtualTime time;
  Mutex mutex;
  std::vector<int> order;
  EXPECT_TRUE(mutex.try_lock());
  for (int i = 0; i < 10; ++i) (void)time.spawn(lock_and_note(mutex, i, order));
  time.settle();
  mutex.unlock();
  time.settle();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(Mutex, CancelRacesLoseNoLock) {
  VirtualTime time;
  Mutex mutex;
  EXPECT_TRUE(mutex.try_lock());
  auto [ctx, cancel] = with_cancel(Context());
  auto granted = time.spawn(mutex.lock(ctx));
  time.settle();
  mutex.unlock();
  cancel();
  time.settle();
  EXPECT_TRUE(granted.get().has_value()) << "granted, then cancelled";

  auto [ctx2, cancel2] = with_cancel(Context());
  auto front = time.spawn(mutex.lock(ctx2));
  auto behind = time.spawn(mutex.lock({}));
  time.settle();
  cancel2();
  mutex.unlock();
  time.settle();
  EXPECT_EQ(front.get().error(), Error::canceled) << "cancelled at the front";
  EXPECT_TRUE(behind.get().has_value());
  mutex.unlock();
  EXPECT_EQ(time.run(mutex.lock(ctx2)).error(), Error::canceled);
  EXPECT_TRUE(mutex.try_lock());
  mutex.unlock();
}

TEST(Mutex, AGuardUnlocks) {
  VirtualTime time;
  Mutex mutex;
  {
    const auto guard = time.run(mutex.hold({}));
    ASSERT_TRUE(guard.has_value());
    EXPECT_FALSE(mutex.try_lock());
    auto [ctx, cancel] = with_timeout(Context(), 1ms);
    EXPECT_EQ(time.run(mutex.hold(ctx)).error(), Error::deadline_exceeded);
  }
  EXPECT_TRUE(mutex.try_lock());
  mutex.unlock();
}

TEST(Mutex, HandedToADyingCoroutineItIsHandedOn) {
  const AllowLeftovers doomed_waiter;
  VirtualTime time;
  Mutex mutex;
  EXPECT_TRUE(mutex.try_lock());
  Spawned<Result<>> next;
  {
    VirtualTime doomed;
    (void)doomed.spawn(mutex.lock({}));
    doomed.settle();
    next = time.spawn(mutex.lock({}));
    time.settle();
    mutex.unlock();
  }
  time.settle();
  ASSERT_TRUE(next.done());
  mutex.unlock();
}

Task<> greedy(Mutex& mutex, bool& stop, long& locked) {
  while (!stop) {
    (void)co_await mutex.lock({});
    ++locked;
    mutex.unlock();
    co_await boost::asio::post(Loop::current().executor(), boost::asio::deferred);
    (void)co_await mutex.lock({});
    co_await boost::asio::post(Loop::current().executor(), boost::asio::deferred);  // always held when others look
    mutex.unlock();
  }
}
Task<> modest(Mutex& mutex, bool& stop, int rounds, long& greedy_locked, std::vector<long>& overtaken) {
  for (int i = 0; i < rounds; ++i) {
    const long before = greedy_locked;
    (void)co_await mutex.lock({});
    overtaken.push_back(greedy_locked - before);
    mutex.unlock();
    co_await boost::asio::post(Loop::current().executor(), boost::asio::deferred);
  }
  stop = true;
}

TEST(Mutex, AGreedyLockerCannotStarveTheOthers) {
  VirtualTime time;
  Mutex mutex;
  bool stop = false;
  long locked = 0;
  std::vector<long> overtaken;
  (void)time.spawn(greedy(mutex, stop, locked));
  (void)time.spawn(modest(mutex, stop, 1000, locked, overtaken));
  time.settle();
  ASSERT_EQ(overtaken.size(), 1000U);
  for (const long times : overtaken) EXPECT_LE(times, 1);
}

Task<long> count_up(Mutex& mutex, int rounds, long& counter, std::uint64_t seed) {
  Random random(seed);
  long counted = 0;
  for (int i = 0; i < rounds; ++i) {
    if (random.below(8) == 0) {
      auto [ctx, cancel] = with_timeout(Context(), 1ms);
      if (!(co_await mutex.lock(ctx)).has_value()) continue;
    } else if (!mutex.try_lock()) {
      (void)co_await mutex.lock({});
    }
    const long seen = counter;
    if (random.below(4) == 0) co_await boost::asio::post(Loop::current().executor(), boost::asio::deferred);
    counter = seen + 1;
    ++counted;
    mutex.unlock();
  }
  co_return counted;
}

TEST(MutexThreads, ExcludesAcrossThreads) {
  LoopThreads loops(4);
  Mutex mutex;
  long counter = 0;  // not atomic
  std::vector<std::future<long>> tasks;
  for (std::size_t i = 0; i < 8; ++i) tasks.push_back(loops.spawn(i, count_up(mutex, 1000, counter, i + 1)));
  long counted = 0;
  for (auto& task : tasks) counted += task.get();
  EXPECT_EQ(counter, counted);
  EXPECT_TRUE(mutex.try_lock());
  mutex.unlock();
}

TEST(MutexThreads, MayBeUnlockedByAnotherThread) {
  LoopThreads loops(2);
  Mutex mutex;
  EXPECT_TRUE(loops.spawn(0, mutex.lock({})).get().has_value());
  EXPECT_FALSE(mutex.try_lock());
  mutex.unlock();  // on a thread that runs no loop
  EXPECT_TRUE(mutex.try_lock());
  std::future<Result<>> next = loops.spawn(1, mutex.lock({}));
  mutex.unlock();
  EXPECT_TRUE(next.get().has_value());
  mutex.unlock();
  EXPECT_THROW(mutex.unlock(), std::logic_error);
}

// --- RwLock ---------------------------------------------------------------------------------------------------------

TEST(RwLock, ManyReadOrOneWrites) {
  VirtualTime time;
  RwLock lock;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(time.run(lock.rlock({})).has_value());
  EXPECT_FALSE(lock.try_lock());
  for (int i = 0; i < 3; ++i) lock.runlock();
  EXPECT_TRUE(lock.try_lock());
  EXPECT_FALSE(lock.try_rlock());
  EXPECT_FALSE(lock.try_lock());
  lock.unlock();
  EXPECT_TRUE(lock.try_rlock());
  lock.runlock();
}

TEST(RwLock, AWaitingWriterHoldsBackNewReaders) {
  VirtualTime time;
  RwLock lock;
  EXPECT_TRUE(lock.try_rlock());
  auto writer = time.spawn(lock.lock({}));
  time.settle();
  EXPECT_FALSE(lock.try_rlock());
  auto reader = time.spawn(lock.rlock({}));
  auto reader2 = time.spawn(lock.rlock({}));
  time.settle();
  EXPECT_FALSE(writer.done() || reader.done());
  lock.runlock();
  time.settle();
  EXPECT_TRUE(writer.done());
  EXPECT_FALSE(reader.done());
  lock.unlock();
  time.settle();
  EXPECT_TRUE(reader.done() && reader2.done()) << "all readers that waited, at once";
  lock.runlock();
  lock.runlock();
}

TEST(RwLock, ACancelledWriterLetsTheReadersIn) {
  VirtualTime time;
  RwLock lock;
  EXPECT_TRUE(lock.try_rlock());
  auto [ctx, cancel] = with_cancel(Context());
  auto writer = time.spawn(lock.lock(ctx));
  auto reader = time.spawn(lock.rlock({}));
  time.settle();
  EXPECT_FALSE(reader.done());
  cancel();
  time.settle();
  EXPECT_EQ(writer.get().error(), Error::canceled);
  EXPECT_TRUE(reader.done()) << "although a reader still holds it";
  lock.runlock();
  lock.runlock();
  EXPECT_TRUE(lock.try_lock());
  lock.unlock();
}

TEST(RwLock, MisuseIsAnError) {
  RwLock lock;
  EXPECT_THROW(lock.unlock(), std::logic_error);
  EXPECT_THROW(lock.runlock(), std::logic_error);
  EXPECT_TRUE(lock.try_rlock());
  EXPECT_THROW(lock.unlock(), std::logic_error);
  lock.runlock();
  EXPECT_TRUE(lock.try_lock());
  EXPECT_THROW(lock.runlock(), std::logic_error);
  lock.unlock();
}

TEST(RwLock, MisuseIsAnErrorAlsoWhileWhoeverIsNextHasNotRunYet) {
  VirtualTime time;
  RwLock lock;
  EXPECT_TRUE(lock.try_rlock());
  auto writer = time.spawn(lock.lock({}));
  time.settle();
  lock.runlock();
  EXPECT_THROW(lock.runlock(), std::logic_error);
  EXPECT_THROW(lock.unlock(), std::logic_error);
  time.settle();
  EXPECT_TRUE(writer.done());
  EXPECT_FALSE(lock.try_rlock());
  lock.unlock();
  EXPECT_TRUE(lock.try_lock());
  lock.unlock();
}

TEST(RwLock, GuardsUnlock) {
  VirtualTime time;
  RwLock lock;
  {
    const auto a = time.run(lock.rhold({}));
    const auto b = time.run(lock.rhold({}));
    EXPECT_FALSE(lock.try_lock());
  }
  {
    const auto writing = time.run(lock.hold({}));
    EXPECT_FALSE(lock.try_rlock());
  }
  EXPECT_TRUE(lock.try_lock());
  lock.unlock();
}

struct Shared {
  RwLock lock;
  std::atomic<int> activity = 0;  // readers, and 10,000 for each writer: as Go's hammer counts
  long value = 0;
};

Task<> read_often(Shared& shared, int rounds) {
  long last = 0;
  for (int i = 0; i < rounds; ++i) {
    (void)co_await shared.lock.rlock({});
    EXPECT_LT(++shared.activity, 10'000);
    EXPECT_GE(shared.value, last);
    last = shared.value;
    if (i % 5 == 0) co_await boost::asio::post(Loop::current().executor(), boost::asio::deferred);
    --shared.activity;
    shared.lock.runlock();
  }
}
Task<> write_often(Shared& shared, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    (void)co_await shared.lock.lock({});
    EXPECT_EQ(shared.activity += 10'000, 10'000);
    ++shared.value;
    if (i % 5 == 0) co_await boost::asio::post(Loop::current().executor(), boost::asio::deferred);
    shared.activity -= 10'000;
    shared.lock.unlock();
  }
}

TEST(RwLockThreads, ReadersAndWritersExcludeEachOther) {
  LoopThreads loops(4);
  Shared shared;
  std::vector<std::future<void>> tasks;
  for (std::size_t i = 0; i < 2; ++i) tasks.push_back(loops.spawn(i, write_often(shared, 500)));
  for (std::size_t i = 0; i < 8; ++i) tasks.push_back(loops.spawn(i, read_often(shared, 500)));
  for (auto& task : tasks) task.get();
  EXPECT_EQ(shared.value, 1000);
}

}  // namespace
}  // namespace sluice::concurrency
