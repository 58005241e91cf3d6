// What the origin of a response says about storing it.
#include "gateway/origin.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

using namespace std::chrono_literals;

backends::Headers headers(std::string_view lines) {
  return fields_from(lines);
}

TEST(Origin, ReadsAllThreeFormsOfADate) {
  for (const std::string_view expires :
       {"Sun, 06 Nov 1994 08:50:37 GMT", "Sunday, 06-Nov-94 08:50:37 GMT", "Sun Nov  6 08:50:37 1994"}) {
    const Origin origin =
        origin_of(headers("Date: Sun, 06 Nov 1994 08:49:37 GMT\nExpires: " + std::string(expires) + "\n"));
    EXPECT_EQ(origin.allowed.ttl, 60s) << expires;
    EXPECT_GT(origin.age, 24h * 365 * 30) << expires;
  }
  for (const std::string_view expires : {"0", "-1", "tomorrow", "Sun, 06 Nov 1994 08:50:37", ""}) {
    EXPECT_EQ(origin_of(headers("Expires: " + std::string(expires) + "\n")).allowed.ttl, 0s) << expires;
  }
}

TEST(Origin, TakesAYearOfTwoDigitsForTheNearestCentury) {
  const Origin soon =
      origin_of(headers("Date: Sun, 06 Nov 2044 08:49:37 GMT\nExpires: Sunday, 06-Nov-44 08:49:38 GMT\n"));
  EXPECT_EQ(soon.allowed.ttl, 1s);
  const Origin past =
      origin_of(headers("Date: Sun, 06 Nov 1994 08:49:37 GMT\nExpires: Sunday, 06-Nov-94 08:49:38 GMT\n"));
  EXPECT_EQ(past.allowed.ttl, 1s);
}

TEST(Origin, TakesTheSmallerOfTwoLifetimesAndNothingFromWithinQuotes) {
  const auto ttl = [](const std::string& lines) { return origin_of(headers(lines)).allowed.ttl; };
  EXPECT_EQ(ttl("Cache-Control: max-age=9, max-age=3\n"), 3s);
  EXPECT_EQ(ttl("Cache-Control: max-age=3\nCache-Control: max-age=9\n"), 3s);
  EXPECT_EQ(ttl("Cache-Control: x=\"a, max-age=9\", MAX-AGE=\"3\"\n"), 3s);
  EXPECT_EQ(ttl("Cache-Control: max-age=9\nCache-Control: s-maxage=3\n"), 3s);
  EXPECT_EQ(ttl("Cache-Control: max-age=3, s-maxage=9\n"), 9s);
  for (const char* bad : {"-1", "'9'", "9.0", "9a", " 9", ""}) {
    EXPECT_EQ(ttl("Expires: Thu, 25 Aug 2050 23:14:38 GMT\nCache-Control: max-age=" + std::string(bad) + "\n"), 0s)
        << bad;
  }
  EXPECT_EQ(ttl("Cache-Control: max-age =9\n"), 0s);
  EXPECT_EQ(ttl("Expires: Thu, 25 Aug 2050 23:14:38 GMT\nExpires: Thu, 25 Aug 2050 23:14:38 GMT\n"), 0s);
}

TEST(Origin, AddsTheTimeThatTheAnswerTookToItsAge) {
  const auto age = [](const std::string& lines, Duration took) { return origin_of(headers(lines), 200, {}, took).age; };
  EXPECT_EQ(age("", 2900ms), 2s) << "in whole seconds, as Age";
  EXPECT_EQ(age("Age: 30\n", 2900ms), 32s);
  EXPECT_EQ(age("", 900ms), 0s);
  EXPECT_EQ(age("Date: Thu, 01 Jan 1970 00:00:00 GMT\n", 5s), age("Date: Thu, 01 Jan 1970 00:00:00 GMT\n", 0s))
      << "a date has it in it";
}

TEST(Origin, TakesTheFirstAgeThatIsOne) {
  const auto age = [](const std::string& value) { return origin_of(headers("Age: " + value + "\n")).age; };
  EXPECT_EQ(age("30"), 30s);
  EXPECT_EQ(age("30, 0"), 30s);
  EXPECT_EQ(age("0, 30"), 0s);
  EXPECT_EQ(age("30\nAge: 0"), 30s);
  EXPECT_EQ(age("99999999999"), 2147483648s);
  for (const char* bad : {"-30", "abc", "30.0", "30;a=b"}) EXPECT_EQ(age(bad), 0s) << bad;
}

TEST(Origin, RefusesWhatItMustNotStore) {
  const auto refusal = [](const std::string& lines, unsigned status = 200) {
    return std::string(origin_of(headers(lines), status).refusal);
  };
  EXPECT_EQ(refusal("Cache-Control: max-age=9\nCache-Control: a, No-Store\n"), "no_store");
  EXPECT_EQ(refusal("Cache-Control: private=\"set-cookie, x\"\n"), "private");
  EXPECT_EQ(refusal("Cache-Control: no-cache\n"), "no_cache");
  EXPECT_EQ(refusal("Vary: a\nVary: , *\n"), "vary");
  EXPECT_EQ(refusal("Cache-Control: no-store, must-understand\n"), "");
  EXPECT_EQ(refusal("Cache-Control: no-store, must-understand\n", 599), "no_store");
  EXPECT_EQ(refusal("Cache-Control: x=\"no-store\"\nPragma: no-cache\n"), "");
}

