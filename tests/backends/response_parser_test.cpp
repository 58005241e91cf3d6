// ResponseParser: verdicts by table, each message cut in every way, and mutated messages.
#include "backends/response_parser.hpp"

#include "tests/support/pieces.hpp"

#include <ostream>
#include <random>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace sluice::backends {
namespace {

using namespace std::literals;
using State = ResponseParser::State;

const ResponseLimits kLimits(512, 100);

// "200 close [body]", "reset", "too_large", ...: what the owner of a connection has to know. The end of file follows.
std::string outcome(ResponseParser& parser, std::string_view bytes, const support::Cuts& cuts, bool to_head = false,
                    std::size_t* consumed = nullptr) {
  Body body;
  parser.start(to_head, body, kLimits);
  const std::size_t taken = support::show(parser, bytes, cuts);
  if (consumed != nullptr) *consumed = taken;
  if (parser.finish_eof() == State::failed) return std::string(to_string(parser.failure().reason));
  std::string text = std::to_string(parser.status()) + (parser.keep_alive() ? " keep" : " close");
  for (const auto [name, value] : parser.headers()) text.append(" ").append(name).append("=").append(value);
  return text + " [" + body.bytes + "]";
}

struct Case {
  std::string_view bytes;
  std::string_view expected;
  bool to_head = false;
};

void PrintTo(const Case& row, std::ostream* out) {
  *out << testing::PrintToString(row.bytes.substr(0, 80));
}

class ResponseTable : public testing::TestWithParam<Case> {};

TEST_P(ResponseTable, GivesTheSameVerdictHoweverItIsCut) {
  const Case& row = GetParam();
  ResponseParser parser;
  std::size_t size = 0;
  EXPECT_EQ(outcome(parser, row.bytes, {}, row.to_head, &size), row.expected);
  for (const support::Cuts& cuts : support::every_cut(row.bytes.size())) {
    std::size_t consumed = 0;
    ASSERT_EQ(outcome(parser, row.bytes, cuts, row.to_head, &consumed), row.expected);
    if (parser.state() == State::complete) {
      ASSERT_EQ(consumed, size);
    }
  }
}

const Case kGood[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "200 keep Content-Length=5 [hello]"},
    {"HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n", "200 keep content-length=0 []"},
    {"HTTP/1.1 200\r\nA: b\r\nContent-Length: 2\r\n\r\n{}", "200 keep A=b Content-Length=2 [{}]"},
    {"HTTP/1.1 100\r\n\r\nHTTP/1.0 204\r\n\r\n", "204 close []"},
    {"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: x, Close\r\n\r\n{}",
     "404 close Content-Length=2 Connection=x, Close [{}]"},
    {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", "200 close Content-Length=2 [{}]"},
    {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: Keep-Alive\r\n\r\n{}",
     "200 keep Content-Length=2 Connection=Keep-Alive [{}]"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nProxy-Connection: close\r\n\r\n{}",
     "200 keep Content-Length=2 Proxy-Connection=close [{}]"},
    // Bodies that end with the connection.
    {"HTTP/1.1 200 OK\r\n\r\nuntil the end", "200 close [until the end]"},
    {"HTTP/1.1 200 OK\r\n\r\n", "200 close []"},
    {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nx", "200 close Connection=keep-alive [x]"},
    // Chunks.
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
     "200 keep Transfer-Encoding=chunked [hello]"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", "200 keep Transfer-Encoding=Chunked []"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n\n\r\n00A\r\n0123456789\r\n000\r\n\r\n",
     "200 keep Transfer-Encoding=chunked [\n0123456789]"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a;b=\"q;\\\"\" ; c=d\r\n{}\r\n0;last\r\n\r\n",
     "200 keep Transfer-Encoding=chunked [{}]"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-Sum: 1\r\nConnection: close\r\n\r\n",
     "200 keep Transfer-Encoding=chunked [{}]"},
    // No body whatever the fields say.
    {"HTTP/1.1 204 No Content\r\n\r\n", "204 keep []"},
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 9999\r\n\r\n", "304 keep Content-Length=9999 []"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", "200 keep Content-Length=9999 []", true},
    {"HTTP/1.1 200 OK\r\n\r\n", "200 keep []", true},
    // Interim responses.
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n"
     "Content-Length: 1\r\n\r\nx",
     "200 keep Content-Length=1 [x]"},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "204 keep []", true},
    // Bytes behind the end stay where they are.
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\n", "200 keep Content-Length=2 [{}]"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nmore", "200 keep Transfer-Encoding=chunked []"},
    // Odd but harmless.
    {"HTTP/1.1 200 OK\r\nX:\t a\tb \xc3\xbc \t\r\nY:\r\nContent-Length:0\r\n\r\n",
     "200 keep X=a\tb \xc3\xbc Y= Content-Length=0 []"},
};
INSTANTIATE_TEST_SUITE_P(Good, ResponseTable, testing::ValuesIn(kGood));

