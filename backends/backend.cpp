#include "backends/backend.hpp"

#include "concurrency/detail/recycled.hpp"
#include "concurrency/loop.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

namespace sluice::backends {
namespace {

using boost::system::result;
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

bool is_idempotent(const Request& request) {
  constexpr std::array<std::string_view, 6> kIdempotent{"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};
  return request.idempotent.value_or(std::find(kIdempotent.begin(), kIdempotent.end(), request.method) !=
                                     kIdempotent.end());
}

/// Spreads what differs in any bit over all (the end of splitmix64).
std::uint64_t mixed(std::uint64_t hash) {
  hash = (hash ^ (hash >> 30U)) * 0xbf58476d1ce4e5b9U;
  hash = (hash ^ (hash >> 27U)) * 0x94d049bb133111ebU;
  return hash ^ (hash >> 31U);
}

/// Whether the server had closed the connection, and the request may be sent again.
bool found_it_closed(const Failure& failure, const Request& request, const Context& ctx) {
  return failure.retriable && is_idempotent(request) && !ctx.is_done();
}
bool found_it_closed(const CallResult& outcome, const Request& request, const Context& ctx) {
  return outcome.has_error() && found_it_closed(outcome.error(), request, ctx);
}

}  // namespace

std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return mixed(hash);
}

struct Backend::Known {
  explicit Known(std::shared_ptr<Pool> p)
      : pool(std::move(p)),
        hash(hash_of(pool->server().address().to_string() + ' ' + std::to_string(pool->server().port()))) {}

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

  /// The server with the highest one has what `wanted` stands for (rendezvous hashing).
  [[nodiscard]] std::uint64_t rank(std::uint64_t wanted) const { return mixed(hash ^ wanted); }

