// Reload, drain and the end: requests in flight, connections, and what must not be left behind.
#include "tests/support/gateway_fixture.hpp"

#include <memory>
#include <string>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>

namespace sluice::support {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kOld =
    R"({"path": "/{id}", "calls": [{"name": "old", "backend": "a", "path": "/users/1"}]})";
constexpr std::string_view kNew =
    R"({"path": "/{id}", "calls": [{"name": "new", "backend": "b", "path": "/users/1"}]})";

class Reload : public GatewayTest {};
class Drain : public GatewayTest {};
class End : public GatewayTest {};

TEST_F(Reload, LetsRequestsInFlightFinishOnTheOldConfiguration) {
  serve(kOld);
  a_.set_faults("latency_ms=50");
  send(RawClient::text("GET", "/1"));
  reload(kNew);
  RawClient other(time_.loop());
  EXPECT_EQ(calls_of(time_.run(other.get(where_, "/1")).value()), "new=fresh");
  EXPECT_EQ(calls_of(receive()), "old=fresh");
  EXPECT_EQ(calls_of(get("/1")), "new=fresh") << "the connection stays";
  time_.settle();
  EXPECT_EQ(a_.counters().open, 1U) << "so do those of a backend that is still configured";
}

TEST_F(Reload, KeepsConnectionsOfUnchangedBackends) {
  serve(kOld);
  EXPECT_EQ(get("/1").status, 200U);
  for (int i = 0; i < 10; ++i) {
    reload(kOld);
    EXPECT_EQ(get("/1").status, 200U);
  }
  EXPECT_EQ(a_.counters().accepted, 1U);
}

TEST_F(Reload, GivesUpConnectionsOfAChangedBackendWhenTheirRequestsAreOver) {
  serve(kOld);
  a_.set_faults("latency_ms=50");
  send(RawClient::text("GET", "/1"));
  reload(kOld, R"("backends": {"a": {"servers": ["@a"], "timeout": "5s"}})");
  EXPECT_EQ(receive().status, 200U);
  time_.settle();
  EXPECT_EQ(a_.counters().open, 0U);
  EXPECT_EQ(get("/1").status, 200U);
  EXPECT_EQ(a_.counters().accepted, 2U);
}

TEST_F(Reload, LetsBackgroundRefreshesFinish) {
  const std::string cached = R"({"path": "/1", "calls": [{"name": "x", "backend": "a", "path": "/users/1",
                                 "cache": {"ttl": "1s", "stale_while_revalidate": "1h"}}]})";
  serve(cached);
  get("/1");
  time_.advance(2s);
  a_.set_faults("latency_ms=50");
  EXPECT_EQ(calls_of(get("/1")), "x=cached;age=2");
  reload(cached, R"("backends": {"a": {"servers": ["@a"], "timeout": "5s"}})");
  time_.advance(60ms);
  EXPECT_EQ(calls_of(get("/1")), "x=cached;age=0");
}

TEST_F(Reload, AppliesLimitsToTheNextRequestOfAConnection) {
  serve(kOld);
  EXPECT_EQ(get("/1").status, 200U);
  reload(kOld, R"("limits": {"max_target": "1KiB", "keepalive_timeout": "3s"})");
  EXPECT_EQ(get("/1").status, 200U);
  time_.advance(3001ms);
  EXPECT_TRUE(worker_->is_idle());
}

TEST_F(Drain, ClosesIdleConnectionsAtOnce) {
  serve(kOld);
  EXPECT_EQ(get("/1").status, 200U);
  EXPECT_FALSE(worker_->is_idle());
  worker_->drain();
  time_.settle();
  EXPECT_TRUE(worker_->is_idle());
  EXPECT_EQ(receive_all().error, boost::asio::error::eof);
  EXPECT_TRUE(time_.run(client_.connect(where_)).has_error()) << "and the listener is gone";
}

TEST_F(Drain, LetsRequestsInFlightFinishAndClosesTheirConnections) {
  serve(kOld);
  a_.set_faults("latency_ms=50");
  send(RawClient::text("GET", "/1"));
  worker_->drain();
  time_.settle();
  EXPECT_FALSE(worker_->is_idle());
  const RawResponse reply = receive();
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(reply.header("Connection"), "close");
  EXPECT_EQ(receive_all().error, boost::asio::error::eof);
  client_.close();
  time_.settle();
  EXPECT_TRUE(worker_->is_idle());
}

