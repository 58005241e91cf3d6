#include "backends/detail/reader.hpp"

#include <algorithm>

namespace sluice::backends::detail {

void Reader::start() {
  body_ = Body::unknown;
  chunks_.reset();
}

bool Reader::read_head(std::string_view head, const HeadScanner& scanner) {
  message_.headers.assign_block(head);
  std::size_t end = scanner.line_feed(head, 0, 0);
  if (!message_.on_first_line(head.substr(0, end - 1))) return false;
  std::size_t line = 1;
  for (std::size_t begin = end + 1;; begin = end + 1) {
    end = scanner.line_feed(head, line++, begin);
    if (end == begin + 1) break;  // the empty line
    if (!read_field(head, begin, end - 1)) return false;
  }
  if (!message_.check_framing() || !message_.on_head_end()) return false;
  body_ = body_kind();
  left_ = message_.content_length;
  if (body_ == Body::chunked) chunks_.emplace(message_);
  return body_ != Body::done || message_.on_end();
}

/// A line, which is neither empty nor folded.
bool Reader::read_field(std::string_view head, std::size_t begin, std::size_t end) {
  const std::size_t colon = begin + token_size(head.substr(begin, end - begin));
  if (colon == begin || colon == end || head[colon] != ':') return message_.fail(Fault::field);
  std::size_t value = colon + 1;
  const auto is_blank = [&](std::size_t at) { return head[at] == ' ' || head[at] == '\t'; };
  while (value < end && is_blank(value)) ++value;
  while (end > value && is_blank(end - 1)) --end;
  const std::string_view text = head.substr(value, end - value);
  if (!is_clean(text)) return message_.fail(text.find('\r') != text.npos ? Fault::line_end : Fault::field);
  if (!take(head.substr(begin, colon - begin), text)) return false;
  if (message_.headers.size() == Message::kMaxFields) return message_.fail(Fault::too_many_fields);
  message_.headers.add_from_block(begin, colon - begin, value, end - value);
  return true;
}

bool Reader::take(std::string_view name, std::string_view value) {
  switch (name.size()) {
    case 10:
      if (iequals(name, "connection")) return message_.add_connection(value);
      break;
    case 14:
      if (iequals(name, "content-length")) return message_.add_content_length(value);
      break;
    case 17:
      if (iequals(name, "transfer-encoding")) return message_.add_transfer_encoding(value);
      break;
    default:
      break;
  }
  return message_.on_field(name, value);
}

/// RFC 9112 §6.3.
Reader::Body Reader::body_kind() const {
  if (message_.has_no_body) return Body::done;
  if (message_.chunked) return Body::chunked;
  if (message_.has_length) return message_.content_length == 0 ? Body::done : Body::of_length;
  return message_.may_end_with_connection ? Body::to_end : Body::done;
}

std::size_t Reader::read_body(std::string_view input) {
  if (body_ == Body::chunked) {
    const std::size_t consumed = chunks_->read(input);
    if (chunks_->done()) body_ = Body::done;
    return consumed;
  }
  if (body_ == Body::of_length) {
    input = input.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size())));
  } else if (body_ != Body::to_end) {
    return 0;
  }
  if (input.empty() || !message_.grow_body(input.size()) || !message_.on_body(input)) return 0;
  left_ -= input.size();
  if (body_ == Body::of_length && left_ == 0 && message_.on_end()) body_ = Body::done;
  return input.size();
}

bool Reader::read_end_of_file() {
  return body_ == Body::done || (body_ == Body::to_end && message_.on_end());
}

}  // namespace sluice::backends::detail
