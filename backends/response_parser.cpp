#include "backends/response_parser.hpp"

#include "backends/detail/reader.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

namespace sluice::backends {

namespace {

constexpr unsigned kMaxInterim = 8;
constexpr std::uint64_t kMaxReserve = 1024 * 1024;  // a Content-Length is a claim, not a fact

}  // namespace

class ResponseParser::Machine final : public detail::Message {
 public:
  Machine() : reader_(*this) { may_end_with_connection = true; }

  void start(bool to_head_request, Body& body, ResponseLimits limits) {
    body_ = &body;
    to_head_request_ = to_head_request;
    max_header_ = limits.max_header;
    max_body = limits.max_body;
    interim_ = 0;
    any_byte_ = false;
    failure_.reset();
    start_head();
  }

  Progress parse(std::string_view input) {
    if (state_ == State::complete || state_ == State::failed) return {0, state_};
    if (state_ == State::interim) start_head();
    any_byte_ = any_byte_ || !input.empty();
    if (in_body_) return parse_body(input);

    std::size_t consumed = 0;
    for (;;) {
      const std::size_t head = parse_head(input.substr(consumed));
      consumed += head;
      if (head == 0 || state_ != State::need_more) return {consumed, state_};
    }
  }

  [[nodiscard]] std::uint64_t awaited() const {
    const bool is_open = in_body_ && state_ != State::complete && state_ != State::failed;
    return is_open && !body_->gunzip ? reader_.left() : 0;
  }

  Progress parse_placed(std::string_view bytes) {
    is_placed_ = true;
    return parse_body(bytes);
  }

  State finish_eof() {
    if (state_ == State::complete || state_ == State::failed) return state_;
    if (in_body_ && reader_.needs_end_of_file()) {
      if (!reader_.read_end_of_file()) return fail_with_fault();
      return state_ = State::complete;
    }
    const char* where = !any_byte_ ? "closed before a response"
                        : in_body_ ? "closed in the body"
                                   : "closed in the head";
    return fail_with(Failure(Reason::reset, where, true));
  }

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool untouched() const { return !any_byte_; }
  [[nodiscard]] unsigned status() const { return status_; }
  [[nodiscard]] bool keep_alive() const {
    return state_ == State::complete && persistent() && !(in_body_ && reader_.needs_end_of_file());
  }
  [[nodiscard]] const Failure& failure() const { return *failure_; }

  // For Reader.
  /// Without a reason the space before it is missing often enough (RFC 9112 §4 wants it) that others do, too.
  bool on_first_line(std::string_view line) override {
    constexpr std::size_t kStatus = std::string_view("HTTP/1.1 ").size();
    constexpr std::size_t kStatusEnd = kStatus + 3;
    if (!line.starts_with("HTTP/1.1 ") && !line.starts_with("HTTP/1.0 ")) return fail(detail::Fault::version);
    version = line[7] == '1' ? 11 : 10;
    const char* const end = line.data() + std::min(kStatusEnd, line.size());
    const bool is_number = std::from_chars(line.data() + kStatus, end, status_).ptr == line.data() + kStatusEnd;
    const std::string_view reason = line.substr(std::min(kStatusEnd, line.size()));
    const bool has_reason = reason.empty() || (reason.front() == ' ' && detail::is_clean(reason));
    if (!is_number || !has_reason || status_ < 100 || status_ > 599) return fail(detail::Fault::start_line);
    has_no_body = to_head_request_ || status_ < 200 || status_ == 204 || status_ == 304;
    return true;
  }
  bool on_field(std::string_view, std::string_view) override { return true; }
  bool on_head_end() override { return true; }
  bool on_body(std::string_view bytes) override {
    if (!body_->gunzip) return take(bytes);
    const auto sink = [](void* self, std::string_view decoded) { return static_cast<Machine*>(self)->take(decoded); };
    if (body_->gunzip->feed(bytes, sink, this)) return true;
    return fault != detail::Fault::none ? false : fail(detail::Fault::coding);
  }
  bool on_end() override {
    if (body_->gunzip && !body_->gunzip->is_whole()) return fail(detail::Fault::coding);
    body_->gunzip.reset();  // some 40 KiB, which need not be stored with the body
    if (!has_body_ || !body_->check || body_->check->finish()) return true;
    return fail(detail::Fault::body_refused);
  }

 private:
  bool take(std::string_view bytes) {
    has_body_ = has_body_ || !bytes.empty();
    if (!is_placed_) {  // else the head has been checked for the whole length
      if (bytes.size() > max_body - body_->bytes.size()) return fail(detail::Fault::body_too_large);
      body_->bytes.append(bytes);
    }
    if (!body_->check || body_->check->feed(bytes)) return true;
    return fail(detail::Fault::body_refused);
  }

