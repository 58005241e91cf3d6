// One keep-alive connection to a server.
#pragma once

#include "backends/request.hpp"
#include "backends/request_writer.hpp"
#include "backends/response_parser.hpp"
#include "backends/socket.hpp"
#include "concurrency/context.hpp"
#include "concurrency/loop.hpp"
#include "concurrency/wait.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/buffer.hpp>

namespace sluice::backends {

/// Takes the interim responses of a stream, but 100 (Continue), as they come.
class InterimSink {
 public:
  /// `headers` may be changed.
  virtual void on_interim(unsigned status, Headers& headers) = 0;

 protected:
  ~InterimSink() = default;
};

/// One exchange at a time; a read is always pending, also while idle, so a connection that the server closes (or on
/// which it speaks unasked) is known to be dead before it is used again. Responses are parsed as they arrive, without
/// waking the coroutine that waits for the whole. Only of a streamed body nothing more is read while 64 KiB of it wait
/// to be taken, or some of it is looked at in the buffer, so that the server has to wait, too. *one worker*
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  /// `host` is sent as Host.
  Connection(Socket socket, std::string host, ResponseLimits limits);

  /// Starts the pending read. Call once.
  void open();

  /// Sends `request` and reads its response, body included. `request` and the connection must live until this ends.
  ///
  /// Failures: timeout, cancelled (from `ctx`; the connection is closed), reset, invalid, too_large, status (not
  /// accepted: at once, without waiting for the body).
  /// `retriable` says that the server closed a connection that had been idle, before the first byte of a response.
  concurrency::Task<CallResult> exchange(const concurrency::Context& ctx, const Request& request);

  /// The same piece by piece, and without a coroutine where there is nothing to wait for: begin(), send_head(), then
  /// send() and, at the same time, has_head() and receive(), waiting with news() for what is not there yet; in the end,
  /// and after every failure, finish_stream(), until when `interim`, which may be null, must live. False: the request
  /// cannot be written.
  [[nodiscard]] bool begin(const concurrency::Context& ctx, const Request& request, InterimSink* interim);
  /// Sends what the socket takes at once; false: send_rest_of_head() is to be awaited.
  [[nodiscard]] bool send_head(const concurrency::Context& ctx);
  [[nodiscard]] concurrency::Task<> send_rest_of_head(const concurrency::Context& ctx);
  /// The next bytes of a streamed request body; `is_last` ends it. False: nothing more of it is wanted, because the
  /// response is over, the connection broke (what came of that receive() tells) or `ctx` is done.
  [[nodiscard]] concurrency::Task<bool> send(const concurrency::Context& ctx, std::string_view bytes, bool is_last);
  /// Whether the head is there, or will not be. Then its failure(): those of exchange(), also of a body whose beginning
  /// came with the head.
  [[nodiscard]] bool has_head() const { return has_head_ || finished_; }
  [[nodiscard]] std::optional<Failure> failure_of_head() const;
  /// Whether receive() has something.
  [[nodiscard]] bool has_news() const { return finished_ || !in_buffer_.empty() || !body_->bytes.empty(); }
  /// Lets `piece` be the next bytes of the body, until the next news() or finish_stream(); true with the last ones,
  /// which may be none.
  [[nodiscard]] boost::system::result<bool, Failure> receive(std::string_view& piece);
  class News;
  /// `co_await connection.news(ctx)`: waits until more has come, of which has_head() and has_news() tell; false when
  /// `ctx` is done before that, which closes the connection: see failure_of(). What has come by the deadline counts.
  [[nodiscard]] News news(const concurrency::Context& ctx);
  [[nodiscard]] Failure failure_of(const concurrency::Context& ctx) const;
  void finish_stream();
  /// Once has_head(), until finish_stream().
  [[nodiscard]] ResponseParser& response() { return parser_; }
  /// When bytes of the stream were last received or sent.
  [[nodiscard]] concurrency::TimePoint last_progress() const { return last_progress_; }
  [[nodiscard]] std::size_t unsent_bytes();

  /// Not so, either, if the server has closed it, or has spoken unasked, and the turn to learn of it is still to come.
  [[nodiscard]] bool is_reusable() const { return state_ == State::idle && !read_.has_read(); }
  void close();

