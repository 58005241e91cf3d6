// Names, labels and buckets of the product's metrics.
#include "gateway/instruments.hpp"

#include "gateway/version.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <utility>
#include <vector>

namespace sluice::gateway {
namespace {

using backends::kReasonCount;
using backends::Reason;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// Durations are counted in microseconds: 10,000 requests always in flight take 58 years to overflow their sum.
constexpr double kMicrosecondsPerSecond = 1e6;
constexpr std::uint64_t kDurationBuckets[] = {500,     1'000,   2'500,   5'000,     10'000,    25'000,    50'000,
                                              100'000, 250'000, 500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000};

// The share of the deadline, in thousandths; close around 1, where a reply turns from in time to late.
constexpr std::uint64_t kDeadlineBuckets[] = {50,  100, 200, 300,  400,  500,  600, 700,
                                              800, 900, 950, 1000, 1010, 1050, 1250};

// Ages are counted in milliseconds: from a second to a week.
constexpr double kMillisecondsPerSecond = 1e3;
constexpr std::uint64_t kAgeBuckets[] = {1'000,   5'000,     15'000,     60'000,     300'000,
                                         900'000, 3'600'000, 14'400'000, 86'400'000, 604'800'000};

constexpr std::string_view kEndpoint[] = {"endpoint"};
constexpr std::string_view kEndpointCall[] = {"endpoint", "call"};
constexpr std::string_view kBackend[] = {"backend"};
constexpr std::string_view kResult[] = {"result"};
constexpr std::string_view kRequestLabels[] = {"endpoint", "code", "result"};
constexpr std::string_view kCallLabels[] = {"endpoint", "call", "outcome", "reason"};
constexpr std::string_view kAttemptLabels[] = {"backend", "code"};
constexpr std::string_view kConnectionLabels[] = {"backend", "state"};
constexpr std::string_view kRefusalLabels[] = {"backend", "reason"};
constexpr std::string_view kBuildLabels[] = {"version", "compiler"};

constexpr MetricFamily kRequests = {"sluice_requests_total", "Requests answered, by status and how good the reply was.",
                                    MetricType::counter, kRequestLabels};
constexpr MetricFamily kRequestDuration = {"sluice_request_duration_seconds",
                                           "Time from the request's header to the end of its reply.",
                                           MetricType::histogram,
                                           kEndpoint,
                                           kDurationBuckets,
                                           kMicrosecondsPerSecond};
constexpr MetricFamily kRequestsInFlight = {"sluice_requests_in_flight", "Requests being answered now.",
                                            MetricType::gauge, kEndpoint};
constexpr MetricFamily kDeadlineUsed = {"sluice_deadline_used_ratio",
                                        "Share of its deadline that a request took; above 1 it was late.",
                                        MetricType::histogram,
                                        kEndpoint,
                                        kDeadlineBuckets,
                                        1000};
constexpr MetricFamily kCalls = {"sluice_calls_total", "Calls to backends, by where their data came from and why.",
                                 MetricType::counter, kCallLabels};
constexpr MetricFamily kCallDuration = {"sluice_call_duration_seconds",
                                        "Time until a call had its outcome, skipped calls left out.",
                                        MetricType::histogram,
                                        kEndpointCall,
                                        kDurationBuckets,
                                        kMicrosecondsPerSecond};
constexpr MetricFamily kStaleAge = {"sluice_stale_age_seconds",
                                    "Age of stale data when it was served.",
                                    MetricType::histogram,
                                    kEndpointCall,
                                    kAgeBuckets,
                                    kMillisecondsPerSecond};
constexpr MetricFamily kRunway = {"sluice_stale_runway_seconds",
                                  "Time until the first of the stale data served in the last minute ends.",
                                  MetricType::gauge, kEndpointCall};
constexpr MetricFamily kAttempts = {"sluice_backend_attempts_total",
                                    "Attempts on servers, by status or by the reason of their failure.",
                                    MetricType::counter, kAttemptLabels};
constexpr MetricFamily kAttemptDuration = {"sluice_backend_attempt_duration_seconds",
                                           "Time an attempt took until its whole response or its failure.",
                                           MetricType::histogram,
                                           kBackend,
                                           kDurationBuckets,
                                           kMicrosecondsPerSecond};
constexpr MetricFamily kConnections = {"sluice_backend_connections", "Open connections to servers.", MetricType::gauge,
                                       kConnectionLabels};
constexpr MetricFamily kCoalesced = {"sluice_coalesced_total",
                                     "Calls that got the answer to an attempt that another call had begun.",
                                     MetricType::counter, kBackend};
constexpr MetricFamily kCacheLookups = {"sluice_cache_lookups_total", "Lookups of stored data.", MetricType::counter,
                                        kResult};
constexpr MetricFamily kCacheRefused = {"sluice_cache_refused_total", "Responses that could not be stored, and why.",
                                        MetricType::counter, kRefusalLabels};
constexpr MetricFamily kCacheBytes = {"sluice_cache_bytes", "Memory taken by stored data.", MetricType::gauge, {}};
constexpr MetricFamily kCacheEntries = {"sluice_cache_entries", "Stored responses.", MetricType::gauge, {}};
constexpr MetricFamily kCacheEvictions = {
    "sluice_cache_evictions_total", "Stored responses removed to make room.", MetricType::counter, {}};
constexpr MetricFamily kCacheFileWrites = {
    "sluice_cache_file_writes_total", "Times that stored data was written to its file.", MetricType::counter, kResult};
constexpr MetricFamily kCacheFileLastWrite = {"sluice_cache_file_last_write_timestamp_seconds",
                                              "When stored data was last written to its file; 0: not yet.",
                                              MetricType::gauge,
                                              {}};
constexpr MetricFamily kReloads = {"sluice_config_reloads_total", "Reloads of the configuration.", MetricType::counter,
                                   kResult};
constexpr MetricFamily kLastReload = {"sluice_config_last_reload_successful",
                                      "1 if the last reload of the configuration succeeded, else 0.",
                                      MetricType::gauge,
                                      {}};
constexpr MetricFamily kDeadlineMalformed = {"sluice_deadline_header_malformed_total",
                                             "Wishes of clients for a deadline that were no number of milliseconds.",
                                             MetricType::counter,
                                             {}};
constexpr MetricFamily kLogDropped = {"sluice_access_log_dropped_total",
                                      "Lines dropped because the access log's output was blocked or gone.",
                                      MetricType::counter,
                                      {}};
constexpr MetricFamily kBuildInfo = {"sluice_build_info", "Always 1; its labels describe the program.",
                                     MetricType::gauge, kBuildLabels};

// The statuses registered at IANA, number 0 stands for all others.
constexpr std::uint16_t kCodes[] = {0,   100, 101, 102, 103, 104, 200, 201, 202, 203, 204, 205, 206, 207, 208, 226,
                                    300, 301, 302, 303, 304, 305, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407,
                                    408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 423, 424, 425, 426,
                                    428, 429, 431, 451, 500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511};
constexpr std::size_t kCodeCount = std::size(kCodes);
constexpr auto kCodeNumbers = [] {
  std::array<std::uint8_t, 600> numbers = {};
  for (std::size_t i = 1; i < kCodeCount; ++i) numbers[kCodes[i]] = static_cast<std::uint8_t>(i);
  return numbers;
}();

std::size_t code_number(unsigned code) {
  return code < kCodeNumbers.size() ? kCodeNumbers[code] : 0;
}

std::string code_label(std::size_t number) {
  return number == 0 ? "other" : std::to_string(kCodes[number]);
}

constexpr std::size_t kOutcomeCount = static_cast<std::size_t>(Outcome::skipped) + 1;
constexpr std::size_t kResultCount = static_cast<std::size_t>(ResultKind::rejected) + 1;

std::size_t request_number(unsigned code, ResultKind result) {
  return code_number(code) * kResultCount + static_cast<std::size_t>(result);
}

template <class Unit>
std::uint64_t in_whole(nanoseconds duration) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, std::chrono::round<Unit>(duration).count()));
}

}  // namespace