  void start_head() {
    state_ = State::need_more;
    reset_message();
    scanner_.reset();
    reader_.start();
    in_body_ = false;
    has_body_ = false;
    is_placed_ = false;
    status_ = 0;
  }

  // Bytes of one head, 0 when it is not there yet; the state stays need_more after an interim response.
  std::size_t parse_head(std::string_view input) {
    constexpr std::string_view kPrefix = "HTTP/1.";
    const std::size_t known = std::min(input.size(), kPrefix.size());
    if (input.substr(0, known) != kPrefix.substr(0, known)) return fault_in_head(detail::Fault::version);

    const auto found = scanner_.scan(input, max_header_);
    if (found == detail::HeadScanner::State::need_more) return 0;
    if (found == detail::HeadScanner::State::failed) return fault_in_head(scanner_.fault());
    const std::size_t size = scanner_.size();
    if (!reader_.read_head(input.substr(0, size), scanner_)) return fault_in_head(fault);

    if (status_ / 100 == 1) {
      if (status_ == 101 || ++interim_ > kMaxInterim) return fault_in_head(detail::Fault::interim);
      if (status_ == 100) {
        start_head();
      } else {
        state_ = State::interim;
      }
      return size;
    }
    if (reader_.done()) {
      state_ = State::complete;
      return size;
    }
    in_body_ = true;
    if (has_length && content_length > max_body) return fault_in_head(detail::Fault::body_too_large);
    if (has_length && max_body != ResponseLimits::kAnyBody) {
      body_->bytes.reserve(body_->bytes.size() + static_cast<std::size_t>(std::min(content_length, kMaxReserve)));
    }
    state_ = State::head;
    return size;
  }

  Progress parse_body(std::string_view input) {
    state_ = State::need_more;
    const std::size_t consumed = reader_.read_body(input);
    if (fault != detail::Fault::none) return {0, fail_with_fault()};
    if (reader_.done()) state_ = State::complete;
    return {consumed, state_};
  }

  std::size_t fault_in_head(detail::Fault why) {
    fault = why;
    fail_with_fault();
    return 0;
  }

  State fail_with_fault() {
    using detail::Fault;
    const bool too_large = fault == Fault::body_too_large || fault == Fault::head_too_large ||
                           fault == Fault::start_line_too_long || fault == Fault::too_many_fields;
    return fail_with(Failure(too_large ? Reason::too_large : Reason::invalid, std::string(describe(fault))));
  }

  State fail_with(Failure failure) {
    failure_.emplace(std::move(failure));
    return state_ = State::failed;
  }

  detail::Reader reader_;
  detail::HeadScanner scanner_;
  std::optional<Failure> failure_;
  Body* body_ = nullptr;
  std::size_t max_header_ = 0;
  State state_ = State::need_more;
  unsigned status_ = 0;
  unsigned interim_ = 0;
  bool to_head_request_ = false;
  bool any_byte_ = false;
  bool in_body_ = false;
  bool has_body_ = false;
  bool is_placed_ = false;
};

ResponseParser::ResponseParser() : machine_(std::make_unique<Machine>()) {}
ResponseParser::~ResponseParser() = default;
ResponseParser::ResponseParser(ResponseParser&&) noexcept = default;
ResponseParser& ResponseParser::operator=(ResponseParser&&) noexcept = default;

void ResponseParser::start(bool to_head_request, Body& body, ResponseLimits limits) {
  machine_->start(to_head_request, body, limits);
}
ResponseParser::Progress ResponseParser::parse(std::string_view input) {
  return machine_->parse(input);
}
std::uint64_t ResponseParser::awaited() const {
  return machine_->awaited();
}
ResponseParser::Progress ResponseParser::parse_placed(std::string_view bytes) {
  return machine_->parse_placed(bytes);
}
ResponseParser::State ResponseParser::finish_eof() {
  return machine_->finish_eof();
}
ResponseParser::State ResponseParser::state() const {
  return machine_->state();
}
bool ResponseParser::untouched() const {
  return machine_->untouched();
}
unsigned ResponseParser::status() const {
  return machine_->status();
}
Headers& ResponseParser::headers() {
  return machine_->headers;
}
const Headers& ResponseParser::headers() const {
  return machine_->headers;
}
std::optional<std::uint64_t> ResponseParser::content_length() const {
  if (!machine_->has_length) return std::nullopt;
  return machine_->content_length;
}
bool ResponseParser::keep_alive() const {
  return machine_->keep_alive();
}
const Failure& ResponseParser::failure() const {
  return machine_->failure();
}

}  // namespace sluice::backends
