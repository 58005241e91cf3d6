#include "backends/pool.hpp"

#include "concurrency/io.hpp"
#include "concurrency/wait.hpp"

#include <algorithm>
#include <sstream>

#include <boost/asio/deferred.hpp>

namespace sluice::backends {
namespace {

using boost::system::error_code;
using boost::system::result;
using concurrency::Context;
using concurrency::Loop;
using concurrency::Task;

std::string to_text(const boost::asio::ip::tcp::endpoint& server) {
  std::ostringstream out;
  out << server;
  return out.str();
}

Failure failure_of(const Context& ctx, const char* waited_for) {
  return ctx.cause() == concurrency::Error::deadline_exceeded ? Failure(Reason::timeout, waited_for)
                                                              : Failure(Reason::cancelled, waited_for);
}

/// Leaves the list when the wait is over, however it ends.
class InList {
 public:
  InList(concurrency::detail::WaitList& list, concurrency::detail::Waiter& waiter) : list_(list), waiter_(waiter) {
    list_.push_back(waiter_);
  }
  ~InList() { list_.remove(waiter_); }
  InList(const InList&) = delete;
  InList& operator=(const InList&) = delete;

 private:
  concurrency::detail::WaitList& list_;
  concurrency::detail::Waiter& waiter_;
};

}  // namespace

Lease::~Lease() {
  if (connection_) pool_->give_back(std::move(connection_));
}

Pool::Expiry::Expiry(Pool& p)
    : TimerEntry([](TimerEntry& entry, bool expired) noexcept {
        if (expired) static_cast<Expiry&>(entry).pool.expire_idle();
      }),
      pool(p) {}

Pool::Pool(boost::asio::ip::tcp::endpoint server, std::string host, const PoolLimits& limits)
    : server_(std::move(server)), host_(std::move(host)), limits_(limits), loop_(Loop::current()), expiry_(*this) {}

Pool::~Pool() {
  loop_.disarm(expiry_);
  for (const auto& connection : idle_) {
    connection->on_death(nullptr, nullptr);
    connection->close();
  }
}

std::optional<Lease> Pool::take_idle() {
  while (!idle_.empty()) {
    auto connection = std::move(idle_.back());
    idle_.pop_back();
    connection->on_death(nullptr, nullptr);
    if (connection->is_reusable()) return Lease(shared_from_this(), std::move(connection));
    connection->close();
    release_slot();
  }
  return std::nullopt;
}

Task<result<Lease, Failure>> Pool::acquire(const Context& ctx, Reuse reuse) {
  const auto self = shared_from_this();
  if (ctx.is_done()) co_return failure_of(ctx, "before connecting");
  if (reuse == Reuse::allowed) {
    auto idle = take_idle();
    if (idle) co_return std::move(*idle);
  }
  if (open_ == limits_.max_connections && !idle_.empty()) {  // a fresh one is wanted, and there is room if one idles
    idle_.front()->on_death(nullptr, nullptr);
    idle_.front()->close();
    idle_.erase(idle_.begin());
    --open_;
  }
  if (open_ < limits_.max_connections) {
    ++open_;
    co_return co_await connect(ctx);
  }
  Handover handed;
  {
    concurrency::detail::Parked parked;
    concurrency::detail::Waiter waiter(parked, 0, &handed);
    const InList in_list(waiters_, waiter);
    concurrency::detail::ContextWake done(parked, 1);
    if (!done.subscribe(ctx)) co_return failure_of(ctx, "waiting for a connection");
    co_await parked.wait();
    if (parked.source() == 1) co_return failure_of(ctx, "waiting for a connection");
  }
  if (handed && handed->is_reusable()) co_return Lease(self, std::move(handed));
  co_return co_await connect(ctx);  // the slot came along
}

Task<result<Lease, Failure>> Pool::connect(const Context& ctx) {
  // Gives the slot on unless a connection comes of it.
  struct Slot {
    explicit Slot(Pool& p) : pool(&p) {}
    ~Slot() {
      if (pool != nullptr) pool->release_slot();
    }
    Pool* pool;
  } slot(*this);

  Socket socket(loop_.executor());
  auto [connect_ctx, cancel] = concurrency::with_timeout(ctx, limits_.connect_timeout);
  const auto connected = co_await concurrency::io(connect_ctx, socket.async_connect(server_, boost::asio::deferred));
  if (connected.has_error()) {
    if (ctx.is_done()) co_return failure_of(ctx, "connecting");
    const std::string why =
        connected.error() == concurrency::Error::deadline_exceeded ? "timed out" : connected.error().message();
    co_return Failure(Reason::connect, to_text(server_) + ": connect: " + why, true);
  }
  error_code ignored;
  socket.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
  socket.non_blocking(true, ignored);
  auto connection = std::make_shared<Connection>(std::move(socket), host_, limits_.response);
  connection->open();
  slot.pool = nullptr;
  co_return Lease(shared_from_this(), std::move(connection));
}

void Pool::give_back(std::shared_ptr<Connection> connection) {
  if (!connection->is_reusable()) {
    connection->close();
    release_slot();
    return;
  }
  if (auto* waiter = waiters_.claim_front()) {
    *static_cast<Handover*>(waiter->slot) = std::move(connection);
    waiter->parked.wake();
    return;
  }
  connection->on_death([](void* pool, Connection& dead) { static_cast<Pool*>(pool)->forget(dead); }, this);
  idle_.push_back(std::move(connection));
  arm_expiry();
}

void Pool::release_slot() {
  if (auto* waiter = waiters_.claim_front()) {
    waiter->parked.wake();  // handed over empty: the slot is the waiter's
  } else {
    --open_;
  }
}

void Pool::forget(Connection& connection) {
  std::erase_if(idle_, [&](const auto& candidate) { return candidate.get() == &connection; });
  release_slot();
}

void Pool::arm_expiry() {
  if (!expiry_.is_armed() && !idle_.empty()) loop_.arm(expiry_, idle_.front()->idle_since() + limits_.idle_timeout);
}

void Pool::expire_idle() {
  const auto now = loop_.now();
  while (!idle_.empty() && idle_.front()->idle_since() + limits_.idle_timeout <= now) {
    idle_.front()->on_death(nullptr, nullptr);
    idle_.front()->close();
    idle_.erase(idle_.begin());
    release_slot();
  }
  arm_expiry();
}

}  // namespace sluice::backends