TEST_F(Drain, AnswersWhatWaitsInTheAcceptQueue) {
  serve(kOld);
  // Sockets without a loop, so that the gateway's does not turn in between and has accepted none of them.
  boost::asio::io_context io;
  std::vector<boost::asio::ip::tcp::socket> clients;
  for (int i = 0; i < 5; ++i) {
    clients.emplace_back(io).connect(where_);
    if (i != 0) boost::asio::write(clients.back(), boost::asio::buffer(RawClient::text("GET", "/1")));
  }
  worker_->drain();
  EXPECT_FALSE(worker_->is_idle()) << "they have been promised an answer";
  time_.settle();
  boost::asio::write(clients[0], boost::asio::buffer(RawClient::text("GET", "/1")));
  time_.settle();
  for (auto& client : clients) {
    std::string reply;
    boost::system::error_code ec;
    client.non_blocking(true);
    boost::asio::read(client, boost::asio::dynamic_buffer(reply), ec);
    EXPECT_THAT(reply, StartsWith("HTTP/1.1 200 "));
    EXPECT_THAT(reply, HasSubstr("\r\nConnection: close\r\n"));
    client.close();
  }
  time_.settle();
  EXPECT_TRUE(worker_->is_idle());
}

TEST_F(Drain, AnswersARequestThatWasSentBefore) {
  serve(kOld);
  EXPECT_EQ(get("/1").status, 200U);
  auto sent = time_.spawn(client_.send(RawClient::text("GET", "/1")));
  worker_->drain();
  const RawResponse reply = receive();
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(reply.header("Connection"), "close");
}

TEST_F(Drain, LeavesTheLastReplyReadableForAClientThatPipelines) {
  serve(kOld);
  a_.set_faults("latency_ms=50");
  send(RawClient::text("GET", "/1"));
  worker_->drain();
  time_.settle();
  send(RawClient::text("GET", "/2"));
  time_.advance(51ms);
  send(RawClient::text("GET", "/3"));  // towards a connection that the gateway has ended
  const RawEnd end = receive_all();
  EXPECT_EQ(end.error, boost::asio::error::eof);
  EXPECT_THAT(end.bytes, StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(end.bytes.find("HTTP/1.1", 1), std::string::npos);
}

TEST_F(End, OfTheWorkerAndItsLoopLeavesNothingBehind) {
  serve(R"({"path": "/{id}", "deadline": "10m", "calls": [
      {"name": "a", "backend": "a", "path": "/users/{id}", "cache": {"stale_if_error": "1h", "stale_after": "10m"}},
      {"name": "b", "backend": "b", "path": "/users/{id}"},
      {"name": "queued", "backend": "b", "path": "/users/{id}"},
      {"name": "c", "backend": "c", "path": "/users/{id}"}]},
    {"path": "/first/{id}", "strategy": "first", "stagger": "5m", "deadline": "10m", "calls": [
      {"name": "a", "backend": "a", "path": "/users/{id}"}, {"name": "b", "backend": "b", "path": "/users/{id}"}]},
    {"path": "/big/{id}", "methods": ["POST", "GET"], "deadline": "10m", "calls": [
      {"name": "s", "backend": "s", "path": "/x"}, {"name": "j", "backend": "c", "path": "/json?bytes=7000000"}]})",
        R"("backends": {"a": {"servers": ["@a"]}, "b": {"servers": ["@b"], "max_connections": 1},
                        "c": {"servers": ["@c"]}, "s": {"servers": ["@s"]}})");
  EXPECT_EQ(get("/1").status, 200U);
  b_.set_faults("hang=header");
  c_.set_faults("hang=body", "/users");
  std::vector<std::unique_ptr<RawClient>> clients;
  const auto start = [&](std::string bytes) {
    clients.push_back(std::make_unique<RawClient>(time_.loop()));
    ASSERT_TRUE(time_.run(clients.back()->connect(where_)).has_value());
    (void)time_.spawn(clients.back()->send(std::move(bytes)));
    time_.settle();
  };
  start(RawClient::text("GET", "/1"));
  a_.set_faults("hang=head");
  start(RawClient::text("GET", "/1") + RawClient::text("GET", "/2"));
  start(RawClient::text("GET", "/first/1"));
  start("GET /half");
  start("");
  start("POST /big/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n");
  start(RawClient::text("POST", "/big/1", {}, std::string(500'000, 'x')));
  start("BAD\r\n\r\n");
  s_.answer_json("1");
  start(RawClient::text("GET", "/big/1"));
  reload(kNew);
  time_.settle();
  EXPECT_FALSE(worker_->is_idle());
}

}  // namespace
}  // namespace sluice::support
