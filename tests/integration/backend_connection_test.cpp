// Connections to backends: kept, shared, replaced, and never trusted.
#include "tests/support/gateway_fixture.hpp"

#include <algorithm>
#include <array>
#include <string>

#include <gmock/gmock.h>

namespace sluice::support {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kEndpoints = R"(
  {"path": "/a/{id}", "calls": [{"name": "x", "backend": "a", "path": "/users/{id}"}]},
  {"path": "/s/{id}", "calls": [{"name": "x", "backend": "s", "path": "/{id}"}]},
  {"path": "/post", "methods": ["POST"], "deadline": "1s", "calls": [{"name": "x", "backend": "s", "path": "/"}]})";

class BackendConnection : public GatewayTest {
 protected:
  void expect(const std::string& target, const std::string& calls) { EXPECT_EQ(calls_of(get(target)), calls); }
};

TEST_F(BackendConnection, IsReusedForeverIfNothingIsWrong) {
  serve(kEndpoints);
  for (int i = 0; i < 40; ++i) ASSERT_EQ(get("/a/1").status, 200U);
  EXPECT_EQ(a_.counters().accepted, 1U);
  EXPECT_EQ(metric(R"(sluice_backend_connections{backend="a",state="idle"})"), 1U);
}

TEST_F(BackendConnection, IsReusedAfterAnErrorStatusWhoseBodyHasArrived) {
  serve(kEndpoints);
  a_.set_faults("status=500");
  for (int i = 0; i < 10; ++i) EXPECT_EQ(get("/a/1").status, 502U);
  EXPECT_EQ(a_.counters().accepted, 1U);
}

TEST_F(BackendConnection, ThatTheServerClosedWhileIdleIsReplacedWithoutAnError) {
  serve(kEndpoints);
  s_.answer_json("1");
  expect("/s/1", "x=fresh");
  s_.hang_up();
  time_.settle();
  expect("/s/1", "x=fresh");
  EXPECT_EQ(s_.accepted(), 2U);
  s_.hang_up();  // and now the gateway cannot know yet
  expect("/s/1", "x=fresh");
  EXPECT_EQ(s_.accepted(), 3U);
}

TEST_F(BackendConnection, ThatEndsInsteadOfAnAnswerIsRetriedOnceIfItHadBeenIdle) {
  serve(kEndpoints);
  s_.answer_json("1");
  s_.answer("", ScriptedBackend::After::close);
  s_.answer_json("2");
  expect("/s/1", "x=fresh");
  EXPECT_EQ(get("/s/1").body, R"({"x":2})");
  EXPECT_EQ(s_.accepted(), 2U);
  EXPECT_EQ(s_.heads().size(), 3U);
}

TEST_F(BackendConnection, ThatIsFreshAndEndsInsteadOfAnAnswerIsNotRetried) {
  serve(kEndpoints);
  s_.answer("", ScriptedBackend::After::close);
  expect("/s/1", "x=missing;reason=reset");
  EXPECT_EQ(s_.heads().size(), 1U);
}

TEST_F(BackendConnection, NeverSendsAPostTwice) {
  serve(kEndpoints);
  s_.answer_json("1");
  s_.answer("", ScriptedBackend::After::close);
  s_.answer_json("2");
  EXPECT_EQ(request("POST", "/post").status, 200U);
  EXPECT_EQ(calls_of(request("POST", "/post")), "x=missing;reason=reset");
  EXPECT_EQ(s_.heads().size(), 2U);
}

TEST_F(BackendConnection, SendsTwiceWhatIsMarkedIdempotentAndNothingThatIsMarkedNot) {
  serve(R"({"path": "/post", "methods": ["POST"], "calls": [
              {"name": "x", "backend": "s", "path": "/", "idempotent": true}]},
           {"path": "/get", "calls": [{"name": "x", "backend": "s", "path": "/", "idempotent": false}]})");
  s_.answer_json("1");
  s_.answer("", ScriptedBackend::After::close);
  s_.answer_json("2");
  EXPECT_EQ(request("POST", "/post", {}, "b").status, 200U);
  EXPECT_EQ(request("POST", "/post", {}, "b").body, R"({"x":2})");
  s_.answer("", ScriptedBackend::After::close);
  EXPECT_EQ(calls_of(get("/get")), "x=missing;reason=reset");
}

