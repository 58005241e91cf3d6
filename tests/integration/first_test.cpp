// The strategy `first`: the first call that succeeds is the reply.
#include "tests/support/gateway_fixture.hpp"

#include <string>

#include <gmock/gmock.h>

namespace sluice::support {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class First : public GatewayTest {
 protected:
  void serve_first(const std::string& endpoint = {}, const std::string& a = {}, const std::string& b = {}) {
    serve(R"({"path": "/", "deadline": "100ms", "strategy": "first", )" + endpoint + R"("calls": [
      {"name": "one", "backend": "a", "path": "/users/1")" +
          a + R"(},
      {"name": "two", "backend": "b", "path": "/users/2")" +
          b + R"(},
      {"name": "three", "backend": "s", "path": "/3"}]})");
  }
};

TEST_F(First, IsTheFastestAndCancelsTheLosers) {
  serve_first();
  a_.set_faults("latency_ms=50");
  b_.set_faults("latency_ms=20");
  const RawResponse reply = get("/");
  EXPECT_EQ(reply.status, 200U);
  EXPECT_THAT(reply.body, HasSubstr("\"id\":2,"));
  EXPECT_EQ(calls_of(reply), "one=skipped, two=fresh, three=skipped");
  EXPECT_EQ(reply.header("Sluice-Result"), "complete");
  EXPECT_EQ(took_, 20ms);
  EXPECT_EQ(a_.counters().cancelled, 1U);
  EXPECT_EQ(s_.open(), 0U);
  EXPECT_EQ(b_.counters().open, 1U) << "the winner's connection is kept";
}

TEST_F(First, PassesStatusMediaTypeAndBodyOnAsTheyAre) {
  serve_first();
  a_.set_faults("hang=header");
  b_.set_faults("hang=header");
  s_.answer("HTTP/1.1 203 Other\r\nContent-Type: text/plain; charset=x\r\nContent-Length: 4\r\n\r\n{\"\xff ");
  const RawResponse reply = get("/");
  EXPECT_EQ(reply.status, 203U);
  EXPECT_EQ(reply.header("Content-Type"), "text/plain; charset=x");
  EXPECT_EQ(reply.body, "{\"\xff ");
  EXPECT_EQ(reply.header("Cache-Control"), "no-store");
}

TEST_F(First, GoesOnWhenTheFastestFails) {
  serve_first();
  a_.set_faults("status=503");
  b_.set_faults("latency_ms=20");
  const RawResponse reply = get("/");
  EXPECT_EQ(calls_of(reply), "one=missing;reason=status;status=503, two=fresh, three=skipped");
  EXPECT_EQ(reply.header("Sluice-Result"), "partial");
  EXPECT_EQ(took_, 20ms);
}

TEST_F(First, StartsTheNextCallAfterTheStagger) {
  serve_first(R"("stagger": "30ms", )");
  a_.set_faults("latency_ms=50");
  b_.set_faults("latency_ms=5");
  send(RawClient::text("GET", "/"));
  time_.advance(29ms);
  EXPECT_EQ(b_.counters().requests, 0U);
  time_.advance(1ms);
  EXPECT_EQ(b_.counters().requests, 1U);
  time_.advance(5ms);
  EXPECT_EQ(calls_of(receive()), "one=skipped, two=fresh, three=skipped");
  EXPECT_EQ(s_.accepted(), 0U);
  EXPECT_EQ(a_.counters().cancelled, 1U);
}

TEST_F(First, StartsTheNextCallAtOnceWhenTheOneBeforeFailed) {
  serve_first(R"("stagger": "30ms", )");
  a_.set_faults("latency_ms=10;status=500");
  b_.set_faults("reset=header");
  s_.answer_json("3");
  const RawResponse reply = get("/");
  EXPECT_EQ(reply.body, "3");
  EXPECT_EQ(took_, 10ms);
}

