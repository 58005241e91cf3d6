// Locks, groups, snapshots, maps and pools on one thread; and those that threads contend for.
#include "concurrency/bench/bench.hpp"
#include "concurrency/channel.hpp"
#include "concurrency/cow_map.hpp"
#include "concurrency/detail/thin_mutex.hpp"
#include "concurrency/mutex.hpp"
#include "concurrency/once.hpp"
#include "concurrency/pool.hpp"
#include "concurrency/snapshot.hpp"
#include "concurrency/wait_group.hpp"

#include <atomic>
#include <cstdlib>
#include <mutex>

#include <boost/asio/detached.hpp>

namespace sluice::bench {
namespace {

constexpr int kMapSize = 1024;

void must(bool holds) {
  if (!holds) std::abort();
}

Task<> mutex_uncontended(benchmark::State& state) {
  Mutex mutex;
  int n = 0;
  const Counted counted(state);
  while (state.KeepRunning()) {
    (void)co_await mutex.lock({});
    benchmark::DoNotOptimize(++n);
    mutex.unlock();
  }
}
BENCHMARK(measure<mutex_uncontended>)->Name("MutexUncontended");

Task<> mutex_hold(benchmark::State& state) {
  Mutex mutex;
  int n = 0;
  const Counted counted(state);
  while (state.KeepRunning()) {
    const auto guard = co_await mutex.hold({});
    benchmark::DoNotOptimize(++n);
  }
}
BENCHMARK(measure<mutex_hold>)->Name("MutexHold");

Task<> take_turns(Mutex& mutex, const bool& stop, WaitGroup& ended) {
  while (!stop) {
    (void)co_await mutex.lock({});
    mutex.unlock();
  }
  ended.done();
}

// Whoever unlocks hands the lock to the other, who waits for it. One iteration is one hand-over.
Task<> mutex_hand_over(benchmark::State& state) {
  Mutex mutex;
  bool stop = false;
  WaitGroup ended;
  ended.add(1);
  must(mutex.try_lock());
  boost::asio::co_spawn(Loop::current().executor(), take_turns(mutex, stop, ended), boost::asio::detached);
  {
    const Counted counted(state);
    while (state.KeepRunningBatch(2)) {
      mutex.unlock();
      (void)co_await mutex.lock({});
    }
  }
  stop = true;
  mutex.unlock();
  (void)co_await ended.wait();
}
BENCHMARK(measure<mutex_hand_over>)->Name("MutexHandOver");

Task<> rwlock_read(benchmark::State& state) {
  RwLock lock;
  int n = 0;
  const Counted counted(state);
  while (state.KeepRunning()) {
    (void)co_await lock.rlock({});
    benchmark::DoNotOptimize(++n);
    lock.runlock();
  }
}
BENCHMARK(measure<rwlock_read>)->Name("RwLockRead");

Task<> semaphore(benchmark::State& state) {
  Semaphore semaphore(4);
  const Counted counted(state);
  while (state.KeepRunning()) {
    (void)co_await semaphore.acquire({});
    semaphore.release();
  }
}
BENCHMARK(measure<semaphore>)->Name("Semaphore");

Task<> wait_group(benchmark::State& state) {
  WaitGroup group;
  const Counted counted(state);
  while (state.KeepRunning()) {
    group.add(1);
    group.done();
    (void)co_await group.wait();
  }
}
BENCHMARK(measure<wait_group>)->Name("WaitGroup");

// Go inlines the look at a once that is done. Four in a row on both sides, or the loop would be what is measured.
Task<> once_done(benchmark::State& state) {
  Once once;
  int n = 0;
  const auto count = [&n] { ++n; };
  const Counted counted(state);
  while (state.KeepRunningBatch(4)) {
    if (!once.is_done()) (void)co_await once.call({}, count);
    if (!once.is_done()) (void)co_await once.call({}, count);
    if (!once.is_done()) (void)co_await once.call({}, count);
    if (!once.is_done()) (void)co_await once.call({}, count);
  }
}
BENCHMARK(measure<once_done>)->Name("OnceDone");

Task<> once_call_context(benchmark::State& state) {
  Once once;
  int n = 0;
  const auto count = [&n] { ++n; };
  auto [ctx, cancel] = with_cancel(Context());
  const Counted counted(state);
  while (state.KeepRunning()) (void)co_await once.call(ctx, count);
}
BENCHMARK(measure<once_call_context>)->Name("OnceDoneContext");

struct Config {
  int a = 1;
  int b = 2;
};

void snapshot_read(benchmark::State& state) {
  const Snapshot<Config> snapshot(std::make_shared<const Config>());
  const Counted counted(state);
  int n = 0;
  for (const auto _ : state) {
    const auto now = snapshot.read();
    n += now->a;
  }
  benchmark::DoNotOptimize(n);
}
BENCHMARK(snapshot_read)->Name("SnapshotRead");

void fill(CowMap<int, int>& map) {
  for (int i = 0; i < kMapSize; ++i) map.insert_or_assign(i, i);
}

void cow_map_read(benchmark::State& state) {
  CowMap<int, int> map;
  fill(map);
  const Counted counted(state);
  int i = 0;
  int n = 0;
  for (const auto _ : state) {
    const auto now = map.read();
    n += *now->find(i++ & (kMapSize - 1));
  }
  benchmark::DoNotOptimize(n);
}
BENCHMARK(cow_map_read)->Name("CowMapRead");

void cow_map_write(benchmark::State& state) {
  CowMap<int, int> map;
  fill(map);
  const Counted counted(state);
  int i = 0;
  for (const auto _ : state) {
    map.insert_or_assign(i & (kMapSize - 1), i);
    ++i;
  }
}
BENCHMARK(cow_map_write)->Name("CowMapWrite");
BENCHMARK(cow_map_write)->Name("CowMapWriteVersion");

void pool_get_put(benchmark::State& state) {
  Pool<Config> pool([] { return std::make_unique<Config>(); });
  const Counted counted(state);
  for (const auto _ : state) {
    auto config = pool.get();
    ++config->a;
    pool.put(std::move(config));
  }
}
BENCHMARK(pool_get_put)->Name("PoolGetPut");

// --- between threads ------------------------------------------------------------------------------------------------

Task<> lock_often(Mutex& mutex, benchmark::IterationCount times, long& n) {
  for (; times > 0; --times) {
    (void)co_await mutex.lock({});
    benchmark::DoNotOptimize(++n);
    mutex.unlock();
  }
}

Task<> lock_often_and_close(Mutex& mutex, benchmark::IterationCount times, long& n, Channel<int> ended) {
  co_await lock_often(mutex, times, n);
  (void)ended.close();
}

// Each side has half of the iterations, and the time ends with the later one.
Task<> threads_mutex(benchmark::State& state) {
  Mutex mutex;
  long n = 0;
  Channel<int> ended(0);
  Elsewhere elsewhere;
  const Counted counted(state);
  while (state.KeepRunningBatch(state.max_iterations)) {
    const benchmark::IterationCount half = state.max_iterations / 2;
    boost::asio::co_spawn(elsewhere.loop().executor(), lock_often_and_close(mutex, half, n, ended),
                          boost::asio::detached);
    co_await lock_often(mutex, state.max_iterations - half, n);
    (void)co_await ended.receive({});
  }
}
BENCHMARK(measure<threads_mutex>)->Name("ThreadsMutex")->UseRealTime();

void threads_thin_mutex(benchmark::State& state) {
  static detail::ThinMutex mutex;
  static int n = 0;
  for (const auto _ : state) {
    const std::lock_guard lock(mutex);
    ++n;
  }
  state.counters["allocs"] = 0;
}
BENCHMARK(threads_thin_mutex)->Name("ThreadsThinMutex")->Threads(2)->UseRealTime();

void threads_snapshot_read(benchmark::State& state) {
  Snapshot<Config> snapshot(std::make_shared<const Config>());
  std::atomic<bool> stop = false;
  const Counted counted(state);
  std::thread writer([&] {
    for (int i = 0; !stop.load(std::memory_order_relaxed); ++i) {
      if ((i & 0xffff) == 0) snapshot.publish(std::make_shared<const Config>());
    }
  });
  int n = 0;
  for (const auto _ : state) {
    const auto now = snapshot.read();
    n += now->a;
  }
  benchmark::DoNotOptimize(n);
  stop = true;
  writer.join();
}
BENCHMARK(threads_snapshot_read)->Name("ThreadsSnapshotRead")->UseRealTime();

}  // namespace
}  // namespace sluice::bench
