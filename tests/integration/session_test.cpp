// One client connection: keep-alive, pipelining, clients that go, refusals.
#include "tests/support/gateway_fixture.hpp"

#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace sluice::support {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::string_view kEndpoints = R"(
  {"path": "/a/{id}", "calls": [{"name": "x", "backend": "a", "path": "/users/{id}"}]},
  {"path": "/s/{id}", "calls": [{"name": "x", "backend": "s", "path": "/{id}"}]},
  {"path": "/post", "methods": ["POST"], "deadline": "200ms", "max_body": 1000, "calls": [
    {"name": "x", "backend": "a", "path": "/echo"}]})";

class SessionTest : public GatewayTest {
 protected:
  SessionTest() { serve(kEndpoints); }

  concurrency::Task<std::vector<RawResponse>> receive_all_of(int count) {
    std::vector<RawResponse> replies;
    for (int i = 0; i < count; ++i) {
      auto reply = co_await client_.read_response();
      if (reply.has_error()) break;
      replies.push_back(std::move(*reply));
    }
    co_return replies;
  }

  /// Sends bytes that are no good on a connection of its own; the status of the reply, after which the connection has
  /// ended in order.
  unsigned refusal_of(const std::string& bytes) {
    client_.close();
    send(bytes);
    const RawEnd end = receive_all();
    EXPECT_EQ(end.error, boost::asio::error::eof) << end.bytes;
    EXPECT_THAT(end.bytes, HasSubstr("\r\nConnection: close\r\n"));
    EXPECT_THAT(end.bytes, HasSubstr("\r\nSluice-Result: rejected\r\n"));
    EXPECT_THAT(end.bytes, HasSubstr("\r\nContent-Type: application/problem+json\r\n"));
    const auto body = end.bytes.find("\r\n\r\n");
    const unsigned status = static_cast<unsigned>(std::stoul(end.bytes.substr(9, 3)));
    EXPECT_EQ(json::parse(end.bytes.substr(body + 4))["status"], status);
    return status;
  }
};

using Session = SessionTest;

TEST_F(Session, ServesManyRequestsOnOneConnection) {
  for (int i = 0; i < 30; ++i) EXPECT_EQ(get("/a/" + std::to_string(i)).status, 200U);
  EXPECT_TRUE(client_.is_open());
  EXPECT_EQ(a_.counters().accepted, 1U);
}

TEST_F(Session, AnswersPipelinedRequestsInOrder) {
  s_.answer_json("0");
  for (int i = 1; i < 50; ++i) s_.answer_json(std::to_string(i));
  std::string all;
  for (int i = 0; i < 50; ++i) all += RawClient::text("GET", i % 2 == 0 ? "/s/x" : "/none");
  send(all);
  for (int i = 0; i < 50; ++i) {
    const RawResponse reply = receive();
    EXPECT_EQ(reply.status, i % 2 == 0 ? 200U : 404U);
    if (i % 2 == 0) {
      EXPECT_EQ(reply.body, R"({"x":)" + std::to_string(i / 2) + "}");
    }
  }
}

TEST_F(Session, AnswersAPipelineThatIsLargerThanItsBuffers) {
  constexpr int kRequests = 500;
  std::string all;
  for (int i = 0; i < kRequests; ++i) {
    all += RawClient::text("GET", "/a/" + std::to_string(i), "X-Fill: " + std::string(8000, 'f') + "\r\n");
  }
  ASSERT_TRUE(time_.run(client_.connect(where_)).has_value());
  const auto sent = time_.spawn(client_.send(all));
  const auto replies = time_.run(receive_all_of(kRequests));
  ASSERT_EQ(replies.size(), std::size_t{kRequests});
  for (std::size_t i = 0; i < replies.size(); ++i) {
    EXPECT_EQ(replies[i].status, 200U);
    EXPECT_THAT(replies[i].body, HasSubstr("\"id\":" + std::to_string(i) + ","));
  }
  EXPECT_TRUE(sent.done());
}

TEST_F(Session, CancelsTheCallsWhenTheClientCloses) {
  a_.set_faults("hang=header");
  send(RawClient::text("GET", "/a/1"));
  EXPECT_EQ(a_.counters().open, 1U);
  time_.advance(1ms);
  client_.close();
  time_.settle();
  EXPECT_EQ(a_.counters().cancelled, 1U);
  EXPECT_EQ(a_.counters().open, 0U);
  EXPECT_THAT(log_lines().at(0), HasSubstr("\"status\":499"));
  EXPECT_EQ(metric(R"(sluice_requests_in_flight{endpoint="/a/{id}"})"), 0U);
}

TEST_F(Session, CancelsTheCallsWhenTheClientResetsOrEndsItsSide) {
  a_.set_faults("hang=body");
  send(RawClient::text("GET", "/a/1"));
  client_.reset();
  time_.settle();
  EXPECT_EQ(a_.counters().cancelled, 1U);
  send(RawClient::text("GET", "/a/1"));
  client_.shutdown_send();
  time_.settle();
  EXPECT_EQ(a_.counters().cancelled, 2U);
}

