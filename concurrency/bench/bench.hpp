// What the benchmarks share: running a coroutine that measures, and counting allocations.
#pragma once

#include "concurrency/context.hpp"
#include "concurrency/loop.hpp"
#include "concurrency/task.hpp"

#include <benchmark/benchmark.h>
#include <cstddef>
#include <exception>
#include <latch>
#include <thread>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

namespace sluice::bench {

using namespace sluice::concurrency;

/// Calls of operator new by all threads so far.
std::size_t allocations();

/// Reports the allocations per iteration between its birth and its death.
class Counted {
 public:
  explicit Counted(benchmark::State& state) : state_(state), before_(allocations()) {}
  ~Counted() {
    state_.counters["allocs"] =
        benchmark::Counter(static_cast<double>(allocations() - before_), benchmark::Counter::kAvgIterations);
  }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  benchmark::State& state_;
  const std::size_t before_;
};

/// Runs `task` on `loop` to its end.
inline void run(Loop& loop, Task<> task) {
  boost::asio::co_spawn(loop.executor(), std::move(task), [&loop](const std::exception_ptr& thrown) {
    loop.stop();
    if (thrown) std::rethrow_exception(thrown);
  });
  loop.run();
}

/// A benchmark that is a coroutine: `Task<> f(benchmark::State&)`.
template <Task<> (*Measure)(benchmark::State&)>
void measure(benchmark::State& state) {
  Loop loop(1);
  run(loop, Measure(state));
}

/// A second loop, which runs on a thread of its own.
class Elsewhere {
 public:
  Elsewhere() : thread_([this] { loop_.run(); }) {
    std::latch runs(1);
    boost::asio::post(loop_.executor(), [&runs] { runs.count_down(); });
    runs.wait();
  }
  ~Elsewhere() {
    loop_.stop();
    thread_.join();
  }
  Elsewhere(const Elsewhere&) = delete;
  Elsewhere& operator=(const Elsewhere&) = delete;

  [[nodiscard]] Loop& loop() { return loop_; }

 private:
  Loop loop_{2};
  std::thread thread_;
};

}  // namespace sluice::bench
