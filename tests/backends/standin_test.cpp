#include "tests/backends/standin_fixture.hpp"
#include "tests/support/leak_check.hpp"

#include <chrono>
#include <set>
#include <stdexcept>

#include <boost/asio/error.hpp>
#include <boost/asio/ip/address_v6.hpp>
#include <boost/system/system_error.hpp>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace sluice::backends::demo {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Le;
namespace error = boost::asio::error;

using StandInAnswers = StandInTest;
using StandInConnections = StandInTest;

std::string without_date(std::string head) {
  const auto begin = head.find("Date:");
  return head.erase(begin, head.find("\r\n", begin) + 2 - begin);
}

TEST_F(StandInAnswers, AUserIsOneObject) {
  const RawResponse response = get("/users/42");
  EXPECT_EQ(response.status, 200U);
  EXPECT_EQ(response.header("Content-Type"), "application/json");
  EXPECT_EQ(response.header("Content-Length"), std::to_string(response.body.size()));
  EXPECT_THAT(response.header("Date"), EndsWith(" GMT"));
  const json user = json::parse(response.body);
  EXPECT_EQ(user["id"], 42);
  EXPECT_TRUE(user["segment"].is_string());
  EXPECT_EQ(json::parse(get("/users/a%22b").body)["id"], "a\"b");
}

TEST_F(StandInAnswers, OrdersBelongToTheirUserAndAreLimited) {
  const json all = json::parse(get("/orders?user=7").body);
  ASSERT_GE(all.size(), 2U);
  EXPECT_EQ(all[0]["user"], 7);
  const json one = json::parse(get("/orders?user=7&limit=1").body);
  ASSERT_EQ(one.size(), 1U);
  EXPECT_EQ(one[0], all[0]);
}

TEST_F(StandInAnswers, RecommendationsDependOnTheSegment) {
  const std::string gold = get("/recs/gold").body;
  EXPECT_EQ(json::parse(gold).size(), 4U);
  EXPECT_EQ(get("/recs/gold").body, gold);
  EXPECT_NE(get("/recs/new").body, gold);
}

TEST_F(StandInAnswers, BytesSetsTheSizeOfTheBody) {
  for (const std::string kind : {"/json?", "/users/1?", "/orders?user=1&", "/recs/gold?"}) {
    for (const std::size_t bytes : {500U, 4096U, 100'000U}) {
      const RawResponse response = get(kind + "bytes=" + std::to_string(bytes));
      EXPECT_THAT(response.body.size(), AllOf(Ge(bytes - 4), Le(bytes))) << kind;
      EXPECT_TRUE(json::accept(response.body)) << kind;
    }
  }
}

TEST_F(StandInAnswers, EchoReturnsTheRequest) {
  const RawResponse response =
      time_.run(client_.request(where_, "PATCH", "/echo?a=1", "X-One: 1\r\n", "a\"b\n\xff\xc3\xa9")).value();
  const json echo = json::parse(response.body);
  EXPECT_EQ(echo["method"], "PATCH");
  EXPECT_EQ(echo["target"], "/echo?a=1");
  EXPECT_EQ(echo["headers"][1], json({"X-One", "1"}));
  EXPECT_EQ(echo["body"], "a\"b\n\xef\xbf\xbd\xc3\xa9");
}

TEST_F(StandInAnswers, AnUnknownPathIsA404InJson) {
  for (const std::string path : {"/nothing", "/users/", "/users/1/2", "/"}) {
    const RawResponse response = get(path);
    EXPECT_EQ(response.status, 404U) << path;
    EXPECT_EQ(json::parse(response.body)["status"], 404) << path;
  }
  EXPECT_EQ(get("/healthz").body, R"({"status":"ok"})");
}

TEST_F(StandInAnswers, HeadHasTheLengthButNoBody) {
  const std::size_t size = get("/users/1").body.size();
  EXPECT_EQ(request("HEAD", "/users/1").header("Content-Length"), std::to_string(size));
  EXPECT_EQ(get("/users/1").body.size(), size);
}

TEST_F(StandInAnswers, TheLastRequestIsThereToBeLookedAt) {
  time_.run(client_.request(where_, "POST", "/users/1?x=2", "X-One: 1\r\n", "body")).value();
  const auto& last = stand_in_.last_request();
  ASSERT_TRUE(last);
  EXPECT_EQ(last->method, "POST");
  EXPECT_EQ(last->path(), "/users/1");
  EXPECT_EQ(last->query(), "x=2");
  EXPECT_EQ(last->find("x-one"), "1");
  EXPECT_FALSE(last->find("x-two"));
  EXPECT_EQ(last->body, "body");
}

TEST_F(StandInConnections, AreKeptAlive) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(get("/users/1").status, 200U);
  EXPECT_EQ(stand_in_.counters().accepted, 1U);
  EXPECT_EQ(stand_in_.counters().requests, 3U);
  EXPECT_EQ(stand_in_.counters().open, 1U);
  client_.close();
  time_.settle();
  EXPECT_EQ(stand_in_.counters().open, 0U);
  EXPECT_EQ(stand_in_.counters().cancelled, 0U);
}