TEST_F(Session, CancelsTheCallsOfAClientThatPipelinedMoreThanFitsBeforeItWent) {
  a_.set_faults("hang=header");
  std::string all = RawClient::text("GET", "/a/1");
  while (all.size() < 150'000) all += RawClient::text("GET", "/a/2");
  send(all);
  EXPECT_EQ(a_.counters().open, 1U);
  time_.advance(1s);
  client_.close();
  time_.advance(12ms);
  EXPECT_EQ(a_.counters().cancelled, 1U);
  EXPECT_EQ(a_.counters().requests, 1U);
}

TEST_F(Session, CancelsTheCallsOfAClientThatResetsAsSoonAsItHasAsked) {
  a_.set_faults("hang=header");
  boost::asio::io_context other;
  boost::asio::ip::tcp::socket client(other);
  client.connect(where_);
  time_.settle();
  boost::asio::write(client, boost::asio::buffer(RawClient::text("GET", "/a/1")));
  client.set_option(boost::asio::socket_base::linger(true, 0));
  client.close();
  time_.settle();
  EXPECT_EQ(a_.counters().open, 1U) << "it comes with the request: no event tells of it";
  time_.advance(6ms);
  EXPECT_EQ(a_.counters().cancelled, 1U);
  EXPECT_EQ(a_.counters().open, 0U);
}

TEST_F(Session, AnswersAClientThatHasClosedItsSideWhereThatIsAllowed) {
  reload(std::string(kEndpoints) + R"(, {"path": "/half/{id}", "half_close": true, "methods": ["GET", "POST"],
    "calls": [{"name": "x", "backend": "a", "path": "/users/{id}", "method": "GET"}]})");
  a_.set_faults("latency_ms=100");
  send(RawClient::text("GET", "/half/1") + RawClient::text("GET", "/half/2"));
  client_.shutdown_send();
  time_.settle();
  EXPECT_EQ(a_.counters().cancelled, 0U);
  const std::string all = receive_all().bytes;
  EXPECT_THAT(all, HasSubstr("\"id\":1,"));
  EXPECT_THAT(all, HasSubstr("\"id\":2,"));
  client_.close();
  send("POST /half/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab");
  client_.shutdown_send();
  EXPECT_EQ(receive_all().bytes, "") << "the rest never comes";
  client_.close();
  a_.set_faults("hang=header");
  send(RawClient::text("GET", "/half/3"));
  time_.settle();
  client_.reset();
  time_.settle();
  EXPECT_EQ(a_.counters().cancelled, 1U) << "nobody can be answered any more";
  send(RawClient::text("GET", "/half/4"));
  client_.shutdown_send();
  time_.advance(1s);
  EXPECT_EQ(a_.counters().open, 1U);
  client_.reset();
  time_.advance(12ms);
  EXPECT_EQ(a_.counters().cancelled, 2U);
}

TEST_F(Session, CancelsTheCallsOfAClientThatPipelinedMoreBeforeItWent) {
  a_.set_faults("hang=header");
  send(RawClient::text("GET", "/a/1") + RawClient::text("GET", "/a/2"));
  client_.close();
  time_.settle();
  EXPECT_EQ(a_.counters().cancelled, 1U);
  EXPECT_EQ(a_.counters().requests, 1U);
}