  std::shared_ptr<Pool> pool;
  std::uint64_t hash;
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
  {
    const auto current = servers_->current().read();
    if (&*current == list_.get()) return;
  }
  list_ = servers_->current().load();
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

std::shared_ptr<Backend::Known> Backend::choose(const Request& request) {
  if (known_.empty()) return nullptr;
  if (known_.size() == 1) return known_.front();
  if (request.server_hash) {
    return *std::max_element(
        known_.begin(), known_.end(),
        [wanted = *request.server_hash](const auto& a, const auto& b) { return a->rank(wanted) < b->rank(wanted); });
  }
  if (options_.balancing == Balancing::round_robin) return known_[next_++ % known_.size()];
  Loop& loop = Loop::current();
  const auto count = static_cast<std::uint32_t>(known_.size());
  const std::uint32_t first = loop.random().below(count);
  const std::uint32_t second = (first + 1 + loop.random().below(count - 1)) % count;
  const TimePoint now = loop.turn_time();
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

Failure Backend::no_server() {
  Failure failure(Reason::no_server, "no server is known");
  observer_.on_attempt(0, &failure, Duration(0));
  return failure;
}

Task<CallResult> Backend::call(const Context& parent, std::shared_ptr<const Request> request) {
  update();
  const auto server = choose(*request);
  if (!server) co_return no_server();
  std::optional<concurrency::Cancellable> bounded;
  if (options_.timeout) bounded = concurrency::with_timeout(parent, *options_.timeout);
  const Context& ctx = bounded ? bounded->ctx : parent;
  const TimePoint start = Loop::current().turn_time();
  ++server->in_flight;
  // What most attempts come to takes no coroutine of its own.
  auto idle = server->pool->take_idle();
  if (idle) count_connections();
  auto attempting = idle ? (*idle)->exchange(ctx, *request) : attempt(ctx, server, request, Pool::Reuse::allowed);
  CallResult outcome = co_await std::move(attempting);
  const bool again = idle && found_it_closed(outcome, *request, ctx);
  idle.reset();
  if (again) outcome = co_await attempt(ctx, server, request, Pool::Reuse::fresh_only);
  const TimePoint now = Loop::current().turn_time();
  if (outcome.has_error()) {
    const Failure failure = outcome.error();
    conclude(*server, failure.status, &failure, now - start, now);
  } else {
    conclude(*server, outcome->status, nullptr, now - start, now);
  }
  co_return outcome;
}

/// An attempt is over, and its connection has gone back.
void Backend::conclude(Known& server, unsigned status, const Failure* failure, Duration took, TimePoint now) {
  --server.in_flight;
  if (failure == nullptr) {
    server.observe(took, now);
  } else if (failure->reason != Reason::cancelled) {  // which says nothing about the server
    server.observe(status != 0 ? took : std::max(took, kFailurePenalty), now);
  }
  observer_.on_attempt(status, failure, took);
  count_connections();
}

Task<CallResult> Backend::attempt(const Context& ctx, std::shared_ptr<Known> server,
                                  std::shared_ptr<const Request> request, Pool::Reuse reuse) {
  for (;; reuse = Pool::Reuse::fresh_only) {
    auto lease = co_await server->pool->acquire(ctx, reuse);
    if (lease.has_error()) co_return std::move(lease).error();
    count_connections();
    CallResult outcome = co_await (*lease)->exchange(ctx, *request);
    if (reuse == Pool::Reuse::fresh_only || !found_it_closed(outcome, *request, ctx)) co_return outcome;
  }
}

/// Ends the attempt when destroyed: as cancelled, if nothing else has ended it.
struct Stream::Attempt {
  Attempt(Backend& b, std::shared_ptr<Backend::Known> s, std::shared_ptr<const Request> r)
      : backend(b), loop(Loop::current()), server(std::move(s)), request(std::move(r)) {
    ++server->in_flight;
  }
  ~Attempt() {
    give_back();
    const TimePoint now = loop.turn_time();
    // Once there is a head, what the body takes is up to both sides.
    const Duration took = status != 0 ? to_head : now - start;
    if (!is_whole && !failure) failure.emplace(Reason::cancelled, "the stream was ended");
    backend.conclude(*server, failure ? failure->status : status, failure ? &*failure : nullptr, took, now);
  }
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;

  static void* operator new(std::size_t size) { return concurrency::detail::allocate_recycled(size); }
  static void operator delete(void* attempt, std::size_t size) noexcept {
    concurrency::detail::free_recycled(attempt, size);
  }

  void take_head() {
    status = (*lease)->response().status();
    to_head = loop.turn_time() - start;
  }
  void give_back() {
    if (lease) (*lease)->finish_stream();
    lease.reset();
  }

  Backend& backend;
  Loop& loop;
  const std::shared_ptr<Backend::Known> server;
  const std::shared_ptr<const Request> request;
  const TimePoint start = loop.turn_time();
  std::optional<TimePoint> head_by;
  std::optional<Lease> lease;
  unsigned status = 0;
  Duration to_head{0};
  std::optional<Failure> failure;
  bool is_whole = false;
};

Stream::Stream(std::unique_ptr<Attempt> attempt) : attempt_(std::move(attempt)) {}
Stream::Stream(Stream&&) noexcept = default;
Stream::~Stream() = default;

Connection& Stream::connection() const {
  return **attempt_->lease;
}

Task<result<Stream, Failure>> Backend::stream(const Context& parent, std::shared_ptr<const Request> request,
                                              InterimSink* interim) {
  update();
  const auto server = choose(*request);
  if (!server) co_return no_server();
  auto attempt = std::make_unique<Stream::Attempt>(*this, server, request);
  std::optional<concurrency::Cancellable> bounded;
  if (options_.timeout) {
    attempt->head_by = attempt->start + *options_.timeout;
    bounded = concurrency::with_deadline(parent, *attempt->head_by);
  }
  const Context& ctx = bounded ? bounded->ctx : parent;
  for (auto reuse = Pool::Reuse::allowed;; reuse = Pool::Reuse::fresh_only) {
    auto idle = reuse == Pool::Reuse::allowed && !ctx.is_done() ? server->pool->take_idle() : std::nullopt;
    if (idle) {  // takes no coroutine of its own
      attempt->lease.emplace(std::move(*idle));
    } else {
      auto lease = co_await server->pool->acquire(ctx, reuse);
      if (lease.has_error()) {
        attempt->failure = lease.error();
        co_return std::move(lease).error();
      }
      attempt->lease.emplace(std::move(*lease));
    }
    count_connections();
    Connection& connection = **attempt->lease;
    if (!connection.begin(ctx, *request, interim)) {
      attempt->failure.emplace(Reason::invalid, "the request cannot be written");
      co_return *attempt->failure;
    }
    co_await concurrency::detail::AfterOthers();
    if (!connection.send_head(ctx)) co_await connection.send_rest_of_head(ctx);
    if (request->is_streamed) co_return Stream(std::move(attempt));
    bool is_late = false;
    while (!connection.has_head() && !is_late) is_late = !co_await connection.news(ctx);
    auto why = is_late ? connection.failure_of(ctx) : connection.failure_of_head();
    if (!why) {
      attempt->take_head();
      co_return Stream(std::move(attempt));
    }
    if (reuse == Pool::Reuse::fresh_only || !found_it_closed(*why, *request, ctx)) {
      attempt->failure = why;
      co_return std::move(*why);
    }
    attempt->give_back();
  }
}

Task<bool> Stream::send(const Context& ctx, std::string_view bytes, bool is_last) {
  return connection().send(ctx, bytes, is_last);
}

Task<std::optional<Failure>> Stream::receive_head(const Context& parent) {
  std::optional<concurrency::Cancellable> bounded;
  if (attempt_->head_by) bounded = concurrency::with_deadline(parent, *attempt_->head_by);
  const Context& ctx = bounded ? bounded->ctx : parent;
  while (!connection().has_head()) {
    const bool is_woken = co_await connection().news(ctx);
    if (!is_woken) co_return failure_of(ctx);
  }
  attempt_->failure = connection().failure_of_head();
  if (!attempt_->failure) attempt_->take_head();
  co_return attempt_->failure;
}

result<bool, Failure> Stream::receive(std::string_view& piece) {
  auto is_last = connection().receive(piece);
  if (is_last.has_error()) {
    attempt_->failure = is_last.error();
  } else {
    attempt_->is_whole = *is_last;
  }
  return is_last;
}

Failure Stream::failure_of(const Context& ctx) {
  attempt_->failure = connection().failure_of(ctx);
  return *attempt_->failure;
}

void Stream::fail(Failure failure) {
  attempt_->failure = std::move(failure);
}
bool Stream::has_news() const {
  return connection().has_news();
}
Connection::News Stream::news(const Context& ctx) {
  return connection().news(ctx);
}
unsigned Stream::status() const {
  return attempt_->status;
}
Headers& Stream::headers() {
  return connection().response().headers();
}
std::optional<std::uint64_t> Stream::content_length() const {
  return connection().response().content_length();
}
std::size_t Stream::unsent_bytes() const {
  return connection().unsent_bytes();
}
TimePoint Stream::last_progress() const {
  return connection().last_progress();
}

}  // namespace sluice::backends
