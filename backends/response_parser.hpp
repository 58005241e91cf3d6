// Reads HTTP/1.1 responses from bytes that somebody else received.
#pragma once

#include "backends/body.hpp"
#include "backends/failure.hpp"
#include "backends/headers.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>

namespace sluice::backends {

/// Always on, besides these: 128 fields (too_large), 8 interim responses, 4 KiB for extensions and trailers of chunks
/// (invalid).
struct ResponseLimits {
  ResponseLimits() = default;
  ResponseLimits(std::size_t header_bytes, std::uint64_t body_bytes) : max_header(header_bytes), max_body(body_bytes) {}

  std::size_t max_header = 16 * 1024;        ///< status line, fields and the empty line
  std::uint64_t max_body = 8 * 1024 * 1024;  ///< bytes of the body after chunks were joined

  /// For a body that is taken out piece by piece: no room is made for the whole of it.
  static constexpr std::uint64_t kAnyBody = std::numeric_limits<std::uint64_t>::max();
};

/// Does no I/O: the owner reads into a buffer and shows it to parse(). One parser serves one connection, response after
/// response, without allocating in steady state. *One worker*.
///
/// ```
/// parser.start(false, body, limits);
/// for (;;) {
///   const auto [consumed, state] = parser.parse(buffer.view());
///   buffer.drop(consumed);                        // what is left is shown again, followed by what arrives next
///   if (state == State::need_more) read more, at end of file parser.finish_eof();
///   if (state == State::interim) continue;
///   if (state == State::head) look at status() and headers(), set body.check; then parse what is left
///   if (state == State::complete || state == State::failed) break;
/// }
/// ```
/// Interim (1xx) responses are shown one by one, but 100, which is skipped. Strict where laxness lets two parsers
/// disagree on where a message ends: both Content-Length and Transfer-Encoding, repeated or malformed Content-Length,
/// any transfer coding but `chunked`, folded lines, stray CR, LF or NUL in the head are `invalid`. A status line may
/// end behind the status. Trailers are checked and dropped.
class ResponseParser {
 public:
  enum class State {
    need_more,  ///< show the unconsumed bytes again with more behind them
    interim,    ///< a response before the response, by status() and headers(); parse on
    head,       ///< once a response that has a body: before its first byte is taken
    complete,   ///< bytes after the end are not consumed; if there are any, the connection must not be reused
    failed,     ///< see failure(); stays so until start()
  };
  struct Progress {
    std::size_t consumed;
    State state;
  };

  ResponseParser();
  ~ResponseParser();
  ResponseParser(ResponseParser&&) noexcept;
  ResponseParser& operator=(ResponseParser&&) noexcept;

  /// Forgets the response before. Body bytes are appended to `body.bytes` as they arrive and shown to `body.check`,
  /// decoded first where there is a `body.gunzip`, if these are set by the time State::head is left; `body` must live
  /// until the end of the response. The owner may take bytes out of `body.bytes` between calls (streaming).
  void start(bool to_head_request, Body& body, ResponseLimits limits = {});

  /// Takes what it can from the front of `input`: all bytes received and not yet consumed, in order.
  /// Failures: invalid (not HTTP, ambiguous framing, refused by the check), too_large (a limit; early when
  /// Content-Length says so). Of a body in gzip the decoded bytes count, too.
  [[nodiscard]] Progress parse(std::string_view input);

  /// How many bytes of the body are still to come, if its length is known and nobody decodes it; else 0. The owner may
  /// make them the next ones of `body.bytes` by itself, instead of showing them to parse().
  [[nodiscard]] std::uint64_t awaited() const;
  /// The same as parse(), for bytes that are where they belong in `body.bytes`, which may be longer than that
  /// meanwhile; no more than awaited(). From then on the rest of the body must come this way, too.
  [[nodiscard]] Progress parse_placed(std::string_view bytes);

  /// The server closed, and all it sent was shown to parse(): completes a body that ends with the connection, otherwise
  /// fails with `reset`. No effect when complete or failed.
  State finish_eof();

  [[nodiscard]] State state() const;
  /// No byte of the response was seen yet: on a reused connection the server may have closed before it got the request.
  [[nodiscard]] bool untouched() const;
  /// At State::interim, and from State::head on.
  [[nodiscard]] unsigned status() const;
  [[nodiscard]] Headers& headers();
  [[nodiscard]] const Headers& headers() const;
  /// What Content-Length says, also in a response that has no body.
  [[nodiscard]] std::optional<std::uint64_t> content_length() const;
  /// When complete: whether both sides keep the connection open.
  [[nodiscard]] bool keep_alive() const;
  /// When failed.
  [[nodiscard]] const Failure& failure() const;

 private:
  class Machine;
  std::unique_ptr<Machine> machine_;
};

}  // namespace sluice::backends