  /// Called once when an idle connection dies.
  void on_death(void (*callback)(void* owner, Connection&), void* owner) {
    on_death_ = callback;
    owner_ = owner;
  }
  [[nodiscard]] concurrency::TimePoint idle_since() const { return idle_since_; }

 private:
  enum class State { idle, busy, closed };
  static constexpr std::size_t kSmallBuffer = 8UL * 1024;
  using Buffers = std::array<boost::asio::const_buffer, 3>;

  void read();
  void on_read(boost::system::error_code ec, std::size_t size);
  void parse();
  void go_on(ResponseParser::State state);
  [[nodiscard]] std::uint64_t awaited_in_body() const;
  [[nodiscard]] boost::asio::mutable_buffer room_in_body();
  void look_at_body();
  void go_on_reading();
  void take_head();
  void finish(bool reusable);
  void wake();
  bool look(const concurrency::Context& ctx);
  void write_head(const concurrency::Context& ctx, const Request& request);
  [[nodiscard]] bool start(const concurrency::Context& ctx, const Request& request, bool is_stream);
  void write_now(Buffers& rest, bool& is_broken);
  void read_what_is_left();
  concurrency::Task<> write_rest(const concurrency::Context& ctx, Buffers& rest);
  [[nodiscard]] std::optional<Failure> failure() const;

  Socket socket_;
  const std::string host_;
  const ResponseLimits limits_;
  State state_ = State::idle;
  bool used_ = false;      // an exchange has ended on this connection before
  bool writing_ = false;   // the rest of the request waits for room
  bool finished_ = false;  // the response of the current exchange is complete or has failed
  bool parse_failed_ = false;
  bool refused_ = false;    // its status was not accepted
  bool is_stream_ = false;  // of the current exchange: begin()
  bool has_head_ = false;   // of the response
  bool sending_ = false;    // a streamed request body is not over
  bool paused_ = false;     // no read is pending, since enough of the body waits to be taken, or is looked at
  bool was_full_ = false;   // the buffer, when it was last read into
  concurrency::TimePoint last_progress_{};
  boost::system::error_code read_error_;
  concurrency::detail::Parked* waiting_ = nullptr;  // the exchange, while it waits for its response
  const Request* request_ = nullptr;
  InterimSink* interim_ = nullptr;
  std::shared_ptr<Body> body_;
  ResponseParser parser_;
  std::string head_;
  Buffers unsent_{};  // of the head of a stream
  RequestWriter writer_{head_};
  PendingRead read_{this, [](void* self, boost::system::error_code ec, std::size_t size) {
                      static_cast<Connection*>(self)->on_read(ec, size);
                    }};
  ReadBuffers where_;  // the pending read puts what comes: straight into the body, and what is not of it
  std::vector<char> buffer_;
  std::string_view in_buffer_;  // of a streamed body, to be taken from there
  std::string taken_;           // what was taken of another
  std::size_t begin_ = 0;       // of what is received and not yet parsed
  std::size_t end_ = 0;
  concurrency::TimePoint idle_since_;
  void (*on_death_)(void*, Connection&) = nullptr;
  void* owner_ = nullptr;
};

class Connection::News : public concurrency::detail::Awaiter {
 public:
  News(Connection& connection, const concurrency::Context& ctx) : connection_(connection), ctx_(ctx) {}

  [[nodiscard]] bool await_ready() {
    connection_.waiting_ = &parked_;
    return !done_.subscribe(ctx_);
  }
  template <class T>
  void await_suspend(std::coroutine_handle<concurrency::detail::Promise<T>> coroutine) {
    parked_.suspend(coroutine);
  }
  [[nodiscard]] bool await_resume() {
    connection_.waiting_ = nullptr;
    if (parked_.source() == 0 || connection_.look(ctx_)) return true;
    connection_.close();
    return false;
  }

 private:
  Connection& connection_;
  const concurrency::Context& ctx_;
  concurrency::detail::Parked parked_;
  concurrency::detail::ContextWake done_{parked_, 1};
};

inline Connection::News Connection::news(const concurrency::Context& ctx) {
  if (has_head() && !has_news()) go_on_reading();  // what was looked at in the buffer has been used
  return News(*this, ctx);
}

}  // namespace sluice::backends
