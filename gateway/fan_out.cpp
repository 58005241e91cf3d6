#include "gateway/fan_out.hpp"

#include "concurrency/channel.hpp"
#include "concurrency/errgroup.hpp"
#include "concurrency/select.hpp"
#include "gateway/log.hpp"

namespace sluice::gateway {
namespace {

using concurrency::Channel;
using concurrency::Context;
using concurrency::ErrGroup;
using concurrency::Task;

struct Ended {
  Ended(std::size_t i, bool ok) : index(i), succeeded(ok) {}
  std::size_t index;
  bool succeeded;
};

// The channel has room for every call, so sending never waits; the calls outlive the group.
Task<> run(const Context& ctx, Calls* calls, std::size_t index, Channel<Ended> ended) {
  bool succeeded = false;
  try {
    succeeded = co_await (*calls)[index].fetch(ctx, calls);
  } catch (const std::exception& e) {  // out of memory, or a defect: it costs this call, not the reply
    log_error("call " + (*calls)[index].plan().config.name + ": " + e.what());
    (*calls)[index].fail(backends::Reason::invalid);
  }
  (void)ended.try_send(Ended(index, succeeded));
}

}  // namespace

Task<> fan_out_merge(const Context& ctx, Calls& calls, std::optional<std::size_t> quorum) {
  auto [group, calls_ctx] = ErrGroup::with_context(ctx);
  Channel<Ended> ended(calls.size());
  std::size_t running = 0;
  std::size_t required = 0;   // that have no outcome
  std::size_t succeeded = 0;  // fresh or cached
  for (std::size_t i = 0; i < calls.size(); ++i) {
    if (calls[i].plan().config.required) ++required;
    if (!calls[i].plan().inputs.empty()) continue;
    group.go(run, calls_ctx, &calls, i, ended);
    ++running;
  }
  // Every call ends by the deadline, so this does, without a context of its own: the last results are degraded ones.
  // After a required call failed, too, those that wait are started, to find out what they lack.
  bool is_enough = false;
  for (; running > 0; --running) {
    const auto next = co_await ended.receive(Context());
    Call& call = calls[next->index];
    if (is_enough) {
      call.skip();
      if (call.fragment().outcome == Outcome::missing) call.degrade();  // it failed by itself
      continue;
    }
    if (!next->succeeded) call.degrade();
    if (call.plan().config.required) {
      --required;
      if (!call.fragment().has_data()) group.cancel();
    }
    if (call.fragment().outcome == Outcome::fresh || call.fragment().outcome == Outcome::cached) ++succeeded;
    is_enough = quorum && succeeded >= *quorum && required == 0;
    if (is_enough) {
      group.cancel();
      continue;
    }
    for (std::size_t dependant : call.plan().dependants) {
      if (!calls[dependant].input_ended()) continue;
      group.go(run, calls_ctx, &calls, dependant, ended);
      ++running;
    }
  }
  (void)co_await group.wait();
}

Task<std::optional<std::size_t>> fan_out_first(const Context& ctx, Calls& calls,
                                               std::optional<std::chrono::nanoseconds> stagger) {
  auto [group, calls_ctx] = ErrGroup::with_context(ctx);
  Channel<Ended> ended(calls.size());
  std::optional<std::size_t> winner;
  std::size_t started = 0;
  std::size_t failed = 0;
  while (failed < calls.size() && !winner) {
    const bool start_next = started < calls.size();
    if (start_next) group.go(run, calls_ctx, &calls, started++, ended);
    if (start_next && !stagger) continue;  // all at once
    std::optional<Ended> next;
    if (started < calls.size()) {
      const auto fired =
          co_await concurrency::select(concurrency::when_received(ended, next), concurrency::after(*stagger));
      if (fired == 1) continue;
    } else {
      auto received = co_await ended.receive(Context());
      next = *received;
    }
    if (next->succeeded) {
      winner = next->index;
    } else {
      ++failed;
    }
  }
  group.cancel();
  (void)co_await group.wait();
  for (std::size_t i = 0; i < calls.size(); ++i) {
    if (winner && i != *winner) calls[i].skip();
    if (!winner) calls[i].degrade();
  }
  // Among what is stored or constant the order of the configuration decides.
  for (std::size_t i = 0; i < calls.size() && !winner; ++i) {
    if (!calls[i].fragment().has_data()) continue;
    winner = i;
    for (std::size_t j = i + 1; j < calls.size(); ++j) {
      if (calls[j].fragment().has_data()) calls[j].skip();
    }
  }
  co_return winner;
}

}  // namespace sluice::gateway
