#include "backends/request_writer.hpp"

#include "backends/detail/message.hpp"
#include "backends/detail/words.hpp"

namespace sluice::backends {

namespace {

/// Nothing that ends a word, or the line.
bool is_one_word(std::string_view text) {
  using namespace detail;
  return !any_word(text, [](std::uint64_t word) { return has_less(word, ' ' + 1) | has_byte(word, 0x7f); });
}

}  // namespace

bool RequestWriter::start(std::string_view method, std::string_view target, std::string_view host) {
  out_.clear();
  if (!detail::is_token(method)) return false;
  if (target.empty() || !is_one_word(target) || !is_one_word(host)) return false;
  out_.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: ").append(host).append("\r\n");
  return true;
}

}  // namespace sluice::backends
