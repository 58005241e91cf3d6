// Reading a reply line by line, then its body by length, by chunks or to the end of the stream (RFC 9112).
#include "loadtest/reply_reader.hpp"

#include <algorithm>
#include <charconv>
#include <strings.h>
#include <system_error>

namespace sluice::loadtest {
namespace {

constexpr std::size_t kMaxHead = 256 * 1024;

bool equals(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool is_token(std::string_view text) {
  const auto is_token_character = [](unsigned char c) {
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos;
  };
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_character);
}

bool has_option(std::string_view list, std::string_view option) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    if (equals(trim(list.substr(0, comma)), option)) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

}  // namespace

void ReplyReader::start(bool is_head_request, bool keep_body) {
  state_ = State::reading;
  part_ = Part::head;
  line_.clear();
  problem_ = {};
  is_head_request_ = is_head_request;
  keep_body_ = keep_body;
  status_ = 0;
  keeps_alive_ = true;
  has_length_ = is_chunked_ = false;
  remaining_ = 0;
  head_size_ = 0;
  body_size_ = 0;
  body_.clear();
  result_.clear();
  calls_.clear();
  request_id_.clear();
}

std::size_t ReplyReader::feed(std::string_view bytes) {
  std::size_t used = 0;
  while (state_ == State::reading && used < bytes.size()) {
    const std::string_view rest = bytes.substr(used);
    const bool in_body = part_ == Part::body || part_ == Part::body_until_end || part_ == Part::chunk;
    used += in_body ? feed_body(rest) : feed_line(rest);
  }
  return used;
}

void ReplyReader::feed_end() {
  if (state_ != State::reading) return;
  if (part_ == Part::body_until_end) {
    state_ = State::complete;
  } else {
    fail("the connection ended inside a reply");
  }
}

void ReplyReader::fail(std::string_view problem) {
  state_ = State::malformed;
  problem_ = problem;
}

std::size_t ReplyReader::feed_line(std::string_view bytes) {
  const std::size_t end = bytes.find('\n');
  const std::size_t used = end == std::string_view::npos ? bytes.size() : end + 1;
  head_size_ += used;
  if (head_size_ > kMaxHead) {
    fail("a header of more than 256 KiB");
    return used;
  }
  line_.append(bytes.substr(0, used));
  if (end == std::string_view::npos) return used;
  if (!line_.ends_with("\r\n") || line_.find('\r') != line_.size() - 2 || line_.find('\0') != std::string::npos) {
    fail("a line that does not end in CR LF, or a stray CR or NUL");
    return used;
  }
  line_.resize(line_.size() - 2);
  take_line();
  line_.clear();
  return used;
}

std::size_t ReplyReader::feed_body(std::string_view bytes) {
  const bool is_bounded = part_ != Part::body_until_end;
  const std::size_t used =
      is_bounded ? static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, bytes.size())) : bytes.size();
  body_size_ += used;
  if (keep_body_) body_.append(bytes.substr(0, used));
  if (!is_bounded) return used;
  remaining_ -= used;
  if (remaining_ > 0) return used;
  if (part_ == Part::body) {
    state_ = State::complete;
  } else {
    part_ = Part::chunk_end;
  }
  return used;
}

void ReplyReader::take_line() {
  switch (part_) {
    case Part::head:
      if (status_ == 0) {
        take_status_line();
      } else if (line_.empty()) {
        end_head();
      } else {
        take_field();
      }
      return;
    case Part::chunk_size:
      return take_chunk_size();
    case Part::chunk_end:
      if (!line_.empty()) return fail("no line end after a chunk");
      part_ = Part::chunk_size;
      return;
    case Part::trailer:
      if (line_.empty()) state_ = State::complete;
      return;
    case Part::body:
    case Part::body_until_end:
    case Part::chunk:
      return;  // not read by lines
  }
}

void ReplyReader::take_status_line() {
  const std::string_view line = line_;
  if (line.size() < 12 || !(line.starts_with("HTTP/1.1 ") || line.starts_with("HTTP/1.0 ")) ||
      (line.size() > 12 && line[12] != ' '))
    return fail("not an HTTP/1.1 status line");
  const auto [end, error] = std::from_chars(line.data() + 9, line.data() + 12, status_);
  if (error != std::errc() || end != line.data() + 12 || status_ < 100) return fail("not a status of three digits");
  keeps_alive_ = line[7] == '1';
}

void ReplyReader::take_field() {
  const std::string_view line = line_;
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return fail("not a header field");
  const std::string_view name = line.substr(0, colon), value = trim(line.substr(colon + 1));
  if (equals(name, "Content-Length")) {
    take_content_length(value);
  } else if (equals(name, "Transfer-Encoding")) {
    if (is_chunked_ || !equals(value, "chunked")) return fail("a transfer encoding other than chunked");
    is_chunked_ = true;
  } else if (equals(name, "Connection")) {
    if (has_option(value, "close")) keeps_alive_ = false;
    if (has_option(value, "keep-alive")) keeps_alive_ = true;
  } else if (equals(name, "Sluice-Result")) {
    if (!result_.empty()) return fail("two Sluice-Result fields");
    result_ = value;
  } else if (equals(name, "Sluice-Calls")) {
    if (!calls_.empty()) calls_ += ", ";
    calls_ += value;
  } else if (equals(name, "X-Request-Id")) {
    request_id_ = value;
  }
}

void ReplyReader::take_content_length(std::string_view value) {
  std::uint64_t length = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
  if (error != std::errc() || end != value.data() + value.size()) return fail("a malformed Content-Length");
  if (has_length_) return fail("two Content-Length fields");
  has_length_ = true;
  remaining_ = length;
}

void ReplyReader::take_chunk_size() {
  const std::size_t end_of_size = std::min(line_.find_first_of("; \t"), line_.size());
  const auto [end, error] = std::from_chars(line_.data(), line_.data() + end_of_size, remaining_, 16);
  if (error != std::errc() || end != line_.data() + end_of_size) return fail("a malformed chunk size");
  head_size_ = 0;  // the limit is for each run of lines
  part_ = remaining_ > 0 ? Part::chunk : Part::trailer;
}

void ReplyReader::end_head() {
  if (has_length_ && is_chunked_) return fail("both Content-Length and Transfer-Encoding");
  if (status_ < 200 && status_ != 101) return start(is_head_request_, keep_body_);
  if (is_head_request_ || status_ == 204 || status_ == 304) {
    state_ = State::complete;
  } else if (is_chunked_) {
    part_ = Part::chunk_size;
  } else if (!has_length_) {
    part_ = Part::body_until_end;
    keeps_alive_ = false;
  } else if (remaining_ == 0) {
    state_ = State::complete;
  } else {
    part_ = Part::body;
  }
}

}  // namespace sluice::loadtest
