// The keep-alive connections of one worker to one server.
#pragma once

#include "backends/connection.hpp"
#include "concurrency/context.hpp"
#include "concurrency/park.hpp"
#include "concurrency/timer_wheel.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

namespace sluice::backends {

struct PoolLimits {
  PoolLimits() = default;

  std::size_t max_connections = 1024;
  std::chrono::nanoseconds connect_timeout = std::chrono::seconds(1);
  std::chrono::nanoseconds idle_timeout = std::chrono::seconds(60);
  ResponseLimits response;
};

class Pool;

/// A connection of a pool for the time of one exchange; goes back when destroyed.
class Lease {
 public:
  Lease(std::shared_ptr<Pool> pool, std::shared_ptr<Connection> connection)
      : pool_(std::move(pool)), connection_(std::move(connection)) {}
  Lease(Lease&&) noexcept = default;
  Lease& operator=(Lease&&) = delete;
  ~Lease();

  Connection* operator->() const { return connection_.get(); }
  Connection& operator*() const { return *connection_; }

 private:
  std::shared_ptr<Pool> pool_;
  std::shared_ptr<Connection> connection_;
};

/// Hands out connections, opening one if fewer than `max_connections` exist. *one worker*
///
/// Waiters are served in arrival order; idle connections are reused newest first, so the oldest age out.
class Pool : public std::enable_shared_from_this<Pool> {
 public:
  /// `host` is sent as Host.
  Pool(boost::asio::ip::tcp::endpoint server, std::string host, const PoolLimits& limits);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// An idle connection, without waiting; empty if there is none.
  [[nodiscard]] std::optional<Lease> take_idle();

  enum class Reuse { allowed, fresh_only };
  /// A cancelled wait consumes nothing.
  /// Failures: connect (refused, unreachable, no connection within `connect_timeout`; retriable), timeout and cancelled
  /// from `ctx`.
  [[nodiscard]] concurrency::Task<boost::system::result<Lease, Failure>> acquire(const concurrency::Context& ctx,
                                                                                 Reuse reuse);

  [[nodiscard]] const boost::asio::ip::tcp::endpoint& server() const { return server_; }
  [[nodiscard]] std::size_t idle() const { return idle_.size(); }
  [[nodiscard]] std::size_t busy() const { return open_ - idle_.size(); }

 private:
  friend class Lease;
  using Handover = std::shared_ptr<Connection>;  // to a waiter: an idle connection, or null: leave to open one

  concurrency::Task<boost::system::result<Lease, Failure>> connect(const concurrency::Context& ctx);
  void give_back(std::shared_ptr<Connection> connection);
  void release_slot();
  void forget(Connection& connection);
  void expire_idle();
  void arm_expiry();

  struct Expiry : concurrency::TimerEntry {
    explicit Expiry(Pool& p);
    Pool& pool;
  };

  const boost::asio::ip::tcp::endpoint server_;
  const std::string host_;
  const PoolLimits limits_;
  concurrency::Loop& loop_;
  std::size_t open_ = 0;                           // idle, busy and being opened
  std::vector<std::shared_ptr<Connection>> idle_;  // oldest first
  concurrency::detail::WaitList waiters_;
  Expiry expiry_;
};

}  // namespace sluice::backends