TEST(Origin, AllowsNothingUnvalidatedOfWhatSaysNoCache) {
  for (const char* said : {"no-cache", "max-age=9, no-cache=\"x-a\"", "no-cache, stale-if-error=9"}) {
    const Origin origin = origin_of(headers("ETag: \"1\"\nCache-Control: " + std::string(said) + "\n"));
    EXPECT_EQ(origin.refusal, "") << said;
    EXPECT_EQ(origin.allowed.ttl, 0s);
    EXPECT_EQ(origin.allowed.stale_while_revalidate, 0s);
    EXPECT_EQ(origin.allowed.stale_if_error, 0s);
  }
}

TEST(Origin, ListensToTheHeaderThatIsMeantForIt) {
  const std::vector<std::string> targeted = {"x-cache-control", "cdn-cache-control"};
  const auto of = [&](const std::string& lines) { return origin_of(headers(lines), 200, targeted); };
  const std::string others = "Cache-Control: no-store\nExpires: 0\n";
  EXPECT_EQ(of("CDN-Cache-Control: max-age=9\n" + others).allowed.ttl, 9s);
  EXPECT_EQ(of("CDN-Cache-Control: max-age=9\n" + others).refusal, "");
  EXPECT_EQ(of("CDN-Cache-Control: max-age=9\nX-Cache-Control: max-age=3\n").allowed.ttl, 3s);
  EXPECT_EQ(of("CDN-Cache-Control: max-age=9, &\n" + others).refusal, "no_store") << "malformed";
  EXPECT_FALSE(of("CDN-Cache-Control: max-age=\"9\"\n" + others).names_lifetime) << "a string is no number";
  EXPECT_EQ(of("CDN-Cache-Control: private\nCache-Control: max-age=9\n").refusal, "private");
  EXPECT_EQ(origin_of(headers("CDN-Cache-Control: private\n")).refusal, "") << "unless told to";
}

TEST(Origin, KeepsWholeResponsesButForWhatIsOfOneConnection) {
  EXPECT_EQ(whole_fields(headers("A: 1\nConnection: b\nB: 2\na: 3\nContent-Length: 4\nAge: 5\nDate: x\n")),
            "A: 1\na: 3\nDate: x\n");
  EXPECT_EQ(whole_fields(headers("")).substr(0, 6), "Date: ");
}

TEST(Origin, KeepsWhatIsAskedForAndWhatValidationNeeds) {
  EXPECT_EQ(kept_fields(headers("Cache-Control: max-age=1\nContent-Type: text/plain\n"), {}), "");
  EXPECT_EQ(kept_fields(headers("X-A: 1\nX-B: 2\nx-a: 3\n"), {"x-a"}), "X-A: 1\nx-a: 3\n");
  EXPECT_EQ(kept_fields(headers("cache-control: max-age=1\nX-A: 1\nETag: \"a: b\"\nVary: x\n"), {"vary", "x-a"}),
            "X-A: 1\nVary: x\ncache-control: max-age=1\nETag: \"a: b\"\n");
  const backends::Headers kept = headers("ETag: \"a: b\"\n");
  EXPECT_EQ(kept.find("etag"), "\"a: b\"");
}

TEST(Origin, NotModifiedReplacesWhatItNames) {
  const auto updated = update_fields(headers("ETag: \"1\"\nCache-Control: max-age=1\nCache-Control: public\nVary: a\n"),
                                     headers("cache-control: max-age=2\nAge: 3\n"));
  EXPECT_EQ(updated.count("Cache-Control"), 1U);
  EXPECT_EQ(updated.find("Cache-Control"), "max-age=2");
  EXPECT_EQ(updated.find("ETag"), "\"1\"");
  EXPECT_EQ(updated.find("Vary"), "a");
  EXPECT_EQ(updated.find("Age"), "3");
}

TEST(Origin, NotModifiedLeavesWhatDescribesTheBody) {
  const auto updated =
      update_fields(headers("Content-Type: a/b\nA: 1\nA: 2\n"),
                    headers("Content-Type: c/d\nContent-Length: 9\nContent-Encoding: br\nConnection: x\nX: 1\nB: 3\n"));
  EXPECT_EQ(updated.find("Content-Type"), "a/b");
  EXPECT_EQ(updated.count("A"), 2U);
  EXPECT_EQ(updated.find("B"), "3");
  for (const char* name : {"Content-Length", "Content-Encoding", "Connection", "X"}) {
    EXPECT_FALSE(updated.contains(name)) << name;
  }
}

}  // namespace
}  // namespace sluice::gateway
