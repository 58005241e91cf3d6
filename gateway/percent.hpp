// Percent-encoding (RFC 3986 §2.1), one byte at a time, so that callers need no buffer.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sluice::gateway {

/// The value of a hexadecimal digit, or -1.
constexpr int hex_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

/// Whether `text` has a well-formed `%XX` at `at`.
constexpr bool is_escape(std::string_view text, std::size_t at) {
  return at + 2 < text.size() && text[at] == '%' && hex_value(text[at + 1]) >= 0 && hex_value(text[at + 2]) >= 0;
}

/// Takes one byte off the front of `text`, decoded. A `%` that begins no escape stands for itself. `text` is not empty.
constexpr char take_decoded(std::string_view& text) {
  if (is_escape(text, 0)) {
    const char byte = static_cast<char>(hex_value(text[1]) * 16 + hex_value(text[2]));
    text.remove_prefix(3);
    return byte;
  }
  const char byte = text.front();
  text.remove_prefix(1);
  return byte;
}

/// A name or value of a query, where "+" is a space.
inline std::string decoded_query(std::string_view text) {
  std::string decoded;
  while (!text.empty()) {
    const bool is_plus = text.front() == '+';
    const char byte = take_decoded(text);
    decoded.push_back(is_plus ? ' ' : byte);
  }
  return decoded;
}

/// Letters, digits and `-._~`: the same encoded or not.
constexpr bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

/// Appends `byte` to `out`, as `%XX` unless it is unreserved.
inline void append_encoded(char byte, std::string& out) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  if (is_unreserved(byte)) {
    out.push_back(byte);
    return;
  }
  const auto value = static_cast<unsigned char>(byte);
  out.append({'%', kDigits[value / 16], kDigits[value % 16]});
}

}  // namespace sluice::gateway
