// A client that sends any bytes and shows what came back, byte by byte; it shares no code with the product's parsers.
#pragma once

#include "concurrency/context.hpp"
#include "concurrency/error.hpp"
#include "concurrency/loop.hpp"
#include "concurrency/task.hpp"

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

namespace sluice::support {

/// A response as it was read.
struct RawResponse {
  RawResponse() = default;

  unsigned status = 0;
  std::string head;  ///< status line and fields with the empty line
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;  ///< without chunk headers
  bool chunked = false;

  /// The first header called `name`, compared without case; empty if there is none.
  [[nodiscard]] std::string header(std::string_view name) const;
};

/// All bytes until the end of the connection, and how it ended.
struct RawEnd {
  RawEnd() = default;

  std::string bytes;
  boost::system::error_code error;  ///< boost::asio::error::eof, connection_reset, or the context's
};

/// One TCP connection. Must outlive the tasks that its functions return. *one worker*
///
///     RawClient client(time.loop());
///     const auto response = time.run(client.get(address, "/users/1"));
///
/// What arrives is kept in buffered() until a read takes it. A read that fails, or that its context ends, takes
/// nothing, so what had arrived by then is there to be looked at. Errors: eof (the connection ended too early) and
/// other errors of the socket; canceled, deadline_exceeded from `ctx`;
///         protocol_error: what came is no HTTP response.
class RawClient {
 public:
  using Context = concurrency::Context;
  template <class T = void>
  using Result = concurrency::Result<T>;
  template <class T>
  using Task = concurrency::Task<T>;
  using Endpoint = boost::asio::ip::tcp::endpoint;

  explicit RawClient(concurrency::Loop& loop);

  /// Closes the connection that there is, then opens one.
  Task<Result<>> connect(Endpoint where, Context ctx = {});
  Task<Result<>> send(std::string bytes, Context ctx = {});

  /// Up to and including the first `mark`.
  Task<Result<std::string>> read_until(std::string mark, Context ctx = {});
  Task<Result<std::string>> read_exactly(std::size_t size, Context ctx = {});
  Task<RawEnd> read_all(Context ctx = {});
  /// One response with its body: Content-Length, chunked, or up to the end of the connection. Skips 1xx.
  /// A response to HEAD has no body.
  Task<Result<RawResponse>> read_response(bool to_head = false, Context ctx = {});

  /// send() and read_response().
  Task<Result<RawResponse>> exchange(std::string request, Context ctx = {});
  /// connect() if it is not, then a GET; `fields` are whole lines.
  Task<Result<RawResponse>> get(Endpoint where, std::string target, std::string fields = {}, Context ctx = {});
  /// connect() if it is not, then any request; with a Content-Length if there is a body.
  Task<Result<RawResponse>> request(Endpoint where, std::string method, std::string target, std::string fields,
                                    std::string body, Context ctx = {});

  [[nodiscard]] const std::string& buffered() const { return buffered_; }
  [[nodiscard]] bool is_open() const { return socket_.is_open(); }
  [[nodiscard]] Endpoint local_endpoint() const { return socket_.local_endpoint(); }
  /// Takes in what has arrived, without waiting. Not while a read is under way.
  void poll();
  /// Ends the sending side only.
  void shutdown_send();
  void close();
  /// Closes with an RST.
  void reset();

  /// The text of a request; with a Content-Length if there is a body.
  [[nodiscard]] static std::string text(std::string_view method, std::string_view target, std::string_view fields = {},
                                        std::string_view body = {});

 private:
  using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, concurrency::Executor>;

  Task<Result<>> read_more(Context ctx);
  Task<Result<>> fill(std::size_t size, Context ctx);
  Task<Result<std::size_t>> find(std::string mark, std::size_t from, Context ctx);
  Task<Result<std::size_t>> read_chunks(RawResponse& response, std::size_t at, Context ctx);

  Socket socket_;
  std::array<char, 16 * 1024> block_;  // what the socket reads into
  std::string buffered_;
};

}  // namespace sluice::support
