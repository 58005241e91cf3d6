// Beast's parser, fed by hand, with what it lets through refused. Included only where a parser is implemented.
#pragma once

#include "backends/detail/message.hpp"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/optional/optional.hpp>

namespace sluice::backends::detail {

namespace http = boost::beast::http;
using BeastError = boost::beast::error_code;
using BeastView = boost::beast::string_view;

inline std::string_view view(BeastView text) {
  return {text.data(), text.size()};
}

/// `Owner` is the Message that is filled; it also has `bool on_request(http::verb, method, target)` or
/// `bool on_response(unsigned status)`, called when the version is set, and `bool on_field(http::field, value)` for
/// what Message does not care for.
///
/// Facts about Beast 1.81 that shape this class: it unfolds lines; takes `Content-Length: 5, 5`; takes
/// Transfer-Encodings that do not end in one `chunked` for no encoding; lets Proxy-Connection decide on keep-alive;
/// takes control characters in quoted chunk extensions, any number of leading zeros, and folded trailers; asserts when
/// the last chunk is the first and arrives byte by byte. Newer ones take the line of the last chunk before its trailers
/// are there, so that no last chunk is shown to any before its end.
template <bool isRequest, class Owner>
class Reader {
 public:
  explicit Reader(Owner& owner) : owner_(owner) {}

  void start(bool skip_body) {
    parser_.emplace(owner_);
    parser_->header_limit(std::numeric_limits<std::uint32_t>::max());
    parser_->body_limit(boost::none);
    if (skip_body) parser_->skip(true);
  }

  /// A whole head, found by HeadScanner. False: see the fault.
  bool read_head(std::string_view head) {
    owner_.headers.assign_block(head);
    put(head);
    // Beast waits for more of a first line that is too short.
    if (owner_.fault == Fault::none && !parser_->is_header_done()) owner_.fault = Fault::start_line;
    return owner_.fault == Fault::none;
  }

  /// Returns the number of bytes consumed; stops at the end of the message and at a fault.
  std::size_t read_body(std::string_view input) {
    std::size_t consumed = 0;
    while (!done() && owner_.fault == Fault::none && consumed < input.size()) {
      const std::string_view rest = input.substr(consumed);
      if (parser_->between_chunks() && !may_become_chunk(rest, parser_->after_chunk())) {
        owner_.fault = Fault::chunk;
        break;
      }
      // No message ends in less than five bytes here, and Beast asserts on some that are cut shorter. Of so few bytes
      // those behind the first LF may be data.
      if (parser_->between_chunks() && rest.size() < kLastChunkBytes) {
        if (has_bare_line_feed(rest.substr(0, rest.find('\n') + 1))) owner_.fault = Fault::chunk;
        break;
      }
      const std::size_t taken = lacks_trailers(rest) ? 0 : put(rest);
      consumed += taken;
      if (taken == 0) {
        // Beast waits for CR LF here for ever.
        if (has_bare_line_feed(rest)) owner_.fault = Fault::chunk;
        break;
      }
    }
    if (parser_->between_chunks() && parser_->budget().exceeded_by(input.size() - consumed)) {
      owner_.fault = Fault::chunk;
    }
    return consumed;
  }

  /// False: the message is not complete and never will be.
  bool read_end_of_file() {
    BeastError error;
    parser_->put_eof(error);
    return !error;
  }

  [[nodiscard]] bool done() const { return parser_->is_done(); }
  [[nodiscard]] bool needs_end_of_file() const { return parser_->need_eof(); }

 private:
  static constexpr std::size_t kLastChunkBytes = 5;

  /// Whether `rest` begins with the last chunk, but its trailers are not all there.
  [[nodiscard]] bool lacks_trailers(std::string_view rest) const {
    if (!parser_->between_chunks()) return false;
    if (parser_->after_chunk() && !rest.starts_with("\r\n")) return false;
    const std::size_t size = parser_->after_chunk() ? 2 : 0;
    const std::size_t size_end = std::min(rest.find_first_not_of('0', size), rest.size());
    const std::size_t line_end = rest.find("\r\n", size_end);
    if (size_end == size || line_end == std::string_view::npos) return false;
    if (std::isxdigit(static_cast<unsigned char>(rest[size_end])) != 0) return false;
    HeadScanner trailers;
    return trailers.scan(rest.substr(line_end + 2), ChunkBudget::kMaxBytes) == HeadScanner::State::need_more;
  }

  class Parser final : public http::basic_parser<isRequest> {
   public:
    explicit Parser(Owner& owner) : owner_(owner) {}

    void show(std::string_view input) { input_ = input; }
    [[nodiscard]] bool between_chunks() const { return between_chunks_; }
    [[nodiscard]] bool after_chunk() const { return after_chunk_; }  // whose CR LF is still to come
    [[nodiscard]] const ChunkBudget& budget() const { return budget_; }

