// One worker: accepts connections and serves them, on one loop.
#pragma once

#include "concurrency/context.hpp"
#include "concurrency/loop.hpp"
#include "gateway/backlog.hpp"
#include "gateway/deployment.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

namespace sluice::gateway {

using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::ip::tcp, concurrency::Executor>;

/// *one worker*: made, used and destroyed while its loop is the current one, except where a function says otherwise.
class Worker {
 public:
  /// Worker number `number` of `count`. `runtime` is what it starts with.
  Worker(concurrency::Loop& loop, Shared& shared, std::size_t number, std::size_t count,
         std::shared_ptr<const Runtime> runtime);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Serves what `acceptor` accepts. The socket is listening already.
  void serve(Acceptor acceptor);

  /// Requests that begin from now on are served by `runtime`.
  void deploy(std::shared_ptr<const Runtime> runtime);

  /// Stops accepting, after what waits in the accept queue, and keeping idle connections. Requests in flight go on;
  /// `is_idle()` tells when they are over.
  void drain();
  [[nodiscard]] bool is_draining() const { return is_draining_; }
  [[nodiscard]] bool is_idle() const { return *sessions_ == 0 && (!is_draining_ || accepting_ == 0); }

  [[nodiscard]] const std::shared_ptr<const Deployment>& deployment() const { return deployment_; }
  [[nodiscard]] Shared& shared() const { return shared_; }
  [[nodiscard]] std::size_t number() const { return number_; }
  [[nodiscard]] Backlog& backlog() { return backlog_; }
  /// Done when idle connections should close.
  [[nodiscard]] const concurrency::Context& serving() const { return serving_.ctx; }
  /// The value of a Date header, until the next call.
  [[nodiscard]] std::string_view http_date(std::chrono::system_clock::time_point time);

  /// Counts a session for as long as it lives.
  class SessionHold {
   public:
    explicit SessionHold(Worker& worker) : sessions_(worker.sessions_) { ++*sessions_; }
    ~SessionHold() { --*sessions_; }
    SessionHold(const SessionHold&) = delete;
    SessionHold& operator=(const SessionHold&) = delete;

   private:
    const std::shared_ptr<std::size_t> sessions_;  // the session may die with the loop, after the worker
  };

 private:
  concurrency::Task<> accept(std::shared_ptr<Acceptor> acceptor);
  void start(backends::Socket socket);
  static concurrency::Task<> let_go_of_old_snapshots(concurrency::Context ctx);

  concurrency::Loop& loop_;
  Shared& shared_;
  const std::size_t number_;
  const std::size_t count_;
  concurrency::Cancellable background_;
  concurrency::Cancellable serving_;
  std::shared_ptr<const Deployment> deployment_;
  std::vector<std::shared_ptr<Acceptor>> acceptors_;
  std::size_t accepting_ = 0;  // acceptors that are served
  const std::shared_ptr<std::size_t> sessions_ = std::make_shared<std::size_t>(0);
  bool is_draining_ = false;
  Backlog backlog_;
  std::chrono::sys_seconds date_second_{};
  std::array<char, 32> date_{};
  std::size_t date_size_ = 0;
};

}  // namespace sluice::gateway
