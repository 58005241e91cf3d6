// One configuration as one worker runs it, and what all workers share whatever the configuration.
#pragma once

#include "backends/backend.hpp"
#include "concurrency/context.hpp"
#include "concurrency/single_flight.hpp"
#include "gateway/access_log.hpp"
#include "gateway/runtime.hpp"
#include "gateway/stale_store.hpp"
#include "gateway/turnstile.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace sluice::gateway {

/// Outlives every worker and every reload. Thread: any.
struct Shared {
  Shared(Metrics& m, StaleStore& s, AccessLogWriter& l)
      : metrics(m), cache_metrics(m), malformed_deadlines(deadline_header_malformed(m)), store(s), access_log(l) {}

  Metrics& metrics;
  CacheMetrics cache_metrics;
  const Counter malformed_deadlines;
  StaleStore& store;
  AccessLogWriter& access_log;
};

struct CallAnswer;
using CallFlights = concurrency::SingleFlight<std::string, std::shared_ptr<const CallAnswer>>;

/// What a worker answers requests with; each request pins the one that it began with. *one worker*
class Deployment {
 public:
  /// `before`: what this one replaces, whose connections are taken over where the backend is the same; may be null.
  /// `worker`: number of the worker among `workers`. `background`: ends when the worker does.
  Deployment(std::shared_ptr<const Runtime> runtime, Shared& shared, concurrency::Context background,
             std::size_t worker, std::size_t workers, const Deployment* before);
  Deployment(const Deployment&) = delete;
  Deployment& operator=(const Deployment&) = delete;

  const std::shared_ptr<const Runtime> runtime;
  Shared& shared;
  const concurrency::Context background;
  const std::size_t worker;

  [[nodiscard]] backends::Backend& backend(std::size_t index) const;

  /// What is being asked of backends on this worker (ask.hpp).
  [[nodiscard]] CallFlights& flights() const { return flights_; }
  /// Likewise of responses that are passed on while they come.
  [[nodiscard]] Turnstile& turnstile() const { return turnstile_; }

 private:
  struct Attached;  // a backend and what observes it

  std::vector<std::shared_ptr<Attached>> backends_;
  mutable CallFlights flights_;
  mutable Turnstile turnstile_;
};

}  // namespace sluice::gateway
