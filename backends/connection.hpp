// One keep-alive connection to a server.
#pragma once

#include "backends/request.hpp"
#include "backends/request_writer.hpp"
#include "backends/response_parser.hpp"
#include "concurrency/context.hpp"
#include "concurrency/loop.hpp"
#include "concurrency/park.hpp"

#include <memory>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

namespace sluice::backends {

using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, concurrency::Executor>;

/// One exchange at a time; a read is always pending, also while idle, so a connection that the server closes (or on
/// which it speaks unasked) is known to be dead before it is used again. Responses are parsed as they arrive, without
/// waking the coroutine that waits for the whole. *one worker*
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
  concurrency::Task<CallResult> exchange(concurrency::Context ctx, const Request& request);

  [[nodiscard]] bool is_reusable() const { return state_ == State::idle; }
  void close();

  /// Called once when an idle connection dies.
  void on_death(void (*callback)(void* owner, Connection&), void* owner) {
    on_death_ = callback;
    owner_ = owner;
  }
  [[nodiscard]] concurrency::TimePoint idle_since() const { return idle_since_; }

 private:
  enum class State { idle, busy, closed };

  void read();
  void on_read(boost::system::error_code ec, std::size_t size);
  void parse();
  void finish(bool reusable);
  void write_head(const concurrency::Context& ctx, const Request& request);
  [[nodiscard]] CallResult result(const Request& request);

  Socket socket_;
  const std::string host_;
  const ResponseLimits limits_;
  State state_ = State::idle;
  bool used_ = false;      // an exchange has ended on this connection before
  bool writing_ = false;   // the rest of the request waits for room
  bool finished_ = false;  // the response of the current exchange is complete or has failed
  bool parse_failed_ = false;
  bool refused_ = false;  // its status was not accepted
  boost::system::error_code read_error_;
  concurrency::detail::Parked* waiting_ = nullptr;  // the exchange, while it waits for its response
  const Request* request_ = nullptr;
  std::shared_ptr<Body> body_;
  ResponseParser parser_;
  std::string head_;
  RequestWriter writer_{head_};
  std::vector<char> buffer_;
  std::size_t begin_ = 0;  // of what is received and not yet parsed
  std::size_t end_ = 0;
  concurrency::TimePoint idle_since_;
  void (*on_death_)(void*, Connection&) = nullptr;
  void* owner_ = nullptr;
};

}  // namespace sluice::backends
