// The strict reader of replies: whole, byte by byte, and broken.
#include "loadtest/reply_reader.hpp"

#include "loadtest/sluice_calls.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::loadtest {
namespace {

using namespace std::string_view_literals;
using State = ReplyReader::State;

struct Good {
  std::string_view name, bytes, body;
  unsigned status;
  bool keeps_alive;
};

constexpr Good kGood[] = {
    {"length", "HTTP/1.1 200 OK\r\ncontent-LENGTH:  5 \r\n\r\nhello", "hello", 200, true},
    {"no reason", "HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", "", 404, true},
    {"chunks",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n, world...\r\n0\r\nT: v\r\n\r\n",
     "hello, world...", 200, true},
    {"close", "HTTP/1.1 503 Service Unavailable\r\nConnection: foo, Close\r\nContent-Length: 1\r\n\r\nx", "x", 503,
     false},
    {"interim", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "", 204, true},
    {"1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "x", 200, false},
};

TEST(ReplyReader, ReadsAReplyHoweverItIsCutAndNothingBeyondIt) {
  for (const Good& good : kGood) {
    const std::string bytes = std::string(good.bytes) + "HTTP/1.1 ";
    for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
      ReplyReader reader;
      reader.start(false, true);
      std::size_t used = 0;
      while (reader.state() == State::reading && used < bytes.size())
        used += reader.feed(std::string_view(bytes).substr(used, piece));
      ASSERT_EQ(reader.state(), State::complete) << good.name << ' ' << piece << ' ' << reader.problem();
      EXPECT_EQ(used, good.bytes.size()) << good.name;
      EXPECT_EQ(reader.status(), good.status) << good.name;
      EXPECT_EQ(reader.body(), good.body) << good.name;
      EXPECT_EQ(reader.body_size(), good.body.size()) << good.name;
      EXPECT_EQ(reader.keeps_alive(), good.keeps_alive) << good.name;
    }
  }
}

TEST(ReplyReader, RefusesWhatIsNotHttp) {
  constexpr std::string_view kBad[] = {
      "HTTP/2 200 OK\r\n",
      "HTTP/1.1 20 OK\r\n",
      "HTTP/1.1 2000 OK\r\n",
      "HTTP/1.1 200 OK\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length:\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n",
      "HTTP/1.1 200 OK\r\nName : value\r\n",
      "HTTP/1.1 200 OK\r\nno colon\r\n",
      "HTTP/1.1 200 OK\r\n folded: line\r\n",
      "HTTP/1.1 200 OK\r\nName: a\rb\r\n",
      "HTTP/1.1 200 OK\r\nName: a\0b\r\n"sv,
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11112222333344445\r\n",
  };
  for (const std::string_view bytes : kBad) {
    ReplyReader reader;
    reader.start(false, false);
    reader.feed(bytes);
    EXPECT_EQ(reader.state(), State::malformed) << bytes;
    EXPECT_FALSE(reader.problem().empty()) << bytes;
  }
}

TEST(ReplyReader, RefusesAHeaderWithoutEnd) {
  ReplyReader reader;
  reader.start(false, false);
  reader.feed("HTTP/1.1 200 OK\r\n");
  const std::string field = "Name: " + std::string(1000, 'x') + "\r\n";
  for (int i = 0; i < 300; ++i) reader.feed(field);
  EXPECT_EQ(reader.state(), State::malformed);
}

TEST(ReplyReader, TakesTheEndOfTheStreamForTheEndOfABodyOnlyWithoutALength) {
  ReplyReader reader;
  reader.start(false, true);
  reader.feed("HTTP/1.1 200 OK\r\n\r\nhello");
  EXPECT_EQ(reader.state(), State::reading);
  reader.feed_end();
  EXPECT_EQ(reader.state(), State::complete);
  EXPECT_EQ(reader.body(), "hello");
  EXPECT_FALSE(reader.keeps_alive());

  reader.start(false, true);
  reader.feed("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello");
  reader.feed_end();
  EXPECT_EQ(reader.state(), State::malformed);
}

TEST(ReplyReader, ExpectsNoBodyAfterHead) {
  ReplyReader reader;
  reader.start(true, false);
  reader.feed("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n");
  EXPECT_EQ(reader.state(), State::complete);
}

TEST(ReplyReader, KeepsTheResultAndTheCalls) {
  ReplyReader reader;
  reader.start(false, false);
  reader.feed(
      "HTTP/1.1 200 OK\r\nSluice-Result: degraded\r\nSluice-Calls: user=fresh;ms=12, "
      "recs=fallback;ms=3;reason=status\r\n"
      "Content-Length: 0\r\n\r\n");
  EXPECT_EQ(reader.result(), "degraded");
  const auto calls = parse_sluice_calls(reader.calls());
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[0].member, "user=fresh");
  EXPECT_EQ(calls[1].name, "recs");
  EXPECT_EQ(calls[1].outcome, "fallback");
  EXPECT_TRUE(parse_sluice_calls("").empty());
  EXPECT_EQ(parse_sluice_calls("odd,").front().outcome, "");
}

}  // namespace
}  // namespace sluice::loadtest
