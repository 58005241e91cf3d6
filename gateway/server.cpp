#include "gateway/server.hpp"

#include "concurrency/io.hpp"
#include "concurrency/sleep.hpp"
#include "gateway/admin.hpp"
#include "gateway/config_reader.hpp"
#include "gateway/listener.hpp"
#include "gateway/log.hpp"
#include "gateway/problem.hpp"
#include "gateway/process_metrics.hpp"
#include "gateway/turns.hpp"

#include <algorithm>
#include <csignal>
#include <future>
#include <pthread.h>
#include <random>
#include <sys/resource.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>

namespace sluice::gateway {
namespace {

namespace asio = boost::asio;
using concurrency::Context;
using concurrency::Task;

constexpr std::chrono::seconds kFirstResolve{5};     // then the gateway serves without the names that are missing
constexpr std::chrono::milliseconds kDrainPoll{10};  // how often to look whether the last request is over
constexpr std::size_t kLargeStore = std::size_t{32} << 20U;                     // bytes from which huge pages pay
constexpr int kHugePagesASecond = 20;                                           // each takes some 0.6 ms
constexpr std::chrono::nanoseconds kShortestRefresh = std::chrono::seconds(1);  // between rounds of name resolution

/// As many file descriptors as the system allows: each connection is one.
void raise_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

std::uint64_t secret_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32U) | device();
}

unsigned thread_count(const Config& config) {
  return config.threads != 0 ? config.threads : std::max(1U, std::thread::hardware_concurrency());
}

}  // namespace

struct Server::Running {
  explicit Running(std::size_t n) : number(n) {}
  ~Running() {
    loop.stop();
    if (thread.joinable()) thread.join();
  }

  const std::size_t number;
  concurrency::Loop loop;
  std::vector<Acceptor> acceptors;  // until the thread starts
  std::unique_ptr<Worker> worker;   // lives on the thread
  std::atomic<bool> is_idle{false};
  std::thread thread;
};

Server::Server(std::filesystem::path config_file, Config config, Overrides overrides)
    : config_file_(std::move(config_file)),
      overrides_(std::move(overrides)),
      store_(config.cache_size, secret_seed()),
      lifetime_(concurrency::with_cancel(Context())) {
  raise_file_limit();
  std::signal(SIGPIPE, SIG_IGN);
  apply_overrides(config);
  runtime_ = std::make_shared<const Runtime>(std::move(config), metrics_, nullptr);
  const unsigned threads = thread_count(runtime_->config);
  access_log_ = std::make_unique<AccessLogWriter>(STDOUT_FILENO, threads, access_log_dropped(metrics_));
  shared_ = std::make_unique<Shared>(metrics_, store_, *access_log_);
  reload_metrics_ = std::make_unique<ReloadMetrics>(metrics_);
  add_build_info(metrics_);
  for (unsigned i = 0; i < threads; ++i) workers_.push_back(std::make_unique<Running>(i));
  if (const auto& file = runtime_->config.cache_file) {
    flusher_ = std::make_unique<StaleFlusher>(store_, *file, runtime_->config.cache_flush, metrics_);
  }
  open_listeners();
}

Server::~Server() = default;

void Server::apply_overrides(Config& config) const {
  if (overrides_.listen) config.listen = {*overrides_.listen};
  if (overrides_.admin) config.admin = overrides_.admin;
  if (overrides_.threads) config.threads = *overrides_.threads;
}

void Server::open_listeners() {
  const Config& config = runtime_->config;
  for (Address address : config.listen) {
    // The kernel would let a second program share the port; that is a mistake unless it is meant.
    if (!overrides_.takeover) require_free(address, control_.executor());
    for (const auto& running : workers_) {
      running->acceptors.push_back(listen(address, Sharing::shared, running->loop.executor()));
      backends::note_arrivals(running->acceptors.back().native_handle());
      const auto endpoint = running->acceptors.back().local_endpoint();
      if (running->number == 0) listening_.push_back(endpoint);
      address.port = endpoint.port();  // of port 0 the first worker's
    }
  }
  if (!config.admin) return;
  const Sharing sharing = overrides_.takeover ? Sharing::shared : Sharing::exclusive;
  admin_acceptor_ = listen(*config.admin, sharing, control_.executor());
  admin_listening_ = admin_acceptor_->local_endpoint();
}

