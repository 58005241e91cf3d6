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
Task<> run(Context ctx, std::vector<Call>* calls, std::size_t index, Channel<Ended> ended) {
  bool succeeded = false;
  try {
    succeeded = co_await (*calls)[index].fetch(std::move(ctx));
  } catch (const std::exception& e) {  // out of memory, or a defect: it costs this call, not the reply
    log_error("call " + (*calls)[index].plan().config.name + ": " + e.what());
    (*calls)[index].fail(backends::Reason::invalid);
  }
  (void)ended.try_send(Ended(index, succeeded));
}

}  // namespace

Task<> fan_out_merge(Context ctx, std::vector<Call>& calls) {
  auto [group, calls_ctx] = ErrGroup::with_context(ctx);
  Channel<Ended> ended(calls.size());
  for (std::size_t i = 0; i < calls.size(); ++i) group.go(run, calls_ctx, &calls, i, ended);
  // Every call ends by the deadline, so this does, without a context of its own: the last results are degraded ones.
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const auto next = co_await ended.receive(Context());
    Call& call = calls[next->index];
    if (!next->succeeded) call.degrade();
    if (call.plan().config.required && !call.fragment().has_data()) break;
  }
  group.cancel();
  (void)co_await group.wait();
  // What was cancelled has reported by now: degrade it.
  for (;;) {
    const auto late = ended.try_receive();
    if (!late.has_value() || !late->has_value()) break;
    if (!(*late)->succeeded) calls[(*late)->index].degrade();
  }
}

Task<std::optional<std::size_t>> fan_out_first(Context ctx, std::vector<Call>& calls,
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