TEST_F(StandInConnections, PipelinedRequestsAreAnsweredInOrder) {
  std::string bytes;
  for (int i = 0; i < 40; ++i) {
    bytes += RawClient::text("POST", "/echo?i=" + std::to_string(i) + (i % 2 == 0 ? "&latency_ms=5" : ""), {}, "abc");
  }
  send(bytes);
  for (int i = 0; i < 40; ++i) {
    const RawResponse response = time_.run(client_.read_response()).value();
    EXPECT_THAT(response.body, HasSubstr("/echo?i=" + std::to_string(i)));
  }
  EXPECT_EQ(client_.buffered(), "");
  EXPECT_EQ(stand_in_.counters().requests, 40U);
}

TEST_F(StandInConnections, ARequestMayArriveInSingleBytes) {
  for (const char c : RawClient::text("POST", "/echo", {}, "abc")) send(std::string(1, c));
  EXPECT_EQ(json::parse(time_.run(client_.read_response()).value().body)["body"], "abc");
}

TEST_F(StandInConnections, EndWhenTheClientAsksForIt) {
  const RawResponse response = get("/users/1", "Connection: close\r\n");
  EXPECT_EQ(response.header("Connection"), "close");
  EXPECT_EQ(time_.run(client_.read_all()).error, error::eof);
}

TEST_F(StandInConnections, ARequestThatIsNoHttpIsA400) {
  send("nonsense\r\n\r\n");
  EXPECT_EQ(time_.run(client_.read_response()).value().status, 400U);
  EXPECT_EQ(time_.run(client_.read_all()).error, error::eof);
}

TEST_F(StandInConnections, AClientThatLeavesCancelsItsRequest) {
  send(RawClient::text("GET", "/users/1?latency_ms=1000") + RawClient::text("GET", "/users/2"));
  time_.advance(10ms);
  client_.close();
  time_.settle();
  EXPECT_EQ(stand_in_.counters().requests, 2U);
  EXPECT_EQ(stand_in_.counters().cancelled, 2U);
  EXPECT_EQ(stand_in_.counters().open, 0U);
}

TEST_F(StandInConnections, AreNeitherAcceptedNorReadWhileFrozen) {
  get("/users/1");
  stand_in_.freeze();
  auto answer = time_.spawn(client_.get(where_, "/users/2"));
  RawClient other(time_.loop());
  auto second = time_.spawn(other.get(where_, "/users/3"));
  time_.advance(1h);
  EXPECT_TRUE(other.is_open());
  EXPECT_FALSE(answer.done());
  EXPECT_EQ(stand_in_.counters().accepted, 1U);
  EXPECT_EQ(stand_in_.counters().requests, 1U);
  stand_in_.thaw();
  time_.settle();
  ASSERT_TRUE(answer.done() && second.done());
  EXPECT_EQ(answer.get().value().status, 200U);
  EXPECT_EQ(second.get().value().status, 200U);
}

