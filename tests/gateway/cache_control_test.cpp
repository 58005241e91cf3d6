// Cache-Control as it is written, and what clients may ask with it.
#include "gateway/cache_control.hpp"

#include "gateway/http_date.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

std::vector<std::string> directives(std::string_view list) {
  std::vector<std::string> found;
  while (const auto directive = next_directive(list)) {
    found.push_back(std::string(directive->name) + (directive->is_quoted ? "~" : "=") + std::string(directive->value));
  }
  return found;
}

CacheWish wish(std::string_view cache_control, std::string_view pragma = {}) {
  backends::Headers headers;
  if (!cache_control.empty()) headers.add("cache-control", cache_control);
  if (!pragma.empty()) headers.add("Pragma", pragma);
  return CacheWish(headers);
}

TEST(CacheControl, SeparatesAtCommasOutsideOfQuotes) {
  EXPECT_THAT(directives(" a ,, b=1,c=\"x, \\\" y\" ,\td=\"\", e=\"open, f"),
              ElementsAre("a=", "b=1", "c~x, \\\" y", "d~", "e=\"open, f"));
  EXPECT_THAT(directives(" , \t"), ElementsAre());
  EXPECT_THAT(directives("a =1, b = 2, c= 3"), ElementsAre("a==1", "b== 2", "c= 3"));
}

TEST(CacheControl, ReadsSecondsStrictlyAndBoundsThem) {
  EXPECT_EQ(delta_seconds("0010"), 10s);
  for (const char* huge : {"2147483648", "2147483649", "99999999999999999999999"}) {
    EXPECT_EQ(delta_seconds(huge), 2147483648s) << huge;
  }
  for (const char* bad : {"", "-1", "+1", "1.0", "1 ", " 1", "'1'", "0x1", "a"})
    EXPECT_FALSE(delta_seconds(bad)) << bad;
}

TEST(CacheControl, KnowsADictionaryWhenItSeesOne) {
  const auto is_one = [](std::string_view value) {
    backends::Headers headers;
    headers.add("CDN-Cache-Control", value);
    return is_dictionary(headers, "cdn-cache-control");
  };
  for (const char* good : {"max-age=10", "a, b", "a=1.5;x;y=\"q, r\", b=tok/en", "a=?0, *b=:YQ==:", "a=\"\\\"\""}) {
    EXPECT_TRUE(is_one(good)) << good;
  }
  for (const char* bad : {"", "A=1", "max-age=10, &&&&&", "a=", "a=\"open", "a b", "a=(1 2)", "a;;b", ",a"}) {
    EXPECT_FALSE(is_one(bad)) << bad;
  }
}

TEST(CacheWish, BoundsWhatIsFresh) {
  EXPECT_TRUE(CacheWish().accepts_fresh(10s, 0s));
  EXPECT_TRUE(wish("max-age=10, min-fresh=\"5\"").accepts_fresh(10s, 5s));
  EXPECT_FALSE(wish("MAX-age=10").accepts_fresh(10s + 1ms, 1h));
  EXPECT_FALSE(wish("min-fresh=5").accepts_fresh(0s, 4s));
  EXPECT_FALSE(wish("No-Cache").accepts_fresh(0s, 1h));
  EXPECT_FALSE(wish("no-store").accepts_fresh(0s, 1h));
  EXPECT_TRUE(wish("max-age=x, nothing-to-see-here").accepts_fresh(1h, 0s)) << "says nothing";
  EXPECT_FALSE(wish("", "no-cache").accepts_fresh(0s, 1h));
  EXPECT_TRUE(wish("max-age=1", "no-cache").accepts_fresh(0s, 1h)) << "Pragma is for who has no Cache-Control";
}

TEST(CacheWish, PutsUpWithStaleOnlyIfItSaysSo) {
  EXPECT_FALSE(CacheWish().accepts_stale(10s, 1ms));
  EXPECT_TRUE(wish("max-stale").accepts_stale(1h, 1h));
  EXPECT_TRUE(wish("max-stale=5").accepts_stale(1h, 5s));
  EXPECT_FALSE(wish("max-stale=5").accepts_stale(1h, 6s));
  EXPECT_FALSE(wish("max-stale=x").accepts_stale(1h, 1ms));
  EXPECT_FALSE(wish("max-stale, max-age=9").accepts_stale(10s, 1s));
  EXPECT_FALSE(wish("max-stale, min-fresh=1").accepts_stale(10s, 1s));
}

TEST(HttpDate, HasThreeFormsAndNoOthers) {
  const std::time_t moment = 2545082078;
  EXPECT_EQ(http_date(moment), "Thu, 25 Aug 2050 23:14:38 GMT");
  for (const char* good : {"Thu, 25 Aug 2050 23:14:38 GMT", "THU, 25 AUG 2050 23:14:38 gmt",
                           "Thursday, 25-Aug-50 23:14:38 GMT", "Thu Aug 25 23:14:38 2050"}) {
    EXPECT_EQ(http_date_from(good), moment) << good;
  }
  EXPECT_EQ(http_date_from("Sun Nov  6 08:49:37 1994"), 784111777);
  for (const char* bad :
       {"", "0", "Thu, 25 Aug 2050 23:14:38 UTC", "Thu, 25 Aug 50 23:14:38 GMT", "Thu 25 Aug 2050 23:14:38 GMT",
        "Thu, 25  Aug  2050 23:14:38 GMT", "Thu, 25-Aug-2050 23:14:38 GMT", "Thu, 25 Aug 2050 23.14.38 GMT",
        "Thu, 25 Aug 2050 3:14:38 GMT", "Thu, 25 Aug 2050 23:14:38 GMT ", "Thu, 32 Aug 2050 23:14:38 GMT",
        "Thu, 25 Aug 2050 24:14:38 GMT", "Thu, 2 Aug 2050 23:14:38 GMT"}) {
    EXPECT_FALSE(http_date_from(bad)) << bad;
  }
}

}  // namespace
}  // namespace sluice::gateway