int Server::run() {
  for (const auto& running : workers_) {
    Running& r = *running;
    r.thread = std::thread([this, &r] {
      ::pthread_setname_np(::pthread_self(), "worker");
      metrics_.enter(r.number);
      const concurrency::Loop::Entered entered(r.loop);
      r.worker = std::make_unique<Worker>(r.loop, *shared_, r.number, workers_.size(), runtime_);
      for (Acceptor& acceptor : r.acceptors) r.worker->serve(std::move(acceptor));
      r.loop.run();
    });
  }
  if (flusher_) flusher_->start();
  asio::co_spawn(control_.executor(), watch_signals(), asio::detached);
  asio::co_spawn(control_.executor(), get_ready(), asio::detached);
  asio::co_spawn(control_.executor(), tend_store(), asio::detached);
  if (admin_acceptor_) serve_admin(*this, std::move(*admin_acceptor_), lifetime_.ctx);
  control_.run();

  is_ready_ = false;
  lifetime_.cancel();
  for (const auto& running : workers_) running->loop.stop();
  for (const auto& running : workers_) running->thread.join();
  access_log_->stop();
  return exit_code_;
}

void Server::stop() {
  asio::post(control_.executor(), [this] {
    if (!is_draining_) asio::co_spawn(control_.executor(), drain(), asio::detached);
  });
}

Task<> Server::get_ready() {
  const auto bounded = concurrency::with_timeout(lifetime_.ctx, kFirstResolve);
  (void)co_await resolve_all(bounded.ctx);
  for (const auto& endpoint : listening_) log_info("listening on " + to_text(endpoint));
  if (admin_listening_) log_info("admin port on " + to_text(*admin_listening_));
  is_ready_ = true;
  if (on_ready_) on_ready_();
  co_await keep_resolving();
}

Task<bool> Server::resolve_all(Context ctx) {
  const std::shared_ptr<const Runtime> runtime = runtime_;
  for (std::size_t i = 0; i < runtime->servers.size(); ++i) {
    if (!runtime->servers[i]->has_names()) continue;
    const std::string name = runtime->config.backends[i].name;
    std::function<void(const std::string&)> warn = [&name](const std::string& problem) {
      log_warn("backend " + name + ": cannot resolve " + problem);
    };
    const auto resolved = co_await runtime->servers[i]->resolve(ctx, std::move(warn));
    if (resolved.has_error()) co_return false;
  }
  co_return true;
}

Task<> Server::keep_resolving() {
  for (;;) {
    std::chrono::nanoseconds refresh = std::chrono::hours(1);
    for (const BackendConfig& backend : runtime_->config.backends) refresh = std::min(refresh, backend.refresh);
    const auto slept = co_await concurrency::sleep(lifetime_.ctx, std::max(refresh, kShortestRefresh));
    if (slept.has_error()) co_return;
    const bool resolved = co_await resolve_all(lifetime_.ctx);
    if (!resolved) co_return;
  }
}

/// Memory that was let go of, and huge pages: at leisure, so that no worker has to.
Task<> Server::tend_store() {
  for (;;) {
    const auto slept = co_await concurrency::sleep(lifetime_.ctx, std::chrono::seconds(1));
    if (slept.has_error()) co_return;
    // Who puts meanwhile must not wait for more than one of them.
    while (store_.reclaim()) (void)co_await concurrency::sleep(lifetime_.ctx, std::chrono::milliseconds(1));
    if (store_.stats().bytes < kLargeStore) continue;
    for (int i = 0; i < kHugePagesASecond && huge_pages_.advance(); ++i) co_await pause();
  }
}

Task<> Server::watch_signals() {
  asio::basic_signal_set<concurrency::Executor> signals(control_.executor(), SIGTERM, SIGINT, SIGHUP);
  for (;;) {
    const auto signal = co_await concurrency::io(lifetime_.ctx, signals.async_wait(asio::deferred));
    if (signal.has_error()) co_return;
    if (*signal == SIGHUP) {
      (void)reload();
    } else if (is_draining_) {
      log_warn("second signal: leaving at once");
      access_log_->stop();
      std::_Exit(128 + *signal);
    } else {
      asio::co_spawn(control_.executor(), drain(), asio::detached);
    }
  }
}

