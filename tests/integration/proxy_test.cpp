// Responses that pass through: what of them reaches the client, and when.
#include "tests/integration/proxy_fixture.hpp"

#include <algorithm>
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

class Proxy : public ProxyTest {};

TEST_F(Proxy, PassesStatusHeadersAndBodyOnAsTheyAre) {
  serve_proxy();
  ask();
  const std::string body = "\0\r\n\xff{\"0\r\n\r\n"s;
  say("HTTP/1.1 418 Teapot\r\nContent-Type: application/octet-stream\r\nX-A: 1\r\nX-a: 2\r\nSet-Cookie: a=b\r\n"
      "Set-Cookie: c=d\r\nCache-Control: max-age=7\r\nAge: 3\r\nVary: X-B\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
      "Server: s\r\nContent-Encoding: br\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body);
  const RawResponse reply = receive();
  EXPECT_EQ(reply.status, 418U);
  EXPECT_EQ(reply.body, body);
  EXPECT_THAT(reply.head, HasSubstr("\r\nX-A: 1\r\nX-a: 2\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n"
                                    "Cache-Control: max-age=7\r\nAge: 3\r\nVary: X-B\r\n"
                                    "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: s\r\nContent-Encoding: br\r\n"));
  for (const char* once : {"\r\nDate:", "\r\nCache-Control:", "\r\nAge:", "\r\nVary:", "\r\nContent-Length:"}) {
    EXPECT_EQ(reply.head.find(once), reply.head.rfind(once)) << once;
  }
  EXPECT_EQ(calls_of(reply), "x=fresh");
  EXPECT_EQ(reply.header("Sluice-Result"), "complete");
  EXPECT_NE(reply.header("X-Request-Id"), "");
  EXPECT_FALSE(reply.chunked);
}

TEST_F(Proxy, PassesInterimResponsesOnAsTheyCome) {
  serve_proxy();
  ask();
  say("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: x-hop\r\nX-Hop: 1\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(news(), "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
  say("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n");
  EXPECT_EQ(news(), "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n");
  say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  EXPECT_THAT(news(), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_EQ(server_.accepted(), 1U);
}

TEST_F(Proxy, PassesInterimResponsesOnDuringAnUploadAndBeforeAFailure) {
  serve_proxy();
  send("POST /p HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(news(), "HTTP/1.1 100 Continue\r\n\r\n");
  say("HTTP/1.1 103 Early Hints\r\n\r\n");
  EXPECT_EQ(news(), "HTTP/1.1 103 Early Hints\r\n\r\n");
  send("ab");
  server_.close();
  EXPECT_EQ(receive().status, 502U);
}

TEST_F(Proxy, PassesNoInterimResponsesOnToHttp10) {
  serve_proxy();
  send(std::string(kHttp10));
  say("HTTP/1.1 103 Early Hints\r\n\r\n");
  EXPECT_EQ(news(), "");
  say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  EXPECT_THAT(news(), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(Proxy, PassesBodiesOfKnownLengthOnHoweverTheyAreCut) {
  serve_proxy(R"("deadline": "10s", )");
  for (const std::size_t size : {1, 2, 500, 8'000, 8'150, 8'192, 8'193, 20'000, 69'632, 69'700, 150'000, 1'000'000}) {
    std::string body(size, '\0');
    for (std::size_t i = 0; i < size; ++i) body[i] = static_cast<char>('a' + (i / 7 + i / 8'192) % 26);
    const std::string whole = response("X-A: b\r\n", body);
    const std::size_t head = whole.size() - size;
    for (const std::size_t cut : {std::size_t{0}, std::size_t{1}, head - 1, head, head + 1, head + size / 2}) {
      ask();
      std::size_t at = 0;
      if (cut == 1) {
        for (; at < std::min(head + 20, whole.size() - 1); ++at) say(whole.substr(at, 1));
      } else if (cut != 0) {
        say(whole.substr(0, cut));
        at = cut;
      }
      if (at < whole.size()) say(whole.substr(at));
      EXPECT_TRUE(receive().body == body) << size << " cut at " << cut;
    }
  }
  EXPECT_EQ(server_.accepted(), 1U);
}

TEST_F(Proxy, PassesAllOfABodyOnThatBreaksOffWhileItsClientDoesNotRead) {
  serve_proxy();
  const std::string body(60'000, 'x');
  for (const bool is_reset : {false, true}) {
    ask();
    const std::string part = "HTTP/1.1 200 OK\r\nContent-Length: 60001\r\n\r\n" + body;
    is_reset ? server_.reset(part) : server_.close(part);
    const RawEnd end = receive_all();
    EXPECT_TRUE(end.bytes.ends_with("\r\n\r\n" + body)) << is_reset << ' ' << end.bytes.size();
    client_.close();
  }
}

TEST_F(Proxy, KeepsWhatConcernsTheBackendsConnectionAlone) {
  serve_proxy();
  ask();
  say("HTTP/1.1 200 OK\r\nConnection: close, x-secret, content-length\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\n"
      "Upgrade: h2c\r\nTrailer: X-T\r\nProxy-Authenticate: Basic\r\nTE: x\r\nX-Request-Id: theirs\r\n"
      "Sluice-Calls: theirs\r\nX-Open: 1\r\nContent-Length: 2\r\n\r\nok");
  const RawResponse reply = receive();
  EXPECT_EQ(reply.body, "ok");
  EXPECT_EQ(reply.header("X-Open"), "1");
  EXPECT_EQ(reply.header("Content-Length"), "2");
  for (const char* name : {"Connection", "X-Secret", "Keep-Alive", "Upgrade", "Trailer", "Proxy-Authenticate", "TE"}) {
    EXPECT_EQ(reply.header(name), "") << name;
  }
  EXPECT_THAT(reply.head, Not(HasSubstr("theirs")));
}

TEST_F(Proxy, SendsNothingOfTheClientsHeadersUnlessTold) {
  serve_proxy();
  ask("Accept-Encoding: br\r\nX-A: 1\r\nCookie: c\r\n");
  EXPECT_THAT(server_.received(), StartsWith("GET /b HTTP/1.1\r\nHost: 127.0.0.1:"));
  EXPECT_THAT(server_.received(), Not(HasSubstr("Accept-Encoding")));
  EXPECT_THAT(server_.received(), Not(HasSubstr("X-A")));
  EXPECT_THAT(server_.received(), Not(HasSubstr("Cookie")));
  EXPECT_THAT(server_.received(), HasSubstr("\r\nX-Request-Timeout-Ms: 100\r\n"));
}

TEST_F(Proxy, ForwardsAllEndToEndHeadersWhenTold) {
  serve_proxy("", R"("forward": {"headers": ["*"], "query": ["*"]}, )");
  send(RawClient::text("GET", "/p?a=1&b=%20",
                       "Accept-Encoding: br\r\nRange: bytes=0-1\r\nIf-None-Match: \"x\"\r\nX-A: 1\r\nCookie: c\r\n"
                       "Connection: keep-alive, x-hop, Upgrade\r\nX-Hop: 1\r\nUpgrade: websocket\r\nTE: trailers\r\n"
                       "Keep-Alive: 5\r\nProxy-Authorization: x\r\nTrailer: X-T\r\n"));
  EXPECT_THAT(server_.received(), StartsWith("GET /b?a=1&b=%20 HTTP/1.1\r\nHost: 127.0.0.1:"));
  EXPECT_THAT(server_.received(), HasSubstr("\r\nAccept-Encoding: br\r\nRange: bytes=0-1\r\nIf-None-Match: \"x\"\r\n"
                                            "X-A: 1\r\nCookie: c\r\n"));
  for (const char* name : {"Connection", "X-Hop", "Upgrade", "TE", "Keep-Alive", "Proxy-Authorization", "Trailer"}) {
    EXPECT_THAT(server_.received(), Not(HasSubstr("\r\n"s + name + ":"))) << name;
  }
}

TEST_F(Proxy, PassesServerSentEventsOnAsTheyCome) {
  serve_proxy();
  ask();
  say(std::string(kChunked).insert(kChunked.size() - 2, "Content-Type: text/event-stream\r\n"));
  const std::string head = news();
  EXPECT_THAT(head, HasSubstr("\r\nContent-Type: text/event-stream\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nTransfer-Encoding: chunked\r\n"));
  EXPECT_THAT(head, EndsWith("\r\n\r\n")) << "the head does not wait for the first event";
  for (int i = 0; i < 20; ++i) {
    time_.advance(30s);  // 10 minutes: far beyond the deadline
    say("9\r\ndata: 1\n\n\r\n");
    EXPECT_EQ(news(), "9\r\ndata: 1\n\n\r\n");
  }
  say("0\r\n\r\n");
  EXPECT_EQ(news(), "0\r\n\r\n");
  EXPECT_THAT(log_line(), HasSubstr("\"status\":200,\"result\":\"complete\""));
}

TEST_F(Proxy, FramesChunksAnew) {
  serve_proxy();
  ask();
  say(std::string(kChunked) + "00003;ext=\"x\"\r\nabc\r\n1\r\nd\r\n0;last\r\nX-Trailer: 1\r\n\r\n");
  const RawResponse reply = receive();
  EXPECT_EQ(reply.body, "abcd");
  EXPECT_TRUE(reply.chunked);
  ask();
  say(std::string(kChunked) + "3;ext=\"x\"\r\nab");
  EXPECT_THAT(arrived(), EndsWith("\r\n\r\n2\r\nab\r\n")) << "a part of a chunk is passed on, too";
  say("c\r\n0\r\nX-Trailer: 1\r\n\r\n");
  EXPECT_THAT(arrived(), EndsWith("1\r\nc\r\n0\r\n\r\n"));
  EXPECT_EQ(server_.accepted(), 1U);
}

TEST_F(Proxy, PassesABodyOnThatEndsWithTheConnection) {
  serve_proxy();
  ask();
  say("HTTP/1.0 200 OK\r\n\r\nabc");
  EXPECT_THAT(news(), EndsWith("\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"));
  server_.close();
  EXPECT_EQ(news(), "0\r\n\r\n");
  ask();
  EXPECT_EQ(server_.accepted(), 2U);
  say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  EXPECT_THAT(news(), EndsWith("\r\nContent-Length: 0\r\n\r\n")) << "the client's connection is kept";
}

TEST_F(Proxy, EndsChunksWithTheConnectionForAnOldClient) {
  serve_proxy();
  send(std::string(kHttp10));
  say(std::string(kChunked) + "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  const RawEnd end = receive_all();
  EXPECT_THAT(end.bytes, Not(HasSubstr("Transfer-Encoding")));
  EXPECT_THAT(end.bytes, HasSubstr("\r\nConnection: close\r\n"));
  EXPECT_THAT(end.bytes, EndsWith("\r\n\r\nabcde"));
  EXPECT_EQ(end.error, boost::asio::error::eof);
}

TEST_F(Proxy, PassesHeadOnAsHead) {
  serve_proxy();
  ask("", "HEAD");
  EXPECT_THAT(server_.take(), StartsWith("HEAD /b HTTP/1.1\r\n"));
  say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
  EXPECT_EQ(receive(true).header("Content-Length"), "1000");
  ask("", "HEAD");
  say(std::string(kChunked));
  EXPECT_EQ(receive(true).header("Transfer-Encoding"), "");
  ask();
  say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
  EXPECT_EQ(receive().body, "1");
  EXPECT_EQ(server_.accepted(), 1U);
}

TEST_F(Proxy, HasNoBodyWhereThereIsNone) {
  serve_proxy();
  for (const char* status : {"204 No Content", "304 Not Modified"}) {
    ask();
    say("HTTP/1.1 "s + status + "\r\nETag: \"x\"\r\n\r\n");
    const RawResponse reply = receive();
    EXPECT_EQ(reply.status, std::stoul(status));
    EXPECT_EQ(reply.header("ETag"), "\"x\"");
    EXPECT_THAT(reply.head, Not(HasSubstr("Transfer-Encoding")));
    EXPECT_THAT(reply.head, Not(HasSubstr("Content-Length")));
  }
  EXPECT_EQ(arrived(), "");
  EXPECT_EQ(server_.accepted(), 1U);
}

TEST_F(Proxy, SwitchesNoProtocol) {
  serve_proxy();
  ask();
  say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n");
  EXPECT_EQ(receive().status, 502U);
}

TEST_F(Proxy, ReadsTheBodyOfAGetForAHeadAndDropsIt) {
  serve_proxy("", R"("method": "GET", )");
  ask("", "HEAD");
  EXPECT_THAT(server_.take(), StartsWith("GET /b HTTP/1.1\r\n"));
  say(std::string(kChunked) + "3\r\nabc\r\n0\r\n\r\n");
  EXPECT_THAT(arrived(), EndsWith("\r\n\r\n"));
  EXPECT_EQ(receive(true).header("Transfer-Encoding"), "");
  ask("", "HEAD");
  EXPECT_EQ(server_.accepted(), 1U);
  say("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
  EXPECT_EQ(receive(true).header("Content-Length"), "3");
  EXPECT_EQ(arrived(), "");
}

TEST_F(Proxy, LetsAClientReadSlowlyAsLongAsItReads) {
  serve_proxy(R"("stream_idle_timeout": "5s", )");
  ask();
  constexpr std::size_t kSize = std::size_t{32} << 20;
  server_.say("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kSize) + "\r\n\r\n" + std::string(kSize, 'x'));
  time_.settle();
  ASSERT_TRUE(time_.run(client_.read_until("\r\n\r\n")).has_value());
  for (std::size_t got = 0; got < kSize;) {
    time_.advance(4s);
    const auto piece = time_.run(client_.read_exactly(std::size_t{1} << 20));
    ASSERT_TRUE(piece.has_value()) << got;
    got += piece->size();
  }
  EXPECT_THAT(log_line(), HasSubstr("\"status\":200,\"result\":\"complete\""));
}

TEST_F(Proxy, AsksNobodyForMoreThanTheClientTakes) {
  serve_proxy();
  ask();
  constexpr std::size_t kSize = std::size_t{64} << 20;
  std::string body(kSize, '\0');
  for (std::size_t i = 0; i < kSize; ++i) body[i] = static_cast<char>(i * 7 + i / 4096);
  server_.say("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kSize) + "\r\n\r\n" + body);
  time_.settle();
  const std::size_t written = server_.written();
  EXPECT_LT(written, kSize / 4) << "only what the buffers of the kernel hold, beside two or three of 64 KiB";
  time_.advance(50s);
  EXPECT_EQ(server_.written(), written);
  const RawResponse reply = receive();
  EXPECT_TRUE(reply.body == body);
  EXPECT_THAT(log_line(), HasSubstr("\"status\":200,\"result\":\"complete\""));
}

TEST_F(Proxy, UsesAConnectionAgainAfterAWholeResponseOnly) {
  serve_proxy();
  for (int i = 0; i < 5; ++i) {
    ask();
    say(std::string(kChunked) + "1\r\na\r\n");
    say("0\r\n\r\n");
    EXPECT_EQ(receive().body, "a");
  }
  EXPECT_EQ(server_.accepted(), 1U);
  EXPECT_EQ(metric(R"(sluice_backend_connections{backend="r",state="idle"})"), 1U);
  ask();
  say(std::string(kChunked) + "1\r\na\r\n");
  client_.close();
  time_.settle();
  ask();
  EXPECT_EQ(server_.accepted(), 2U);
  say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
  EXPECT_EQ(receive().body, "1");
  ask();
  EXPECT_EQ(server_.accepted(), 3U);
}

TEST_F(Proxy, TriesOnceMoreWhenAConnectionHadDiedIdle) {
  serve_proxy();
  ask();
  say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
  EXPECT_EQ(receive().body, "1");
  ask();
  EXPECT_EQ(server_.accepted(), 1U);
  server_.close();
  time_.settle();
  EXPECT_EQ(server_.accepted(), 2U);
  EXPECT_THAT(server_.received(), StartsWith("GET /b "));
  say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2");
  EXPECT_EQ(receive().body, "2");
}

TEST_F(Proxy, AnswersWhatIsPipelinedBehindItAfterwards) {
  serve_proxy();
  send(RawClient::text("GET", "/p") + RawClient::text("GET", "/nowhere") + RawClient::text("GET", "/p"));
  say(std::string(kChunked) + "1\r\na\r\n");
  EXPECT_THAT(news(), EndsWith("1\r\na\r\n"));
  say("0\r\n\r\n");
  EXPECT_EQ(receive().body, "a");
  EXPECT_EQ(receive().status, 404U);
  say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb");
  EXPECT_EQ(receive().body, "b");
}

TEST_F(Proxy, TakesWhatCameAtOnceInOneWrite) {
  serve_proxy();
  ask();
  say("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
  EXPECT_EQ(receive().body, "abc");
  const std::string line = log_line();
  EXPECT_THAT(line, HasSubstr("\"endpoint\":\"/p\""));
  EXPECT_THAT(line, Not(HasSubstr("\"bytes\":0,")));
}

TEST_F(Proxy, ClosesAfterTheStreamWhileDraining) {
  serve_proxy();
  ask();
  say(std::string(kChunked) + "1\r\na\r\n");
  worker_->drain();
  time_.settle();
  say("0\r\n\r\n");
  EXPECT_EQ(receive().body, "a");
  time_.advance(3s);
  EXPECT_TRUE(worker_->is_idle());
}

}  // namespace
}  // namespace sluice::support
