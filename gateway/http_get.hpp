// A blocking GET, for the program's own small errands: the health check and the demo.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace sluice::gateway {

struct HttpReply {
  unsigned status = 0;
  std::string head;  ///< status line and fields, each ending in CR LF
  std::string body;  ///< as sent: not for chunked replies

  /// The first field of that name, spelled as the gateway does; empty if there is none.
  [[nodiscard]] std::string header(std::string_view name) const;
};

/// Throws std::runtime_error that says what is wrong: no connection, no answer within 5 s, no HTTP.
[[nodiscard]] HttpReply http_get(const std::string& host, const std::string& port, const std::string& target);

}  // namespace sluice::gateway
