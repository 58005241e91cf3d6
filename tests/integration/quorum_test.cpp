// The strategy `quorum`: a merge that does not wait for more than enough calls.
#include "tests/support/gateway_fixture.hpp"

#include <string>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace sluice::support {
namespace {

using namespace std::chrono_literals;

class Quorum : public GatewayTest {
 protected:
  /// Three calls, each with these members, of which two must succeed.
  void serve_quorum(const std::string& one = {}, const std::string& two = {}, const std::string& three = {}) {
    serve(R"({"path": "/", "deadline": "100ms", "strategy": "quorum", "quorum": 2, "calls": [
      {"name": "one", "backend": "a", "path": "/users/1")" +
          one + R"(},
      {"name": "two", "backend": "b", "path": "/users/2")" +
          two + R"(},
      {"name": "three", "backend": "c", "path": "/users/3")" +
          three + R"(}]})");
  }
};

TEST_F(Quorum, RepliesWithEnoughCallsAndCancelsTheRest) {
  serve_quorum();
  a_.set_faults("latency_ms=30");
  b_.set_faults("hang=body");
  c_.set_faults("latency_ms=20");
  const RawResponse reply = get("/");
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(took_, 30ms);
  EXPECT_EQ(calls_of(reply), "one=fresh, two=skipped, three=fresh");
  EXPECT_EQ(reply.header("Sluice-Result"), "complete");
  const auto body = nlohmann::json::parse(reply.body);
  EXPECT_EQ(body.size(), 2U);
  EXPECT_EQ(body["three"]["id"], 3);
  time_.settle();
  EXPECT_EQ(b_.counters().cancelled, 1U);
  EXPECT_EQ(b_.counters().open, 0U);
  EXPECT_EQ(a_.counters().cancelled, 0U);
  EXPECT_EQ(metric(R"(sluice_calls_total{endpoint="/",call="two",outcome="skipped",reason=""})"), 1U);
}

TEST_F(Quorum, WaitsForRequiredCalls) {
  serve_quorum(R"(, "required": true)");
  a_.set_faults("latency_ms=50");
  b_.set_faults("latency_ms=10");
  c_.set_faults("latency_ms=20");
  EXPECT_EQ(calls_of(get("/")), "one=fresh, two=fresh, three=fresh");
  EXPECT_EQ(took_, 50ms);
  c_.set_faults("hang=header");
  EXPECT_EQ(calls_of(get("/")), "one=fresh, two=fresh, three=skipped");
  EXPECT_EQ(took_, 50ms);
}

TEST_F(Quorum, EndsAtOnceWhenARequiredCallFails) {
  serve_quorum(R"(, "required": true)");
  a_.set_faults("latency_ms=5;status=500");
  b_.set_faults("latency_ms=10");
  EXPECT_EQ(get("/").status, 502U);
  EXPECT_EQ(took_, 5ms);
}

TEST_F(Quorum, IsNotMadeOfFailuresAndConstants) {
  serve_quorum(R"(, "fallback": 1)");
  a_.set_faults("status=500");
  b_.set_faults("latency_ms=10");
  c_.set_faults("latency_ms=30");
  const RawResponse reply = get("/");
  EXPECT_EQ(calls_of(reply), "one=fallback;reason=status;status=500, two=fresh, three=fresh");
  EXPECT_EQ(reply.header("Sluice-Result"), "degraded");
  EXPECT_EQ(took_, 30ms);
}

TEST_F(Quorum, IsMadeOfStoredDataThatIsGood) {
  serve_quorum(R"(, "cache": {"ttl": "1m"})", R"(, "cache": {"ttl": "1m"})");
  c_.set_faults("latency_ms=10");
  get("/");
  c_.set_faults("hang=header");
  EXPECT_EQ(calls_of(get("/")), "one=cached;age=0, two=cached;age=0, three=skipped");
  EXPECT_EQ(took_, 0ms);
}

TEST_F(Quorum, LeavesTheOutcomesOfAMergeWhenItIsNotReached) {
  serve_quorum(R"(, "cache": {"stale_if_error": "1h"})");
  c_.set_faults("latency_ms=10");
  get("/");
  a_.set_faults("status=500");
  b_.set_faults("hang=header");
  const RawResponse reply = get("/");
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(calls_of(reply), "one=stale;age=0;reason=status;status=500, two=missing;reason=timeout, three=fresh");
  EXPECT_EQ(reply.header("Sluice-Result"), "partial");
  EXPECT_GE(took_, 100ms);
  EXPECT_LE(took_, 101ms);
}

TEST_F(Quorum, FailsWhenNothingIsThere) {
  serve_quorum();
  a_.set_faults("status=500");
  b_.set_faults("status=500");
  c_.set_faults("hang=header");
  EXPECT_EQ(get("/").status, 504U);
  c_.set_faults("hang=none;status=503");
  EXPECT_EQ(get("/").status, 502U);
  EXPECT_EQ(took_, 0ms) << "all have an outcome";
}

TEST_F(Quorum, DoesNotStartCallsThatWaitForOthers) {
  serve(R"({"path": "/", "strategy": "quorum", "quorum": 1, "calls": [
      {"name": "one", "backend": "a", "path": "/users/1"},
      {"name": "two", "backend": "b", "path": "/users/{one.id}"}]})");
  EXPECT_EQ(calls_of(get("/")), "one=fresh, two=skipped");
  EXPECT_EQ(b_.counters().requests, 0U);
  reload(R"({"path": "/", "strategy": "quorum", "quorum": 1, "calls": [
      {"name": "one", "backend": "a", "path": "/users/1"},
      {"name": "two", "backend": "b", "path": "/users/{one.id}", "required": true}]})");
  EXPECT_EQ(calls_of(get("/")), "one=fresh, two=fresh");
}

TEST_F(Quorum, FallsBackToStoredDataForACallThatFailsAsTheQuorumIsReached) {
  serve_quorum({}, {}, R"(, "cache": {"stale_if_error": "1h"})");
  a_.set_faults("hang=header");
  get("/");
  for (auto* backend : {&a_, &b_}) backend->set_faults("hang=none;latency_ms=10");
  c_.set_faults("latency_ms=10;status=500");
  const RawResponse reply = get("/");
  EXPECT_EQ(calls_of(reply), "one=fresh, two=fresh, three=stale;age=0;reason=status;status=500");
  EXPECT_EQ(reply.header("Sluice-Result"), "degraded");
}

}  // namespace
}  // namespace sluice::support
