// Reads HTTP/1.1 requests from bytes that somebody else received, and refuses the ambiguous ones.
#pragma once

#include "backends/headers.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::gateway {

enum class Method { get, head, post, put, delete_, patch, options, other };

/// Always on, besides these: 128 fields (431), 4 empty lines before the request, 4 KiB for extensions and trailers of
/// chunks (400).
struct RequestLimits {
  RequestLimits() = default;
  RequestLimits(std::size_t header_bytes, std::size_t target_bytes)
      : max_header(header_bytes), max_target(target_bytes) {}

  std::size_t max_header = 16 * 1024;  ///< request line, fields and the empty line; else 431 (414 in the request line)
  std::size_t max_target = 8 * 1024;   ///< else 414
};

/// The status for a request that could not be read, with a text for its problem+json. The connection closes after it.
struct Refusal {
  unsigned status = 0;  ///< 400, 413, 414, 417, 431, 501, 505
  std::string_view detail;
};

/// Does no I/O: the owner reads into a buffer and shows it to parse(). One parser serves one connection, request after
/// request, without allocating in steady state beyond what bodies need. *One worker*.
///
/// ```
/// parser.start();
/// for (;;) {
///   const auto [consumed, state] = parser.parse(buffer.view());
///   buffer.drop(consumed);                  // what is left is shown again, followed by what arrives next
///   if (state == State::head) route it, parser.limit_body(endpoint.max_body), perhaps send 100 (Continue)
///   if (state == State::need_more) read more
///   if (state == State::complete || state == State::refused) break;
/// }
/// ```
/// Views that it hands out live until start().
class RequestParser {
 public:
  enum class State {
    need_more,  ///< show the unconsumed bytes again with more behind them
    head,       ///< once a request that has a body: before its first byte is taken
    complete,   ///< bytes after the end belong to the next request and are not consumed
    refused,    ///< see refusal(); stays so until start()
  };
  struct Progress {
    std::size_t consumed;
    State state;
  };

  explicit RequestParser(RequestLimits limits = {});
  ~RequestParser();
  RequestParser(RequestParser&&) noexcept;
  RequestParser& operator=(RequestParser&&) noexcept;

  /// Forgets the request before.
  void start();
  /// Takes what it can from the front of `input`: all bytes received and not yet consumed, in order.
  [[nodiscard]] Progress parse(std::string_view input);
  /// At State::head: a body of more bytes is refused with 413, at once when Content-Length says so; returns the state
  /// that results. The default is 1 MiB.
  State limit_body(std::uint64_t max_body_bytes);
  /// At State::head: the body will be taken out of body() between calls of parse(), so that no room is made for it.
  void stream_body();

  [[nodiscard]] State state() const;
  /// No byte of a request was seen since start() (empty lines do not count): closing now is not an error.
  [[nodiscard]] bool untouched() const;

  // From State::head or State::complete on.
  [[nodiscard]] Method method() const;
  [[nodiscard]] std::string_view method_text() const;
  /// As the client sent it.
  [[nodiscard]] std::string_view target() const;
  /// Begins with "/", still percent-encoded; or "*" (OPTIONS only).
  [[nodiscard]] std::string_view path() const;
  /// What follows the first "?", without it; empty when there is none.
  [[nodiscard]] std::string_view query() const;
  /// 10 or 11.
  [[nodiscard]] unsigned version() const;
  /// `Host` is the authority of the target where that has one.
  [[nodiscard]] backends::Headers& headers();
  [[nodiscard]] const backends::Headers& headers() const;
  /// The client waits for 100 (Continue) before it sends the body.
  [[nodiscard]] bool expects_continue() const;
  /// The client will send another request on this connection.
  [[nodiscard]] bool keep_alive() const;

  /// What Content-Length says.
  [[nodiscard]] std::optional<std::uint64_t> content_length() const;
  /// When complete, or what has come of a streamed one; may be moved out.
  [[nodiscard]] std::string& body();
  /// When refused.
  [[nodiscard]] Refusal refusal() const;

 private:
  class Machine;
  std::unique_ptr<Machine> machine_;
};

}  // namespace sluice::gateway
