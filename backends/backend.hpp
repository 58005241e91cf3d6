// A backend as one worker sees it: chooses a server, and makes the attempt on one of its connections.
#pragma once

#include "backends/pool.hpp"
#include "backends/request.hpp"
#include "backends/servers.hpp"
#include "backends/stream.hpp"
#include "concurrency/context.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace sluice::backends {

/// Told of what happens on a backend's connections; outlives the backend. Thread: the worker's.
class Observer {
 public:
  virtual ~Observer() = default;
  /// An attempt ended after `took`: with a response (`failure` null; `status`) or a failure.
  virtual void on_attempt(unsigned status, const Failure* failure, concurrency::Duration took) = 0;
  /// Connections of this worker to this backend, by how many more or fewer than before.
  virtual void on_connections(int idle, int busy) = 0;
};

enum class Balancing { least_loaded, round_robin };

/// What Request::server_hash may be made from: the same for the same text, in every process.
[[nodiscard]] std::uint64_t hash_of(std::string_view text);

struct BackendOptions {
  BackendOptions() = default;

  PoolLimits pool;  ///< of each server
  Balancing balancing = Balancing::least_loaded;
  std::optional<std::chrono::nanoseconds> timeout;  ///< of one attempt
};

/// *one worker*
class Backend {
 public:
  Backend(std::shared_ptr<const Servers> servers, BackendOptions options, Observer& observer);
  ~Backend();
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  /// One attempt on the server that seems least loaded. If a kept-alive connection turns out to be closed by the
  /// server, an idempotent request is sent once more, on a fresh one.
  ///
  /// Failures: no_server (none is known), timeout and cancelled from `ctx` and the attempt's own timeout, and those of
  /// Pool::acquire and Connection::exchange.
  concurrency::Task<CallResult> call(const concurrency::Context& ctx, std::shared_ptr<const Request> request);

  /// The same piece by piece: a connection on which the head of `request` has been written. One without a streamed body
  /// has then got the head of its response, too, and only such a one is sent once more. `interim`, which may be null,
  /// lives as long as the stream.
  concurrency::Task<boost::system::result<Stream, Failure>> stream(const concurrency::Context& ctx,
                                                                   std::shared_ptr<const Request> request,
                                                                   InterimSink* interim);

 private:
  friend class Stream;
  struct Known;  // a server, with what this worker has seen of it

  void update();
  [[nodiscard]] std::shared_ptr<Known> choose(const Request& request);
  [[nodiscard]] Failure no_server();
  concurrency::Task<CallResult> attempt(const concurrency::Context& ctx, std::shared_ptr<Known> server,
                                        std::shared_ptr<const Request> request, Pool::Reuse reuse);
  void conclude(Known& server, unsigned status, const Failure* failure, concurrency::Duration took,
                concurrency::TimePoint now);
  void count_connections();

  const std::shared_ptr<const Servers> servers_;
  const BackendOptions options_;
  Observer& observer_;
  std::shared_ptr<const ServerList> list_;  // what known_ was made from
  std::vector<std::shared_ptr<Known>> known_;
  std::size_t next_ = 0;  // round robin
  int idle_ = 0;          // as last told to the observer
  int busy_ = 0;
};

}  // namespace sluice::backends
