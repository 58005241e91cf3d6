// Everything at once, at random: what a dying loop's coroutines held is given back at whatever moment it dies.
#include "concurrency/channel.hpp"
#include "concurrency/context.hpp"
#include "concurrency/errgroup.hpp"
#include "concurrency/mutex.hpp"
#include "concurrency/pool.hpp"
#include "concurrency/select.hpp"
#include "concurrency/semaphore.hpp"
#include "concurrency/single_flight.hpp"
#include "concurrency/sleep.hpp"
#include "concurrency/timer.hpp"
#include "concurrency/virtual_time.hpp"
#include "support/leak_check.hpp"
#include "support/loop_threads.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::concurrency {
namespace {

using namespace std::chrono_literals;
using sluice::test::AllowLeftovers;
using sluice::test::LoopThreads;

struct Shared {
  Mutex mutex;
  RwLock rwlock;
  Semaphore semaphore{3};
  Channel<std::shared_ptr<int>> unbuffered{0};
  Channel<std::shared_ptr<int>> buffered{2};
  SingleFlight<int, int> flights;
  LeasePool<int> pool{2, [](Context) -> Task<Result<int>> {
                        (void)co_await sleep({}, 1ms);
                        co_return 1;
                      }};
  std::atomic<int> live = 0;
};

class Alive {
 public:
  explicit Alive(std::atomic<int>& live) : live_(live) { ++live_; }
  Alive(const Alive&) = delete;
  Alive& operator=(const Alive&) = delete;
  ~Alive() { --live_; }

 private:
  std::atomic<int>& live_;
};

Task<Result<int>> fly(Context ctx, std::shared_ptr<Shared> shared) {
  const Alive alive(shared->live);
  const Result<> slept = co_await sleep(std::move(ctx), 2ms);
  if (!slept) co_return slept.error();
  co_return 1;
}

Task<> one_step(Context ctx, std::shared_ptr<Shared> shared, std::uint32_t what, Random& random);

Task<> nested_step(Context ctx, std::shared_ptr<Shared> shared, std::uint32_t what, std::uint64_t seed) {
  const Alive alive(shared->live);
  Random random(seed);
  co_await one_step(std::move(ctx), shared, what, random);
}

Task<> one_step(Context ctx, std::shared_ptr<Shared> shared, std::uint32_t what, Random& random) {
  const Duration nap = random.below(3) * 1ms;
  switch (what) {
    case 0: {
      const auto held = co_await shared->mutex.hold(ctx);
      (void)co_await sleep(ctx, nap);
      break;
    }
    case 1: {
      const auto held = co_await shared->rwlock.hold(ctx);
      (void)co_await sleep(ctx, nap);
      break;
    }
    case 2: {
      const auto held = co_await shared->rwlock.rhold(ctx);
      (void)co_await sleep(ctx, nap);
      break;
    }
    case 3: {
      const auto held = co_await shared->semaphore.permit(ctx, random.below(3) + 1);
      (void)co_await sleep(ctx, nap);
      break;
    }
    case 4:
      (void)co_await shared->unbuffered.send(ctx, std::make_shared<int>(1));
      break;
    case 5:
      (void)co_await shared->unbuffered.receive(ctx);
      break;
    case 6: {
      std::optional<std::shared_ptr<int>> got;
      auto value = std::make_shared<int>(2);
      (void)co_await select(when_received(shared->buffered, got), when_sent(shared->unbuffered, value),
                            when_received(shared->unbuffered, got), when_done(ctx), after(nap));
      break;
    }
    case 7:
      (void)co_await shared->buffered.send(ctx, std::make_shared<int>(3));
      break;
    case 8: {
      const int key = static_cast<int>(random.below(2));
      (void)co_await shared->flights.run(ctx, key, fly, shared);
      break;
    }
    case 9: {
      auto lease = co_await shared->pool.acquire(ctx);
      (void)co_await sleep(ctx, nap);
      if (lease && random.below(2) == 0) lease->discard();
      break;
    }
    case 10: {
      auto [group, group_ctx] = ErrGroup::with_context(ctx);
      group.set_limit(2);
      for (std::uint32_t i = 0; i < 3; ++i) group.go(nested_step, group_ctx, shared, random.below(8), random());
      (void)co_await group.wait(ctx);
      break;
    }
    default: {
      Ticker ticker(1ms);
      (void)co_await ticker.ticks().receive(ctx);
      break;
    }
  }
}

Task<> live_on(std::shared_ptr<Shared> shared, std::uint64_t seed, int steps) {
  const Alive alive(shared->live);
  Random random(seed);
  for (int i = 0; i < steps; ++i) {
    auto [ctx, cancel] = with_timeout(Context(), (random.below(6) + 1) * 1ms);
    co_await one_step(ctx, shared, random.below(12), random);
  }
}

void expect_all_free(Shared& shared) {
  EXPECT_TRUE(shared.mutex.try_lock());
  EXPECT_TRUE(shared.rwlock.try_lock());
  EXPECT_TRUE(shared.semaphore.try_acquire(3));
  shared.mutex.unlock();
  shared.rwlock.unlock();
  shared.semaphore.release(3);
}

TEST(LoopDestruction, AtAnyMomentGivesBackAllThatItsCoroutinesHeldOrWaitedFor) {
  const AllowLeftovers cut_off_on_purpose;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    const auto shared = std::make_shared<Shared>();
    {
      VirtualTime time(seed);
      for (std::uint64_t i = 0; i < 12; ++i) (void)time.spawn(live_on(shared, seed * 100 + i, 1000));
      time.advance((seed % 17) * 1ms);
      for (std::uint64_t i = 0; i < seed % 5; ++i) (void)time.loop().poll();
    }
    EXPECT_EQ(shared->live, 0) << "seed " << seed;
    EXPECT_EQ(shared.use_count(), 1) << "seed " << seed;
    expect_all_free(*shared);
  }
}

TEST(LoopDestruction, LetsTheCoroutinesOfAnotherLoopGoOn) {
  const AllowLeftovers cut_off_on_purpose;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    const auto shared = std::make_shared<Shared>();
    VirtualTime survivor(seed);
    std::vector<Spawned<void>> tasks;
    for (std::uint64_t i = 0; i < 6; ++i) tasks.push_back(survivor.spawn(live_on(shared, seed * 100 + i, 60)));
    {
      VirtualTime doomed(seed + 1);
      for (std::uint64_t i = 0; i < 6; ++i) (void)doomed.spawn(live_on(shared, seed * 100 + 50 + i, 1000));
      for (std::uint64_t i = 0; i < seed % 17; ++i) {
        survivor.advance(1ms);
        doomed.advance(1ms);
      }
    }
    survivor.advance(1s);
    for (const Spawned<void>& task : tasks) EXPECT_TRUE(task.done()) << "seed " << seed;
    EXPECT_EQ(shared->live, 0) << "seed " << seed;
    expect_all_free(*shared);
  }
}

TEST(Threads, EverythingAtOnceComesToItsEnd) {
  const auto shared = std::make_shared<Shared>();
  {
    LoopThreads loops(4);
    std::vector<std::future<void>> tasks;
    for (std::uint64_t i = 0; i < 16; ++i) tasks.push_back(loops.spawn(i, live_on(shared, i + 1, 60)));
    for (auto& task : tasks) task.get();
  }
  EXPECT_EQ(shared->live, 0);
  expect_all_free(*shared);
}

}  // namespace
}  // namespace sluice::concurrency
