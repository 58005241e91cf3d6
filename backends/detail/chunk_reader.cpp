#include "backends/detail/chunk_reader.hpp"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <limits>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/optional/optional.hpp>

namespace sluice::backends::detail {
namespace {

namespace http = boost::beast::http;
using BeastError = boost::beast::error_code;
using BeastView = boost::beast::string_view;

constexpr std::string_view kHead = "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n";  // Beast wants to see one
constexpr std::size_t kLastChunkBytes = 5;

}  // namespace

/// Facts about Beast 1.81 that shape this: it takes control characters in quoted chunk extensions, any number of
/// leading zeros, and folded trailers; asserts when the last chunk is the first and arrives byte by byte. Newer ones
/// take the line of the last chunk before its trailers are there, so that no last chunk is shown to any before its end.
class ChunkReader::Parser final : public http::basic_parser<false> {
 public:
  explicit Parser(Message& message) : message_(message) {
    header_limit(std::numeric_limits<std::uint32_t>::max());
    body_limit(boost::none);
    BeastError error;
    put(boost::asio::const_buffer(kHead.data(), kHead.size()), error);
  }

  void show(std::string_view input) { input_ = input; }
  [[nodiscard]] bool between_chunks() const { return between_chunks_; }
  [[nodiscard]] bool after_chunk() const { return after_chunk_; }  // whose CR LF is still to come
  [[nodiscard]] const ChunkBudget& budget() const { return budget_; }

 private:
  static std::string_view view(BeastView text) { return {text.data(), text.size()}; }
  static void stop_unless(bool good, BeastError& error) {
    if (!good) error = http::error::bad_value;
  }

  void on_request_impl(http::verb, BeastView, BeastView, int, BeastError&) override {}
  void on_response_impl(int, BeastView, int, BeastError&) override {}
  void on_field_impl(http::field, BeastView, BeastView, BeastError&) override {}  // a trailer, which nobody wants
  void on_header_impl(BeastError&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, BeastError&) override {}
  std::size_t on_body_impl(BeastView body, BeastError&) override { return body.size(); }

  void on_chunk_header_impl(std::uint64_t size, BeastView extensions, BeastError& error) override {
    const auto line = static_cast<std::size_t>(extensions.data() + extensions.size() + 2 - input_.data());
    bool good = is_clean(view(extensions));
    if (size == 0) {
      // The trailers are all there, see lacks_trailers().
      HeadScanner trailers;
      good = good && trailers.scan(input_.substr(line), ChunkBudget::kMaxBytes) == HeadScanner::State::complete &&
             budget_.spend(line + trailers.size());
    } else {
      good = good && budget_.spend(line);
      between_chunks_ = false;
      after_chunk_ = true;
    }
    if (!good) message_.fail(Fault::chunk);
    stop_unless(good && message_.grow_body(size), error);
  }

  std::size_t on_chunk_body_impl(std::uint64_t remain, BeastView body, BeastError& error) override {
    between_chunks_ = remain == body.size();
    stop_unless(message_.on_body(view(body)), error);
    return body.size();
  }

  void on_finish_impl(BeastError& error) override {
    between_chunks_ = false;
    stop_unless(message_.on_end(), error);
  }

  Message& message_;
  std::string_view input_;
  ChunkBudget budget_;
  bool between_chunks_ = true;
  bool after_chunk_ = false;
};

ChunkReader::ChunkReader(Message& message) : message_(message), parser_(std::make_unique<Parser>(message)) {}
ChunkReader::~ChunkReader() = default;

bool ChunkReader::done() const {
  return parser_->is_done();
}

std::size_t ChunkReader::read(std::string_view input) {
  std::size_t consumed = 0;
  while (!done() && message_.fault == Fault::none && consumed < input.size()) {
    const std::string_view rest = input.substr(consumed);
    if (parser_->between_chunks() && !may_become_chunk(rest, parser_->after_chunk())) {
      message_.fault = Fault::chunk;
      break;
    }
    // No message ends in less than five bytes here, and Beast asserts on some that are cut shorter. Of so few bytes
    // those behind the first LF may be data.
    if (parser_->between_chunks() && rest.size() < kLastChunkBytes) {
      if (has_bare_line_feed(rest.substr(0, rest.find('\n') + 1))) message_.fault = Fault::chunk;
      break;
    }
    const std::size_t taken = lacks_trailers(rest) ? 0 : put(rest);
    consumed += taken;
    if (taken == 0) {
      // Beast waits for CR LF here for ever.
      if (has_bare_line_feed(rest)) message_.fault = Fault::chunk;
      break;
    }
  }
  if (parser_->between_chunks() && parser_->budget().exceeded_by(input.size() - consumed)) {
    message_.fault = Fault::chunk;
  }
  return consumed;
}

/// Whether `rest` begins with the last chunk, but its trailers are not all there.
bool ChunkReader::lacks_trailers(std::string_view rest) const {
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

std::size_t ChunkReader::put(std::string_view input) {
  BeastError error;
  parser_->show(input);
  const std::size_t taken = parser_->put(boost::asio::const_buffer(input.data(), input.size()), error);
  if (!error || error == http::error::need_more || message_.fault != Fault::none) return taken;
  const bool is_of_line = error == http::error::bad_chunk || error == http::error::bad_chunk_extension;
  message_.fault = is_of_line                              ? Fault::chunk
                   : error == http::error::bad_line_ending ? Fault::line_end
                   : error == http::error::bad_content_length || error == http::error::bad_transfer_encoding
                       ? Fault::length
                       : Fault::field;
  return taken;
}

}  // namespace sluice::backends::detail
