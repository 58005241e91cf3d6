// How long the stored data that stands in for a backend will last.
#include "gateway/runway.hpp"

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

using namespace std::chrono_literals;
using concurrency::TimePoint;

TEST(Runway, IsThatOfWhatEndsFirst) {
  const TimePoint now{1000s};
  Runway runway;
  EXPECT_FALSE(runway.left(now));
  runway.served(now, now + 50s);
  runway.served(now, now + 70s);
  EXPECT_EQ(runway.left(now), 50s);
  runway.served(now + 5s, now + 30s);
  EXPECT_EQ(runway.left(now + 5s), 25s);
  EXPECT_EQ(runway.left(now + 40s), 0s) << "it has ended, and was in use within the minute";
}

TEST(Runway, ForgetsWhatIsNoLongerInUse) {
  const TimePoint now{1000s};
  Runway runway;
  runway.served(now, now + 500s);
  runway.served(now + 30s, now + 900s);
  EXPECT_EQ(runway.left(now + 60s), 440s);
  EXPECT_EQ(runway.left(now + 70s), 830s);
  EXPECT_FALSE(runway.left(now + 100s));
  runway.served(now + 1000s, now + 1001s);
  EXPECT_EQ(runway.left(now + 1000s), 1s) << "in a slot that was used before";
}

TEST(Runway, MayHaveNoEnd) {
  Runway runway;
  runway.served(TimePoint(5s), TimePoint::max());
  EXPECT_FALSE(runway.left(TimePoint(5s)));
  EXPECT_FALSE(Runway().left(TimePoint(0s)));
}

}  // namespace
}  // namespace sluice::gateway
