// Recognising names, addresses and headers.
#include "gateway/text_rules.hpp"

#include "gateway/json_shape.hpp"
#include "gateway/json_walk.hpp"
#include "gateway/networks.hpp"

#include <algorithm>
#include <charconv>

namespace sluice::gateway {
namespace {

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_alpha(char c) {
  return is_lower(c) || (c >= 'A' && c <= 'Z');
}

template <class Predicate>
bool all(std::string_view text, Predicate predicate) {
  return std::all_of(text.begin(), text.end(), predicate);
}

bool is_text(std::string_view text) {
  return !text.empty() && all(text, [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
}
bool is_name(std::string_view text) {
  return !text.empty() && is_lower(text[0]) &&
         all(text, [](char c) { return is_lower(c) || is_digit(c) || c == '_' || c == '-'; });
}
bool is_backend_name(std::string_view text) {
  return !text.empty() && (is_alpha(text[0]) || is_digit(text[0])) &&
         all(text, [](char c) { return is_alpha(c) || is_digit(c) || c == '_' || c == '-' || c == '.'; });
}
bool is_header_name(std::string_view text) {
  return !text.empty() && all(text, [](char c) {
    return is_alpha(c) || is_digit(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}
bool is_header_value(std::string_view text) {
  return is_text(text) && text.front() != ' ' && text.back() != ' ';
}
bool is_path(std::string_view text) {
  return is_text(text) && text[0] == '/';
}
bool is_address(std::string_view text) {
  return parse_address(text).has_value();
}
bool is_server(std::string_view text) {
  return parse_server(text).has_value();
}

bool is_network(std::string_view text) {
  return Networks::parse(text).has_value();
}
// The file is UTF-8, but variables and other files may put anything into it, and JSON may not.
bool is_unicode(std::string_view text) {
  JsonScanner scanner;
  return scanner.feed(json_string(text)) && scanner.finish();
}
bool is_json_pointer(std::string_view text) {
  return is_unicode(text) && JsonPointer::parse(text).has_value();
}
bool is_member_path(std::string_view text) {
  return is_unicode(text) && MemberPath::parse(text).has_value();
}
bool is_member_name(std::string_view text) {
  return is_unicode(text) && is_text(text);
}

bool parse_port(std::string_view text, std::uint16_t& port) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size();
}

// A name or IPv4 address, or an IPv6 address in brackets; whether it exists is known when it is resolved.
bool parse_host(std::string_view text, std::string& host) {
  if (text.starts_with('[')) {
    if (!text.ends_with(']')) return false;
    text = text.substr(1, text.size() - 2);
    const auto is_ipv6_char = [](char c) {
      return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' || c == '.';
    };
    const std::string_view address = text.substr(0, text.find('%'));
    const std::string_view zone = text.substr(address.size());
    if (address.find(':') == std::string_view::npos || !all(address, is_ipv6_char)) return false;
    if (!zone.empty() && !is_backend_name(zone.substr(1))) return false;
  } else if (text.empty() ||
             !all(text, [](char c) { return is_alpha(c) || is_digit(c) || c == '.' || c == '-' || c == '_'; })) {
    return false;
  }
  host = text;
  return true;
}

// host or host:port, as in a Host header.
bool is_authority(std::string_view text) {
  Address address;
  return parse_host(text, address.host) || parse_address(text).has_value();
}

// scheme://host[:port] without a default port, as browsers send it, or "*".
bool is_origin(std::string_view text) {
  if (text == "*") return true;
  const std::size_t colon = text.find("://");
  if (colon == 0 || colon == std::string_view::npos || !is_alpha(text[0])) return false;
  const bool has_scheme =
      all(text.substr(0, colon), [](char c) { return is_alpha(c) || is_digit(c) || c == '+' || c == '-' || c == '.'; });
  std::string_view host = text.substr(colon + 3);
  if (host.starts_with("*.")) host.remove_prefix(2);
  return has_scheme && is_authority(host);
}

// Patterns of the schema.
const std::string kHost = "([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+(%[A-Za-z0-9][A-Za-z0-9._-]*)?\\])";
const std::string kTo65535 = "[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";
const std::string kPort = ":0*([0-9]{1,4}|" + kTo65535;
const std::string kAddressPattern = "^" + kHost + kPort + "$";
const std::string kServerPattern = "^http://" + kHost + "(:0*([1-9][0-9]{0,3}|" + kTo65535 + ")?$";
const std::string kAuthorityPattern = "^" + kHost + "(" + kPort + ")?$";
const std::string kOriginPattern = "^(\\*|[A-Za-z][A-Za-z0-9+.-]*://(\\*\\.)?" + kHost + "(" + kPort + ")?)$";

}  // namespace

const TextRule kAnyText{"a text that is not empty and has no control characters", "^[^\\u0000-\\u001f\\u007f]+$",
                        is_text};
const TextRule kName{"a name of lower-case letters, digits, \"_\" and \"-\" that begins with a letter",
                     "^[a-z][a-z0-9_-]*$", is_name};
const TextRule kBackendName{"a name of letters, digits, \".\", \"_\" and \"-\" that begins with a letter or digit",
                            "^[A-Za-z0-9][A-Za-z0-9._-]*$", is_backend_name};
const TextRule kHeaderName{"a header name", "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", is_header_name, true};
const TextRule kHeaderValue{"a header value without control characters and outer spaces",
                            "^[^\\u0000-\\u0020\\u007f]([^\\u0000-\\u001f\\u007f]*[^\\u0000-\\u0020\\u007f])?$",
                            is_header_value};
const TextRule kAddress{"an address such as \"127.0.0.1:8080\" or \"[::]:8080\", with a port up to 65535",
                        kAddressPattern, is_address};
const TextRule kServer{"a server such as \"http://10.0.0.1:8080\", with a port from 1 to 65535 and nothing behind it",
                       kServerPattern, is_server};
const TextRule kAuthority{"a host such as \"api.example.com\" or \"[::1]:8080\"", kAuthorityPattern, is_authority};
const TextRule kOrigin{"an origin such as \"https://app.example.com\" or \"https://*.example.com\", or \"*\"",
                       kOriginPattern, is_origin, true};
const TextRule kNetwork{
    "an address or network such as \"10.0.0.0/8\" or \"::1\"",
    "^([0-9]{1,3}(\\.[0-9]{1,3}){3}|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]*)(/[0-9]{1,3})?$", is_network};
const TextRule kPath{"a path that begins with \"/\"", "^/[^\\u0000-\\u001f\\u007f]*$", is_path};
const TextRule kJsonPointer{"a JSON Pointer such as \"/data/items\"", "^(/([^~]|~[01])*)?$", is_json_pointer};
const TextRule kMemberPath{"a dotted path such as \"address.street\" or a JSON Pointer such as \"/address/street\"",
                           "^(/([^~]|~[01])*|[^/.][^.]*(\\.[^.]+)*)$", is_member_path};
const TextRule kMemberName{"a text that is not empty and has no control characters", "^[^\\u0000-\\u001f\\u007f]+$",
                           is_member_name};

std::optional<Address> parse_address(std::string_view text) {
  Address address;
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || !parse_host(text.substr(0, colon), address.host) ||
      !parse_port(text.substr(colon + 1), address.port)) {
    return std::nullopt;
  }
  return address;
}

std::optional<Address> parse_server(std::string_view text) {
  constexpr std::string_view kScheme = "http://";
  if (!text.starts_with(kScheme)) return std::nullopt;
  text.remove_prefix(kScheme.size());
  Address address;
  if (parse_host(text, address.host)) {
    address.port = 80;
    return address;
  }
  auto with_port = parse_address(text);
  if (with_port && with_port->port == 0) return std::nullopt;
  return with_port;
}

std::string lower_case(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return result;
}

}  // namespace sluice::gateway
