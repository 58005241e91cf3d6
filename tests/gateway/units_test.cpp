// Durations and sizes as the configuration writes them.
#include "gateway/units.hpp"

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

using namespace std::chrono_literals;

TEST(Units, ReadsDurations) {
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  EXPECT_EQ(parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(parse_duration("0s"), 0ns);
  EXPECT_EQ(parse_duration("10m"), 10min);
  EXPECT_EQ(parse_duration("0.000000001s"), 1ns);
  EXPECT_EQ(parse_duration("1.50us"), 1500ns);
  EXPECT_EQ(parse_duration("106751d"), 106751 * 24h);
}

TEST(Units, RefusesWhatIsNoDuration) {
  for (const char* text : {"",
                           "0",
                           "5",
                           "ms",
                           "5 ms",
                           " 5ms",
                           "-5ms",
                           "+5ms",
                           "5MS",
                           "5min",
                           "1.s",
                           ".5s",
                           "1..5s",
                           "1.5.s",
                           "1e3s",
                           "0x5s",
                           "1m30s",
                           "1.5ns",
                           "106752d",
                           "99999999999999999999s",
                           "0.00000000000000000001s"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(Units, ReadsSizes) {
  EXPECT_EQ(parse_size("64KiB"), 65536U);
  EXPECT_EQ(parse_size("1.5KiB"), 1536U);
  EXPECT_EQ(parse_size("0B"), 0U);
  EXPECT_EQ(parse_size("2GiB"), 2147483648U);
  for (const char* text : {"64", "64KB", "64kib", "0.1KiB", "1.5B", "8589934592GiB"}) {
    EXPECT_EQ(parse_size(text), std::nullopt) << text;
  }
}

TEST(Units, WritesTheLargestUnitThatIsWhole) {
  EXPECT_EQ(format_duration(1500ms), "1500ms");
  EXPECT_EQ(format_duration(90s), "90s");
  EXPECT_EQ(format_duration(48h), "2d");
  EXPECT_EQ(format_duration(0ns), "0s");
  EXPECT_EQ(format_size(65536), "64KiB");
  EXPECT_EQ(format_size(65537), "65537B");
  EXPECT_EQ(format_size(0), "0B");
}

}  // namespace
}  // namespace sluice::gateway
