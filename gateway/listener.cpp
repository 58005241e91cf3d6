#include "gateway/listener.hpp"

#include <sstream>
#include <stdexcept>
#include <sys/socket.h>

#include <boost/asio/ip/address.hpp>

namespace sluice::gateway {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;
using ReusePort = boost::asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

std::string describe(const Address& address) {
  const bool is_ipv6 = address.host.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

[[noreturn]] void fail(const Address& address, const error_code& ec) {
  throw std::runtime_error(describe(address) + ": " + ec.message());
}

tcp::endpoint resolve(const Address& address, concurrency::Executor executor) {
  error_code ec;
  const auto literal = boost::asio::ip::make_address(address.host, ec);
  if (!ec) return {literal, address.port};
  boost::asio::ip::basic_resolver<tcp, concurrency::Executor> resolver(executor);
  const auto found = resolver.resolve(address.host, std::to_string(address.port), ec);
  if (ec || found.empty()) fail(address, ec);
  return found.begin()->endpoint();
}

}  // namespace

std::string to_text(const tcp::endpoint& endpoint) {
  std::ostringstream out;
  out << endpoint;
  return out.str();
}

Acceptor listen(const Address& address, Sharing sharing, concurrency::Executor executor) {
  const tcp::endpoint endpoint = resolve(address, executor);
  error_code ec;
  Acceptor acceptor(executor);
  acceptor.open(endpoint.protocol(), ec);
  if (!ec) acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
  if (!ec && sharing == Sharing::shared) acceptor.set_option(ReusePort(true), ec);
  if (!ec) acceptor.bind(endpoint, ec);
  if (!ec) acceptor.listen(boost::asio::socket_base::max_listen_connections, ec);
  if (ec) fail(address, ec);
  return acceptor;
}

void require_free(const Address& address, concurrency::Executor executor) {
  if (address.port != 0) (void)listen(address, Sharing::exclusive, executor);
}

}  // namespace sluice::gateway
