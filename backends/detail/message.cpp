#include "backends/detail/message.hpp"

#include "backends/detail/words.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace sluice::backends::detail {

namespace {

constexpr std::array<bool, 256> make_token_chars() {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<unsigned char>(c)] = true;
  return table;
}

constexpr std::array<bool, 256> kTokenChars = make_token_chars();

}  // namespace

bool is_token(std::string_view text) {
  bool is_all = !text.empty();
  for (const char c : text) is_all &= kTokenChars[static_cast<unsigned char>(c)];
  return is_all;
}

std::size_t token_size(std::string_view text) {
  std::size_t size = 0;
  while (size < text.size() && kTokenChars[static_cast<unsigned char>(text[size])]) ++size;
  return size;
}

bool has_bare_line_feed(std::string_view text) {
  for (std::size_t at = text.find('\n'); at != text.npos; at = text.find('\n', at + 1)) {
    if (at == 0 || text[at - 1] != '\r') return true;
  }
  return false;
}

bool may_become_chunk(std::string_view text, bool after_chunk) {
  constexpr std::string_view kLineEnd = "\r\n";
  if (after_chunk) {
    const std::size_t known = std::min(text.size(), kLineEnd.size());
    if (text.substr(0, known) != kLineEnd.substr(0, known)) return false;
    text.remove_prefix(known);
  }
  const std::size_t size_end = std::min(text.find_first_not_of("0123456789abcdefABCDEF"), text.size());
  const std::size_t first_digit = std::min(text.find_first_not_of('0'), size_end);
  constexpr std::size_t kMaxDigits = 16;
  if (size_end - first_digit > kMaxDigits) return false;
  const bool is_last = first_digit == size_end;
  text.remove_prefix(size_end);
  if (text.empty()) return true;
  if (size_end == 0 || std::string_view(" \t;\r").find(text.front()) == std::string_view::npos) return false;
  // The line, and all lines that may follow the last.
  for (std::size_t at = text.find_first_of(kLineEnd); at != text.npos; at = text.find_first_of(kLineEnd, at + 2)) {
    if (text[at] == '\n') return false;
    if (at + 1 == text.size()) return true;
    if (text[at + 1] != '\n') return false;
    if (!is_last || text.substr(at + 2).starts_with(kLineEnd)) return true;
  }
  return true;
}

bool is_clean(std::string_view text) {
  if (!any_word(text, [](std::uint64_t word) { return has_less(word, ' ') | has_byte(word, 0x7f); })) return true;
  bool is_dirty = false;
  for (const char c : text) is_dirty |= (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  return !is_dirty;
}

std::string_view describe(Fault fault) {
  switch (fault) {
    case Fault::none:
      return "";
    case Fault::method:
      return "the request does not begin with a method";
    case Fault::target:
      return "the request target is malformed";
    case Fault::start_line:
      return "the first line is malformed";
    case Fault::version:
      return "the version is not HTTP/1.0 or HTTP/1.1";
    case Fault::connect_method:
      return "CONNECT is not supported";
    case Fault::line_end:
      return "a line does not end in CR LF";
    case Fault::folded:
      return "a folded header line";
    case Fault::field:
      return "a header field is malformed";
    case Fault::length:
      return "Content-Length or Transfer-Encoding is malformed, repeated or in conflict";
    case Fault::transfer_coding:
      return "the only transfer coding supported is chunked";
    case Fault::no_host:
      return "HTTP/1.1 requires a Host header";
    case Fault::host:
      return "Host is malformed or repeated";
    case Fault::expectation:
      return "the only expectation supported is 100-continue";
    case Fault::too_many_fields:
      return "too many header fields";
    case Fault::start_line_too_long:
      return "the first line is too long";
    case Fault::target_too_long:
      return "the request target is too long";
    case Fault::head_too_large:
      return "the header block is too large";
    case Fault::chunk:
      return "a chunk of the body is malformed";
    case Fault::body_too_large:
      return "the body is too large";
    case Fault::body_refused:
      return "the body is not what was expected";
    case Fault::coding:
      return "the body is not the gzip that it claims to be";
    case Fault::interim:
      return "too many interim responses, or a switch of protocols";
  }
  return "";
}

HeadScanner::State HeadScanner::scan(std::string_view input, std::size_t max_bytes) {
  if (fault_ != Fault::none) return State::failed;
  const auto too_large = [&] { return fail(line_ == 0 ? Fault::start_line_too_long : Fault::head_too_large); };
  const char* const begin = input.data();
  while (seen_ < input.size()) {
    const void* found = std::memchr(begin + seen_, '\n', input.size() - seen_);
    if (found == nullptr) break;
    const auto feed = static_cast<std::size_t>(static_cast<const char*>(found) - begin);
    if (feed + 1 > max_bytes) return too_large();
    if (feed == line_ || begin[feed - 1] != '\r') return fail(Fault::line_end);
    const bool is_empty = feed - 1 == line_;
    if (line_ != 0 && (begin[line_] == ' ' || begin[line_] == '\t')) return fail(Fault::folded);
    if (lines_ < feeds_.size()) feeds_[lines_] = static_cast<std::uint32_t>(feed);
    ++lines_;
    line_ = seen_ = feed + 1;
    if (is_empty) return State::complete;
  }
  seen_ = input.size();
  return input.size() > max_bytes ? too_large() : State::need_more;
}

HeadScanner::State HeadScanner::fail(Fault fault) {
  fault_ = fault;
  return State::failed;
}

void Message::reset_message() {
  headers.clear();
  version = 0;
  content_length = 0;
  body_bytes = 0;
  has_length = has_coding = chunked = close = keep = has_no_body = false;
  fault = Fault::none;
}

bool Message::add_content_length(std::string_view value) {
  const char* const end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, content_length);
  if (has_length || chunked || value.empty() || stop != end || error != std::errc()) return fail(Fault::length);
  has_length = true;
  return true;
}

bool Message::add_transfer_encoding(std::string_view value) {
  if (has_length || chunked) return fail(Fault::length);
  chunked = !has_coding && iequals(value, "chunked");
  has_coding = true;
  return true;
}

bool Message::add_connection(std::string_view value) {
  while (const auto option = next_list_element(value)) {
    if (!is_token(*option)) return fail(Fault::field);
    if (iequals(*option, "close")) close = true;
    if (iequals(*option, "keep-alive")) keep = true;
  }
  return true;
}

bool Message::check_framing() {
  if (has_coding && (has_length || version == 10)) return fail(Fault::length);
  if (has_coding && !chunked) return fail(Fault::transfer_coding);
  return true;
}

bool Message::grow_body(std::uint64_t bytes) {
  if (bytes > max_body - body_bytes) return fail(Fault::body_too_large);
  body_bytes += bytes;
  return true;
}

}  // namespace sluice::backends::detail
