// What is believed of fields that proxies write.
#include "gateway/field_syntax.hpp"

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

TEST(FieldSyntax, KeepsTheAddressesBehindTheLastThatIsNone) {
  for (const char* good : {"1.2.3.4", "1.2.3.4, 5.6.7.8", "::1", "[2001:db8::1]:80", "1.2.3.4:80", "unknown, _hidden",
                           "1.2.3.4,5.6.7.8", "", "1.2.3.4,, 5.6.7.8"}) {
    EXPECT_EQ(believable_addresses(good), good);
  }
  EXPECT_EQ(believable_addresses("x"), "");
  EXPECT_EQ(believable_addresses("x, 1.2.3.4"), "1.2.3.4");
  EXPECT_EQ(believable_addresses("1.2.3.4, x"), "");
  EXPECT_EQ(believable_addresses("1.2.3.4, <x>, 5.6.7.8, ::1"), "5.6.7.8, ::1");
  for (const char* bad : {"1.2.3", "1.2.3.4:", "1.2.3.4:123456", "[::1", "[1.2.3.4]", "::1]", "1.2.3.4 5.6.7.8", "a.b",
                          "\"1.2.3.4\"", "_a/b", "[::1]x"}) {
    EXPECT_EQ(believable_addresses(bad), "") << bad;
  }
}

TEST(FieldSyntax, TellsAForwarded) {
  for (const char* good :
       {"for=1.2.3.4", "for=\"[::1]:80\";proto=http , for=x", "for=x,,for=y,", "For=a; host=\"a\\\"b\"", "secret=x"}) {
    EXPECT_TRUE(is_forwarded(good)) << good;
  }
  for (const char* bad : {"", "for", "for=", "=x", "for=\"x", "for=[::1]", "for=x;", "for=x;,for=y", ",", "for=x y=z",
                          "for = x", "for=\"x\\\""}) {
    EXPECT_FALSE(is_forwarded(bad)) << bad;
  }
}

TEST(FieldSyntax, TellsSchemesAndAuthorities) {
  EXPECT_TRUE(is_schemes("https"));
  EXPECT_TRUE(is_schemes("https, http"));
  for (const char* bad : {"", "ht tp", "http:", "<", ","}) EXPECT_FALSE(is_schemes(bad)) << bad;
  EXPECT_TRUE(is_authorities("a.example:80, [::1]"));
  for (const char* bad : {"", "a/b", "u@a", "a b", "a:b", "[::1", ","}) EXPECT_FALSE(is_authorities(bad)) << bad;
}

}  // namespace
}  // namespace sluice::gateway
