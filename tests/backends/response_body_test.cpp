// ResponseParser: where the bytes of a body go, and what judges them on the way.
#include "backends/response_parser.hpp"
#include "tests/support/pieces.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::backends {
namespace {

using namespace std::literals;
using State = ResponseParser::State;

const ResponseLimits kLimits(512, 100);

std::string chunked(std::string_view body) {
  return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string(body);
}

TEST(ResponseParser, ReservesLittleForAHugeClaim) {
  ResponseParser parser;
  Body body;
  parser.start(false, body, ResponseLimits(1000, 1'000'000'000'000));
  support::show(parser, "HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\nx", {});
  EXPECT_EQ(parser.state(), State::need_more);
  EXPECT_LE(body.bytes.capacity(), 1024U * 1024U + 64);
}

class RecordingCheck final : public BodyCheck {
 public:
  RecordingCheck(std::vector<std::string>& log, std::string_view refused) : log_(log), refused_(refused) {}
  bool feed(std::string_view chunk) override {
    log_.emplace_back(chunk);
    return chunk.find(refused_) == chunk.npos;
  }
  bool finish() override {
    log_.emplace_back("end");
    return refused_ != "end";
  }

 private:
  std::vector<std::string>& log_;
  std::string_view refused_;
};

struct Checked {
  std::vector<std::string> log;
  State state;
};

Checked check(std::string_view bytes, std::string_view refused, const support::Cuts& cuts = {}) {
  Checked result{};
  ResponseParser parser;
  Body body;
  body.check = std::make_unique<RecordingCheck>(result.log, refused);
  parser.start(false, body, kLimits);
  support::show(parser, bytes, cuts);
  result.state = parser.state();
  if (result.state == State::failed) {
    EXPECT_EQ(parser.failure().reason, Reason::invalid);
  }
  return result;
}

TEST(ResponseParser, ShowsTheBodyToItsCheckAsItArrives) {
  const std::string bytes = chunked("2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n");
  const auto result = check(bytes, "?", {bytes.find("de")});
  EXPECT_EQ(result.state, State::complete);
  EXPECT_EQ(result.log, (std::vector<std::string>{"ab", "c", "de", "end"}));
}

TEST(ResponseParser, TakesBytesThatAreInTheirPlaceAlready) {
  std::vector<std::string> log;
  ResponseParser parser;
  Body body;
  body.check = std::make_unique<RecordingCheck>(log, "?");
  parser.start(false, body, kLimits);
  EXPECT_EQ(parser.awaited(), 0U);
  support::show(parser, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", {});
  EXPECT_EQ(parser.awaited(), 7U);
  body.bytes += "cdefghi";
  const std::string_view bytes = body.bytes;
  EXPECT_EQ(parser.parse_placed(bytes.substr(2, 3)).state, State::need_more);
  EXPECT_EQ(parser.awaited(), 4U);
  EXPECT_EQ(parser.parse_placed(bytes.substr(5)).state, State::complete);
  EXPECT_EQ(parser.awaited(), 0U);
  EXPECT_EQ(body.bytes, "abcdefghi");
  EXPECT_EQ(log, (std::vector<std::string>{"ab", "cde", "fghi", "end"}));
}

TEST(ResponseParser, AwaitsNothingInPlaceOfABodyWithoutALengthOrThatIsDecoded) {
  ResponseParser parser;
  Body body;
  for (const std::string& bytes : {chunked("5\r\na"), std::string("HTTP/1.1 200 OK\r\n\r\na")}) {
    parser.start(false, body, kLimits);
    support::show(parser, bytes, {});
    EXPECT_EQ(parser.awaited(), 0U) << bytes;
  }
  parser.start(false, body, kLimits);
  body.gunzip = std::make_unique<Gunzip>();
  support::show(parser, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", {});
  EXPECT_EQ(parser.awaited(), 0U);
}

TEST(ResponseParser, FailsAtOnceWhenTheCheckRefuses) {
  const auto result = check("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nbad", "bad");
  EXPECT_EQ(result.state, State::failed);
  EXPECT_EQ(result.log, std::vector<std::string>{"bad"});
}

TEST(ResponseParser, FailsWhenTheCheckRefusesTheEnd) {
  EXPECT_EQ(check("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "end").state, State::failed);
  EXPECT_EQ(check(chunked("1\r\nx\r\n0\r\n\r\n"), "end").state, State::failed);
}

TEST(ResponseParser, DoesNotAskTheCheckAboutAnEmptyBody) {
  for (const std::string& bytes : {chunked("0\r\n\r\n"), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"s}) {
    const auto result = check(bytes, "end");
    EXPECT_EQ(result.state, State::complete);
    EXPECT_TRUE(result.log.empty());
  }
}

}  // namespace
}  // namespace sluice::backends
