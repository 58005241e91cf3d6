// Headers: order, lookup without case, hop-by-hop fields, reuse of memory.
#include "backends/headers.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::backends {
namespace {

std::string text_of(const Headers& headers) {
  std::string text;
  for (const auto [name, value] : headers) text.append(name).append("=").append(value).append(" ");
  return text;
}

TEST(Headers, KeepsOrderAndSpelling) {
  Headers headers;
  headers.add("B", "1");
  headers.add("a", "");
  headers.add("B", "2");
  EXPECT_EQ(text_of(headers), "B=1 a= B=2 ");
  EXPECT_EQ(headers.size(), 3U);
}

TEST(Headers, FindsTheFirstFieldWithoutRegardToCase) {
  Headers headers;
  headers.add("Content-Type", "text/plain");
  headers.add("content-type", "text/html");
  EXPECT_EQ(headers.find("CONTENT-TYPE"), "text/plain");
  EXPECT_EQ(headers.count("content-TYPE"), 2U);
  EXPECT_TRUE(headers.contains("content-type"));
  EXPECT_FALSE(headers.contains("content-typ"));
  std::vector<std::string_view> all;
  headers.find_all("Content-type", [&](std::string_view value) { all.push_back(value); });
  EXPECT_THAT(all, testing::ElementsAre("text/plain", "text/html"));
}

TEST(Headers, ComparesLettersOnlyWithoutCase) {
  EXPECT_TRUE(iequals("aZ-", "Az-"));
  EXPECT_FALSE(iequals("[", "{"));
  EXPECT_FALSE(iequals("@", "`"));
}

TEST(Headers, RemovesEveryFieldOfAName) {
  Headers headers;
  headers.add("x", "1");
  headers.add("y", "2");
  headers.add("X", "3");
  EXPECT_EQ(headers.remove("X"), 2U);
  EXPECT_EQ(headers.remove("z"), 0U);
  EXPECT_EQ(text_of(headers), "y=2 ");
  headers.set("Y", "4");
  EXPECT_EQ(text_of(headers), "Y=4 ");
}

TEST(Headers, RemovesWhatConcernsOneConnectionOnly) {
  Headers headers;
  for (const char* name : {"X-Before", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "TE", "Trailer",
                           "Accept", "Transfer-Encoding", "Upgrade", "Proxy-Anything", "X-After"}) {
    headers.add(name, "v");
  }
  headers.add("Connection", "close, x-before,, ACCEPT");
  headers.add("Te-Not", "v");
  headers.add("connection", "X-Last");
  headers.add("x-last", "v");
  headers.remove_hop_by_hop();
  EXPECT_EQ(text_of(headers), "X-After=v Te-Not=v ");
}

TEST(Headers, LetsConnectionTakeAwayNeitherHostNorLength) {
  Headers headers;
  headers.add("Connection", "host, content-length, connection");
  headers.add("Host", "a");
  headers.add("Content-Length", "1");
  headers.remove_hop_by_hop();
  EXPECT_EQ(text_of(headers), "Host=a Content-Length=1 ");
}

TEST(Headers, AllocatesNothingWhenReused) {
  Headers headers;
  const auto fill = [&] {
    headers.clear();
    for (int i = 0; i < 20; ++i) headers.add("a-name-of-some-length", "a value that is longer than a small string");
    return headers.at(0).name.data();
  };
  const char* const first = fill();
  EXPECT_EQ(fill(), first);
}

TEST(Headers, SplitsListsAndSkipsEmptyElements) {
  std::string_view list = " , a ,\tb b,,c\t,";
  EXPECT_EQ(next_list_element(list), "a");
  EXPECT_EQ(next_list_element(list), "b b");
  EXPECT_EQ(next_list_element(list), "c");
  EXPECT_EQ(next_list_element(list), std::nullopt);
}

}  // namespace
}  // namespace sluice::backends
