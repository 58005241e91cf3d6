#include "gateway/request_parser.hpp"

#include "backends/detail/reader.hpp"
#include "gateway/field_syntax.hpp"

#include <algorithm>
#include <utility>

namespace sluice::gateway {

namespace detail = backends::detail;
using detail::Fault;

namespace {

constexpr std::size_t kMaxEmptyLines = 4;
constexpr std::uint64_t kDefaultMaxBody = 1024 * 1024;
constexpr std::uint64_t kMaxReserve = 1024 * 1024;  // a Content-Length is a claim, not a fact
constexpr std::size_t kMaxKept = 64 * 1024;         // an idle connection does not hold on to a large body

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

Method to_method(std::string_view text) {
  if (text == "GET") return Method::get;
  if (text == "HEAD") return Method::head;
  if (text == "POST") return Method::post;
  if (text == "PUT") return Method::put;
  if (text == "DELETE") return Method::delete_;
  if (text == "PATCH") return Method::patch;
  return text == "OPTIONS" ? Method::options : Method::other;
}

unsigned to_status(Fault fault) {
  switch (fault) {
    case Fault::body_too_large:
      return 413;
    case Fault::start_line_too_long:
    case Fault::target_too_long:
      return 414;
    case Fault::expectation:
      return 417;
    case Fault::head_too_large:
    case Fault::too_many_fields:
      return 431;
    case Fault::connect_method:
    case Fault::transfer_coding:
      return 501;
    case Fault::version:
      return 505;
    default:
      return 400;
  }
}

// "... HTTP/2.0": HTTP, but not a version of ours; anything else there is a malformed line.
bool names_other_version(std::string_view head) {
  const std::string_view line = head.substr(0, head.find("\r\n"));
  const std::string_view version = line.substr(line.rfind(' ') + 1);
  return version.size() == 8 && version.starts_with("HTTP/") && is_digit(version[5]) && version[6] == '.' &&
         is_digit(version[7]) && version != "HTTP/1.0" && version != "HTTP/1.1";
}

// What follows a first line without one (HTTP/0.9) is no head, and need not be waited for.
bool ends_in_version(std::string_view lines) {
  const std::string_view line = lines.substr(0, lines.find("\r\n"));
  const std::string_view version = line.substr(line.rfind(' ') + 1);
  return version.size() != line.size() && version.starts_with("HTTP/");
}

}  // namespace

class RequestParser::Machine final : public detail::Message {
 public:
  explicit Machine(RequestLimits limits) : limits_(limits), reader_(*this) { start(); }

  void start() {
    reset_message();
    scanner_.reset();
    reader_.start();
    method_text_.clear();
    target_.clear();
    path_ = query_ = authority_ = {};
    if (body_.capacity() > kMaxKept) body_ = std::string();
    body_.clear();
    max_body = kDefaultMaxBody;
    empty_lines_ = 0;
    state_ = State::need_more;
    any_byte_ = in_body_ = has_host_ = expects_continue_ = is_streamed_ = false;
  }

  Progress parse(std::string_view input) {
    if (state_ == State::complete || state_ == State::refused) return {0, state_};
    if (in_body_) return parse_body(input);

    std::size_t skipped = 0;
    while (!any_byte_ && input.substr(skipped).starts_with("\r\n")) {
      if (++empty_lines_ > kMaxEmptyLines) return {0, refuse(Fault::method)};
      skipped += 2;
    }
    const std::string_view rest = input.substr(skipped);
    if (rest.empty() || (!any_byte_ && rest == "\r")) return {skipped, state_};
    any_byte_ = true;
    const std::size_t head = parse_head(rest);
    return {state_ == State::refused ? 0 : skipped + head, state_};
  }

  State limit_body(std::uint64_t max_body_bytes) {
    max_body = max_body_bytes;
    if (state_ == State::head && has_length && content_length > max_body) refuse(Fault::body_too_large);
    return state_;
  }

  [[nodiscard]] bool expects_continue() const { return expects_continue_ && in_body_ && version == 11; }
  [[nodiscard]] Refusal refusal() const { return {to_status(fault), detail::describe(fault)}; }

  // For Reader.
  bool on_first_line(std::string_view line) override {
    const std::size_t method_end = detail::token_size(line);
    if (method_end == 0 || method_end == line.size() || line[method_end] != ' ') return fail(Fault::method);
    const std::string_view method = line.substr(0, method_end);
    line.remove_prefix(method_end + 1);
    const std::size_t target_end = line.find(' ');
    const std::string_view target = line.substr(0, target_end);
    if (target_end == line.npos || target.empty() || !detail::is_clean(target) || target.find('\t') != target.npos) {
      return fail(Fault::target);
    }
    line.remove_prefix(target_end + 1);
    if (line != "HTTP/1.1" && line != "HTTP/1.0") return fail(Fault::version);
    version = line.back() == '1' ? 11 : 10;
    if (method == "CONNECT") return fail(Fault::connect_method);
    if (target.size() > limits_.max_target) return fail(Fault::target_too_long);
    method_ = to_method(method);
    method_text_ = method;
    target_ = target;
    return split_target() || fail(Fault::target);
  }
  bool on_field(std::string_view name, std::string_view value) override {
    if (backends::iequals(name, "host")) {
      if (has_host_ || !is_authority(value)) return fail(Fault::host);
      has_host_ = true;
    } else if (backends::iequals(name, "expect")) {
      if (!backends::iequals(value, "100-continue")) return fail(Fault::expectation);
      expects_continue_ = true;
    }
    return true;
  }
  bool on_head_end() override {
    if (!has_host_ && version == 11) return fail(Fault::no_host);
    if (!authority_.empty()) headers.set("Host", authority_);
    return true;
  }
  bool on_body(std::string_view bytes) override {
    body_.append(bytes);
    return true;
  }
  bool on_end() override { return true; }

