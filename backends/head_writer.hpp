// Writes the fields of a message into a reused string; what cannot be sent safely never gets out.
#pragma once

#include "backends/headers.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::backends {

/// Appends to a string that the owner keeps and reuses. *One worker*.
class HeadWriter {
 public:
  explicit HeadWriter(std::string& out) : out_(out) {}

  /// Appends one field. A name that is no token, or a value with CR, LF or NUL, is skipped whole, in every build;
  /// returns whether it was written.
  bool add(std::string_view name, std::string_view value);
  bool add(std::string_view name, std::uint64_t value);
  /// Appends the end-to-end fields of `fields`, by the same rule. What the writer itself decides on is skipped:
  /// Content-Length, Host, and all that is hop-by-hop without regard to what Connection names.
  void add_all(const Headers& fields);
  /// The empty line.
  void finish() { out_ += "\r\n"; }

 protected:
  std::string& out_;
};

}  // namespace sluice::backends
