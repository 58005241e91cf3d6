#include "gateway/field_syntax.hpp"

#include "backends/headers.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include <boost/asio/ip/address.hpp>

namespace sluice::gateway {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

constexpr std::array<bool, 256> table_of(std::string_view characters) {
  std::array<bool, 256> table{};
  for (const char c : characters) table[static_cast<unsigned char>(c)] = true;
  return table;
}

bool all_in(const std::array<bool, 256>& table, std::string_view text) {
  return std::all_of(text.begin(), text.end(), [&](char c) { return table[static_cast<unsigned char>(c)]; });
}

constexpr auto kAddress = table_of("0123456789abcdefABCDEF:.");
// Underscores and percent signs are legal in a reg-name; separators that could end a host elsewhere are not.
constexpr auto kName = table_of("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._~%!$&'()*+;=");

constexpr auto kToken = table_of("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%&'*+-.^_`|~");
constexpr auto kObfuscated = table_of("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-");
constexpr auto kScheme = table_of("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-.");

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool is_port(std::string_view text) {
  return !text.empty() && text.size() <= 5 && std::all_of(text.begin(), text.end(), is_digit);
}

bool is_address(std::string_view text) {
  boost::system::error_code ec;
  boost::asio::ip::make_address(std::string(text), ec);
  return !ec;
}

/// An address as X-Forwarded-For has it: IPv6 with brackets or without, a port only behind brackets or IPv4.
bool is_node(std::string_view text) {
  if (text.empty() || text.size() > 64) return false;
  if (backends::iequals(text, "unknown")) return true;
  if (text.front() == '_') return all_in(kObfuscated, text);
  if (text.front() == '[') {
    const std::size_t end = text.find(']');
    if (end == text.npos || text.find(':') > end || !is_address(text.substr(1, end - 1))) return false;
    const std::string_view port = text.substr(end + 1);
    return port.empty() || (port.front() == ':' && is_port(port.substr(1)));
  }
  const std::size_t colon = text.find(':');
  if (colon == text.npos || text.find(':', colon + 1) != text.npos) return is_address(text);
  return is_address(text.substr(0, colon)) && is_port(text.substr(colon + 1));
}

/// The token at the front of `text`, which is taken off.
std::string_view take_token(std::string_view& text) {
  std::size_t size = 0;
  while (size < text.size() && all_in(kToken, text.substr(size, 1))) ++size;
  const std::string_view token = text.substr(0, size);
  text.remove_prefix(size);
  return token;
}

template <class Check>
bool all_elements(std::string_view list, Check check) {
  bool is_any = false;
  while (const auto element = backends::next_list_element(list)) {
    if (!check(*element)) return false;
    is_any = true;
  }
  return is_any;
}

}  // namespace

bool take_quoted(std::string_view& text) {
  if (!text.starts_with('"')) return false;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      text.remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

bool is_authority(std::string_view text) {
  std::size_t host_end = 0;
  if (text.starts_with('[')) {
    host_end = text.find(']');
    if (host_end == text.npos || host_end < 3) return false;
    if (!all_in(kAddress, text.substr(1, host_end - 1))) return false;
    ++host_end;
  } else {
    host_end = std::min(text.find(':'), text.size());
    if (host_end == 0 || !all_in(kName, text.substr(0, host_end))) return false;
  }
  const std::string_view port = text.substr(host_end);
  if (port.empty()) return true;
  return port.size() <= 6 && port.front() == ':' && std::all_of(port.begin() + 1, port.end(), is_digit);
}

std::string_view believable_addresses(std::string_view list) {
  for (std::size_t end = list.size();;) {
    const std::size_t comma = end == 0 ? list.npos : list.rfind(',', end - 1);
    const std::size_t begin = comma == list.npos ? 0 : comma + 1;
    const std::string_view element = trimmed(list.substr(begin, end - begin));
    if (!element.empty() && !is_node(element)) return trimmed(list.substr(std::min(end + 1, list.size())));
    if (comma == list.npos) return list;
    end = comma;
  }
}

bool is_forwarded(std::string_view list) {
  for (bool is_any = false;; is_any = true) {
    while (list.starts_with(',') || list.starts_with(' ') || list.starts_with('\t')) list.remove_prefix(1);
    if (list.empty()) return is_any;
    const std::string_view name = take_token(list);
    if (name.empty() || !list.starts_with('=')) return false;
    list.remove_prefix(1);
    if (take_token(list).empty() && !take_quoted(list)) return false;
    list = trimmed(list);
    if (list.starts_with(';')) {
      list = trimmed(list.substr(1));
      if (list.empty() || list.starts_with(',')) return false;
    } else if (!list.empty() && !list.starts_with(',')) {
      return false;
    }
  }
}

bool is_schemes(std::string_view list) {
  return all_elements(list, [](std::string_view scheme) { return all_in(kScheme, scheme); });
}

bool is_authorities(std::string_view list) {
  return all_elements(list, [](std::string_view host) { return is_authority(host); });
}

}  // namespace sluice::gateway
