// The promise of the gateway: the reply is there by the deadline, whatever backends do.
#include "tests/support/gateway_fixture.hpp"

#include <string>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace sluice::support {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using ::testing::HasSubstr;

constexpr std::string_view kEndpoints = R"(
  {"path": "/stored", "deadline": "100ms", "calls": [
    {"name": "user", "backend": "a", "path": "/users/1"},
    {"name": "orders", "backend": "b", "path": "/orders?user=1", "cache": {"ttl": "0s", "stale_if_error": "1h"}},
    {"name": "recs", "backend": "c", "path": "/recs/1"}]},
  {"path": "/constant", "deadline": "100ms", "calls": [
    {"name": "user", "backend": "a", "path": "/users/1"},
    {"name": "orders", "backend": "b", "path": "/orders?user=1", "fallback": [{"none": 1e2}]},
    {"name": "recs", "backend": "c", "path": "/recs/1"}]},
  {"path": "/nothing", "deadline": "100ms", "calls": [
    {"name": "user", "backend": "a", "path": "/users/1"},
    {"name": "orders", "backend": "b", "path": "/orders?user=1"},
    {"name": "recs", "backend": "c", "path": "/recs/1"}]})";

class Deadline : public GatewayTest {
 protected:
  Deadline() {
    serve(kEndpoints);
    healthy_ = json::parse(get("/stored").body);
    time_.advance(34s);
  }

  /// All three endpoints answer after `at_least`, at most a millisecond later, with the two other parts as ever.
  void expect_degraded(const std::string& reason, concurrency::Duration at_least) {
    const RawResponse stale = get("/stored");
    EXPECT_EQ(stale.status, 200U);
    EXPECT_EQ(calls_of(stale), "user=fresh, orders=stale;age=34;reason=" + reason + ", recs=fresh");
    EXPECT_EQ(stale.header("Sluice-Result"), "degraded");
    EXPECT_EQ(stale.header("Age"), "34");
    EXPECT_EQ(stale.header("Cache-Control"), "no-store");
    EXPECT_EQ(json::parse(stale.body), healthy_);
    expect_took(at_least);

    const RawResponse constant = get("/constant");
    EXPECT_EQ(calls_of(constant), "user=fresh, orders=fallback;reason=" + reason + ", recs=fresh");
    EXPECT_THAT(constant.body, HasSubstr(R"("orders":[{"none":1e2}],)"));
    expect_took(at_least);

    const RawResponse nothing = get("/nothing");
    EXPECT_EQ(nothing.status, 200U);
    EXPECT_EQ(calls_of(nothing), "user=fresh, orders=missing;reason=" + reason + ", recs=fresh");
    EXPECT_EQ(nothing.header("Sluice-Result"), "partial");
    json rest = healthy_;
    rest.erase("orders");
    EXPECT_EQ(json::parse(nothing.body), rest);
    expect_took(at_least);
  }

  json healthy_;

 private:
  void expect_took(concurrency::Duration at_least) {
    EXPECT_GE(took_, at_least);
    EXPECT_LE(took_, at_least + 1ms);
  }
};

TEST_F(Deadline, HoldsWhenABackendHangsBeforeItsHeader) {
  b_.set_faults("hang=header");
  expect_degraded("timeout", 100ms);
  EXPECT_EQ(b_.counters().cancelled, 3U);
}

TEST_F(Deadline, HoldsWhenABackendHangsAfterItsHeader) {
  b_.set_faults("hang=head");
  expect_degraded("timeout", 100ms);
}

TEST_F(Deadline, HoldsWhenABackendHangsInTheMiddleOfItsBody) {
  b_.set_faults("hang=body");
  expect_degraded("timeout", 100ms);
  EXPECT_EQ(b_.counters().open, 0U);
}

TEST_F(Deadline, HoldsWhenABackendAcceptsAndNeverReads) {
  b_.stop();
  time_.settle();
  b_.listen(at_b_);
  b_.set_faults("hang=accept");
  expect_degraded("timeout", 100ms);
}

TEST_F(Deadline, HoldsWhenABackendIsFrozen) {
  b_.freeze();
  expect_degraded("timeout", 100ms);
  b_.thaw();
  EXPECT_EQ(calls_of(get("/nothing")), "user=fresh, orders=fresh, recs=fresh");
}

TEST_F(Deadline, HoldsWhenABackendDripsItsHeadByteByByte) {
  b_.set_faults("drip_ms=300");
  expect_degraded("timeout", 100ms);
}

TEST_F(Deadline, HoldsWhenABackendDripsItsBodyByteByByte) {
  b_.set_faults("drip_ms=3;drip_from=body");
  expect_degraded("timeout", 100ms);
}