std::optional<std::string> Server::reload() {
  Checked checked = read_config(config_file_);
  std::string problems;
  for (const Problem& problem : checked.problems) problems += format(problem) + "\n";
  if (!checked.config) {
    reload_metrics_->observe(false);
    log_error("reload: the configuration is bad, nothing has changed");
    for (const Problem& problem : checked.problems) log_error(format(problem));
    return problems;
  }
  Config& config = *checked.config;
  apply_overrides(config);
  const Config& before = runtime_->config;
  // What is bound to sockets, threads and memory stays as it is.
  const auto keep = [](auto& now, const auto& then, const char* key) {
    if (now == then) return;
    log_warn(std::string("reload: a new \"") + key + "\" takes effect after a restart");
    now = then;
  };
  keep(config.listen, before.listen, "listen");
  keep(config.admin, before.admin, "admin");
  keep(config.threads, before.threads, "threads");
  keep(config.cache_size, before.cache_size, "cache_size");
  keep(config.cache_file, before.cache_file, "cache_file");
  keep(config.cache_flush, before.cache_flush, "cache_flush");

  runtime_ = std::make_shared<const Runtime>(std::move(config), metrics_, runtime_.get());
  const std::shared_ptr<const Runtime> next = runtime_;
  // Names that are new are resolved first, so that no request meets a backend without servers.
  asio::co_spawn(
      control_.executor(),
      [](Server& self, std::shared_ptr<const Runtime> runtime) -> Task<> {
        const auto bounded = concurrency::with_timeout(self.lifetime_.ctx, kFirstResolve);
        (void)co_await self.resolve_all(bounded.ctx);
        self.on_each_worker([runtime](Worker& worker) { worker.deploy(runtime); });
        log_info("reload: done");
      }(*this, next),
      asio::detached);
  reload_metrics_->observe(true);
  return std::nullopt;
}

Task<> Server::drain() {
  is_draining_ = true;
  is_ready_ = false;
  const Config& config = runtime_->config;
  log_info("draining");
  (void)co_await concurrency::sleep(Context(), config.drain_delay);
  const auto bounded = concurrency::with_timeout(Context(), config.drain_timeout);
  on_each_worker([](Worker& worker) { worker.drain(); });
  for (bool all_idle = false; !all_idle && !bounded.ctx.is_done();) {
    (void)co_await concurrency::sleep(Context(), kDrainPoll);
    all_idle = std::all_of(workers_.begin(), workers_.end(), [](const auto& r) { return r->is_idle.load(); });
    for (const auto& running : workers_) {
      asio::post(running->loop.executor(), [r = running.get()] { r->is_idle = r->worker->is_idle(); });
    }
  }
  if (bounded.ctx.is_done()) log_warn("drain_timeout: requests in flight are cut");
  // However long the disk takes: a second signal still ends it at once, and leaves the file of before.
  if (flusher_) flusher_->finish();
  while (flusher_ && !flusher_->is_finished()) (void)co_await concurrency::sleep(Context(), kDrainPoll);
  log_info("stopped");
  control_.stop();
}

void Server::on_each_worker(const std::function<void(Worker&)>& f) {
  for (const auto& running : workers_) {
    asio::post(running->loop.executor(), [r = running.get(), f] { f(*r->worker); });
  }
}

void Server::update_cache_metrics() {
  const StaleStore::Stats stats = store_.stats();
  shared_->cache_metrics.bytes.set(static_cast<std::int64_t>(stats.bytes));
  shared_->cache_metrics.entries.set(static_cast<std::int64_t>(stats.entries));
  shared_->cache_metrics.evictions.add(stats.evictions - std::exchange(evictions_seen_, stats.evictions));
}

std::size_t Server::purge(std::string_view prefix) {
  const std::size_t removed = store_.erase_prefix(prefix);
  if (flusher_) flusher_->write_soon();
  return removed;
}

std::string Server::metrics_text() {
  update_cache_metrics();
  runtime_->update_metrics(concurrency::TimePoint::clock::now());
  return process_metrics_text() + metrics_.text();
}

}  // namespace sluice::gateway