const Case kReset[] = {
    {"", "reset"},
    {"HTT", "reset"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", "reset"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "reset"},
    {"HTTP/1.1 100 Continue\r\n\r\n", "reset"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "reset"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "reset"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "reset"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", "reset"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: 1\r\n", "reset"},
};
INSTANTIATE_TEST_SUITE_P(Truncated, ResponseTable, testing::ValuesIn(kReset));

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\n";
std::string chunked(std::string_view body) {
  return std::string(kOk) + "Transfer-Encoding: chunked\r\n\r\n" + std::string(body);
}
std::string with_fields(std::string_view fields) {
  return std::string(kOk) + std::string(fields) + "\r\n{}";
}

class ResponseRefusals : public testing::TestWithParam<std::string> {};

TEST_P(ResponseRefusals, IsInvalidHoweverItIsCut) {
  ResponseParser parser;
  for (const support::Cuts& cuts : support::every_cut(GetParam().size())) {
    ASSERT_EQ(outcome(parser, GetParam(), cuts), "invalid");
  }
}

INSTANTIATE_TEST_SUITE_P(Head, ResponseRefusals,
                         testing::Values("\r\nHTTP/1.1 200 OK\r\n\r\n", "hello", "SSH-2.0-OpenSSH\r\n",
                                         "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.2 200 OK\r\n\r\n",
                                         "HTTP/1.1  200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 20\r\n\r\n",
                                         "HTTP/1.1 2x0\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1200\r\n\r\n",
                                         "HTTP/1.1 2000\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 099 OK\r\n\r\n",
                                         "HTTP/1.1 600 OK\r\n\r\n", "HTTP/1.1 200 O\rK\r\n\r\n",
                                         "HTTP/1.1 200 O\nK\r\n\r\n", "HTTP/1.1 200 OK\n\r\n",
                                         "HTTP/1.1 101 Switching Protocols\r\n\r\n", "http/1.1 200 OK\r\n\r\n"));

INSTANTIATE_TEST_SUITE_P(
    Fields, ResponseRefusals,
    testing::Values(with_fields("Content-Length: 2\r\nContent-Length: 3\r\n"),
                    with_fields("Content-Length: 2\r\nContent-Length: 2\r\n"), with_fields("Content-Length: 2, 2\r\n"),
                    with_fields("Content-Length: +2\r\n"), with_fields("Content-Length: -2\r\n"),
                    with_fields("Content-Length: 0x2\r\n"), with_fields("Content-Length: 2 2\r\n"),
                    with_fields("Content-Length:\r\n"), with_fields("Content-Length: 18446744073709551616\r\n"),
                    with_fields("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n"),
                    with_fields("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n"),
                    with_fields("Transfer-Encoding: gzip\r\nContent-Length: 2\r\n"),
                    with_fields("Transfer-Encoding: gzip\r\n"), with_fields("Transfer-Encoding: gzip, chunked\r\n"),
                    with_fields("Transfer-Encoding: chunked, chunked\r\n"), with_fields("Transfer-Encoding:\r\n"),
                    with_fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
                    with_fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n"),
                    with_fields("Transfer-Encoding: chunked;q=1\r\n"), with_fields("X : y\r\n"),
                    with_fields("X\t: y\r\n"), with_fields("X: a\r\n b\r\n"), with_fields("X: a\r\n\tb\r\n"),
                    with_fields(" X: a\r\n"), with_fields("X: a\r\n \r\n"), with_fields("X: a\rb\r\n"),
                    with_fields("X: a\nY: b\r\n"), with_fields("X: a\n"), with_fields("X: a\0b\r\n"s),
                    with_fields("X: a\x7f"
                                "b\r\n"),
                    with_fields("X\r\n"), with_fields(": y\r\n"), with_fields("X y: z\r\n"),
                    with_fields("Connection: close, \"\r\n"),
                    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"s));

INSTANTIATE_TEST_SUITE_P(
    Chunks, ResponseRefusals,
    testing::Values(chunked("g"), chunked("2\r\n{}x"), chunked("2\r\n{}\r\n-"), chunked("g\r\n{}\r\n0\r\n\r\n"),
                    chunked(" 2\r\n{}\r\n0\r\n\r\n"), chunked("2 \r\n{}\r\n0\r\n\r\n"),
                    chunked("+2\r\n{}\r\n0\r\n\r\n"), chunked("0x2\r\n{}\r\n0\r\n\r\n"), chunked("\r\n{}\r\n0\r\n\r\n"),
                    chunked("-1\r\n{}\r\n0\r\n\r\n"), chunked("2\n{}\r\n0\r\n\r\n"), chunked("2\r{}\r\n0\r\n\r\n"),
                    chunked("2\r\n{}0\r\n\r\n"), chunked("2\r\n{}\n0\r\n\r\n"), chunked("2\r\n{}x\r\n0\r\n\r\n"),
                    chunked("2\r\n{}\r0\r\n\r\n"), chunked("10000000000000002\r\n{}\r\n0\r\n\r\n"),
                    chunked("2;a=\"\n\"\r\n{}\r\n0\r\n\r\n"), chunked("2;a=\"\r\n\"\r\n{}\r\n0\r\n\r\n"),
                    chunked("2;a=\"\x01\"\r\n{}\r\n0\r\n\r\n"), chunked("2;\r\n{}\r\n0\r\n\r\n"),
                    chunked("2;a=\0\r\n{}\r\n0\r\n\r\n"s), chunked("2;a\n{}\r\n0\r\n\r\n"),
                    chunked("0\r\nX: a\r\n b\r\n\r\n"), chunked("0\r\n X: a\r\n\r\n"), chunked("0\r\nX : a\r\n\r\n"),
                    chunked("0\r\nX: a\nY: b\r\n\r\n"), chunked("0\n\r\n"), chunked("0\r\nX: a\n\n"),
                    chunked("0\r\nContent-Length: 2\r\n\r\n"), chunked("0\r\nTransfer-Encoding: chunked\r\n\r\n"),
                    chunked("2;" + std::string(5000, 'a') + "\r\n{}\r\n0\r\n\r\n"),
                    chunked(std::string(5000, '0') + "2\r\n{}\r\n0\r\n\r\n"),
                    chunked("0\r\nX: " + std::string(5000, 'a') + "\r\n\r\n")));

TEST(ResponseParser, BoundsExtensionsOverTheWholeMessage) {
  std::string bytes(kOk);
  bytes += "Transfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 50; ++i) bytes += "1;" + std::string(100, 'a') + "\r\nx\r\n";
  ResponseParser parser;
  for (const auto& cuts : support::every_cut(bytes.size())) ASSERT_EQ(outcome(parser, bytes, cuts), "invalid");
}

TEST(ResponseParser, BoundsTheHead) {
  ResponseParser parser;
  const auto head = [](std::size_t size) {
    std::string bytes(kOk);
    bytes += "Content-Length: 0\r\nX: ";
    return bytes + std::string(size - bytes.size() - 4, 'x') + "\r\n\r\n";
  };
  for (const auto& cuts : support::every_cut(512)) ASSERT_NE(outcome(parser, head(512), cuts), "too_large");
  for (const auto& cuts : support::every_cut(513)) ASSERT_EQ(outcome(parser, head(513), cuts), "too_large");
  const std::string endless = "HTTP/1.1 200 " + std::string(2000, 'x');
  for (const auto& cuts : support::every_cut(endless.size())) ASSERT_EQ(outcome(parser, endless, cuts), "too_large");
}

TEST(ResponseParser, ShowsInterimResponsesOneByOneBut100) {
  ResponseParser parser;
  Body body;
  parser.start(false, body, kLimits);
  std::string_view bytes = "HTTP/1.1 100\r\n\r\nHTTP/1.1 103\r\nA: b\r\n\r\nHTTP/1.1 102\r\n\r\nHTTP/1.1 204\r\n\r\n";
  const auto next = [&] {
    const auto [consumed, state] = parser.parse(bytes);
    bytes.remove_prefix(consumed);
    return std::pair(state, parser.status());
  };
  EXPECT_EQ(next(), std::pair(State::interim, 103U));
  EXPECT_EQ(parser.headers().find("A"), "b");
  EXPECT_EQ(next(), std::pair(State::interim, 102U));
  EXPECT_EQ(next(), std::pair(State::complete, 204U));
}

TEST(ResponseParser, BoundsTheNumberOfFieldsAndOfInterimResponses) {
  ResponseParser parser;
  Body body;
  const auto state_of = [&](const std::string& bytes) {
    parser.start(false, body, ResponseLimits(100'000, 100));
    support::show(parser, bytes, {});
    return parser.state();
  };
  const auto fields = [](int count) {
    std::string bytes(kOk);
    for (int i = 1; i < count; ++i) bytes += "X: y\r\n";
    return bytes + "Content-Length: 0\r\n\r\n";
  };
  EXPECT_EQ(state_of(fields(128)), State::complete);
  ASSERT_EQ(state_of(fields(129)), State::failed);
  EXPECT_EQ(parser.failure().reason, Reason::too_large);

  const auto interim = [&](int count) {
    std::string bytes;
    for (int i = 0; i < count; ++i) bytes += "HTTP/1.1 100 Continue\r\n\r\n";
    return bytes + fields(1);
  };
  EXPECT_EQ(state_of(interim(8)), State::complete);
  ASSERT_EQ(state_of(interim(9)), State::failed);
  EXPECT_EQ(parser.failure().reason, Reason::invalid);
}

TEST(ResponseParser, BoundsTheBody) {
  ResponseParser parser;
  const std::string most(100, 'x');
  const std::string over(101, 'x');
  const std::string exact[] = {std::string(kOk) + "Content-Length: 100\r\n\r\n" + most,
                               std::string(kOk) + "\r\n" + most, chunked("64\r\n" + most + "\r\n0\r\n\r\n")};
  const std::string excess[] = {std::string(kOk) + "Content-Length: 101\r\n\r\n", std::string(kOk) + "\r\n" + over,
                                chunked("65\r\n"s + "x"), chunked("63\r\n" + most.substr(1) + "\r\n2\r\nx"),
                                chunked("ffffffffffffffff\r\nx")};
  for (const std::string& bytes : exact) {
    for (const auto& cuts : support::every_cut(bytes.size())) ASSERT_NE(outcome(parser, bytes, cuts), "too_large");
  }
  for (const std::string& bytes : excess) {
    for (const auto& cuts : support::every_cut(bytes.size())) ASSERT_EQ(outcome(parser, bytes, cuts), "too_large");
  }
}

TEST(ResponseParser, ReportsTheHeadBeforeTheFirstByteOfTheBody) {
  ResponseParser parser;
  Body body;
  parser.start(false, body, kLimits);
  const std::string_view bytes = "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}";
  const auto head = parser.parse(bytes);
  EXPECT_EQ(head.state, State::head);
  EXPECT_EQ(head.consumed, bytes.size() - 2);
  EXPECT_EQ(parser.status(), 201U);
  EXPECT_TRUE(body.bytes.empty());
  const auto rest = parser.parse(bytes.substr(head.consumed));
  EXPECT_EQ(rest.state, State::complete);
  EXPECT_EQ(body.bytes, "{}");
}

TEST(ResponseParser, TellsAServerThatClosedBeforeItsFirstByte) {
  ResponseParser parser;
  Body body;
  parser.start(false, body);
  EXPECT_TRUE(parser.untouched());
  EXPECT_EQ(parser.finish_eof(), State::failed);
  EXPECT_TRUE(parser.untouched());
  EXPECT_TRUE(parser.failure().retriable);
  parser.start(false, body);
  support::show(parser, "H", {});
  EXPECT_FALSE(parser.untouched());
}

TEST(ResponseParser, SurvivesMutatedMessagesAndJudgesThemAlikeHoweverCut) {
  std::mt19937 random(20240607);
  const auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
  constexpr std::string_view kSpice[] = {"\r\n", "\r", "\n", "\0"sv, " ",         "\t",
                                         ";",    "0",  "f",  ":",    "0\r\n\r\n", "\x80"};
  ResponseParser parser;
  for (int round = 0; round < 6000; ++round) {
    std::string bytes(kGood[below(std::size(kGood))].bytes);
    for (std::size_t edits = 1 + below(3); edits > 0; --edits) {
      const std::size_t at = below(bytes.size());
      switch (below(3)) {
        case 0:
          bytes[at] = static_cast<char>(below(256));
          break;
        case 1:
          bytes.erase(at, 1 + below(4));
          break;
        default:
          bytes.insert(at, kSpice[below(std::size(kSpice))]);
          break;
      }
      if (bytes.empty()) break;
    }
    support::Cuts every_byte;
    for (std::size_t i = 1; i < bytes.size(); ++i) every_byte.push_back(i);
    ASSERT_EQ(outcome(parser, bytes, every_byte), outcome(parser, bytes, {})) << testing::PrintToString(bytes);
  }
}

}  // namespace
}  // namespace sluice::backends