  RequestLimits limits_;
  detail::Reader reader_;
  detail::HeadScanner scanner_;
  std::string method_text_;
  std::string target_;
  std::string_view path_;
  std::string_view query_;
  std::string_view authority_;  // of an absolute target
  std::string body_;
  std::size_t empty_lines_ = 0;
  Method method_ = Method::other;
  State state_ = State::need_more;
  bool any_byte_ = false;
  bool in_body_ = false;
  bool has_host_ = false;
  bool expects_continue_ = false;
  bool is_streamed_ = false;

 private:
  std::size_t parse_head(std::string_view input) {
    if (!detail::is_token(input.substr(0, 1))) return refuse_head(Fault::method);
    const auto found = scanner_.scan(input, limits_.max_header);
    if (found == detail::HeadScanner::State::need_more) {
      const std::string_view line = input.substr(0, scanner_.size());
      return line.empty() || ends_in_version(line) ? 0 : refuse_head(Fault::start_line);
    }
    if (found == detail::HeadScanner::State::failed) return refuse_head(scanner_.fault());
    const std::string_view head = input.substr(0, scanner_.size());
    if (!reader_.read_head(head, scanner_)) {
      if (fault == Fault::version && !names_other_version(head)) fault = Fault::start_line;
      return refuse_head(fault);
    }
    in_body_ = !reader_.done();
    state_ = in_body_ ? State::head : State::complete;
    return head.size();
  }

  Progress parse_body(std::string_view input) {
    if (state_ == State::head) {
      if (limit_body(max_body) == State::refused) return {0, state_};
      if (has_length && !is_streamed_) body_.reserve(static_cast<std::size_t>(std::min(content_length, kMaxReserve)));
      state_ = State::need_more;
    }
    const std::size_t consumed = reader_.read_body(input);
    if (fault != Fault::none) return {0, refuse(fault)};
    if (reader_.done()) state_ = State::complete;
    return {consumed, state_};
  }

  // Fills path_, query_ and authority_.
  bool split_target() {
    std::string_view rest = target_;
    // All of these must be percent-encoded in a URI, and "#" never gets into a request.
    unsigned bits = 0;
    for (const char c : rest) bits |= static_cast<unsigned char>(c);
    if (bits >= 0x80 || rest.find('#') != rest.npos) return false;
    if (rest == "*") {
      path_ = rest;
      return method_ == Method::options;
    }
    if (!rest.starts_with('/')) {
      const std::size_t scheme = rest.find("://");
      if (scheme == rest.npos) return false;
      if (!backends::iequals(rest.substr(0, scheme), "http") && !backends::iequals(rest.substr(0, scheme), "https")) {
        return false;
      }
      rest.remove_prefix(scheme + 3);
      authority_ = rest.substr(0, rest.find_first_of("/?"));
      rest.remove_prefix(authority_.size());
      if (!is_authority(authority_)) return false;
      if (rest.empty() && method_ == Method::options) {  // of the server (RFC 9112 §3.2.4)
        path_ = "*";
        return true;
      }
    }
    const std::size_t mark = std::min(rest.find('?'), rest.size());
    path_ = mark == 0 ? std::string_view("/") : rest.substr(0, mark);
    query_ = rest.substr(std::min(mark + 1, rest.size()));
    return true;
  }

  std::size_t refuse_head(Fault why) {
    refuse(why);
    return 0;
  }

  State refuse(Fault why) {
    fault = why;
    return state_ = State::refused;
  }
};

RequestParser::RequestParser(RequestLimits limits) : machine_(std::make_unique<Machine>(limits)) {}
RequestParser::~RequestParser() = default;
RequestParser::RequestParser(RequestParser&&) noexcept = default;
RequestParser& RequestParser::operator=(RequestParser&&) noexcept = default;

void RequestParser::start() {
  machine_->start();
}
RequestParser::Progress RequestParser::parse(std::string_view input) {
  return machine_->parse(input);
}
RequestParser::State RequestParser::limit_body(std::uint64_t max_body_bytes) {
  return machine_->limit_body(max_body_bytes);
}
void RequestParser::stream_body() {
  machine_->is_streamed_ = true;
}
RequestParser::State RequestParser::state() const {
  return machine_->state_;
}
bool RequestParser::untouched() const {
  return !machine_->any_byte_;
}
Method RequestParser::method() const {
  return machine_->method_;
}
std::string_view RequestParser::method_text() const {
  return machine_->method_text_;
}
std::string_view RequestParser::target() const {
  return machine_->target_;
}
std::string_view RequestParser::path() const {
  return machine_->path_;
}
std::string_view RequestParser::query() const {
  return machine_->query_;
}
unsigned RequestParser::version() const {
  return machine_->version;
}
backends::Headers& RequestParser::headers() {
  return machine_->headers;
}
const backends::Headers& RequestParser::headers() const {
  return machine_->headers;
}
bool RequestParser::expects_continue() const {
  return machine_->expects_continue();
}
bool RequestParser::keep_alive() const {
  return machine_->persistent();
}
std::optional<std::uint64_t> RequestParser::content_length() const {
  if (!machine_->has_length) return std::nullopt;
  return machine_->content_length;
}
std::string& RequestParser::body() {
  return machine_->body_;
}
Refusal RequestParser::refusal() const {
  return machine_->refusal();
}

}  // namespace sluice::gateway