TEST_F(BackendConnection, OnWhichTheServerSpeaksUnaskedIsDropped) {
  serve(kEndpoints);
  s_.answer_json("1");
  expect("/s/1", "x=fresh");
  s_.say("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n\"poison\"");
  time_.settle();
  EXPECT_EQ(get("/s/1").body, R"({"x":1})");
  EXPECT_EQ(s_.accepted(), 2U);
}

TEST_F(BackendConnection, WithBytesBehindItsResponseIsDropped) {
  serve(kEndpoints);
  s_.answer("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n\"poison\"");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(get("/s/1").body, R"({"x":1})");
  EXPECT_EQ(s_.accepted(), 3U);
}

TEST_F(BackendConnection, WithBytesBehindALargeResponseIsDropped) {
  serve(kEndpoints);
  const std::string large = "\"" + std::string(100'000, 'x') + "\"";
  s_.answer("HTTP/1.1 200 OK\r\nContent-Length: 100002\r\n\r\n" + large +
            "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n\"poison\"");
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(get("/s/1").body == R"({"x":)" + large + "}");
  EXPECT_EQ(s_.accepted(), 3U);
}

TEST_F(BackendConnection, TakesBodiesOfAnySizeWhole) {
  serve(kEndpoints);
  std::size_t count = 0;
  for (const std::size_t size :
       {8'000, 8'100, 8'153, 8'154, 8'155, 8'192, 20'000, 65'536, 73'728, 140'000, 3'000'000}) {
    std::string text = "\"";
    for (std::size_t i = 0; text.size() + 1 < size; ++i) text += static_cast<char>('a' + i / 7 % 26);
    text += '"';
    s_.answer_json(text);
    EXPECT_TRUE(get("/s/1").body == R"({"x":)" + text + "}") << size;
    ++count;
  }
  EXPECT_EQ(s_.accepted(), 1U);
  EXPECT_EQ(s_.heads().size(), count);
}

TEST_F(BackendConnection, ThatEndsOrHangsInsideALargeBodyGivesNothingOfIt) {
  serve(kEndpoints);
  const std::string half = "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n\"" + std::string(100'000, 'x');
  s_.answer(half, ScriptedBackend::After::close);
  s_.answer(half);
  s_.answer(half + "\n");
  s_.answer_json("1");
  expect("/s/1", "x=missing;reason=reset");
  expect("/s/1", "x=missing;reason=timeout");
  EXPECT_EQ(took_, 2s);
  expect("/s/1", "x=missing;reason=invalid");
  EXPECT_LT(took_, 100ms);
  expect("/s/1", "x=fresh");
  EXPECT_EQ(s_.accepted(), 4U);
}

TEST_F(BackendConnection, WithMoreBodyThanAnnouncedIsDropped) {
  serve(kEndpoints);
  a_.set_faults("wrong_length=-10;header=X-A:1");
  expect("/a/1", "x=missing;reason=invalid");
  a_.clear_faults();
  expect("/a/1", "x=fresh");
  EXPECT_EQ(a_.counters().accepted, 2U);
}

TEST_F(BackendConnection, SurvivesResponsesThatAreNone) {
  serve(kEndpoints);
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  const std::string bad[] = {"\r\n\r\n",
                             "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n1",
                             ok + "Content-Length: x\r\n\r\n1",
                             ok + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1",
                             ok + "Transfer-Encoding: chunked\r\n\r\n1\r\n1",
                             ok + "Transfer-Encoding: gzip\r\n\r\n1",
                             "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
                             "HTTP/9.9 200 OK\r\n\r\n",
                             ok + "X\r\n\r\n",
                             ok + "Content-Length: 9999999999999999999999\r\n\r\n"};
  for (const std::string& bytes : bad) s_.answer(bytes, ScriptedBackend::After::close);
  for (std::size_t i = 0; i < std::size(bad); ++i) {
    const RawResponse reply = get("/s/1");
    EXPECT_EQ(reply.status, 502U) << bad[i];
    EXPECT_THAT(calls_of(reply), StartsWith("x=missing;reason=")) << bad[i];
  }
  EXPECT_EQ(s_.accepted(), std::size(bad));
}

TEST_F(BackendConnection, SkipsInterimResponses) {
  serve(kEndpoints);
  s_.answer("HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
  expect("/s/1", "x=fresh");
  expect("/s/1", "x=fresh");
  EXPECT_EQ(s_.accepted(), 1U);
}

TEST_F(BackendConnection, TakesABodyThatEndsWithTheConnection) {
  serve(kEndpoints);
  s_.answer("HTTP/1.0 200 OK\r\n\r\n[1]", ScriptedBackend::After::close);
  EXPECT_EQ(get("/s/1").body, R"({"x":[1]})");
  EXPECT_EQ(get("/s/1").body, R"({"x":[1]})");
}

TEST_F(BackendConnection, IsNotWaitedForWhenTheAnswerComesBeforeTheRequestIsSent) {
  serve(kEndpoints, R"("limits": {"max_body": "32MiB"})");
  s_.answer("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1", ScriptedBackend::After::stall);
  s_.answer_json("2");
  const RawResponse reply = request("POST", "/post", {}, std::string(std::size_t{20} << 20, 'x'));
  EXPECT_EQ(reply.status, 200U) << reply.body;
  EXPECT_LT(took_, 100ms);
  EXPECT_EQ(request("POST", "/post").status, 200U);
  EXPECT_EQ(s_.accepted(), 2U) << "half a request is on the first";
}

TEST_F(BackendConnection, TakesALargeAnswerThatComesBeforeTheRequestIsSent) {
  serve(kEndpoints, R"("limits": {"max_body": "32MiB"})");
  const std::string large = "\"" + std::string(300'000, 'x') + "\"";
  s_.answer("HTTP/1.1 200 OK\r\nContent-Length: 300002\r\n\r\n" + large, ScriptedBackend::After::stall);
  const RawResponse reply = request("POST", "/post", {}, std::string(std::size_t{20} << 20, 'x'));
  EXPECT_TRUE(reply.body == R"({"x":)" + large + "}") << reply.body.substr(0, 300);
  EXPECT_LT(took_, 100ms);
}

TEST_F(BackendConnection, IsLimitedInNumberAndGivenOutInOrderOfArrival) {
  serve(kEndpoints, R"("backends": {"a": {"servers": ["@a"], "max_connections": 1}, "s": {"servers": ["@s"]}})");
  a_.set_faults("latency_ms=10");
  std::vector<std::unique_ptr<RawClient>> clients;
  std::vector<concurrency::Spawned<RawClient::Result<RawResponse>>> replies;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(std::make_unique<RawClient>(time_.loop()));
    replies.push_back(time_.spawn(clients.back()->get(where_, "/a/" + std::to_string(i))));
    time_.settle();
  }
  for (std::size_t i = 0; i < 5; ++i) {
    time_.advance(10ms);
    for (std::size_t j = 0; j < 5; ++j) EXPECT_EQ(replies[j].done(), j <= i) << i << ' ' << j;
  }
  EXPECT_EQ(a_.counters().accepted, 1U);
}

TEST_F(BackendConnection, LeavesTheQueueWhenItsClientGoes) {
  serve(kEndpoints, R"("backends": {"a": {"servers": ["@a"], "max_connections": 1}, "s": {"servers": ["@s"]}})");
  a_.set_faults("latency_ms=10");
  RawClient gone(time_.loop());
  send(RawClient::text("GET", "/a/1"));
  ASSERT_TRUE(time_.run(gone.connect(where_)).has_value());
  ASSERT_TRUE(time_.run(gone.send(RawClient::text("GET", "/a/2"))).has_value());
  time_.settle();
  gone.close();
  time_.settle();
  EXPECT_EQ(receive().status, 200U);
  EXPECT_EQ(get("/a/3").status, 200U);
  EXPECT_EQ(took_, 10ms);
  EXPECT_EQ(a_.counters().requests, 2U);
}

TEST_F(BackendConnection, EndsAfterTheIdleTimeout) {
  serve(kEndpoints, R"("backends": {"a": {"servers": ["@a"], "idle_timeout": "5s"}, "s": {"servers": ["@s"]}})");
  get("/a/1");
  time_.advance(4990ms);
  EXPECT_EQ(a_.counters().open, 1U);
  time_.advance(20ms);
  EXPECT_EQ(a_.counters().open, 0U);
  EXPECT_EQ(get("/a/1").status, 200U);
}

TEST_F(BackendConnection, GoesToSeveralServersInTurn) {
  serve(kEndpoints, R"("backends": {"a": {"servers": ["@a", "@b", "@c"], "balance": "round_robin"},
                                    "s": {"servers": ["@s"]}})");
  for (int i = 0; i < 30; ++i) EXPECT_EQ(get("/a/1").status, 200U);
  EXPECT_EQ(a_.counters().requests, 10U);
  EXPECT_EQ(b_.counters().requests, 10U);
  EXPECT_EQ(c_.counters().requests, 10U);
}

TEST_F(BackendConnection, GoesAroundAServerThatIsGone) {
  serve(kEndpoints, R"("backends": {"a": {"servers": ["@a", "@b", "@c"]}, "s": {"servers": ["@s"]}})");
  b_.stop();
  int failed = 0;
  for (int i = 0; i < 60; ++i) {
    failed += get("/a/1").status == 200 ? 0 : 1;
    time_.advance(1ms);
  }
  EXPECT_LE(failed, 1);
  EXPECT_GE(a_.counters().requests, 10U);
  EXPECT_GE(c_.counters().requests, 10U);
}

TEST_F(BackendConnection, GoesToServersOfIpv6) {
  ScriptedBackend six(time_.loop(), "::1");
  six.answer_json("6");
  serve(kEndpoints, R"("backends": {"a": {"servers": ["http://[::1]:)" + std::to_string(six.where().port()) +
                        R"("]}, "s": {"servers": ["@s"]}})");
  EXPECT_EQ(get("/a/1").body, R"({"x":6})");
  EXPECT_THAT(six.heads().at(0), HasSubstr("\r\nHost: [::1]:" + std::to_string(six.where().port()) + "\r\n"));
}

