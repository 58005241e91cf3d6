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

}  // namespace
}  // namespace sluice::gateway
