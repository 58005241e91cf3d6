// Clients that are slow, and too many of them.
#include "concurrency/sleep.hpp"
#include "tests/support/gateway_fixture.hpp"

#include <array>
#include <fcntl.h>
#include <memory>
#include <string>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

namespace sluice::support {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kEndpoints = R"(
  {"path": "/a/{id}", "calls": [{"name": "x", "backend": "a", "path": "/users/{id}"}]},
  {"path": "/big", "calls": [
    {"name": "x", "backend": "a", "path": "/json?bytes=8000000"},
    {"name": "y", "backend": "b", "path": "/json?bytes=8000000"}]},
  {"path": "/post", "methods": ["POST"], "deadline": "200ms", "calls": [{"name": "x", "backend": "a", "path": "/echo"}]})";

class Limits : public GatewayTest {};

/// Lets this process open so many more files, for as long as it lives.
class FewFiles {
 public:
  explicit FewFiles(rlim_t more) {
    getrlimit(RLIMIT_NOFILE, &before_);
    const int next = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    close(next);
    rlimit few = before_;
    few.rlim_cur = static_cast<rlim_t>(next) + more;
    setrlimit(RLIMIT_NOFILE, &few);
  }
  ~FewFiles() { setrlimit(RLIMIT_NOFILE, &before_); }
  FewFiles(const FewFiles&) = delete;
  FewFiles& operator=(const FewFiles&) = delete;

 private:
  rlimit before_{};
};

TEST_F(Limits, GiveAClientFiveSecondsForItsFirstByte) {
  serve(kEndpoints);
  send("");
  time_.advance(4999ms);
  EXPECT_FALSE(worker_->is_idle());
  time_.advance(2ms);
  EXPECT_TRUE(worker_->is_idle());
  const RawEnd end = receive_all();
  EXPECT_EQ(end.bytes, "");
}

TEST_F(Limits, BoundAHeadHoweverItsBytesAreSpread) {
  serve(kEndpoints);
  send("GET /a/1 HTTP/1.1\r\nHost: x\r\nX-Slow: ");
  for (int i = 0; i < 9; ++i) {
    time_.advance(500ms);
    send("x");
  }
  EXPECT_EQ(arrived(), "");
  time_.advance(501ms);
  EXPECT_THAT(arrived(), StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(arrived(), HasSubstr("\r\nConnection: close\r\n"));
  EXPECT_EQ(receive_all().error, boost::asio::error::eof);
  EXPECT_EQ(metric(R"(sluice_requests_total{endpoint="",code="408",result="rejected"})"), 1U);
}

TEST_F(Limits, BoundABodyByTheDeadline) {
  serve(kEndpoints);
  send("POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n");
  for (int i = 0; i < 3; ++i) {
    time_.advance(60ms);
    send("x");
  }
  EXPECT_EQ(arrived(), "");
  time_.advance(21ms);
  EXPECT_THAT(arrived(), StartsWith("HTTP/1.1 408 "));
  EXPECT_EQ(receive_all().error, boost::asio::error::eof);
  EXPECT_EQ(a_.counters().requests, 0U);
}

TEST_F(Limits, EndAnIdleConnectionAfterTheKeepaliveTimeout) {
  serve(kEndpoints, R"("limits": {"keepalive_timeout": "10s"})");
  EXPECT_EQ(get("/a/1").status, 200U);
  time_.advance(9s);
  EXPECT_EQ(get("/a/1").status, 200U);
  time_.advance(9999ms);
  EXPECT_FALSE(worker_->is_idle());
  time_.advance(2ms);
  EXPECT_TRUE(worker_->is_idle());
  EXPECT_EQ(receive_all().error, boost::asio::error::eof);
}

TEST_F(Limits, CutAClientThatReadsTooSlowly) {
  serve(kEndpoints, R"("limits": {"send_timeout": "3s"})");
  send(RawClient::text("GET", "/big"));
  time_.advance(2s);
  EXPECT_FALSE(worker_->is_idle());
  time_.advance(1001ms);
  EXPECT_TRUE(worker_->is_idle());
  const RawEnd end = receive_all();
  EXPECT_LT(end.bytes.size(), 16'000'000U);
  EXPECT_GT(end.bytes.size(), 1000U);
}

TEST_F(Limits, GiveASlowReaderAllOfALargeReplyWithinTheTimeout) {
  serve(kEndpoints, R"("limits": {"send_timeout": "3s"})");
  send(RawClient::text("GET", "/big"));
  time_.advance(2900ms);
  const RawResponse reply = receive();
  EXPECT_GE(reply.body.size(), 16'000'000U);
  EXPECT_TRUE(reply.body.ends_with("]}"));
  EXPECT_EQ(get("/a/1").status, 200U);
}

TEST_F(Limits, LeaveConnectionsBeyondTheirNumberInTheQueue) {
  serve(kEndpoints, R"("limits": {"max_connections": 2})");
  std::array<RawClient, 3> clients{RawClient(time_.loop()), RawClient(time_.loop()), RawClient(time_.loop())};
  for (RawClient& client : clients) {
    ASSERT_TRUE(time_.run(client.connect(where_)).has_value());
    ASSERT_TRUE(time_.run(client.send(RawClient::text("GET", "/a/1"))).has_value());
    time_.settle();
  }
  for (RawClient& client : clients) client.poll();
  EXPECT_THAT(clients[0].buffered(), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(clients[1].buffered(), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(clients[2].buffered(), "");
  clients[0].close();
  time_.advance(100ms);
  clients[2].poll();
  EXPECT_THAT(clients[2].buffered(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(Limits, KeepFileDescriptorsForBackendsWhenClientsTakeTheRest) {
  serve(kEndpoints);
  send("");
  const FewFiles few(120);
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 70; ++i) {  // each takes one here, and one in the gateway as long as it accepts
    clients.push_back(std::make_unique<RawClient>(time_.loop()));
    ASSERT_TRUE(time_.run(clients.back()->connect(where_)).has_value()) << i;
    time_.settle();
  }
  EXPECT_EQ(calls_of(get("/a/1")), "x=fresh");
  RawClient& last = *clients.back();
  ASSERT_TRUE(time_.run(last.send(RawClient::text("GET", "/a/1"))).has_value());
  time_.advance(200ms);
  last.poll();
  EXPECT_EQ(last.buffered(), "") << "waits in the accept queue";
  clients.erase(clients.begin(), clients.end() - 1);
  time_.advance(200ms);
  last.poll();
  EXPECT_THAT(last.buffered(), StartsWith("HTTP/1.1 200 "));
}

}  // namespace
}  // namespace sluice::support
