#include "backends/gunzip.hpp"

#include "tests/support/gzip.hpp"

#include <string>

#include <gtest/gtest.h>

namespace sluice::backends {
namespace {

bool append(void* to, std::string_view bytes) {
  static_cast<std::string*>(to)->append(bytes);
  return true;
}

/// What `bytes` stand for when they come in pieces of `step` bytes; "bad" when they are no whole gzip.
std::string decoded(const std::string& bytes, std::size_t step) {
  Gunzip gunzip;
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    if (!gunzip.feed(std::string_view(bytes).substr(at, step), append, &out)) return "bad";
  }
  return gunzip.is_whole() ? out : "bad";
}

TEST(Gunzip, DecodesHoweverTheBytesAreCut) {
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += std::to_string(i * 7919 % 1000);
  const std::string bytes = support::gzip(text);
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{4096}, bytes.size()}) {
    EXPECT_TRUE(decoded(bytes, step) == text) << step;
  }
  EXPECT_EQ(decoded(support::gzip(""), 1), "");
}

TEST(Gunzip, TakesSeveralMembersInARow) {
  EXPECT_EQ(decoded(support::gzip("one") + support::gzip("two"), 1), "onetwo");
  EXPECT_EQ(decoded(support::gzip("one") + support::gzip("two"), 1000), "onetwo");
}

TEST(Gunzip, RefusesWhatIsCutCorruptOrFollowedByMore) {
  const std::string good = support::gzip("some text that is long enough to be cut anywhere");
  for (std::size_t size = 1; size < good.size(); ++size) EXPECT_EQ(decoded(good.substr(0, size), 1000), "bad") << size;
  for (const std::size_t step : {std::size_t{1}, std::size_t{1000}}) {
    EXPECT_EQ(decoded(good + "x", step), "bad");
    EXPECT_EQ(decoded(good + std::string(3, '\0'), step), "bad");
    EXPECT_EQ(decoded("{\"a\":1}", step), "bad");
  }
  std::string wrong_sum = good;
  wrong_sum[good.size() - 5] ^= 1;
  EXPECT_EQ(decoded(wrong_sum, 1000), "bad");
}

TEST(Gunzip, StopsWhenItsSinkDoes) {
  const std::string bomb = support::gzip(std::string(10'000'000, ' '));
  ASSERT_LT(bomb.size(), 20'000U);
  std::size_t seen = 0;
  Gunzip gunzip;
  const auto sink = [](void* total, std::string_view bytes) {
    return (*static_cast<std::size_t*>(total) += bytes.size()) < 100'000;
  };
  EXPECT_FALSE(gunzip.feed(bomb, sink, &seen));
  EXPECT_LT(seen, 200'000U);
}

}  // namespace
}  // namespace sluice::backends
