// The servers of a backend: configured names, and the addresses that they stand for now.
#pragma once

#include "concurrency/context.hpp"
#include "concurrency/snapshot.hpp"
#include "concurrency/task.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

namespace sluice::backends {

struct ServerName {
  ServerName(std::string h, std::uint16_t p) : host(std::move(h)), port(p) {}
  std::string host;  ///< a name or an address, IPv6 without brackets
  std::uint16_t port;
};

/// One server as it is connected to.
struct Server {
  Server(boost::asio::ip::tcp::endpoint a, std::string h) : address(std::move(a)), host(std::move(h)) {}
  boost::asio::ip::tcp::endpoint address;
  std::string host;  ///< what is sent as Host
  friend bool operator==(const Server&, const Server&) = default;
};

using ServerList = std::vector<Server>;

/// Addresses are known from the start; names once resolve() has run. A name with several addresses is several servers.
/// Thread: any.
class Servers {
 public:
  /// `host_header`: sent as Host instead of the server's own host:port; empty: none.
  Servers(std::vector<ServerName> names, std::string host_header);

  [[nodiscard]] const concurrency::Snapshot<ServerList>& current() const { return current_; }
  [[nodiscard]] bool has_names() const;

  /// Resolves all names once; one that cannot be resolved keeps the addresses it had, and is told to `on_problem`
  /// when the problem is not that of the time before.
  /// Errors: canceled, deadline_exceeded from `ctx`. One caller at a time.
  concurrency::Task<concurrency::Result<>> resolve(concurrency::Context ctx,
                                                   std::function<void(const std::string&)> on_problem);

 private:
  void publish();

  const std::vector<ServerName> names_;
  const std::string host_header_;
  // Of each name; touched by resolve() only.
  std::vector<ServerList> resolved_;
  std::vector<std::string> problems_;  // as last told; empty: it was resolved
  concurrency::Snapshot<ServerList> current_;
};

}  // namespace sluice::backends
