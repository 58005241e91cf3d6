// The names, labels and buckets of what the gateway measures.
#include "gateway/instruments.hpp"

#include "gateway/process_metrics.hpp"

#include <chrono>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

using namespace std::chrono_literals;
using backends::Reason;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

TEST(EndpointMetrics, ExistFromTheStartAtZero) {
  Metrics metrics;
  const EndpointMetrics endpoint(metrics, "/profile/{id}");
  const std::string text = metrics.text();
  EXPECT_THAT(text,
              HasSubstr("sluice_requests_total{endpoint=\"/profile/{id}\",code=\"200\",result=\"complete\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("sluice_requests_in_flight{endpoint=\"/profile/{id}\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("sluice_request_duration_seconds_count{endpoint=\"/profile/{id}\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("sluice_request_duration_seconds_bucket{endpoint=\"/profile/{id}\",le=\"0.0005\"} 0\n"));
  EXPECT_THAT(text, Not(HasSubstr("code=\"504\"")));
}

TEST(EndpointMetrics, CountByStatusAndResult) {
  Metrics metrics;
  EndpointMetrics endpoint(metrics, "e");
  endpoint.observe(200, ResultKind::degraded, 1ms, 0ns);
  endpoint.observe(200, ResultKind::degraded, 1ms, 0ns);
  endpoint.observe(504, ResultKind::failed, 1ms, 0ns);
  endpoint.observe(299, ResultKind::complete, 1ms, 0ns);
  endpoint.observe(7000, ResultKind::complete, 1ms, 0ns);
  const std::string text = metrics.text();
  EXPECT_THAT(text, HasSubstr("{endpoint=\"e\",code=\"200\",result=\"degraded\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("{endpoint=\"e\",code=\"504\",result=\"failed\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("{endpoint=\"e\",code=\"other\",result=\"complete\"} 2\n"));
}

TEST(EndpointMetrics, TellLateFromInTime) {
  Metrics metrics;
  EndpointMetrics endpoint(metrics, "e");
  endpoint.observe(200, ResultKind::complete, 500ms, 500ms);
  endpoint.observe(200, ResultKind::complete, 500ms + 1us, 500ms);
  endpoint.observe(200, ResultKind::complete, 1s, 0ns);  // none: not observed
  const std::string text = metrics.text();
  EXPECT_THAT(text, HasSubstr("sluice_deadline_used_ratio_bucket{endpoint=\"e\",le=\"0.95\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("sluice_deadline_used_ratio_bucket{endpoint=\"e\",le=\"1\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("sluice_deadline_used_ratio_bucket{endpoint=\"e\",le=\"1.01\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("sluice_request_duration_seconds_sum{endpoint=\"e\"} 2.000001\n"));
}

TEST(EndpointMetrics, GoOnWhenAReloadMakesThemAnew) {
  Metrics metrics;
  {
    EndpointMetrics endpoint(metrics, "e");
    endpoint.observe(200, ResultKind::complete, 1ms, 0ns);
  }
  EndpointMetrics endpoint(metrics, "e");
  endpoint.observe(200, ResultKind::complete, 1ms, 0ns);
  EXPECT_THAT(metrics.text(), HasSubstr("{endpoint=\"e\",code=\"200\",result=\"complete\"} 2\n"));
  EXPECT_THAT(metrics.text(), HasSubstr("sluice_request_duration_seconds_count{endpoint=\"e\"} 2\n"));
}

TEST(CallMetrics, TellWhereDataCameFromAndWhy) {
  Metrics metrics;
  CallMetrics call(metrics, "e", "orders");
  EXPECT_THAT(metrics.text(), Not(HasSubstr("sluice_stale_age_seconds")));
  call.observe(Outcome::fresh, {}, 2ms);
  call.observe(Outcome::stale, Reason::timeout, 200ms, 34500ms);
  call.observe(Outcome::missing, Reason::no_server, 0ms);
  call.observe(Outcome::skipped, {}, 9s);
  const std::string text = metrics.text();
  const std::string labels = "{endpoint=\"e\",call=\"orders\"";
  EXPECT_THAT(text, HasSubstr("sluice_calls_total" + labels + ",outcome=\"fresh\",reason=\"\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("sluice_calls_total" + labels + ",outcome=\"stale\",reason=\"timeout\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("sluice_calls_total" + labels + ",outcome=\"missing\",reason=\"no_server\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("sluice_calls_total" + labels + ",outcome=\"skipped\",reason=\"\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("sluice_call_duration_seconds_count" + labels + "} 3\n"));
  EXPECT_THAT(text, HasSubstr("sluice_stale_age_seconds_sum" + labels + "} 34.5\n"));
  EXPECT_THAT(text, HasSubstr("sluice_stale_age_seconds_bucket" + labels + ",le=\"15\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("sluice_stale_age_seconds_bucket" + labels + ",le=\"60\"} 1\n"));
}

TEST(BackendMetrics, CountAttemptsByStatusOrReason) {
  Metrics metrics;
  BackendMetrics backend(metrics, "users");
  backend.observe_response(200, 3ms);
  backend.observe_response(599, 3ms);
  backend.observe_failure(Reason::timeout, 300ms);
  backend.observe_failure(Reason::no_server, 0ms);
  backend.busy_connections.add(2);
  backend.idle_connections.add(1);
  const std::string text = metrics.text();
  EXPECT_THAT(text, HasSubstr("sluice_backend_attempts_total{backend=\"users\",code=\"200\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("sluice_backend_attempts_total{backend=\"users\",code=\"other\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("sluice_backend_attempts_total{backend=\"users\",code=\"timeout\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("sluice_backend_attempts_total{backend=\"users\",code=\"no_server\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("sluice_backend_attempt_duration_seconds_count{backend=\"users\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("sluice_backend_connections{backend=\"users\",state=\"busy\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("sluice_backend_connections{backend=\"users\",state=\"idle\"} 1\n"));
}

TEST(Instruments, CountForTheProgram) {
  Metrics metrics;
  const CacheMetrics cache(metrics);
  cache.stale_hits.add();
  cache.bytes.set(4096);
  cache.refused("users", "no_store").add();
  const CacheFileMetrics file(metrics);
  file.failed.add();
  file.last_write.set(1234);
  const ReloadMetrics reloads(metrics);
  reloads.observe(true);
  reloads.observe(false);
  access_log_dropped(metrics).add(4);
  add_build_info(metrics);
  const std::string text = metrics.text();
  EXPECT_THAT(text, HasSubstr("sluice_cache_lookups_total{result=\"hit\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("sluice_cache_lookups_total{result=\"stale\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("sluice_cache_bytes 4096\n"));
  EXPECT_THAT(text, HasSubstr("sluice_cache_refused_total{backend=\"users\",reason=\"no_store\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("sluice_cache_file_writes_total{result=\"failure\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("sluice_cache_file_writes_total{result=\"success\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("sluice_cache_file_last_write_timestamp_seconds 1234\n"));
  EXPECT_THAT(text, HasSubstr("sluice_config_reloads_total{result=\"failure\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("sluice_config_reloads_total{result=\"success\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("sluice_config_last_reload_successful 0\n"));
  EXPECT_THAT(text, HasSubstr("sluice_access_log_dropped_total 4\n"));
  EXPECT_THAT(text, ContainsRegex("sluice_build_info\\{version=\"[0-9.]+\",compiler=\"[^\"]+\"\\} 1\n"));
}

TEST(ProcessMetrics, AreThoseOfThisProcess) {
  const std::string text = process_metrics_text();
  const auto value = [&](const std::string& name) {
    const auto at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  };
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  EXPECT_GE(value("process_cpu_seconds_total"), 0);
  EXPECT_GT(value("process_resident_memory_bytes"), 100'000);
  EXPECT_GT(value("process_virtual_memory_bytes"), value("process_resident_memory_bytes"));
  EXPECT_GE(value("process_open_fds"), 3);
  EXPECT_GT(value("process_max_fds"), value("process_open_fds"));
  EXPECT_GE(value("process_threads"), 1);
  EXPECT_NEAR(value("process_start_time_seconds"), now, 3600);
}

}  // namespace
}  // namespace sluice::gateway
