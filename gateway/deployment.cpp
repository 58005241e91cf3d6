#include "gateway/deployment.hpp"

#include <algorithm>

namespace sluice::gateway {
namespace {

class Observer final : public backends::Observer {
 public:
  explicit Observer(std::shared_ptr<BackendMetrics> metrics) : metrics_(std::move(metrics)) {}

  void on_attempt(unsigned status, const backends::Failure* failure, concurrency::Duration took) override {
    if (failure != nullptr && failure->reason != backends::Reason::status) {
      metrics_->observe_failure(failure->reason, took);
    } else {
      metrics_->observe_response(status, took);
    }
  }
  void on_connections(int idle, int busy) override {
    metrics_->idle_connections.add(idle);
    metrics_->busy_connections.add(busy);
  }

 private:
  std::shared_ptr<BackendMetrics> metrics_;
};

backends::BackendOptions options_of(const BackendConfig& config, std::size_t workers) {
  backends::BackendOptions options;
  // Every worker gets its share, and at least one.
  options.pool.max_connections = std::max<std::size_t>(1, config.max_connections / workers);
  options.pool.connect_timeout = config.connect_timeout;
  options.pool.idle_timeout = config.idle_timeout;
  options.pool.response = backends::ResponseLimits(config.max_header, config.max_response);
  options.balancing = config.balance.kind == Balance::round_robin ? backends::Balancing::round_robin
                                                                  : backends::Balancing::least_loaded;
  options.timeout = config.timeout;
  return options;
}

}  // namespace

struct Deployment::Attached {
  Attached(std::shared_ptr<const backends::Servers> s, const BackendConfig& c, std::shared_ptr<BackendMetrics> metrics,
           std::size_t workers)
      : servers(std::move(s)), config(c), observer(std::move(metrics)) {
    backend = std::make_unique<backends::Backend>(servers, options_of(config, workers), observer);
  }

  std::shared_ptr<const backends::Servers> servers;
  const BackendConfig config;
  Observer observer;
  std::unique_ptr<backends::Backend> backend;
};

backends::Backend& Deployment::backend(std::size_t index) const {
  return *backends_[index]->backend;
}

Deployment::Deployment(std::shared_ptr<const Runtime> r, Shared& s, concurrency::Context ctx, std::size_t number,
                       std::size_t workers, const Deployment* before)
    : runtime(std::move(r)), shared(s), background(std::move(ctx)), worker(number) {
  for (std::size_t i = 0; i < runtime->config.backends.size(); ++i) {
    const BackendConfig& config = runtime->config.backends[i];
    std::shared_ptr<Attached> same;
    if (before != nullptr) {
      for (const auto& old : before->backends_) {
        if (old->servers == runtime->servers[i] && old->config == config) same = old;
      }
    }
    backends_.push_back(
        same ? same : std::make_shared<Attached>(runtime->servers[i], config, runtime->backend_metrics[i], workers));
  }
}

}  // namespace sluice::gateway
