#include "gateway/networks.hpp"

#include <algorithm>
#include <charconv>

namespace sluice::gateway {
namespace {

namespace ip = boost::asio::ip;

ip::address_v6::bytes_type bytes_of(const ip::address& address) {
  return (address.is_v4() ? ip::make_address_v6(ip::v4_mapped, address.to_v4()) : address.to_v6()).to_bytes();
}

/// The first `prefix` bits of `bytes`, the others zero.
std::array<unsigned char, 16> masked(std::array<unsigned char, 16> bytes, unsigned prefix) {
  for (unsigned i = 0; i < bytes.size(); ++i) {
    const unsigned kept = std::min(8U, prefix > i * 8 ? prefix - i * 8 : 0U);
    bytes[i] = static_cast<unsigned char>(bytes[i] & (0xff00U >> kept));
  }
  return bytes;
}

}  // namespace

ip::address plain(const ip::address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped()) return ip::make_address_v4(ip::v4_mapped, address.to_v6());
  return address;
}

std::optional<Networks::Network> Networks::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  boost::system::error_code ec;
  const auto address = ip::make_address(std::string(text.substr(0, slash)), ec);
  if (ec || (address.is_v6() && address.to_v6().scope_id() != 0)) return std::nullopt;
  const unsigned offset = address.is_v4() ? 96 : 0;
  Network network;
  network.bytes = bytes_of(address);
  network.prefix = 128;
  if (slash == std::string_view::npos) return network;
  unsigned bits = 0;
  const auto [end, error] = std::from_chars(text.data() + slash + 1, text.data() + text.size(), bits);
  if (error != std::errc() || end != text.data() + text.size() || bits > 128 - offset) return std::nullopt;
  network.prefix = bits + offset;
  if (masked(network.bytes, network.prefix) != network.bytes) return std::nullopt;
  return network;
}

Networks::Networks(const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    if (const auto network = parse(text)) networks_.push_back(*network);
  }
}

bool Networks::contains(const ip::address& address) const {
  const auto bytes = bytes_of(address);
  return std::any_of(networks_.begin(), networks_.end(),
                     [&](const Network& network) { return masked(bytes, network.prefix) == network.bytes; });
}

}  // namespace sluice::gateway
