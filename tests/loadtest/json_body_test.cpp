// Bodies of an exact size.
#include "loadtest/json_body.hpp"

#include <cstddef>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace sluice::loadtest {
namespace {

TEST(JsonBody, IsValidJsonOfExactlyTheSizeAskedFor) {
  for (std::size_t size = 22; size < 700; ++size) {
    const std::string body = make_json_body(size);
    EXPECT_EQ(body.size(), size);
    EXPECT_TRUE(nlohmann::json::accept(body)) << body;
  }
  EXPECT_TRUE(nlohmann::json::accept(make_json_body(65536)));
}

TEST(JsonBody, IsTheSameEachTime) {
  EXPECT_EQ(make_json_body(4096), make_json_body(4096));
}

TEST(JsonBody, RefusesASizeThatNothingFitsIn) {
  EXPECT_THROW(static_cast<void>(make_json_body(21)), std::invalid_argument);
}

}  // namespace
}  // namespace sluice::loadtest
