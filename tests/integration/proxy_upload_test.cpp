// Requests with a body that pass through.
#include "tests/integration/proxy_fixture.hpp"

#include <string>

#include <gmock/gmock.h>

namespace sluice::support {
namespace {

using namespace std::chrono_literals;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const std::string kChunkedPost = "POST /p HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";

class ProxyUpload : public ProxyTest {};

TEST_F(ProxyUpload, GoesOnAsItComesWithItsLength) {
  serve_proxy();
  send("POST /p HTTP/1.1\r\nHost: test\r\nContent-Type: text/x\r\nContent-Length: 6\r\n\r\n");
  EXPECT_THAT(server_.received(), StartsWith("POST /b HTTP/1.1\r\n"));
  EXPECT_THAT(server_.received(), HasSubstr("\r\nContent-Length: 6\r\n"));
  EXPECT_THAT(server_.received(), HasSubstr("\r\nContent-Type: text/x\r\n"));
  EXPECT_THAT(server_.take(), EndsWith("\r\n\r\n"));
  send("abc");
  EXPECT_EQ(server_.take(), "abc");
  send("def");
  EXPECT_EQ(server_.take(), "def");
  say(kOk);
  EXPECT_EQ(receive().body, "ok");
}

TEST_F(ProxyUpload, GoesOnInChunksOfTheGatewaysOwn) {
  serve_proxy();
  send(kChunkedPost);
  EXPECT_THAT(server_.received(), HasSubstr("\r\nTransfer-Encoding: chunked\r\n"));
  EXPECT_THAT(server_.take(), Not(HasSubstr("Content-Length")));
  send("00003;a=b\r\nabc\r\n");
  EXPECT_EQ(server_.take(), "3\r\nabc\r\n");
  send("2\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n");
  EXPECT_EQ(server_.take(), "2\r\nde\r\n0\r\n\r\n");
  say(kOk);
  EXPECT_EQ(receive().body, "ok");
  ask();
  say(kOk);
  EXPECT_EQ(receive().body, "ok");
  EXPECT_EQ(server_.accepted(), 1U);
}

TEST_F(ProxyUpload, OfNoBytesKeepsItsLength) {
  serve_proxy();
  send("POST /p HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
  EXPECT_THAT(server_.take(), HasSubstr("\r\nContent-Length: 0\r\n"));
  say(kOk);
  EXPECT_EQ(receive().body, "ok");
  send(kChunkedPost + "0\r\n\r\n");
  EXPECT_THAT(server_.take(), EndsWith("\r\n\r\n0\r\n\r\n"));
  say(kOk);
  EXPECT_EQ(receive().body, "ok");
  ask("", "DELETE");
  EXPECT_THAT(server_.take(), Not(HasSubstr("Content-Length")));
}

TEST_F(ProxyUpload, OfAGetIsReadAndDropped) {
  serve_proxy();
  send("GET /p HTTP/1.1\r\nHost: test\r\nContent-Length: 26\r\n\r\n");
  EXPECT_EQ(server_.accepted(), 0U);
  send("GET /admin HTTP/1.1\r\n\r\nabc");
  EXPECT_THAT(server_.received(), StartsWith("GET /b HTTP/1.1\r\n"));
  EXPECT_THAT(server_.received(), Not(HasSubstr("Content-Length")));
  EXPECT_THAT(server_.take(), EndsWith("\r\n\r\n"));
  say(kOk);
  EXPECT_EQ(receive().body, "ok");
  client_.close();

  serve_proxy("", R"("forward": {"body": false}, )");
  send(kChunkedPost + "3\r\nabc\r\n0\r\n\r\n");
  EXPECT_THAT(server_.received(), StartsWith("POST /b HTTP/1.1\r\n"));
  EXPECT_THAT(server_.received(), Not(HasSubstr("Transfer-Encoding")));
  EXPECT_THAT(server_.received(), EndsWith("\r\n\r\n"));
}

TEST_F(ProxyUpload, IsAskedForOnlyWhenThereIsABackend) {
  serve_proxy();
  send("POST /p HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(news(), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_THAT(server_.take(), Not(HasSubstr("Expect")));
  send("abc");
  EXPECT_EQ(server_.take(), "abc");
  say(kOk);
  EXPECT_EQ(receive().body, "ok");
  client_.close();

  server_.close();
  server_.stop();
  time_.settle();
  send("POST /p HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_THAT(arrived(), StartsWith("HTTP/1.1 502 "));
}

TEST_F(ProxyUpload, ThatSaysItIsTooLargeIsRefusedAtOnce) {
  serve_proxy(R"("max_body": 10, )");
  send("POST /p HTTP/1.1\r\nHost: test\r\nContent-Length: 11\r\n\r\n");
  EXPECT_EQ(receive().status, 413U);
  EXPECT_EQ(server_.accepted(), 0U);
}

TEST_F(ProxyUpload, ThatGrowsTooLargeIsRefusedAndEndsTheBackendsConnection) {
  serve_proxy(R"("max_body": 10, )");
  send(kChunkedPost + "a\r\n0123456789\r\n");
  EXPECT_TRUE(server_.is_open());
  send("1\r\nx\r\n");
  const RawResponse reply = receive();
  EXPECT_EQ(reply.status, 413U);
  EXPECT_EQ(reply.header("Connection"), "close");
  EXPECT_FALSE(server_.is_open());
  EXPECT_THAT(server_.received(), EndsWith("a\r\n0123456789\r\n")) << "no last chunk: the request is not whole";
}

TEST_F(ProxyUpload, ThatIsMalformedNeverLooksWhole) {
  serve_proxy();
  for (const char* bad : {"zz\r\n", "3\r\nabcdef\r\n", "1\nx\r\n", "-1\r\n\r\n", "0\r\nX: 1\r\n Y: 2\r\n\r\n"}) {
    send(kChunkedPost + "3\r\nabc\r\n" + bad);
    time_.settle();
    EXPECT_THAT(arrived(), StartsWith("HTTP/1.1 400 ")) << bad;
    EXPECT_FALSE(server_.is_open()) << bad;
    EXPECT_THAT(server_.received(), Not(EndsWith("0\r\n\r\n"))) << bad;
    client_.close();
    time_.settle();
  }
}

TEST_F(ProxyUpload, ThatIsMalformedBehindTheHeadOfTheReplyCutsItOff) {
  serve_proxy();
  send(kChunkedPost + "3\r\nabc\r\n");
  say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
  EXPECT_THAT(news(), HasSubstr("\r\nConnection: close\r\n"));
  send("zz\r\n");
  EXPECT_FALSE(server_.is_open());
  EXPECT_EQ(receive_all().bytes.find("0\r\n\r\n"), std::string::npos);
  EXPECT_THAT(log_line(), HasSubstr("\"result\":\"failed\""));
}

TEST_F(ProxyUpload, IsEchoedWhileItComes) {
  serve_proxy();
  send(kChunkedPost + "1\r\na\r\n");
  say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
  EXPECT_THAT(news(), EndsWith("1\r\na\r\n"));
  server_.take();
  for (int i = 0; i < 10; ++i) {
    time_.advance(30s);
    send("1\r\nb\r\n");
    EXPECT_EQ(server_.take(), "1\r\nb\r\n");
    time_.advance(40s);
    say("1\r\nb\r\n");
    EXPECT_EQ(news(), "1\r\nb\r\n");
  }
  send("0\r\n\r\n");
  EXPECT_EQ(server_.take(), "0\r\n\r\n");
  say("0\r\n\r\n");
  EXPECT_THAT(receive_all().bytes, EndsWith("\r\n0\r\n\r\n"));
}

TEST_F(ProxyUpload, OfMuchIsHeldByNobody) {
  serve_proxy(R"("max_body": "1GiB", "deadline": "10s", )");
  constexpr std::size_t kSize = std::size_t{64} << 20;
  std::string body(kSize, '\0');
  for (std::size_t i = 0; i < kSize; ++i) body[i] = static_cast<char>(i * 7 + i / 4096);
  server_.pause();
  ASSERT_TRUE(time_.run(client_.connect(where_)).has_value());
  const auto sending = time_.spawn(client_.send(RawClient::text("POST", "/p", {}, body)));
  time_.advance(5s);
  EXPECT_FALSE(sending.done());
  server_.resume();
  time_.settle();
  EXPECT_TRUE(sending.done());
  const std::string got = server_.take();
  EXPECT_TRUE(got.substr(got.find("\r\n\r\n") + 4) == body);
  say(kOk);
  EXPECT_EQ(receive().body, "ok");
}

TEST_F(ProxyUpload, IsEndedByAnAnswerThatDoesNotWaitForIt) {
  serve_proxy(R"("max_body": "1GiB", )");
  server_.pause();
  ASSERT_TRUE(time_.run(client_.connect(where_)).has_value());
  const auto sending = time_.spawn(client_.send(RawClient::text("POST", "/p", {}, std::string(64 << 20, 'x'))));
  time_.settle();
  say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
  time_.settle();
  EXPECT_THAT(arrived(), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(arrived(), HasSubstr("\r\nConnection: close\r\n"));
  EXPECT_THAT(arrived(), EndsWith("\r\n\r\nno"));
  time_.advance(3s);
  client_.close();
  time_.settle();
  EXPECT_TRUE(worker_->is_idle());
  EXPECT_EQ(metric(R"(sluice_backend_connections{backend="r",state="idle"})"), 0U) << "half a request is on it";
  EXPECT_THAT(log_line(), HasSubstr("\"status\":403,\"result\":\"complete\""));
}

TEST_F(ProxyUpload, IsNotSentOnAConnectionWhoseEndIsKnown) {
  serve_proxy();
  send(RawClient::text("GET", "/p") + RawClient::text("POST", "/p", {}, "abc"));
  server_.close(kOk);
  EXPECT_EQ(receive().body, "ok");
  EXPECT_EQ(server_.accepted(), 2U);
  EXPECT_THAT(server_.received(), EndsWith("abc"));
  say(kOk);
  EXPECT_EQ(receive().body, "ok");
}

TEST_F(ProxyUpload, ThatIsSlowIsTheClientsFault) {
  serve_proxy();
  send("POST /p HTTP/1.1\r\nHost: test\r\nContent-Length: 6\r\n\r\nabc");
  time_.advance(99ms);
  EXPECT_EQ(news(), "");
  time_.advance(2ms);
  EXPECT_EQ(receive().status, 408U);
  EXPECT_FALSE(server_.is_open());
}

TEST_F(ProxyUpload, ThatNobodyReadsIsTheBackendsFault) {
  serve_proxy(R"("max_body": "1GiB", )");
  server_.pause();
  ASSERT_TRUE(time_.run(client_.connect(where_)).has_value());
  const auto sending = time_.spawn(client_.send(RawClient::text("POST", "/p", {}, std::string(64 << 20, 'x'))));
  time_.advance(102ms);
  EXPECT_THAT(arrived(), StartsWith("HTTP/1.1 504 "));
}

TEST_F(ProxyUpload, EndsWithItsClient) {
  serve_proxy();
  send(kChunkedPost + "3\r\nabc\r\n");
  EXPECT_TRUE(server_.is_open());
  client_.close();
  time_.settle();
  EXPECT_FALSE(server_.is_open());
  EXPECT_THAT(server_.received(), EndsWith("3\r\nabc\r\n"));
  EXPECT_TRUE(worker_->is_idle());
}

TEST_F(ProxyUpload, EndsWithItsClientWhileTheBackendTakesNoMore) {
  serve_proxy(R"("max_body": "1GiB", "deadline": "10s", )");
  server_.pause();
  ASSERT_TRUE(time_.run(client_.connect(where_)).has_value());
  const auto sending = time_.spawn(client_.send(RawClient::text("POST", "/p", {}, std::string(64 << 20, 'x'))));
  time_.settle();
  EXPECT_FALSE(sending.done());
  EXPECT_FALSE(worker_->is_idle());
  client_.reset();
  time_.advance(12ms);
  EXPECT_TRUE(worker_->is_idle());
  EXPECT_THAT(log_line(), HasSubstr("\"status\":499"));
}

TEST_F(ProxyUpload, OfAClientThatHasClosedItsSideIsAnsweredWhereThatIsAllowed) {
  serve_proxy(R"("half_close": true, )");
  send("POST /p HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc");
  client_.shutdown_send();
  time_.settle();
  EXPECT_THAT(server_.received(), EndsWith("abc"));
  say(kOk);
  EXPECT_THAT(receive_all().bytes, EndsWith("ok"));
  EXPECT_TRUE(worker_->is_idle());
  client_.close();
  send("POST /p HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nab");
  client_.shutdown_send();
  time_.settle();
  EXPECT_TRUE(worker_->is_idle()) << "the rest never comes";
}

TEST_F(ProxyUpload, IsNotSentTwice) {
  serve_proxy();
  ask();
  say(kOk);
  EXPECT_EQ(receive().body, "ok");
  send("PUT /p HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc");
  server_.close();
  EXPECT_EQ(calls_of(receive()), "x=missing;reason=reset");
  EXPECT_EQ(server_.accepted(), 1U);
}

TEST_F(ProxyUpload, LeavesWhatIsPipelinedBehindItToTheNextRequest) {
  serve_proxy();
  send(kChunkedPost + "3\r\nabc\r\n0\r\n\r\n" + RawClient::text("GET", "/p"));
  EXPECT_THAT(server_.received(), EndsWith("\r\n\r\n3\r\nabc\r\n0\r\n\r\n"));
  server_.take();
  say(kOk);
  EXPECT_EQ(receive().body, "ok");
  EXPECT_THAT(server_.take(), StartsWith("GET /b HTTP/1.1\r\n"));
  say(kOk);
  EXPECT_EQ(receive().body, "ok");
}

}  // namespace
}  // namespace sluice::support
