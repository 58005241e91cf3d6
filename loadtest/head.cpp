// Finding the end of a header and its Content-Length.
#include "loadtest/head.hpp"

#include <charconv>
#include <strings.h>

namespace sluice::loadtest {

Head scan_head(std::string_view bytes) {
  constexpr std::string_view kName = "content-length:";
  std::size_t body = 0;
  std::size_t line = 0;
  for (;;) {
    const std::size_t end = bytes.find('\n', line);
    if (end == std::string_view::npos) return {0, 0};
    if (end - line <= 1) return {end + 1, body};
    if ((bytes[line] | 0x20) == 'c' && end - line > kName.size() &&
        strncasecmp(bytes.data() + line, kName.data(), kName.size()) == 0) {
      const std::size_t digits = bytes.find_first_not_of(' ', line + kName.size());
      std::from_chars(bytes.data() + digits, bytes.data() + end, body);
    }
    line = end + 1;
  }
}

}  // namespace sluice::loadtest
