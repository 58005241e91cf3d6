// Failure: the words that users see, and use as the error of a result.
#include "backends/failure.hpp"

#include <set>
#include <stdexcept>
#include <string>

#include <boost/system/result.hpp>
#include <gtest/gtest.h>

namespace sluice::backends {
namespace {

TEST(Failure, HasADistinctWordForEveryReason) {
  std::set<std::string> words;
  for (std::size_t i = 0; i < kReasonCount; ++i) words.emplace(to_string(static_cast<Reason>(i)));
  EXPECT_EQ(words, (std::set<std::string>{"timeout", "slow", "connect", "reset", "status", "invalid", "too_large",
                                          "open", "shed", "dependency", "cancelled", "no_server"}));
}

TEST(Failure, IsThrownOnlyWhenAValueIsTakenThatIsNotThere) {
  const boost::system::result<int, Failure> result(Failure(Reason::reset, "closed in the body", true));
  ASSERT_FALSE(result);
  EXPECT_TRUE(result.error().retriable);
  EXPECT_THROW(static_cast<void>(result.value()), std::runtime_error);
}

}  // namespace
}  // namespace sluice::backends