TEST_F(StandInConnections, AnAnswerUnderWayWaitsWhileFrozen) {
  auto answer = time_.spawn(client_.get(where_, "/users/1?latency_ms=10"));
  time_.advance(5ms);
  stand_in_.freeze();
  time_.advance(1min);
  EXPECT_FALSE(answer.done());
  stand_in_.thaw();
  time_.settle();
  EXPECT_TRUE(answer.done());
}

TEST_F(StandInConnections, StopClosesEverythingAndListenStartsAgain) {
  get("/users/1");
  stand_in_.stop();
  EXPECT_EQ(time_.run(client_.read_all()).error, error::eof);
  EXPECT_EQ(time_.run(client_.connect(where_)).error(), error::connection_refused);
  EXPECT_EQ(stand_in_.counters().open, 0U);
  EXPECT_EQ(stand_in_.counters().cancelled, 0U);
  EXPECT_EQ(stand_in_.listen(where_), where_);
  client_.close();
  EXPECT_EQ(get("/users/1").status, 200U);
}

TEST_F(StandInConnections, MayComeOverIPv6) {
  RawClient::Endpoint v6;
  try {
    v6 = stand_in_.listen(RawClient::Endpoint(boost::asio::ip::address_v6::loopback(), 0));
  } catch (const boost::system::system_error&) {
    GTEST_SKIP() << "no IPv6 here";
  }
  EXPECT_EQ(time_.run(client_.get(v6, "/users/1")).value().status, 200U);
}

/// Nothing waits any more.
void end(VirtualTime& time, StandIn& stand_in, RawClient& client) {
  stand_in.stop();
  client.close();
  time.settle();
}

TEST(StandInSeed, MakesARunRepeatable) {
  const auto run = [](std::uint64_t seed) {
    VirtualTime time;
    StandIn::Options options;
    options.seed = seed;
    options.faults = "latency_ms=lognormal(20,0.5);error_rate=0.3;chunked=1";
    StandIn stand_in(time.loop(), options);
    const auto where = stand_in.listen();
    RawClient client(time.loop());
    std::string seen;
    for (int i = 0; i < 20; ++i) {
      const auto start = time.now();
      const RawResponse response = time.run(client.get(where, "/json?bytes=2000")).value();
      seen += without_date(response.head) + response.body + std::to_string((time.now() - start).count());
    }
    end(time, stand_in, client);
    return seen;
  };
  const std::string first = run(1);
  EXPECT_EQ(run(1), first);
  EXPECT_NE(run(2), first);
}

TEST(StandInSeed, ChoicesOfOneRequestDoNotRepeatInTheNext) {
  VirtualTime time;
  StandIn stand_in(time.loop());
  const auto where = stand_in.listen();
  RawClient client(time.loop());
  std::set<std::string> bodies;
  for (int i = 0; i < 20; ++i) bodies.insert(time.run(client.get(where, "/users/1?garbage=body")).value().body);
  EXPECT_EQ(bodies.size(), 20U);
  end(time, stand_in, client);
}

TEST(StandInOptions, NameItAndGiveItFaultsFromTheStart) {
  VirtualTime time;
  StandIn::Options options;
  options.name = "users-1";
  options.faults = "status=503";
  StandIn stand_in(time.loop(), options);
  RawClient client(time.loop());
  const RawResponse response = time.run(client.get(stand_in.listen(), "/users/1")).value();
  EXPECT_EQ(response.status, 503U);
  EXPECT_EQ(response.header("Server"), "users-1");
  options.faults = "hang=sometimes";
  EXPECT_THROW(StandIn(time.loop(), options), std::invalid_argument);
  end(time, stand_in, client);
}

TEST(StandInLoop, MayEndWhileSessionsHang) {
  const test::AllowLeftovers on_purpose;
  VirtualTime time;
  StandIn stand_in(time.loop());
  RawClient client(time.loop());
  auto answer = time.spawn(client.get(stand_in.listen(), "/users/1?hang=body"));
  time.advance(1s);
  EXPECT_FALSE(answer.done());
  EXPECT_EQ(stand_in.counters().open, 1U);
}

}  // namespace
}  // namespace sluice::backends::demo