TEST_F(First, AnswersBeforeTheStaggerWithoutAskingTheOthers) {
  serve_first(R"("stagger": "30ms", )");
  EXPECT_EQ(calls_of(get("/")), "one=fresh, two=skipped, three=skipped");
  EXPECT_EQ(b_.counters().accepted, 0U);
}

TEST_F(First, UsesWhatIsStoredOnlyWhenAllHaveFailed) {
  serve_first({}, R"(, "cache": {"stale_if_error": "1h"})", R"(, "fallback": {"none": true})");
  b_.set_faults("hang=header");
  EXPECT_EQ(calls_of(get("/")), "one=fresh, two=skipped, three=skipped");
  time_.advance(5s);
  a_.set_faults("status=500");
  s_.answer_json("3");
  EXPECT_EQ(calls_of(get("/")), "one=missing;reason=status;status=500, two=skipped, three=fresh");

  s_.answer("HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n");
  const RawResponse reply = get("/");
  EXPECT_EQ(reply.status, 200U);
  EXPECT_THAT(reply.body, HasSubstr("\"id\":1,"));
  EXPECT_EQ(calls_of(reply),
            "one=stale;age=5;reason=status;status=500, two=skipped, three=missing;reason=status;status=500");
  EXPECT_EQ(reply.header("Sluice-Result"), "partial");
  EXPECT_EQ(reply.header("Age"), "5");
  EXPECT_GE(took_, 100ms) << "two could still have answered";
  EXPECT_LE(took_, 101ms);
}

TEST_F(First, UsesTheFirstFallbackInTheOrderOfTheConfiguration) {
  serve_first({}, {}, R"(, "fallback": {"none":  true})");
  a_.stop();
  b_.set_faults("reset=header");
  s_.answer("garbage\r\n\r\n");
  const RawResponse reply = get("/");
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(reply.body, R"({"none":true})");
  EXPECT_EQ(reply.header("Content-Type"), "application/json");
  EXPECT_EQ(calls_of(reply), "one=missing;reason=connect, two=fallback;reason=reset, three=missing;reason=invalid");
}

TEST_F(First, RefusesWhatCallsItselfJsonAndIsNot) {
  serve_first();
  a_.set_faults("not_json=1");
  b_.set_faults("status=500");
  s_.answer("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\n{a}");
  const RawResponse reply = get("/");
  EXPECT_EQ(reply.body, "{a}");
  EXPECT_EQ(calls_of(reply), "one=missing;reason=invalid, two=missing;reason=status;status=500, three=fresh");
}

TEST_F(First, RefusesAContentCodingThatNobodyAskedFor) {
  serve_first();
  a_.set_faults("status=500");
  b_.set_faults("status=500");
  s_.answer("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc");
  EXPECT_EQ(calls_of(get("/")),
            "one=missing;reason=status;status=500, two=missing;reason=status;status=500, "
            "three=missing;reason=invalid");
}

TEST_F(First, FailsWhenNothingIsLeft) {
  serve_first();
  a_.set_faults("status=404");
  b_.set_faults("status=500");
  s_.answer("", ScriptedBackend::After::close);
  EXPECT_EQ(get("/").status, 502U);
  a_.set_faults("hang=header");
  EXPECT_EQ(get("/").status, 504U);
  EXPECT_LE(took_, 101ms);
}

TEST_F(First, CancelsAllWhenTheClientGoes) {
  serve_first(R"("stagger": "10ms", )");
  a_.set_faults("hang=header");
  b_.set_faults("hang=header");
  send(RawClient::text("GET", "/"));
  time_.advance(15ms);
  client_.close();
  time_.settle();
  EXPECT_EQ(a_.counters().cancelled, 1U);
  EXPECT_EQ(b_.counters().cancelled, 1U);
  EXPECT_EQ(s_.accepted(), 0U) << "nothing new is started for a client that is gone";
  EXPECT_TRUE(worker_->is_idle());
}

}  // namespace
}  // namespace sluice::support