TEST_F(BackendConnection, IsToTheServerThatTheHashOfATemplateNames) {
  const std::string endpoints = R"({"path": "/h/{id}", "calls": [{"name": "x", "backend": "a", "path": "/users/{id}"}]},
                                   {"path": "/t", "calls": [{"name": "x", "backend": "t", "path": "/users/1"}]})";
  const auto backends = [](const std::string& servers) {
    return R"("backends": {"a": {"servers": [)" + servers + R"(], "balance": {"hash": "{id}"}},
                           "t": {"servers": [)" +
           servers + R"(], "balance": {"hash": "{header.x-tenant}"}}})";
  };
  serve(endpoints, backends(R"("@a", "@b", "@c")"));
  const auto server_of = [&](const std::string& target, const std::string& fields = {}) {
    const auto before = std::array{a_.counters().requests, b_.counters().requests, c_.counters().requests};
    EXPECT_EQ(get(target, fields).status, 200U);
    if (a_.counters().requests != before[0]) return 'a';
    return b_.counters().requests != before[1] ? 'b' : 'c';
  };
  std::string of_three;
  for (int i = 0; i < 60; ++i) {
    of_three += server_of("/h/" + std::to_string(i));
    EXPECT_EQ(server_of("/h/" + std::to_string(i)), of_three.back());
  }
  for (const char server : {'a', 'b', 'c'})
    EXPECT_GT(std::count(of_three.begin(), of_three.end(), server), 8) << server;
  EXPECT_EQ(server_of("/t", "X-Tenant: 7\r\n"), server_of("/t", "X-Tenant: 7\r\n"));
  server_of("/t");  // without a value: any

  reload(endpoints, backends(R"("@c", "@a")"));
  for (int i = 0; i < 60; ++i) {
    const char server = server_of("/h/" + std::to_string(i));
    if (of_three[static_cast<std::size_t>(i)] != 'b') {
      EXPECT_EQ(server, of_three[static_cast<std::size_t>(i)]) << "moved without need";
    }
  }
}

}  // namespace
}  // namespace sluice::support