TEST_F(Session, SpeaksHttp10) {
  send("GET /a/1 HTTP/1.0\r\n\r\n");
  const RawEnd end = receive_all();
  EXPECT_EQ(end.error, boost::asio::error::eof);
  EXPECT_THAT(end.bytes, StartsWith("HTTP/1.1 200 "));
  client_.close();
  send("GET /a/1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(receive().header("Connection"), "keep-alive");
  send("GET /a/1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(receive().status, 200U);
}

TEST_F(Session, ClosesWhenTheClientAsksForIt) {
  send(RawClient::text("GET", "/a/1", "Connection: close\r\n"));
  const RawEnd end = receive_all();
  EXPECT_EQ(end.error, boost::asio::error::eof);
  EXPECT_THAT(end.bytes, HasSubstr("\r\nConnection: close\r\n"));
}

TEST_F(Session, InvitesABodyThatTheClientHoldsBack) {
  send("POST /post HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(arrived(), "HTTP/1.1 100 Continue\r\n\r\n");
  send("abc");
  const RawResponse reply = receive();
  EXPECT_EQ(json::parse(reply.body)["x"]["body"], "abc");
  EXPECT_THAT(reply.body, Not(HasSubstr("Expect")));
}

TEST_F(Session, InvitesNoBodyThatIsThereOrThatItRefuses) {
  send("POST /post HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc");
  EXPECT_THAT(arrived(), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(refusal_of("POST /post HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3000\r\n\r\n"), 413U);
  EXPECT_EQ(refusal_of("POST /none HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"), 404U);
}

TEST_F(Session, RefusesWithTheRightStatusAndClosesInOrder) {
  const std::string host = "Host: x\r\n";
  EXPECT_EQ(refusal_of("GET /a/1 HTTP/1.1\r\n\r\n"), 400U);
  EXPECT_EQ(refusal_of("GET /a/1 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400U);
  EXPECT_EQ(refusal_of("GET /a/1 HTTP/1.1\r\n" + host + "X : 1\r\n\r\n"), 400U);
  EXPECT_EQ(refusal_of("GET /a/1 HTTP/1.1\r\n" + host + "X: 1\r\n folded\r\n\r\n"), 400U);
  EXPECT_EQ(refusal_of("GET /a/1 HTTP/1.1\n" + host + "\r\n"), 400U);
  EXPECT_EQ(refusal_of("\x16\x03\x01\x02" + std::string(500, '\0')), 400U) << "TLS";
  EXPECT_EQ(refusal_of("POST /post HTTP/1.1\r\n" + host + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
            400U);
  EXPECT_EQ(refusal_of("POST /post HTTP/1.1\r\n" + host + "Content-Length: +1\r\n\r\na"), 400U);
  EXPECT_EQ(refusal_of("POST /post HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nzzzz\r\n"), 400U);
  EXPECT_EQ(refusal_of("POST /post HTTP/1.1\r\n" + host + "Content-Length: 1001\r\n\r\n" + std::string(1001, 'b')),
            413U);
  EXPECT_EQ(refusal_of("POST /post HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n3e9\r\n" +
                       std::string(1001, 'b') + "\r\n0\r\n\r\n"),
            413U);
  EXPECT_EQ(refusal_of("GET /" + std::string(9000, 'l') + " HTTP/1.1\r\n" + host + "\r\n"), 414U);
  EXPECT_EQ(refusal_of("GET /a/1 HTTP/1.1\r\n" + host + "X: " + std::string(17'000, 'l') + "\r\n\r\n"), 431U);
  EXPECT_EQ(a_.counters().requests, 0U);
  client_.close();
  EXPECT_EQ(get("/a/1").status, 200U) << "others are served as ever";
}

TEST_F(Session, RefusesAnUnknownVersion) {
  client_.close();
  send("GET /a/1 HTTP/2.0\r\nHost: x\r\n\r\n");
  EXPECT_THAT(receive_all().bytes, StartsWith("HTTP/1.1 505 "));
}

TEST_F(Session, LeavesARefusalReadableWhileTheClientStillSends) {
  ASSERT_TRUE(time_.run(client_.connect(where_)).has_value());
  const std::string head = "POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n";
  ASSERT_TRUE(time_.run(client_.send(head + std::string(900'000, 'b'))).has_value());
  const RawEnd end = receive_all();
  EXPECT_THAT(end.bytes, StartsWith("HTTP/1.1 413 "));
  EXPECT_EQ(end.error, boost::asio::error::eof);
}

TEST_F(Session, LeavesALastReplyReadableWhileTheClientSendsMore) {
  ASSERT_TRUE(time_.run(client_.connect(where_)).has_value());
  std::string all = RawClient::text("GET", "/a/1", "Connection: close\r\n");
  while (all.size() < 300'000) all += RawClient::text("GET", "/a/2");
  const auto sending = time_.spawn(client_.send(all));
  const RawEnd end = receive_all();
  EXPECT_THAT(end.bytes, StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(end.error, boost::asio::error::eof);
  EXPECT_EQ(a_.counters().requests, 1U);
}

TEST_F(Session, AnswersGoodRequestsBeforeABadOne) {
  send(RawClient::text("GET", "/a/1") + RawClient::text("GET", "/a/2") + "BAD\r\n\r\n" +
       RawClient::text("GET", "/a/3"));
  EXPECT_EQ(receive().status, 200U);
  EXPECT_EQ(receive().status, 200U);
  EXPECT_EQ(receive().status, 400U);
  EXPECT_EQ(receive_all().bytes, "");
  EXPECT_EQ(a_.counters().requests, 2U);
}

TEST_F(Session, ClosesAfterAReplyThatDidNotWaitForTheBody) {
  send("POST /none HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nGET /a/1 HTTP/1.1\r\nHost: x\r\n\r\n");
  const RawEnd end = receive_all();
  EXPECT_THAT(end.bytes, StartsWith("HTTP/1.1 404 "));
  EXPECT_EQ(end.bytes.find("HTTP/1.1", 1), std::string::npos) << "a body is no request: " << end.bytes;
}

TEST_F(Session, ServesABodyThatLooksLikeARequestAndTheRequestBehindIt) {
  const std::string inner = "GET /a/1 HTTP/1.1\r\nHost: x\r\n\r\n";
  send(RawClient::text("POST", "/post", {}, inner) + RawClient::text("GET", "/a/2"));
  EXPECT_EQ(json::parse(receive().body)["x"]["body"], inner);
  EXPECT_THAT(receive().body, HasSubstr("\"id\":2,"));
  EXPECT_EQ(a_.counters().requests, 2U);
}

}  // namespace
}  // namespace sluice::support
