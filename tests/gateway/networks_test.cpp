#include "gateway/networks.hpp"

#include <string>

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

boost::asio::ip::address address(const std::string& text) {
  return boost::asio::ip::make_address(text);
}

TEST(Networks, ContainTheAddressesOfTheirPrefix) {
  const Networks networks({"10.0.0.0/8", "192.168.3.4", "2001:db8::/33", "::1", "172.16.0.0/12"});
  for (const std::string inside :
       {"10.0.0.0", "10.255.255.255", "192.168.3.4", "2001:db8:7fff::1", "::1", "172.31.255.255", "::ffff:10.1.2.3"}) {
    EXPECT_TRUE(networks.contains(address(inside))) << inside;
  }
  for (const std::string outside :
       {"11.0.0.0", "9.255.255.255", "192.168.3.5", "2001:db8:8000::1", "::2", "172.32.0.0", "::a00:1"}) {
    EXPECT_FALSE(networks.contains(address(outside))) << outside;
  }
}

TEST(Networks, WithoutBitsContainEveryAddressOfTheirKind) {
  EXPECT_TRUE(Networks({"0.0.0.0/0"}).contains(address("8.8.8.8")));
  EXPECT_FALSE(Networks({"0.0.0.0/0"}).contains(address("::1")));
  EXPECT_TRUE(Networks({"::/0"}).contains(address("8.8.8.8")));
  EXPECT_FALSE(Networks().contains(address("8.8.8.8")));
}

TEST(Networks, RefuseWhatIsNoNetwork) {
  for (const std::string text : {"", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "10.0.0.0/-1", "10.0.0/8",
                                 "host", "::/129", "fe80::1%1", "10.0.0.0 /8"}) {
    EXPECT_FALSE(Networks::parse(text)) << text;
  }
}

TEST(Networks, KnowAnIPv4PeerBehindIPv6ByItsAddress) {
  EXPECT_EQ(plain(address("::ffff:10.0.0.1")).to_string(), "10.0.0.1");
  EXPECT_EQ(plain(address("2001:db8::1")).to_string(), "2001:db8::1");
}

}  // namespace
}  // namespace sluice::gateway
