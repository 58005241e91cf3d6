// RequestWriter: exact bytes, and what never gets out.
#include "backends/request_writer.hpp"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace sluice::backends {
namespace {

using namespace std::literals;

TEST(RequestWriter, WritesAHead) {
  std::string out = "rest of the request before";
  RequestWriter writer(out);
  Headers fields;
  fields.add("Accept", "application/json");
  ASSERT_TRUE(writer.start("POST", "/orders?user=7", "orders:8080"));
  writer.add_all(fields);
  writer.add("Content-Length", 12);
  writer.finish();
  EXPECT_EQ(
      out,
      "POST /orders?user=7 HTTP/1.1\r\nHost: orders:8080\r\nAccept: application/json\r\nContent-Length: 12\r\n\r\n");
}

TEST(RequestWriter, LeavesOutWhatItDecidesOnItself) {
  std::string out;
  RequestWriter writer(out);
  Headers fields;
  for (const char* name : {"Host", "content-length", "Connection", "Transfer-Encoding", "Upgrade", "TE", "X"}) {
    fields.add(name, "v");
  }
  writer.add_all(fields);
  EXPECT_EQ(out, "X: v\r\n");
}

TEST(RequestWriter, SkipsFieldsThatWouldSplitTheMessage) {
  std::string out;
  RequestWriter writer(out);
  for (const std::string_view value : {"a\r\nb"sv, "a\rb"sv, "a\nb"sv, "a\0b"sv}) EXPECT_FALSE(writer.add("X", value));
  for (const std::string_view name : {""sv, "X Y"sv, "X:"sv, "X\r\nY"sv, "X\0"sv, "\xc3\xbc"sv}) {
    EXPECT_FALSE(writer.add(name, "v"));
  }
  EXPECT_EQ(out, "");
  EXPECT_TRUE(writer.add("X", "a\tb \xc3\xbc"));
}

TEST(RequestWriter, FindsEveryBadByteInEveryPlaceAndNoOther) {
  std::string out;
  RequestWriter writer(out);
  for (const std::size_t size : {1, 2, 7, 8, 9, 15, 16, 17, 40, 300}) {
    for (int byte = 0; byte < 256; ++byte) {
      for (std::size_t at = 0; at < size; at += size > 40 ? 7 : 1) {
        std::string text(size, 'a');
        text[at] = static_cast<char>(byte);
        const bool is_word = byte > ' ' && byte != 0x7f;
        ASSERT_EQ(writer.add("X", text), byte != '\r' && byte != '\n' && byte != 0) << size << ' ' << at << ' ' << byte;
        ASSERT_TRUE(out.empty() || out == "X: " + text + "\r\n");
        out.clear();
        ASSERT_EQ(writer.add(text, "v"), is_word && byte < 0x7f && byte != ':') << size << ' ' << at << ' ' << byte;
        ASSERT_TRUE(out.empty() || out == text + ": v\r\n");
        out.clear();
        ASSERT_EQ(writer.start("GET", text, "h"), is_word) << size << ' ' << at << ' ' << byte;
        out.clear();
      }
    }
  }
}

TEST(RequestWriter, RefusesARequestLineThatWouldSplitTheMessage) {
  std::string out;
  RequestWriter writer(out);
  EXPECT_FALSE(writer.start("GET /x", "/", "h"));
  EXPECT_FALSE(writer.start("", "/", "h"));
  EXPECT_FALSE(writer.start("GET", "", "h"));
  for (const std::string_view bad : {"/a b"sv, "/a\r\nX: y"sv, "/a\nb"sv, "/a\0"sv, "/\x7f"sv}) {
    EXPECT_FALSE(writer.start("GET", bad, "h"));
    EXPECT_FALSE(writer.start("GET", "/", bad));
    EXPECT_EQ(out, "");
  }
}

}  // namespace
}  // namespace sluice::backends
