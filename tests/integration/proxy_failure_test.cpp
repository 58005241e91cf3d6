// Responses that do not come, break off or hang, and clients that leave them.
#include "tests/integration/proxy_fixture.hpp"

#include <string>

#include <gmock/gmock.h>

namespace sluice::support {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class ProxyFailure : public ProxyTest {};

TEST_F(ProxyFailure, CutsAClientOffThatTakesNothing) {
  serve_proxy(R"("stream_idle_timeout": "5s", )");
  ask();
  server_.say("HTTP/1.1 200 OK\r\nContent-Length: 99000000\r\n\r\n" + std::string(99'000'000, 'x'));
  time_.advance(4990ms);
  EXPECT_TRUE(server_.is_open());
  // The kernel may still move a few bytes into the client's buffer, in real time: then the five seconds begin anew.
  for (int i = 0; i < 100 && server_.is_open(); ++i) time_.advance(5002ms);
  EXPECT_FALSE(server_.is_open());
  EXPECT_TRUE(worker_->is_idle());
  EXPECT_NE(receive_all().error, boost::asio::error::eof);
  EXPECT_THAT(log_line(), HasSubstr("\"status\":499,\"result\":\"complete\""));
}

TEST_F(ProxyFailure, AnswersByTheDeadlineWhenThereIsNoHead) {
  serve_proxy();
  ask();
  say("HTTP/1.1 200 OK\r\nContent-");
  time_.advance(99ms);
  EXPECT_EQ(news(), "");
  time_.advance(2ms);
  const RawResponse reply = receive();
  EXPECT_EQ(reply.status, 504U);
  EXPECT_EQ(reply.header("Content-Type"), "application/problem+json");
  EXPECT_EQ(calls_of(reply), "x=missing;reason=timeout");
  EXPECT_FALSE(server_.is_open());
  EXPECT_EQ(metric(R"(sluice_calls_total{endpoint="/p",call="x",outcome="missing",reason="timeout"})"), 1U);
}

TEST_F(ProxyFailure, HasTheTimeoutsOfCallAndBackendUntilTheHead) {
  serve_proxy("", R"("timeout": "50ms", )");
  ask();
  time_.advance(51ms);
  EXPECT_EQ(receive().status, 504U);
  client_.close();
  serve_proxy("", "", R"("timeout": "30ms", )");
  ask();
  time_.advance(31ms);
  EXPECT_EQ(receive().status, 504U);
  ask();
  say(std::string(kChunked));
  time_.advance(500ms);
  say("1\r\na\r\n0\r\n\r\n");
  EXPECT_EQ(receive().body, "a");
}

TEST_F(ProxyFailure, IsToldByAStatusWhenABodyIsBadFromTheBeginning) {
  serve_proxy();
  for (const char* body : {"zz\r\n", "1\r\naX"}) {
    ask();
    say(std::string(kChunked) + body);
    const RawResponse reply = receive();
    EXPECT_EQ(reply.status, 502U) << body;
    EXPECT_EQ(calls_of(reply), "x=missing;reason=invalid");
  }
  client_.close();
  serve_proxy("", R"("fallback": {"none": true}, )");
  ask();
  say(std::string(kChunked) + "zz\r\n");
  EXPECT_EQ(receive().body, R"({"none":true})");
}

TEST_F(ProxyFailure, TellsOfABackendThatDoesNotAnswer) {
  serve_proxy();
  ask();
  server_.close();
  EXPECT_EQ(calls_of(receive()), "x=missing;reason=reset");
  ask();
  say("garbage\r\n\r\n");
  EXPECT_EQ(calls_of(receive()), "x=missing;reason=invalid");
  ask();
  say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(calls_of(receive()), "x=missing;reason=invalid");
  server_.stop();
  ask();
  const RawResponse reply = receive();
  EXPECT_EQ(reply.status, 502U);
  EXPECT_EQ(calls_of(reply), "x=missing;reason=connect");
}

TEST_F(ProxyFailure, FallsBackAsLongAsNothingWasSent) {
  serve_proxy("", R"("fallback": {"none": true}, "accept": ["2xx", 404], )");
  ask();
  say("HTTP/1.1 500 X\r\nContent-Length: 1000000\r\n\r\n");
  RawResponse reply = receive();
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(reply.body, R"({"none":true})");
  EXPECT_EQ(calls_of(reply), "x=fallback;reason=status;status=500");
  EXPECT_EQ(reply.header("Sluice-Result"), "degraded");
  ask();
  say("HTTP/1.1 404 X\r\nContent-Length: 1\r\n\r\nx");
  reply = receive();
  EXPECT_EQ(reply.status, 404U);
  EXPECT_EQ(reply.body, "x");
  ask();
  say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
  server_.close();
  const RawEnd end = receive_all();
  EXPECT_THAT(end.bytes, EndsWith("\r\n\r\nabc"));
}

TEST_F(ProxyFailure, ShowsThatABodyBrokeOff) {
  serve_proxy();
  ask();
  say(std::string(kChunked) + "3\r\nabc\r\n");
  server_.close();
  RawEnd end = receive_all();
  EXPECT_THAT(end.bytes, EndsWith("\r\n\r\n3\r\nabc\r\n")) << "all that came, but no last chunk";
  client_.close();

  ask();
  say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc");
  server_.reset();
  end = receive_all();
  EXPECT_THAT(end.bytes, HasSubstr("\r\nContent-Length: 4\r\n"));
  EXPECT_THAT(end.bytes, EndsWith("\r\n\r\nabc"));
  client_.close();

  ask();
  say(std::string(kChunked) + "3\r\nabc\r\n");
  say("zz\r\n");
  end = receive_all();
  EXPECT_THAT(end.bytes, EndsWith("\r\n\r\n3\r\nabc\r\n"));
  client_.close();
  EXPECT_EQ(metric(R"(sluice_requests_total{endpoint="/p",code="200",result="failed"})"), 3U);
  EXPECT_EQ(metric(R"(sluice_backend_attempts_total{backend="r",code="reset"})"), 2U);
  EXPECT_EQ(metric(R"(sluice_backend_attempts_total{backend="r",code="invalid"})"), 1U);
  EXPECT_EQ(metric(R"(sluice_backend_connections{backend="r",state="busy"})"), 0U);
  const auto lines = log_lines();
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_THAT(lines[0], HasSubstr("\"status\":200,\"result\":\"failed\""));
  EXPECT_THAT(lines[0], HasSubstr("\"outcome\":\"missing\",\"ms\":0,\"reason\":\"reset\",\"status\":200"));
}

TEST_F(ProxyFailure, ResetsAnOldClientWhenABodyBrokeOff) {
  serve_proxy();
  send(std::string(kHttp10));
  say(std::string(kChunked) + "3\r\nabc\r\n");
  server_.close();
  EXPECT_EQ(receive_all().error, boost::asio::error::connection_reset);
}

TEST_F(ProxyFailure, CutsAStreamOffThatHangs) {
  serve_proxy(R"("stream_idle_timeout": "5s", )");
  ask();
  say(std::string(kChunked));
  for (int i = 0; i < 5; ++i) {
    time_.advance(4990ms);
    say("1\r\na\r\n");
  }
  news();
  time_.advance(4990ms);
  EXPECT_TRUE(server_.is_open());
  time_.advance(12ms);
  EXPECT_FALSE(server_.is_open());
  EXPECT_THAT(receive_all().bytes, EndsWith("\r\n\r\n" + [] {
                std::string pieces;
                for (int i = 0; i < 5; ++i) pieces += "1\r\na\r\n";
                return pieces;
              }()));
  EXPECT_TRUE(worker_->is_idle());
  EXPECT_EQ(metric(R"(sluice_backend_attempts_total{backend="r",code="timeout"})"), 1U);
  const std::string line = log_line();
  EXPECT_THAT(line, HasSubstr("\"status\":200,\"result\":\"failed\""));
  EXPECT_THAT(line, HasSubstr("\"outcome\":\"missing\",\"ms\":0,\"reason\":\"timeout\",\"status\":200"));
}

TEST_F(ProxyFailure, CutsAStreamOffThatIsNeverOver) {
  serve_proxy(R"("stream_timeout": "10s", )");
  ask();
  say(std::string(kChunked));
  for (int i = 0; i < 9; ++i) {
    time_.advance(1s);
    say("1\r\na\r\n");
  }
  EXPECT_TRUE(server_.is_open());
  time_.advance(1001ms);
  EXPECT_FALSE(server_.is_open());
  EXPECT_THAT(receive_all().bytes, Not(EndsWith("0\r\n\r\n")));
  EXPECT_THAT(log_line(), HasSubstr("\"reason\":\"timeout\""));
}

TEST_F(ProxyFailure, ClosesTheBackendsConnectionAtOnceWhenTheClientGoes) {
  serve_proxy();
  ask();
  say(std::string(kChunked) + "1\r\na\r\n");
  EXPECT_TRUE(server_.is_open());
  client_.close();
  time_.settle();
  EXPECT_FALSE(server_.is_open());
  EXPECT_TRUE(worker_->is_idle());
  EXPECT_EQ(metric(R"(sluice_backend_attempts_total{backend="r",code="cancelled"})"), 1U);
  EXPECT_THAT(log_line(), HasSubstr("\"status\":499,\"result\":\"complete\""));
}

TEST_F(ProxyFailure, ClosesTheBackendsConnectionWhenTheClientGoesBeforeTheHead) {
  serve_proxy();
  ask();
  client_.reset();
  time_.settle();
  EXPECT_FALSE(server_.is_open());
  EXPECT_TRUE(worker_->is_idle());
}

}  // namespace
}  // namespace sluice::support
