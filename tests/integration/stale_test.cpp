// Degraded data: what stands in when a backend is slow, failing or gone.
#include "tests/support/gateway_fixture.hpp"

#include <string>
#include <utility>

#include <gmock/gmock.h>

namespace sluice::support {
namespace {

using namespace std::chrono_literals;

class Stale : public GatewayTest {
 protected:
  /// "/" makes a call `x` to backend a, "/s/{id}" the same to the scripted one, with these members.
  void serve_calls(const std::string& members) {
    serve(R"({"path": "/", "deadline": "1s", "calls": [{"name": "x", "backend": "a", "path": "/users/1", )" + members +
          R"(}]}, {"path": "/s/{id}", "deadline": "1s", "calls": [{"name": "x", "backend": "s", "path": "/{id}", )" +
          members + "}]}");
  }
  std::string runway(const std::string& endpoint) {
    runtime_->update_metrics(time_.now());
    const std::string text = metrics_.text();
    const std::string series = "sluice_stale_runway_seconds{endpoint=\"" + endpoint + "\",call=\"x\"} ";
    const auto at = text.find(series);
    if (at == std::string::npos) return "nothing";
    return text.substr(at + series.size(), text.find('\n', at) - at - series.size());
  }
};

TEST_F(Stale, StandsInForEveryKindOfFailure) {
  serve_calls(R"("cache": {"stale_if_error": "1h"})");
  const std::string body = get("/").body;
  const auto stored = time_.now();
  time_.advance(7s);
  const std::pair<std::string, std::string> cases[] = {
      {"hang=header", "timeout"},
      {"hang=body", "timeout"},
      {"reset=header", "reset"},
      {"reset=body", "reset"},
      {"close=body", "reset"},
      {"status=500", "status;status=500"},
      {"status=503", "status;status=503"},
      {"garbage=head", "invalid"},
      {"garbage=body", "invalid"},
      {"not_json=1", "invalid"},
      {"endless=1", "too_large"},
      {"bytes=9000000", "too_large"},
  };
  for (const auto& [faults, reason] : cases) {
    ASSERT_EQ(a_.set_faults(faults), "");
    const RawResponse reply = get("/");
    const auto age = std::chrono::duration_cast<std::chrono::seconds>(time_.now() - stored);
    EXPECT_EQ(reply.status, 200U) << faults;
    EXPECT_EQ(reply.body, body) << faults;
    EXPECT_EQ(calls_of(reply), "x=stale;age=" + std::to_string(age.count()) + ";reason=" + reason) << faults;
    EXPECT_EQ(reply.header("Sluice-Result"), "degraded");
    EXPECT_EQ(reply.header("Cache-Control"), "no-store");
  }
  a_.stop();
  EXPECT_THAT(calls_of(get("/")), ::testing::EndsWith(";reason=connect"));
}

TEST_F(Stale, IsNotServedForStatusesThatMeanSomething) {
  serve_calls(R"("cache": {"stale_if_error": "1h"})");
  get("/");
  a_.set_faults("status=401");
  EXPECT_EQ(calls_of(get("/")), "x=missing;reason=status;status=401");
  a_.clear_faults();
  a_.set_faults("status=500");
  EXPECT_EQ(get("/").status, 200U) << "and it is still there";
}

TEST_F(Stale, IsForgottenWhenTheBackendSaysThatItIsGone) {
  serve_calls(R"("cache": {"stale_if_error": "1h"})");
  for (const std::string status : {"404", "410"}) {
    a_.clear_faults();
    EXPECT_EQ(get("/").status, 200U);
    a_.set_faults("status=" + status);
    EXPECT_EQ(calls_of(get("/")), "x=missing;reason=status;status=" + status);
    a_.set_faults("status=500");
    EXPECT_EQ(calls_of(get("/")), "x=missing;reason=status;status=500");
  }
}

TEST_F(Stale, IsServedForTheConfiguredReasonsOnly) {
  serve_calls(R"("cache": {"stale_if_error": "1h", "stale_on": ["timeout", 418]}, "fallback": 0)");
  get("/");
  a_.set_faults("status=500");
  EXPECT_EQ(calls_of(get("/")), "x=fallback;reason=status;status=500");
  a_.set_faults("status=418");
  EXPECT_EQ(calls_of(get("/")), "x=stale;age=0;reason=status;status=418");
  a_.set_faults("hang=header;status=0");
  EXPECT_EQ(calls_of(get("/")), "x=stale;age=1;reason=timeout");
}

TEST_F(Stale, EndsWithItsWindowWhichCountsFromTheEndOfFreshness) {
  serve_calls(R"("cache": {"ttl": "10s", "stale_if_error": "20s"})");
  get("/");
  a_.set_faults("status=500");
  time_.advance(29s);
  EXPECT_EQ(calls_of(get("/")), "x=stale;age=29;reason=status;status=500");
  time_.advance(1s);
  EXPECT_EQ(calls_of(get("/")), "x=missing;reason=status;status=500");
}

TEST_F(Stale, IsNotServedWhereTheOriginForbidsIt) {
  serve_calls(R"("cache": {"ttl": "1h", "stale_if_error": "1h"})");
  const std::pair<std::string, bool> cases[] = {
      {"max-age=1, must-revalidate", false},  {"max-age=1, proxy-revalidate", false},  {"s-maxage=1", false},
      {"max-age=1, stale-if-error=0", false}, {"max-age=1, stale-if-error=100", true}, {"max-age=1", true}};
  for (const auto& [value, stale] : cases) {
    s_.answer_json("1", "Cache-Control: " + value + "\r\n");
    s_.answer("HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n");
  }
  int number = 0;
  for (const auto& [value, stale] : cases) {
    const std::string target = "/s/" + std::to_string(++number);
    EXPECT_EQ(calls_of(get(target)), "x=fresh") << value;
    time_.advance(2s);
    EXPECT_EQ(get(target).status, stale ? 200U : 502U) << value;
  }
}

TEST_F(Stale, IsServedAtOnceWhenTheBackendIsSlowAndTheCallGoesOnToRefreshTheStore) {
  serve_calls(R"("cache": {"stale_if_error": "1h", "stale_after": "80ms"})");
  get("/");
  time_.advance(10s);
  a_.set_faults("latency_ms=300");
  const RawResponse slow = get("/");
  EXPECT_EQ(calls_of(slow), "x=stale;age=10;reason=slow");
  EXPECT_EQ(slow.header("Sluice-Result"), "degraded");
  EXPECT_GE(took_, 80ms);
  EXPECT_LE(took_, 81ms);
  time_.advance(300ms);
  EXPECT_EQ(a_.counters().cancelled, 0U);
  EXPECT_EQ(calls_of(get("/")), "x=stale;age=0;reason=slow");
  time_.advance(1s);
  a_.set_faults("latency_ms=79");
  EXPECT_EQ(calls_of(get("/")), "x=fresh");
}

TEST_F(Stale, AfterWaitsForTheBackendWhenNothingIsStored) {
  serve_calls(R"("cache": {"stale_if_error": "1h", "stale_after": "80ms"})");
  a_.set_faults("latency_ms=300");
  EXPECT_EQ(calls_of(get("/")), "x=fresh");
  EXPECT_EQ(took_, 300ms);
}

TEST_F(Stale, AfterFailsOverAtOnceWhenTheBackendFailsFirst) {
  serve_calls(R"("cache": {"stale_if_error": "1h", "stale_after": "80ms"})");
  get("/");
  a_.set_faults("latency_ms=20;status=503");
  EXPECT_EQ(calls_of(get("/")), "x=stale;age=0;reason=status;status=503");
  EXPECT_EQ(took_, 20ms);
}

TEST_F(Stale, AfterCancelsTheCallWhenTheClientGoes) {
  serve_calls(R"("cache": {"stale_if_error": "1h", "stale_after": "80ms"})");
  get("/");
  a_.set_faults("hang=header");
  send(RawClient::text("GET", "/"));
  time_.advance(10ms);
  client_.close();
  time_.advance(1ms);
  EXPECT_EQ(a_.counters().cancelled, 1U);
}

TEST_F(Stale, RefreshThatHangsEndsWithTheTimeoutOfTheCall) {
  serve_calls(R"("timeout": "200ms", "cache": {"stale_if_error": "1h", "stale_after": "80ms"})");
  get("/");
  a_.set_faults("hang=body");
  EXPECT_EQ(calls_of(get("/")), "x=stale;age=0;reason=slow");
  EXPECT_EQ(a_.counters().cancelled, 0U);
  time_.advance(121ms);
  EXPECT_EQ(a_.counters().cancelled, 1U);
  EXPECT_EQ(a_.counters().open, 0U);
}

TEST_F(Stale, GoesBeforeTheFallback) {
  serve_calls(R"("cache": {"stale_if_error": "5s"}, "fallback": "none")");
  a_.set_faults("status=500");
  EXPECT_EQ(calls_of(get("/")), "x=fallback;reason=status;status=500");
  a_.clear_faults();
  get("/");
  a_.set_faults("status=500");
  EXPECT_EQ(calls_of(get("/")), "x=stale;age=0;reason=status;status=500");
  time_.advance(5s);
  EXPECT_EQ(get("/").body, R"({"x":"none"})");
}

TEST_F(Stale, IsNotServedOnceItsWindowHasEndedWhileTheCallWasMade) {
  serve_calls(R"("cache": {"stale_if_error": "5s"})");
  get("/");
  time_.advance(4500ms);
  a_.set_faults("hang=header");
  EXPECT_EQ(calls_of(get("/")), "x=missing;reason=timeout") << "after a second";
}

TEST_F(Stale, AfterIsLeftOutWhereTheWindowEndsBefore) {
  serve_calls(R"("cache": {"stale_if_error": "5s", "stale_after": "80ms"})");
  get("/");
  time_.advance(4919ms);
  a_.set_faults("latency_ms=200");
  EXPECT_EQ(calls_of(get("/")), "x=stale;age=4;reason=slow");
  time_.advance(1s);
  a_.clear_faults();
  get("/");
  time_.advance(4950ms);
  a_.set_faults("latency_ms=200");
  EXPECT_EQ(calls_of(get("/")), "x=fresh");
}

TEST_F(Stale, TellsWhenTheFirstOfWhatIsServedEnds) {
  serve_calls(R"("cache": {"stale_if_error": "100s"})");
  s_.answer_json("1");
  s_.answer_json("2");
  s_.answer("HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n");
  get("/s/old");
  time_.advance(10s);
  get("/s/new");
  EXPECT_EQ(runway("/s/{id}"), "+Inf") << "nothing stale is in use";
  time_.advance(20s);
  get("/s/new");
  EXPECT_EQ(runway("/s/{id}"), "80");
  get("/s/old");
  EXPECT_EQ(runway("/s/{id}"), "70");
  EXPECT_EQ(runway("/"), "+Inf") << "each call has its own";
  time_.advance(30s);
  EXPECT_EQ(runway("/s/{id}"), "40");
  time_.advance(41s);
  client_.close();  // as the gateway does
  EXPECT_EQ(runway("/s/{id}"), "+Inf") << "a minute later nobody asks for it any more";
  get("/s/new");
  EXPECT_EQ(runway("/s/{id}"), "9");
}

TEST_F(Stale, TellsWhenItEndsWhileItOnlyCannotBeRefreshed) {
  serve_calls(R"("cache": {"ttl": "1s", "stale_while_revalidate": "100s"})");
  get("/");
  time_.advance(5s);
  get("/");
  time_.settle();
  EXPECT_EQ(runway("/"), "+Inf") << "it was refreshed";
  a_.set_faults("status=500");
  time_.advance(5s);
  EXPECT_EQ(calls_of(get("/")), "x=cached;age=5");
  time_.settle();
  EXPECT_EQ(runway("/"), "96");
}

}  // namespace
}  // namespace sluice::support
