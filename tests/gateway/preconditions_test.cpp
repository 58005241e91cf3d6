// What a client gets that has a copy already, or wants a part.
#include "gateway/preconditions.hpp"

#include "gateway/origin.hpp"

#include <string>

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

backends::Headers headers(std::string_view lines) {
  return fields_from(lines);
}

/// `begin+size`; empty: all.
std::string range(const std::string& request, const std::string& response = {}) {
  const auto wanted = wanted_range(headers(request), headers(response), 10);
  return wanted ? std::to_string(wanted->begin) + "+" + std::to_string(wanted->size) : "";
}

TEST(Preconditions, CompareTagsWeakly) {
  const auto has = [](const std::string& tags, const std::string& own) {
    return is_not_modified(headers("If-None-Match: " + tags + "\n"), headers("ETag: " + own + "\n"));
  };
  EXPECT_TRUE(has("\"a\"", "\"a\""));
  EXPECT_TRUE(has("W/\"a\"", "\"a\""));
  EXPECT_TRUE(has("\"x\", \"y,\" ,W/\"a\"", "W/\"a\""));
  EXPECT_TRUE(has("*", "\"a\""));
  EXPECT_FALSE(has("\"b\"", "\"a\""));
  EXPECT_FALSE(has("\"x,\"a\"", "\"a\"")) << "malformed";
  EXPECT_FALSE(is_not_modified(headers("If-None-Match: \"a\"\n"), headers("Last-Modified: x\n")));
  EXPECT_FALSE(is_not_modified(headers(""), headers("ETag: \"a\"\n")));
}

TEST(Preconditions, CompareDatesWithoutTags) {
  const std::string at = "Thu, 01 Jan 1970 00:00:10 GMT";
  const std::string later = "Thu, 01 Jan 1970 00:00:11 GMT";
  EXPECT_TRUE(is_not_modified(headers("If-Modified-Since: " + at + "\n"), headers("Last-Modified: " + at + "\n")));
  EXPECT_FALSE(is_not_modified(headers("If-Modified-Since: " + at + "\n"), headers("Last-Modified: " + later + "\n")));
  EXPECT_TRUE(is_not_modified(headers("If-Modified-Since: " + later + "\n"), headers("Date: " + at + "\n")));
  EXPECT_FALSE(is_not_modified(headers("If-None-Match: \"a\"\nIf-Modified-Since: " + later + "\n"),
                               headers("ETag: \"b\"\nLast-Modified: " + at + "\n")));
}

TEST(Preconditions, OneRangeIsAPart) {
  EXPECT_EQ(range("Range: bytes=0-1\n"), "0+2");
  EXPECT_EQ(range("Range: Bytes=4-\n"), "4+6");
  EXPECT_EQ(range("Range: bytes=-3\n"), "7+3");
  EXPECT_EQ(range("Range: bytes=-99\n"), "0+10");
  EXPECT_EQ(range("Range: bytes=9-99999999999999999999999\n"), "9+1");
  EXPECT_EQ(range("Range: bytes=10-\n"), "10+0") << "there is no such part";
  EXPECT_EQ(range("Range: bytes=-0\n"), "10+0");
  for (const char* all : {"", "Range: bytes=3-2\n", "Range: bytes=0-1,3-4\n", "Range: lines=0-1\n", "Range: bytes=-\n",
                          "Range: bytes=a-1\n", "Range: bytes=1\n", "Range: bytes=0-1\nRange: bytes=2-3\n"}) {
    EXPECT_EQ(range(all), "") << all;
  }
}

TEST(Preconditions, ARangeIsOfTheResponseThatTheClientKnows) {
  const std::string part = "Range: bytes=0-1\n";
  EXPECT_EQ(range(part + "If-Range: \"a\"\n", "ETag: \"a\"\n"), "0+2");
  EXPECT_EQ(range(part + "If-Range: \"a\"\n", "ETag: \"b\"\n"), "");
  EXPECT_EQ(range(part + "If-Range: W/\"a\"\n", "ETag: W/\"a\"\n"), "") << "a weak tag does not tell bytes apart";
  EXPECT_EQ(range(part + "If-Range: x\n", "Last-Modified: x\n"), "0+2");
  EXPECT_EQ(range(part + "If-Range: x\n"), "");
}

}  // namespace
}  // namespace sluice::gateway
