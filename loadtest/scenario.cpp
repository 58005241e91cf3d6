// URLs and lists of words.
#include "loadtest/scenario.hpp"

#include <algorithm>
#include <stdexcept>

namespace sluice::loadtest {

Target parse_url(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme) || url.size() == kScheme.size()) throw std::invalid_argument("http://HOST:PORT/PATH");
  const std::string_view rest = url.substr(kScheme.size());
  const std::size_t slash = std::min(rest.find_first_of("/?"), rest.size());
  Target target{std::string(rest.substr(0, slash)), std::string(rest.substr(slash))};
  if (!target.path.starts_with('/')) target.path = '/' + target.path;
  const bool has_port = target.host_port.rfind(':') != std::string::npos && !target.host_port.ends_with(']');
  if (!has_port) target.host_port += ":80";
  if (target.path.find_first_of(" \r\n") != std::string::npos) throw std::invalid_argument("a URL without spaces");
  return target;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

}  // namespace sluice::loadtest
