// CRC-32C against the values of RFC 3720.
#include "gateway/crc32c.hpp"

#include <cstddef>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

TEST(Crc32c, IsThatOfRfc3720WhateverTheCuts) {
  const std::string_view digits = "123456789";
  EXPECT_EQ(crc32c(digits), 0xE3069283U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
  for (std::size_t cut = 0; cut <= digits.size(); ++cut) {
    EXPECT_EQ(crc32c(digits.substr(cut), crc32c(digits.substr(0, cut))), 0xE3069283U);
  }
}

}  // namespace
}  // namespace sluice::gateway
