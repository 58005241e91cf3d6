// Opening the sockets that a program listens on.
#pragma once

#include "gateway/config.hpp"
#include "gateway/worker.hpp"

#include <string>

#include <boost/asio/ip/tcp.hpp>
#include <boost/system/result.hpp>

namespace sluice::gateway {

/// "127.0.0.1:8080", "[::1]:8080".
[[nodiscard]] std::string to_text(const boost::asio::ip::tcp::endpoint& endpoint);

enum class Sharing {
  exclusive,  ///< fails if anybody listens there, also with SO_REUSEPORT
  shared,     ///< with others that say so, too: the workers of one program, or a gateway that takes over
};

/// A listening socket on `address` (a name or an address; port 0: any free one).
///
/// Thrown: std::runtime_error that names the address and what is wrong ("127.0.0.1:80: Permission denied").
[[nodiscard]] Acceptor listen(const Address& address, Sharing sharing, concurrency::Executor executor);

/// Whether nobody listens on `address`: what `Sharing::exclusive` checks, without keeping the socket.
void require_free(const Address& address, concurrency::Executor executor);

}  // namespace sluice::gateway
