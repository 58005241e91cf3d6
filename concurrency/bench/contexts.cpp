// Contexts, tasks, groups, timers and singleflight on one thread.
#include "concurrency/bench/bench.hpp"
#include "concurrency/errgroup.hpp"
#include "concurrency/single_flight.hpp"
#include "concurrency/timer.hpp"

#include <chrono>
#include <cstdlib>
#include <string>

namespace sluice::bench {
namespace {

using namespace std::chrono_literals;

void must(bool holds) {
  if (!holds) std::abort();
}

Task<> context_cancel(benchmark::State& state) {
  auto [parent, stop] = with_cancel(Context());
  const Counted counted(state);
  while (state.KeepRunning()) {
    auto [ctx, cancel] = with_cancel(parent);
    cancel();
  }
  co_return;
}
BENCHMARK(measure<context_cancel>)->Name("ContextCancel");

Task<> context_timeout(benchmark::State& state) {
  auto [parent, stop] = with_cancel(Context());
  const Counted counted(state);
  while (state.KeepRunning()) {
    auto [ctx, cancel] = with_timeout(parent, 1min);
    cancel();
  }
  co_return;
}
BENCHMARK(measure<context_timeout>)->Name("ContextTimeout");

template <int N>
struct Key {
  using value_type = int;
};

Task<> context_value(benchmark::State& state) {
  Context ctx = with_value<Key<0>>(Context(), 0);
  ctx = with_value<Key<1>>(ctx, 1);
  ctx = with_value<Key<2>>(ctx, 2);
  ctx = with_value<Key<3>>(ctx, 3);
  ctx = with_value<Key<4>>(ctx, 4);
  ctx = with_value<Key<5>>(ctx, 5);
  const Counted counted(state);
  while (state.KeepRunning()) benchmark::DoNotOptimize(*ctx.value<Key<0>>());
  co_return;
}
BENCHMARK(measure<context_value>)->Name("ContextValueDepth5");

Task<Result<>> nothing() {
  co_return Result<>();
}

Task<> errgroup3(benchmark::State& state) {
  const Counted counted(state);
  while (state.KeepRunning()) {
    auto [group, ctx] = ErrGroup::with_context(Context());
    group.go(nothing);
    group.go(nothing);
    group.go(nothing);
    must((co_await group.wait()).has_value());
  }
}
BENCHMARK(measure<errgroup3>)->Name("ErrGroup3");

// A group is how a task is spawned here.
Task<> spawn_and_wait(benchmark::State& state) {
  const Counted counted(state);
  while (state.KeepRunning()) {
    auto [group, ctx] = ErrGroup::with_context(Context());
    group.go(nothing);
    (void)co_await group.wait();
  }
}
BENCHMARK(measure<spawn_and_wait>)->Name("SpawnAndWait");

Task<int> call(int i) {
  co_return i;
}

Task<> await_call(benchmark::State& state) {
  const Counted counted(state);
  for (int i = 0; state.KeepRunning(); ++i) must(co_await call(i) == i);
}
BENCHMARK(measure<await_call>)->Name("AwaitCall");

Task<> timer_arm_cancel(benchmark::State& state) {
  Timer timer(1h);
  const Counted counted(state);
  while (state.KeepRunning()) {
    timer.reset(1min);
    timer.stop();
  }
  co_return;
}
BENCHMARK(measure<timer_arm_cancel>)->Name("TimerArmCancel");

Task<Result<int>> answer(Context) {
  co_return 1;
}

Task<> single_flight(benchmark::State& state) {
  SingleFlight<std::string, int> flights;
  auto [ctx, cancel] = with_cancel(Context());
  const Counted counted(state);
  while (state.KeepRunning()) {
    const auto result = co_await flights.run(ctx, "key", answer);
    must(result->value == 1);
  }
}
BENCHMARK(measure<single_flight>)->Name("SingleFlight");

}  // namespace
}  // namespace sluice::bench