EndpointMetrics::EndpointMetrics(Metrics& metrics, std::string endpoint)
    : requests_(metrics, kRequests, kCodeCount * kResultCount,
                [endpoint](std::size_t number) {
                  const auto result = static_cast<ResultKind>(number % kResultCount);
                  return std::vector<std::string>{endpoint, code_label(number / kResultCount),
                                                  std::string(to_string(result))};
                }),
      duration_(metrics.histogram(kRequestDuration, {endpoint})),
      in_flight_(metrics.gauge(kRequestsInFlight, {endpoint})),
      deadline_used_(metrics.histogram(kDeadlineUsed, {endpoint})) {
  // What usually comes first exists from the start, or rate() would miss the first one.
  requests_.make(endpoint.empty() ? request_number(404, ResultKind::rejected)
                                  : request_number(200, ResultKind::complete));
}

void EndpointMetrics::observe(unsigned code, ResultKind result, nanoseconds duration, nanoseconds deadline) {
  requests_.add(request_number(code, result));
  duration_.observe(in_whole<microseconds>(duration));
  if (deadline > nanoseconds::zero()) {
    const double used = static_cast<double>(duration.count()) / static_cast<double>(deadline.count());
    deadline_used_.observe(static_cast<std::uint64_t>(std::ceil(std::max(0.0, used) * kDeadlineUsed.ticks_per_unit)));
  }
}

