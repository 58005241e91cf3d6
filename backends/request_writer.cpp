#include "backends/request_writer.hpp"

#include "backends/detail/message.hpp"

namespace sluice::backends {

namespace {

bool is_one_word(std::string_view text) {
  return detail::is_clean(text) && text.find(' ') == text.npos && text.find('\t') == text.npos;
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
