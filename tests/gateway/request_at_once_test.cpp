// Requests that are refused with their first wrong byte, without waiting for the end of a line.
#include "gateway/request_parser.hpp"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

using State = RequestParser::State;

/// Shows the parser one byte more at a time; the number of bytes at which it refuses, 0 if it does not.
std::size_t refused_at(std::string_view bytes) {
  RequestParser parser;
  parser.start();
  std::size_t begin = 0;
  for (std::size_t end = 1; end <= bytes.size(); ++end) {
    for (State before = State::refused; before != parser.state();) {
      before = parser.state();
      const auto [consumed, state] = parser.parse(bytes.substr(begin, end - begin));
      begin += consumed;
      if (state != State::refused) continue;
      EXPECT_EQ(parser.refusal().status, 400U);
      return end;
    }
  }
  return 0;
}

TEST(RequestParser, RefusesALineWithoutAVersionAtItsEnd) {
  for (const std::string line : {"GET /\r\n", "GET / HTTP\r\n", "GET / HTTP/1.1 x\r\n"}) {
    EXPECT_EQ(refused_at(line + "Host: x\r\n\r\n"), line.size()) << line;
  }
  EXPECT_EQ(refused_at("GET / HTTP/1.1\r\nHost: x\r\n"), 0U);
  RequestParser parser;
  parser.start();
  EXPECT_EQ(parser.parse("GET / H0\r\n\r\n").state, State::refused);
}

TEST(RequestParser, RefusesAChunkAtItsFirstWrongByte) {
  const std::string head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const char* bad : {"g",
                          "-",
                          " ",
                          "\r",
                          ";",
                          "0x",
                          "3\n",
                          "3\rx",
                          "3;a\n",
                          "12345678123456781",
                          "3\r\nabcd",
                          "3\r\nabc\n",
                          "3\r\nabc\rx",
                          "3\r\nabc\r\ng",
                          "3\r\nabc\r\n\r",
                          "0\n",
                          "0\rx",
                          "0\r\n\n",
                          "0\r\n\rx",
                          "0\r\nX: y\rz",
                          "3\r\nabc\r\n0x"}) {
    EXPECT_EQ(refused_at(head + bad), head.size() + std::string_view(bad).size()) << testing::PrintToString(bad);
  }
  for (const char* good : {"", "00000000000000000000001", "3;", "3 ", "3\r\nabc", "3\r\nabc\r", "0\r\nX: y\r", "0\r"}) {
    EXPECT_EQ(refused_at(head + good), 0U) << testing::PrintToString(good);
  }
}

}  // namespace
}  // namespace sluice::gateway
