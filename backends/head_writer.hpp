// Writes the fields of a message into a reused string; what cannot be sent safely never gets out.
#pragma once

#include "backends/headers.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::backends {

/// Appends to a string that the owner keeps and reuses. *One worker*.
class HeadWriter {
 public:
  explicit HeadWriter(std::string& out) : out_(out) {}

  /// Appends one field. A name with a space, a colon or what is no printable ASCII, or a value with CR, LF or NUL, is
  /// skipped whole, in every build; returns whether it was written.
  bool add(std::string_view name, std::string_view value);
  bool add(std::string_view name, std::uint64_t value);
  /// Appends the end-to-end fields of `fields`, by the same rule. What the writer itself decides on is skipped:
  /// Content-Length, Host, and all that is hop-by-hop without regard to what Connection names.
  void add_all(const Headers& fields);
  /// Appends fields that another HeadWriter has written.
  void add_lines(std::string_view lines) { out_ += lines; }
  /// Takes all fields called `name` out of the head that is being written.
  void remove(std::string_view name);
  /// The value of the first field called `name`, until the next add() or remove().
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
  /// The empty line.
  void finish() { out_ += "\r\n"; }

 protected:
  std::string& out_;

 private:
  // Where the line of the first field called `name` begins, from `from` on, which begins a line; npos: there is none.
  [[nodiscard]] std::size_t find_line(std::string_view name, std::size_t from) const;
};

}  // namespace sluice::backends
