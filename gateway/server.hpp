// The whole gateway as a process: workers, admin port, signals, reload, drain.
#pragma once

#include "concurrency/context.hpp"
#include "concurrency/loop.hpp"
#include "gateway/config.hpp"
#include "gateway/deployment.hpp"
#include "gateway/huge_pages.hpp"
#include "gateway/stale_flusher.hpp"
#include "gateway/worker.hpp"

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace sluice::gateway {

/// What the command line says over the configuration; survives reloads.
struct Overrides {
  Overrides() = default;

  std::optional<Address> listen;
  std::optional<Address> admin;
  std::optional<unsigned> threads;
  bool takeover = false;  ///< the address may be another gateway's, which is about to go
};

/// Thread: made, run and destroyed on one; the functions marked so are for any.
class Server {
 public:
  /// Opens the listeners. `config` was read from `config_file`, which a reload reads again.
  /// Throws std::runtime_error that names the address that cannot be listened on, or a cache_file that is not ours.
  Server(std::filesystem::path config_file, Config config, Overrides overrides);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Serves until SIGTERM or SIGINT and the drain after it. Returns the exit code.
  int run();

  /// Calls `f` on the control thread when the gateway is ready for traffic.
  void on_ready(std::function<void()> f) { on_ready_ = std::move(f); }
  /// Begins the drain, as SIGTERM does. Thread: any.
  void stop();

  [[nodiscard]] const std::vector<boost::asio::ip::tcp::endpoint>& listening() const { return listening_; }
  [[nodiscard]] std::optional<boost::asio::ip::tcp::endpoint> admin_listening() const { return admin_listening_; }

  /// Reads the configuration again and swaps it in. The problems if it is bad: then nothing has changed.
  /// Thread: the control thread.
  std::optional<std::string> reload();
  [[nodiscard]] bool is_ready() const { return is_ready_; }
  [[nodiscard]] const Runtime& runtime() const { return *runtime_; }
  /// All metrics as Prometheus text, up to date.
  [[nodiscard]] std::string metrics_text();
  /// Removes what is stored under keys that begin with `prefix`, from `cache_file` too; returns the number of entries.
  std::size_t purge(std::string_view prefix);

 private:
  struct Running;  // a worker and its thread

  void apply_overrides(Config& config) const;
  void open_listeners();
  concurrency::Task<> watch_signals();
  concurrency::Task<> get_ready();
  concurrency::Task<> keep_resolving();
  concurrency::Task<> tend_store();
  concurrency::Task<bool> resolve_all(concurrency::Context ctx);
  concurrency::Task<> drain();
  void update_cache_metrics();
  void on_each_worker(const std::function<void(Worker&)>& f);

  const std::filesystem::path config_file_;
  const Overrides overrides_;
  Metrics metrics_;
  StaleStore store_;
  HugePages huge_pages_;
  std::unique_ptr<StaleFlusher> flusher_;  // null without a cache_file
  std::unique_ptr<AccessLogWriter> access_log_;
  std::unique_ptr<Shared> shared_;
  std::unique_ptr<ReloadMetrics> reload_metrics_;
  std::shared_ptr<const Runtime> runtime_;
  std::uint64_t evictions_seen_ = 0;

  concurrency::Loop control_;
  concurrency::Loop::Entered entered_{control_};
  concurrency::Cancellable lifetime_;
  std::vector<boost::asio::ip::tcp::endpoint> listening_;
  std::optional<boost::asio::ip::tcp::endpoint> admin_listening_;
  std::optional<Acceptor> admin_acceptor_;
  std::vector<std::unique_ptr<Running>> workers_;
  std::function<void()> on_ready_;
  bool is_ready_ = false;
  bool is_draining_ = false;
  int exit_code_ = 0;
};

}  // namespace sluice::gateway