TEST_F(Deadline, HoldsWhenABackendDripsABodyThatNeverEnds) {
  b_.set_faults("endless=1;drip_ms=5;drip_bytes=100");
  expect_degraded("timeout", 100ms);
}

TEST_F(Deadline, IsNotWaitedForWhenABodyGrowsTooLarge) {
  b_.set_faults("endless=1");
  expect_degraded("too_large", 0ms);
}

TEST_F(Deadline, IsNotWaitedForWhenABackendResetsInTheMiddleOfItsBody) {
  b_.set_faults("reset=body");
  expect_degraded("reset", 0ms);
}

TEST_F(Deadline, IsNotWaitedForWhenABackendClosesInTheMiddleOfItsBody) {
  b_.set_faults("close=body");
  expect_degraded("reset", 0ms);
}

TEST_F(Deadline, IsNotWaitedForWhenABackendRefusesConnections) {
  b_.stop();
  time_.settle();
  expect_degraded("connect", 0ms);
}

TEST_F(Deadline, IsNotWaitedForWhenABackendSendsGarbage) {
  b_.set_faults("garbage=head");
  expect_degraded("invalid", 0ms);
  b_.set_faults("garbage=body");
  expect_degraded("invalid", 0ms);
}

TEST_F(Deadline, IsNotWaitedForWhenABackendSendsLessThanItSaid) {
  b_.set_faults("wrong_length=+10;no_keepalive=1");
  expect_degraded("reset", 0ms);
}

TEST_F(Deadline, OfTheClientShortensTheConfiguredOne) {
  b_.set_faults("hang=header");
  get("/nothing", "X-Request-Timeout-Ms: 40\r\n");
  EXPECT_GE(took_, 40ms);
  EXPECT_LE(took_, 41ms);
}

TEST_F(Deadline, OfTheClientNeverLengthensAndIsIgnoredWhenMalformed) {
  b_.set_faults("hang=header");
  for (const std::string wish : {"5000", "0", "-1", "1.5", "10ms", "", "99999999999999999999999"}) {
    get("/nothing", "X-Request-Timeout-Ms: " + wish + "\r\n");
    EXPECT_GE(took_, 100ms) << wish;
    EXPECT_LE(took_, 101ms) << wish;
  }
}

TEST_F(Deadline, IsToldToBackendsAsWhatIsLeft) {
  get("/nothing");
  EXPECT_EQ(a_.last_request()->find("X-Request-Timeout-Ms"), "100");
  get("/nothing", "X-Request-Timeout-Ms: 17\r\n");
  EXPECT_EQ(a_.last_request()->find("X-Request-Timeout-Ms"), "17");
}

TEST_F(Deadline, OfACallEndsItBeforeThatOfTheEndpoint) {
  reload(R"({"path": "/", "deadline": "100ms", "calls": [
    {"name": "user", "backend": "a", "path": "/users/1"},
    {"name": "orders", "backend": "b", "path": "/orders?user=1", "timeout": "30ms"}]})");
  b_.set_faults("hang=body");
  EXPECT_EQ(calls_of(get("/")), "user=fresh, orders=missing;reason=timeout");
  EXPECT_GE(took_, 30ms);
  EXPECT_LE(took_, 31ms);
  EXPECT_EQ(b_.last_request()->find("X-Request-Timeout-Ms"), "30");
}

TEST_F(Deadline, IsNotWaitedForWhenARequiredCallHasFailed) {
  reload(R"({"path": "/", "deadline": "100ms", "calls": [
    {"name": "user", "backend": "a", "path": "/users/1", "required": true},
    {"name": "orders", "backend": "b", "path": "/orders?user=1"}]})");
  a_.set_faults("status=500");
  b_.set_faults("hang=header");
  const RawResponse reply = get("/");
  EXPECT_EQ(reply.status, 502U);
  EXPECT_EQ(took_, 0ms);
  EXPECT_EQ(calls_of(reply), "user=missing;reason=status;status=500, orders=missing;reason=cancelled");
  EXPECT_EQ(b_.counters().cancelled, 1U);
}

TEST_F(Deadline, HoldsForRequestsThatQueueForAConnection) {
  reload(R"({"path": "/", "deadline": "100ms", "calls": [
    {"name": "one", "backend": "b", "path": "/users/1"}, {"name": "two", "backend": "b", "path": "/users/2"}]})",
         R"("backends": {"b": {"servers": ["@b"], "max_connections": 1}})");
  b_.set_faults("hang=header");
  EXPECT_EQ(get("/").status, 504U);
  EXPECT_GE(took_, 100ms);
  EXPECT_LE(took_, 101ms);
  b_.clear_faults();
  EXPECT_EQ(get("/").status, 200U) << "the slot came back";
}

}  // namespace
}  // namespace sluice::support
