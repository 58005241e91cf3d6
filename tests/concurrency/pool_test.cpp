// Pool and LeasePool: what is recycled, and what is lent.
#include "concurrency/pool.hpp"

#include "concurrency/sleep.hpp"
#include "concurrency/virtual_time.hpp"
#include "support/loop_threads.hpp"

#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::concurrency {
namespace {

using namespace std::chrono_literals;
using sluice::test::LoopThreads;

TEST(Pool, GivesBackWhatWasPutNewestFirst) {
  Pool<int> pool;
  EXPECT_EQ(pool.get(), nullptr);
  pool.put(nullptr);
  EXPECT_EQ(pool.get(), nullptr);
  pool.put(std::make_unique<int>(1));
  pool.put(std::make_unique<int>(2));
  EXPECT_EQ(*pool.get(), 2);
  EXPECT_EQ(*pool.get(), 1);
  EXPECT_EQ(pool.get(), nullptr);
}

TEST(Pool, MakesWhatItHasNot) {
  int made = 0;
  Pool<int> pool([&made] { return std::make_unique<int>(++made); });
  EXPECT_EQ(*pool.get(), 1);
  auto two = pool.get();
  EXPECT_EQ(*two, 2);
  pool.put(std::move(two));
  EXPECT_EQ(*pool.get(), 2);
  EXPECT_EQ(made, 2);
}

TEST(Pool, KeepsABoundedNumberAndDropsAllWhenCleared) {
  const auto tracked = std::make_shared<int>(0);
  Pool<std::shared_ptr<int>> pool;
  for (int i = 0; i < 1000; ++i) pool.put(std::make_unique<std::shared_ptr<int>>(tracked));
  EXPECT_LE(tracked.use_count(), 65);
  EXPECT_GT(tracked.use_count(), 1);
  pool.clear();
  EXPECT_EQ(tracked.use_count(), 1);
}

TEST(Pool, AThreadFindsWhatAnotherPut) {
  Pool<int> pool;
  std::thread([&pool] { pool.put(std::make_unique<int>(5)); }).join();
  const auto found = pool.get();
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(*found, 5);
}

TEST(PoolThreads, NoItemIsEverHadByTwo) {
  Pool<int> pool([] { return std::make_unique<int>(0); });
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&pool, t] {
      for (int i = 0; i < 5000; ++i) {
        auto item = pool.get();
        *item = t;  // TSan would see a second owner, and so would this
        if (i % 100 == 0) pool.clear();
        EXPECT_EQ(*item, t);
        pool.put(std::move(item));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// --- LeasePool ------------------------------------------------------------------------------------------------------

struct Connection {
  Connection(int i, int& alive) : id(i), count(&alive) { ++*count; }
  Connection(Connection&& other) noexcept : id(other.id), count(std::exchange(other.count, nullptr)) {}
  ~Connection() {
    if (count != nullptr) --*count;
  }
  Connection& operator=(Connection&&) = delete;
  int id;
  int* count;
};

struct Opener {
  int opened = 0;
  int alive = 0;
  bool fails = false;
};

using Connections = LeasePool<std::shared_ptr<Connection>>;

Task<Result<std::shared_ptr<Connection>>> open(Opener& opener, Context ctx) {
  if (const auto slept = co_await sleep(ctx, 1ms); !slept) co_return slept.error();
  if (opener.fails) co_return make_error_code(boost::system::errc::connection_refused);
  co_return std::make_shared<Connection>(++opener.opened, opener.alive);
}

Connections make_pool(Opener& opener, std::size_t most) {
  return Connections(most, [&opener](Context ctx) { return open(opener, std::move(ctx)); });
}

TEST(LeasePool, OpensUpToItsBoundAndReusesTheNewestFirst) {
  VirtualTime time;
  Opener opener;
  auto pool = make_pool(opener, 3);
  {
    auto a = time.run(pool.acquire({}));
    auto b = time.run(pool.acquire({}));
    EXPECT_EQ((**a)->id, 1);
    EXPECT_EQ((**b)->id, 2);
    EXPECT_EQ(pool.idle(), 0U);
  }
  EXPECT_EQ(pool.idle(), 2U);
  EXPECT_EQ((**time.run(pool.acquire({})))->id, 1) << "b went back first, a last";
  EXPECT_EQ(opener.opened, 2);
  pool.drop_idle();
  EXPECT_EQ(opener.alive, 0);
  EXPECT_EQ((**time.run(pool.acquire({})))->id, 3);
}

Task<> use(Connections& pool, int id, std::vector<int>& order, Duration duration) {
  auto lease = co_await pool.acquire({});
  EXPECT_TRUE(lease.has_value());
  order.push_back(id);
  (void)co_await sleep({}, duration);
}

TEST(LeasePool, ServesThoseWhoWaitInOrderOfArrival) {
  VirtualTime time;
  Opener opener;
  auto pool = make_pool(opener, 2);
  std::vector<int> order;
  std::vector<Spawned<void>> users;
  for (int i = 0; i < 10; ++i) users.push_back(time.spawn(use(pool, i, order, 5ms)));
  time.advance(100ms);
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(opener.opened, 2);
}

TEST(LeasePool, ACancelledWaitOrAFailedOpeningConsumesNothing) {
  VirtualTime time;
  Opener opener;
  auto pool = make_pool(opener, 1);
  {
    const auto held = time.run(pool.acquire({}));
    auto [ctx, cancel] = with_timeout(Context(), 5ms);
    EXPECT_EQ(time.run(pool.acquire(ctx)).error(), Error::deadline_exceeded);
  }
  pool.drop_idle();
  opener.fails = true;
  EXPECT_EQ(time.run(pool.acquire({})).error(), boost::system::errc::connection_refused);
  auto [ctx, cancel] = with_cancel(Context());
  auto opening = time.spawn(pool.acquire(ctx));
  time.settle();
  cancel();
  time.settle();
  EXPECT_EQ(opening.get().error(), Error::canceled);
  opener.fails = false;
  EXPECT_TRUE(time.run(pool.acquire({})).has_value());
}

TEST(LeasePool, WhatIsDiscardedIsReplaced) {
  VirtualTime time;
  Opener opener;
  auto pool = make_pool(opener, 1);
  auto lease = time.run(pool.acquire({}));
  auto waiting = time.spawn(pool.acquire({}));
  time.settle();
  lease->discard();
  EXPECT_FALSE(static_cast<bool>(*lease));
  EXPECT_EQ(opener.alive, 0);
  time.advance(1ms);
  ASSERT_TRUE(waiting.done());
  EXPECT_EQ((**waiting.get())->id, 2);
}

TEST(LeasePool, LeasesMayOutliveThePool) {
  VirtualTime time;
  Opener opener;
  {
    auto pool = std::make_unique<Connections>(make_pool(opener, 2));
    auto lease = time.run(pool->acquire({}));
    (void)time.run(pool->acquire({}));
    EXPECT_EQ(opener.alive, 2);
    pool.reset();
    EXPECT_EQ(opener.alive, 1);
  }
  EXPECT_EQ(opener.alive, 0);
}

Task<> lease_often(LeasePool<int>& pool, int rounds, std::atomic<int>& held) {
  for (int i = 0; i < rounds; ++i) {
    auto [ctx, cancel] = with_timeout(Context(), i % 5 == 0 ? 1ms : 1h);
    auto lease = co_await pool.acquire(ctx);
    if (!lease) continue;
    EXPECT_LE(++held, 3);
    --held;
    if (i % 9 == 0) lease->discard();
  }
}

Task<Result<int>> open_number(std::atomic<int>& opened) {
  co_return ++opened;
}

TEST(LeasePool, ThatWasMovedFromSaysSo) {
  VirtualTime time;
  LeasePool<int> pool(1, [](Context) -> Task<Result<int>> { co_return 1; });
  LeasePool<int> moved = std::move(pool);
  EXPECT_THROW((void)pool.acquire({}), std::logic_error);  // NOLINT(bugprone-use-after-move)
  EXPECT_THROW((void)pool.idle(), std::logic_error);
  EXPECT_THROW(pool.drop_idle(), std::logic_error);
  EXPECT_EQ(**time.run(moved.acquire({})), 1);
}

TEST(LeasePoolThreads, NeverLendsMoreThanItsBound) {
  std::atomic<int> opened = 0;
  LeasePool<int> pool(3, [&opened](Context) { return open_number(opened); });
  std::atomic<int> held = 0;
  {
    LoopThreads loops(4);
    std::vector<std::future<void>> tasks;
    for (std::size_t i = 0; i < 8; ++i) tasks.push_back(loops.spawn(i, lease_often(pool, 500, held)));
    for (auto& task : tasks) task.get();
  }
  EXPECT_LE(pool.idle(), 3U);
}

}  // namespace
}  // namespace sluice::concurrency
