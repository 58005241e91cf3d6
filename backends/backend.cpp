#include "backends/backend.hpp"

#include "concurrency/loop.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace sluice::backends {
namespace {

using concurrency::Context;
using concurrency::Duration;
using concurrency::Loop;
using concurrency::Task;
using concurrency::TimePoint;

// How fast what was seen of a server loses its weight. A server that fails is left alone for about seven times this
// long, then tried again.
constexpr std::chrono::duration<double> kMemory{5};
// What a failed attempt counts as, so that a server which refuses at once does not look fast.
constexpr Duration kFailurePenalty = std::chrono::seconds(1);

bool is_idempotent(const std::string& method) {
  constexpr std::array<std::string_view, 6> kIdempotent{"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};
  return std::find(kIdempotent.begin(), kIdempotent.end(), method) != kIdempotent.end();
}

/// Whether the server had closed the connection, and the request may be sent again.
bool found_it_closed(const CallResult& outcome, const Request& request, const Context& ctx) {
  return outcome.has_error() && outcome.error().retriable && is_idempotent(request.method) && !ctx.is_done();
}

}  // namespace

struct Backend::Known {
  explicit Known(std::shared_ptr<Pool> p) : pool(std::move(p)) {}

  /// Latency weighted by recency, times what is in flight: the load of "power of two choices".
  [[nodiscard]] double load(TimePoint now) const {
    return latency * std::exp(-std::chrono::duration<double>(now - seen) / kMemory) *
           static_cast<double>(in_flight + 1);
  }
  void observe(Duration took, TimePoint now) {
    const double weight = std::exp(-std::chrono::duration<double>(now - seen) / kMemory);
    const double sample = std::chrono::duration<double>(took).count();
    // A slower sample counts at once, a faster one bit by bit (peak EWMA, as in Finagle).
    latency = sample > latency ? sample : latency * weight + sample * (1 - weight);
    seen = now;
  }

  std::shared_ptr<Pool> pool;
  std::size_t in_flight = 0;
  double latency = 0;  // seconds
  TimePoint seen{};
};

Backend::Backend(std::shared_ptr<const Servers> servers, BackendOptions options, Observer& observer)
    : servers_(std::move(servers)), options_(std::move(options)), observer_(observer) {}

Backend::~Backend() {
  observer_.on_connections(-idle_, -busy_);
}

void Backend::update() {
  auto list = servers_->current().load();
  if (list == list_) return;
  list_ = std::move(list);
  std::vector<std::shared_ptr<Known>> known;
  for (const Server& server : *list_) {
    const auto same = std::find_if(known_.begin(), known_.end(),
                                   [&](const auto& old) { return old->pool->server() == server.address; });
    known.push_back(same != known_.end()
                        ? *same
                        : std::make_shared<Known>(std::make_shared<Pool>(server.address, server.host, options_.pool)));
  }
  known_ = std::move(known);
}

std::shared_ptr<Backend::Known> Backend::choose() {
  if (known_.empty()) return nullptr;
  if (known_.size() == 1) return known_.front();
  if (options_.balancing == Balancing::round_robin) return known_[next_++ % known_.size()];
  Loop& loop = Loop::current();
  const auto count = static_cast<std::uint32_t>(known_.size());
  const std::uint32_t first = loop.random().below(count);
  const std::uint32_t second = (first + 1 + loop.random().below(count - 1)) % count;
  const TimePoint now = loop.now();
  return known_[first]->load(now) <= known_[second]->load(now) ? known_[first] : known_[second];
}

void Backend::count_connections() {
  int idle = 0;
  int busy = 0;
  for (const auto& server : known_) {
    idle += static_cast<int>(server->pool->idle());
    busy += static_cast<int>(server->pool->busy());
  }
  if (idle == idle_ && busy == busy_) return;
  observer_.on_connections(idle - idle_, busy - busy_);
  idle_ = idle;
  busy_ = busy;
}

Task<CallResult> Backend::call(Context ctx, std::shared_ptr<const Request> request) {
  update();
  const auto server = choose();
  if (!server) {
    const Failure failure(Reason::no_server, "no server is known");
    observer_.on_attempt(0, &failure, Duration(0));
    co_return failure;
  }
  concurrency::Cancel cancel;
  if (options_.timeout) {
    auto bounded = concurrency::with_timeout(ctx, *options_.timeout);
    ctx = bounded.ctx;
    cancel = std::move(bounded.cancel);
  }
  const TimePoint start = Loop::current().now();
  ++server->in_flight;
  // What most attempts come to takes no coroutine of its own.
  auto idle = server->pool->take_idle();
  if (idle) count_connections();
  auto attempting = idle ? (*idle)->exchange(ctx, *request) : attempt(ctx, server, request, Pool::Reuse::allowed);
  CallResult outcome = co_await std::move(attempting);
  const bool again = idle && found_it_closed(outcome, *request, ctx);
  idle.reset();
  if (again) outcome = co_await attempt(ctx, server, request, Pool::Reuse::fresh_only);
  --server->in_flight;
  const TimePoint now = Loop::current().now();
  if (outcome.has_value()) {
    server->observe(now - start, now);
    observer_.on_attempt(outcome->status, nullptr, now - start);
  } else {
    const Failure& failure = outcome.error();
    // Being cancelled says nothing about the server.
    if (failure.reason != Reason::cancelled) {
      server->observe(failure.status != 0 ? now - start : std::max(now - start, kFailurePenalty), now);
    }
    observer_.on_attempt(failure.status, &failure, now - start);
  }
  count_connections();
  co_return outcome;
}

Task<CallResult> Backend::attempt(Context ctx, std::shared_ptr<Known> server, std::shared_ptr<const Request> request,
                                  Pool::Reuse reuse) {
  for (;; reuse = Pool::Reuse::fresh_only) {
    auto lease = co_await server->pool->acquire(ctx, reuse);
    if (lease.has_error()) co_return std::move(lease).error();
    count_connections();
    CallResult outcome = co_await (*lease)->exchange(ctx, *request);
    if (reuse == Pool::Reuse::fresh_only || !found_it_closed(outcome, *request, ctx)) co_return outcome;
  }
}

}  // namespace sluice::backends
