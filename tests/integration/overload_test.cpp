// Requests that the gateway had no time to read at once: their deadline counts from when they came, and when it stays
// behind, those are shed that have waited for too long.
#include "tests/support/gateway_fixture.hpp"

#include <chrono>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>

namespace sluice::support {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
using std::chrono::system_clock;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kEndpoints = R"(
  {"path": "/", "deadline": "10ms", "calls": [
    {"name": "user", "backend": "a", "path": "/users/1"},
    {"name": "orders", "backend": "b", "path": "/orders?user=1", "fallback": []}]},
  {"path": "/required", "deadline": "10ms", "calls": [
    {"name": "user", "backend": "a", "path": "/users/1", "required": true}]},
  {"path": "/stored", "deadline": "10ms", "calls": [
    {"name": "user", "backend": "a", "path": "/users/1", "cache": {"ttl": "0s", "stale_if_error": "1h"}}]},
  {"path": "/proxy", "deadline": "10ms", "strategy": "proxy", "calls": [
    {"name": "user", "backend": "a", "path": "/users/1"}]},
  {"path": "/renewed", "deadline": "10ms", "calls": [
    {"name": "user", "backend": "a", "path": "/users/3", "cache": {"ttl": "0s", "stale_while_revalidate": "1h"}}]},
  {"path": "/stored_proxy", "deadline": "10ms", "strategy": "proxy", "calls": [
    {"name": "user", "backend": "a", "path": "/users/2",
     "cache": {"ttl": "0s", "stale_if_error": "1h", "stale_after": "5ms"}}]})";

/// A client on a connection of its own, and a gateway that has no time for it at first.
class Overload : public GatewayTest {
 protected:
  Overload() {
    notes_arrivals_ = true;
    serve(kEndpoints);
  }

  /// Sends a GET, and lets the gateway have its turn when that has been there for at least `wait`.
  void send_and_wait(const std::string& path, std::chrono::milliseconds wait) {
    client_socket_ = asio::ip::tcp::socket(io_);
    client_socket_.connect(where_);
    asio::write(client_socket_, asio::buffer("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"));
    for (const auto sent = system_clock::now(); system_clock::now() - sent < wait;) continue;
    time_.settle();
  }
  /// What has come back by now.
  std::string replied() {
    std::string reply(client_socket_.available(), '\0');
    asio::read(client_socket_, asio::buffer(reply));
    return reply;
  }
  std::string reply_to(const std::string& path, std::chrono::milliseconds wait) {
    send_and_wait(path, wait);
    return replied();
  }
  /// Every request has to wait, for longer than a pause lasts.
  void fall_behind() {
    for (int i = 0; i < 3; ++i) {
      (void)reply_to("/", 6ms);
      time_.advance(60ms);
    }
  }

 private:
  asio::io_context io_;
  asio::ip::tcp::socket client_socket_{io_};
};

TEST_F(Overload, OfAMomentTakesFromTheDeadlineWhatARequestHasWaited) {
  b_.set_faults("hang=header");
  std::string reply;
  // The system needs a moment before it begins to note when bytes come.
  for (int attempt = 0; attempt < 1000 && reply.empty(); ++attempt) {
    send_and_wait("/", 4ms);
    time_.advance(4ms);
    EXPECT_EQ(replied(), "") << "half of the deadline is left at least";
    time_.advance(3ms);
    reply = replied();
    time_.advance(100ms);
  }
  EXPECT_THAT(reply, HasSubstr("user=fresh;ms=0, orders=fallback;"));
  EXPECT_THAT(reply, HasSubstr("reason=timeout"));
}

TEST_F(Overload, OfAMomentShedsNothing) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(reply_to("/", 6ms), HasSubstr("user=fresh;ms=0, orders=fresh;ms=0")) << "after a second without any";
    time_.advance(1s);
  }
}

TEST_F(Overload, ThatLastsShedsWhatHasWaitedForHalfOfItsDeadline) {
  std::string reply;
  for (int attempt = 0; attempt < 1000 && reply.find("reason=shed") == std::string::npos; ++attempt) {
    reply = reply_to("/", 6ms);
    time_.advance(60ms);
  }
  EXPECT_THAT(reply, HasSubstr("user=missing;ms=0;reason=shed, orders=fallback;ms=0;reason=shed"));
  const auto asked = a_.counters().requests;
  fall_behind();
  EXPECT_EQ(a_.counters().requests, asked) << "no backend is asked";
  EXPECT_THAT(reply_to("/required", 6ms), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(reply_to("/required", 6ms), HasSubstr("\r\nRetry-After: 1\r\n"));
  EXPECT_THAT(reply_to("/required", 6ms), HasSubstr("More has come than can be answered in time."));
  EXPECT_THAT(reply_to("/proxy", 6ms), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(reply_to("/stored", 6ms), HasSubstr("reason=shed"));
  EXPECT_EQ(a_.counters().requests, asked);
  std::string result;  // of what has not waited, as soon as this machine lets us do without
  for (int attempt = 0; attempt < 1000 && result != "complete"; ++attempt) result = get("/").header("Sluice-Result");
  EXPECT_EQ(result, "complete");
}

TEST_F(Overload, ServesWhatIsStored) {
  (void)get("/stored");
  (void)get("/renewed");
  (void)get("/stored_proxy");
  std::string reply;
  for (int attempt = 0; attempt < 1000 && reply.find("reason=shed") == std::string::npos; ++attempt) {
    reply = reply_to("/", 6ms);
    time_.advance(60ms);
  }
  const auto asked = a_.counters().requests;
  EXPECT_THAT(reply_to("/stored", 6ms), HasSubstr("user=stale;ms=0;age="));
  EXPECT_THAT(reply_to("/renewed", 6ms), HasSubstr("user=cached;ms=0;age="));
  EXPECT_THAT(reply_to("/stored_proxy", 6ms), HasSubstr("reason=shed"));
  EXPECT_EQ(a_.counters().requests, asked) << "no backend is asked";
}

}  // namespace
}  // namespace sluice::support