CallMetrics::CallMetrics(Metrics& metrics, std::string endpoint, std::string call)
    : metrics_(metrics),
      endpoint_(std::move(endpoint)),
      call_(std::move(call)),
      calls_(metrics, kCalls, kOutcomeCount * (1 + kReasonCount),
             [this](std::size_t number) {
               const std::size_t reason = number % (1 + kReasonCount);
               return std::vector<std::string>{
                   endpoint_, call_, std::string(to_string(static_cast<Outcome>(number / (1 + kReasonCount)))),
                   reason == 0 ? std::string() : std::string(to_string(static_cast<Reason>(reason - 1)))};
             }),
      duration_(metrics.histogram(kCallDuration, {endpoint_, call_})) {}

// A call that a reload removed has no stale data in use.
CallMetrics::~CallMetrics() {
  if (runway_left_) runway_left_->set(Gauge::kInfinite);
}

void CallMetrics::export_runway() {
  runway_left_ = metrics_.gauge(kRunway, {endpoint_, call_});
  runway_left_->set(Gauge::kInfinite);
}

void CallMetrics::update_runway(concurrency::TimePoint now) const {
  if (!runway_left_) return;
  const auto left = runway_.left(now);
  runway_left_->set(left ? left->count() : Gauge::kInfinite);
}

void CallMetrics::observe(Outcome outcome, std::optional<Reason> reason, nanoseconds duration, nanoseconds age) {
  const std::size_t reason_number = reason ? 1 + static_cast<std::size_t>(*reason) : 0;
  calls_.add(static_cast<std::size_t>(outcome) * (1 + kReasonCount) + reason_number);
  if (outcome != Outcome::skipped) duration_.observe(in_whole<microseconds>(duration));
  if (outcome == Outcome::stale) {
    std::call_once(age_once_, [this] { age_ = metrics_.histogram(kStaleAge, {endpoint_, call_}); });
    age_->observe(in_whole<milliseconds>(age));
  }
}

BackendMetrics::BackendMetrics(Metrics& metrics, std::string backend)
    : idle_connections(metrics.gauge(kConnections, {backend, "idle"})),
      busy_connections(metrics.gauge(kConnections, {backend, "busy"})),
      coalesced(metrics.counter(kCoalesced, {backend})),
      attempts_(metrics, kAttempts, kCodeCount + kReasonCount,
                [backend](std::size_t number) {
                  return std::vector<std::string>{
                      backend, number < kCodeCount ? code_label(number)
                                                   : std::string(to_string(static_cast<Reason>(number - kCodeCount)))};
                }),
      duration_(metrics.histogram(kAttemptDuration, {backend})) {}

void BackendMetrics::observe_response(unsigned status, nanoseconds duration) {
  attempts_.add(code_number(status));
  duration_.observe(in_whole<microseconds>(duration));
}

void BackendMetrics::observe_failure(Reason reason, nanoseconds duration) {
  attempts_.add(kCodeCount + static_cast<std::size_t>(reason));
  duration_.observe(in_whole<microseconds>(duration));
}

CacheMetrics::CacheMetrics(Metrics& metrics)
    : hits(metrics.counter(kCacheLookups, {"hit"})),
      stale_hits(metrics.counter(kCacheLookups, {"stale"})),
      misses(metrics.counter(kCacheLookups, {"miss"})),
      bytes(metrics.gauge(kCacheBytes, {})),
      entries(metrics.gauge(kCacheEntries, {})),
      evictions(metrics.counter(kCacheEvictions, {})),
      metrics_(metrics) {}

Counter CacheMetrics::refused(std::string_view backend, std::string_view reason) const {
  return metrics_.counter(kCacheRefused, {std::string(backend), std::string(reason)});
}

CacheFileMetrics::CacheFileMetrics(Metrics& metrics)
    : written(metrics.counter(kCacheFileWrites, {"success"})),
      failed(metrics.counter(kCacheFileWrites, {"failure"})),
      last_write(metrics.gauge(kCacheFileLastWrite, {})) {}

ReloadMetrics::ReloadMetrics(Metrics& metrics)
    : successes_(metrics.counter(kReloads, {"success"})),
      failures_(metrics.counter(kReloads, {"failure"})),
      is_last_successful_(metrics.gauge(kLastReload, {})) {
  is_last_successful_.set(1);
}

void ReloadMetrics::observe(bool is_success) const {
  (is_success ? successes_ : failures_).add();
  is_last_successful_.set(is_success ? 1 : 0);
}

Counter deadline_header_malformed(Metrics& metrics) {
  return metrics.counter(kDeadlineMalformed, {});
}

Counter access_log_dropped(Metrics& metrics) {
  return metrics.counter(kLogDropped, {});
}

void add_build_info(Metrics& metrics) {
#ifdef __clang__
  const std::string compiler = "clang " __clang_version__;
#else
  const std::string compiler = "gcc " __VERSION__;
#endif
  metrics.gauge(kBuildInfo, {std::string(version()), compiler}).set(1);
}

}  // namespace sluice::gateway
