// Sets of IP addresses, as configurations name them.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/ip/address.hpp>

namespace sluice::gateway {

/// The address that a peer is known by: an IPv4 address that came over IPv6 ("::ffff:10.0.0.1") is the IPv4 one.
[[nodiscard]] boost::asio::ip::address plain(const boost::asio::ip::address& address);

/// Addresses and networks in CIDR notation. *immutable*
class Networks {
 public:
  struct Network {
    std::array<unsigned char, 16> bytes{};  // IPv4 as mapped into IPv6
    unsigned prefix = 0;                    // bits
  };

  /// "10.0.0.0/8", "2001:db8::/32" or an address; nothing for anything else, also for bits behind the prefix.
  static std::optional<Network> parse(std::string_view text);

  Networks() = default;
  explicit Networks(const std::vector<std::string>& texts);

  [[nodiscard]] bool empty() const { return networks_.empty(); }
  [[nodiscard]] bool contains(const boost::asio::ip::address& address) const;

 private:
  std::vector<Network> networks_;
};

}  // namespace sluice::gateway
