// The client's end of a request that is answered piece by piece.
#pragma once

#include "backends/connection.hpp"
#include "backends/headers.hpp"
#include "backends/pieces.hpp"
#include "concurrency/context.hpp"
#include "concurrency/task.hpp"
#include "gateway/incoming.hpp"
#include "gateway/reply.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/buffer.hpp>

namespace sluice::gateway {

class Session;

/// Reads the body of one request and writes its reply, both framed anew. One coroutine may receive while another sends.
/// The session outlives it. *one worker*
class ClientStream final : public backends::InterimSink {
 public:
  ClientStream(Session& session, const Incoming& incoming);

  enum class Body {
    more,
    last,     ///< with the last bytes, which may be none
    refused,  ///< see RequestParser::refusal()
    ended,    ///< the client is gone, or the context done
  };
  /// Puts the next bytes of the request's body in place of `piece`. The first call says 100 (Continue) to a client that
  /// waits for it.
  [[nodiscard]] concurrency::Task<Body> receive(const concurrency::Context& ctx, std::string& piece);
  /// Whether receive() waits for the client.
  [[nodiscard]] bool is_waited_for() const { return is_waited_for_; }

  /// Passes an interim response on to a client of HTTP/1.1.
  void on_interim(unsigned status, backends::Headers& headers) override;
  /// Makes the head of the reply: `headers` without what concerns the connection of the backend alone, and what the
  /// gateway adds. `length` is what Content-Length said, also where the reply has no body. It goes out with the first
  /// bytes that are sent, which may be none.
  void start(const Reply& reply, backends::Headers& headers, std::optional<std::uint64_t> length);
  [[nodiscard]] bool is_head_sent() const { return is_head_sent_; }
  /// Makes `piece` what is to be sent next, by send() and, if that is false, by send_rest(), until when it must live.
  void put(std::string_view piece, bool is_last);
  /// Whether the socket has taken it all at once.
  [[nodiscard]] bool send();
  /// False when the client is gone, or `ctx` done.
  [[nodiscard]] concurrency::Task<bool> send_rest(const concurrency::Context& ctx);
  /// The client does not take what it is sent: nothing more can be said to it.
  void give_up();

  /// When bytes were last received or sent, and how many of these the client has not got yet.
  [[nodiscard]] concurrency::TimePoint last_progress() const { return last_progress_; }
  [[nodiscard]] std::size_t unsent_bytes() const;

 private:
  using Buffers = std::array<boost::asio::const_buffer, 4>;
  void count(std::size_t size);

  Session& session_;
  const Incoming& incoming_;
  std::optional<backends::Frame> frame_;  // of what is being sent
  Buffers rest_{};
  bool is_last_ = false;
  bool is_bodyless_ = false;
  bool is_chunked_ = false;
  bool is_head_sent_ = false;
  bool is_waited_for_ = false;
  concurrency::TimePoint last_progress_{};
};

}  // namespace sluice::gateway
