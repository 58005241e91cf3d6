// What the gateway measures: one object for each endpoint, call and backend, and one for the program.
#pragma once

#include "backends/failure.hpp"
#include "gateway/metrics.hpp"
#include "gateway/outcome.hpp"
#include "gateway/runway.hpp"

#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::gateway {

/// Measures the requests of one endpoint. Made anew by each reload; the series go on. Thread: any.
class EndpointMetrics {
 public:
  /// `endpoint`: its name, "" for requests that matched none.
  EndpointMetrics(Metrics& metrics, std::string endpoint);

  /// Counts a request as in flight for as long as the result lives.
  [[nodiscard]] Gauge::Hold in_flight() const { return in_flight_.hold(); }

  /// A request was answered. `code`: the status sent; one that is not registered at IANA counts as "other".
  /// `deadline`: the time it was given, zero if it had none.
  void observe(unsigned code, ResultKind result, std::chrono::nanoseconds duration, std::chrono::nanoseconds deadline);

 private:
  CounterTable requests_;
  Histogram duration_;
  Gauge in_flight_;
  Histogram deadline_used_;
};

/// Measures one call of one endpoint. Thread: any.
class CallMetrics {
 public:
  CallMetrics(Metrics& metrics, std::string endpoint, std::string call);
  ~CallMetrics();
  CallMetrics(const CallMetrics&) = delete;
  CallMetrics& operator=(const CallMetrics&) = delete;

  /// A call has its outcome. The duration of a skipped call says nothing about the backend and is not observed.
  /// `age`: of stale data; not looked at for other outcomes.
  void observe(Outcome outcome, std::optional<backends::Reason> reason, std::chrono::nanoseconds duration,
               std::chrono::nanoseconds age = {});

  /// The call may serve stale data, so its runway is exported. Once, before any other thread has this.
  void export_runway();
  /// Stale data that may be served until `until` was served at `now`, or could not be refreshed.
  void served_stale(concurrency::TimePoint now, concurrency::TimePoint until) { runway_.served(now, until); }
  /// Brings the exported runway up to date: `+Inf` while no stale data is in use.
  void update_runway(concurrency::TimePoint now) const;

 private:
  Metrics& metrics_;
  const std::string endpoint_;
  const std::string call_;
  CounterTable calls_;
  Histogram duration_;
  Runway runway_;
  std::optional<Gauge> runway_left_;
  std::once_flag age_once_;
  std::optional<Histogram> age_;  // made by the first stale outcome
};

/// Measures the attempts on, and the connections to, one backend. Thread: any.
class BackendMetrics {
 public:
  BackendMetrics(Metrics& metrics, std::string backend);

  /// An attempt got a whole response, or failed. A status that is not registered at IANA counts as "other".
  void observe_response(unsigned status, std::chrono::nanoseconds duration);
  void observe_failure(backends::Reason reason, std::chrono::nanoseconds duration);

  const Gauge idle_connections;
  const Gauge busy_connections;
  const Counter coalesced;  // calls that got the answer to an attempt of another call

 private:
  CounterTable attempts_;
  Histogram duration_;
};

/// Measures the store of degraded data. Thread: any.
struct CacheMetrics {
  explicit CacheMetrics(Metrics& metrics);

  /// Bodies of `backend` that were not stored for `reason`, a word of a closed vocabulary. Locks: keep the handle.
  Counter refused(std::string_view backend, std::string_view reason) const;

  const Counter hits;
  const Counter stale_hits;
  const Counter misses;
  const Gauge bytes;
  const Gauge entries;
  const Counter evictions;

 private:
  Metrics& metrics_;
};

/// Measures the writing of the store's file. Thread: any.
struct CacheFileMetrics {
  explicit CacheFileMetrics(Metrics& metrics);

  const Counter written;
  const Counter failed;
  const Gauge last_write;  // in seconds since 1970
};

/// Counts reloads of the configuration. Making one says that the configuration in use is good. Thread: any.
class ReloadMetrics {
 public:
  explicit ReloadMetrics(Metrics& metrics);

  void observe(bool is_success) const;

 private:
  Counter successes_;
  Counter failures_;
  Gauge is_last_successful_;
};

/// Lines that the access log dropped (access_log.hpp).
Counter access_log_dropped(Metrics& metrics);

/// Wishes of clients in the deadline header that were no number of milliseconds.
Counter deadline_header_malformed(Metrics& metrics);

/// Adds `sluice_build_info`, always 1, whose labels are the version and the compiler.
void add_build_info(Metrics& metrics);

}  // namespace sluice::gateway