   private:
    [[nodiscard]] std::size_t offset(BeastView text) const {
      return static_cast<std::size_t>(text.data() - input_.data());
    }

    static void stop_unless(bool good, BeastError& error) {
      if (!good) error = http::error::bad_value;
    }

    void on_request_impl(http::verb verb, BeastView method, BeastView target, int version, BeastError& error) override {
      owner_.version = static_cast<unsigned>(version);
      if constexpr (isRequest) stop_unless(owner_.on_request(verb, view(method), view(target)), error);
    }

    void on_response_impl(int status, BeastView, int version, BeastError& error) override {
      owner_.version = static_cast<unsigned>(version);
      if constexpr (!isRequest) stop_unless(owner_.on_response(static_cast<unsigned>(status)), error);
    }

    void on_field_impl(http::field id, BeastView name, BeastView text, BeastError& error) override {
      if (in_trailers_) return;
      const std::string_view value = view(text);
      bool good = true;
      switch (id) {
        case http::field::content_length:
          good = owner_.add_content_length(value);
          break;
        case http::field::transfer_encoding:
          owner_.add_transfer_encoding(value);
          break;
        case http::field::connection:
          owner_.add_connection(value);
          break;
        default:
          good = owner_.on_field(id, value);
          break;
      }
      if (owner_.headers.size() == Message::kMaxFields) good = owner_.fail(Fault::too_many_fields);
      // Without folded lines every value is a slice of the head, so that no field is copied by itself.
      owner_.headers.add_from_block(offset(name), name.size(), offset(text), text.size());
      stop_unless(good, error);
    }

    void on_header_impl(BeastError& error) override {
      between_chunks_ = owner_.chunked && !this->is_done();
      stop_unless(owner_.check_framing() && owner_.on_head_end(), error);
    }

    void on_body_init_impl(const boost::optional<std::uint64_t>&, BeastError&) override {}

    std::size_t on_body_impl(BeastView body, BeastError& error) override {
      stop_unless(owner_.grow_body(body.size()) && owner_.on_body(view(body)), error);
      return body.size();
    }

    void on_chunk_header_impl(std::uint64_t size, BeastView extensions, BeastError& error) override {
      const auto line = static_cast<std::size_t>(extensions.data() + extensions.size() + 2 - input_.data());
      bool good = is_clean(view(extensions));
      if (size == 0) {
        // The trailers are all there, see lacks_trailers().
        HeadScanner trailers;
        good = good && trailers.scan(input_.substr(line), ChunkBudget::kMaxBytes) == HeadScanner::State::complete &&
               budget_.spend(line + trailers.size());
        in_trailers_ = true;
      } else {
        good = good && budget_.spend(line);
        between_chunks_ = false;
        after_chunk_ = true;
      }
      if (!good) owner_.fail(Fault::chunk);
      stop_unless(good && owner_.grow_body(size), error);
    }

    std::size_t on_chunk_body_impl(std::uint64_t remain, BeastView body, BeastError& error) override {
      between_chunks_ = remain == body.size();
      stop_unless(owner_.on_body(view(body)), error);
      return body.size();
    }

    void on_finish_impl(BeastError& error) override {
      between_chunks_ = false;
      stop_unless(owner_.on_end(), error);
    }

    Owner& owner_;
    std::string_view input_;
    ChunkBudget budget_;
    bool between_chunks_ = false;
    bool after_chunk_ = false;
    bool in_trailers_ = false;
  };

  std::size_t put(std::string_view input) {
    BeastError error;
    parser_->show(input);
    const std::size_t taken = parser_->put(boost::asio::const_buffer(input.data(), input.size()), error);
    if (error && owner_.fault == Fault::none) owner_.fault = fault_of(error);
    return taken;
  }

  static Fault fault_of(const BeastError& error) {
    if (error == http::error::need_more) return Fault::none;
    if (error == http::error::bad_method) return Fault::method;
    if (error == http::error::bad_target) return Fault::target;
    if (error == http::error::bad_version) return Fault::version;
    if (error == http::error::bad_status || error == http::error::bad_reason) return Fault::start_line;
    if (error == http::error::bad_line_ending) return Fault::line_end;
    if (error == http::error::bad_content_length || error == http::error::multiple_content_length ||
        error == http::error::bad_transfer_encoding) {
      return Fault::length;
    }
    if (error == http::error::bad_chunk || error == http::error::bad_chunk_extension) return Fault::chunk;
    return Fault::field;
  }

  Owner& owner_;
  std::optional<Parser> parser_;
};

}  // namespace sluice::backends::detail
