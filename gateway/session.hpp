// One client connection: reads requests, has them answered, writes the replies, in order.
#pragma once

#include "backends/connection.hpp"
#include "concurrency/context.hpp"
#include "concurrency/loop.hpp"
#include "concurrency/task.hpp"
#include "concurrency/wait.hpp"
#include "gateway/access_line.hpp"
#include "gateway/call.hpp"
#include "gateway/reply.hpp"
#include "gateway/request_parser.hpp"
#include "gateway/worker.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace sluice::gateway {

/// A read is always pending (as long as there is room), so a client that hangs up cancels its request at once, and a
/// request that is pipelined behind it waits in the buffer.
/// *one worker*
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(backends::Socket socket, Worker& worker);

  /// Ends when the connection is over. The worker outlives it.
  static concurrency::Task<> run(std::shared_ptr<Session> self);

 private:
  friend class ClientStream;

  /// How a reply came to its end that was written piece by piece.
  struct Streamed {
    bool keep_alive = false;
    bool ends_by_itself = false;  // a client sees whether it has the whole
    bool is_whole = false;
    bool is_stuck = false;  // the client did not take it
  };

  /// Looks a while after a request has come whether the client is still there, as of a reset that came with its last
  /// bytes no event tells; and now and then while there is no room to read.
  class Glance final : private concurrency::TimerEntry {
   public:
    explicit Glance(Session& session);
    ~Glance();
    void arm(concurrency::TimePoint when);
    void disarm();

   private:
    Session& session_;
    concurrency::Loop& loop_;
  };

  enum class Next { request, close, linger };  // linger: the client may still be sending

  concurrency::Task<Next> serve_one(bool is_first);
  concurrency::Task<bool> read_head(bool is_first);
  concurrency::Task<bool> read_body(const concurrency::Context& ctx);
  class More;
  /// `co_await more(ctx)`: waits for more of what the client sends; false if nothing came, because the client is gone,
  /// `ctx` done, or it is `until`.
  [[nodiscard]] More more(const concurrency::Context& ctx,
                          concurrency::TimePoint until = concurrency::TimePoint::max());
  concurrency::Task<> write_reply(const Reply& reply, bool keep_alive, const Incoming& incoming);
  void put_out(std::string_view bytes);
  concurrency::Task<bool> write_all();
  /// Sends an interim response; what the client does not take at once goes out before the reply.
  void say(std::string_view interim);
  void prepend_unsaid();
  void write_identity(const Incoming& incoming);
  void note_arrival();
  [[nodiscard]] std::chrono::system_clock::time_point wall_time() const;
  Next after_stream();
  [[nodiscard]] Next last_is_over() const;
  concurrency::Task<> linger();
  concurrency::Task<> answer_request(const concurrency::Context& ctx, const EndpointPlan* endpoint, Incoming& incoming,
                                     const RouteMatch& match, concurrency::TimePoint deadline, Reply& reply);

  Reply answer_unmatched(const RouteMatch& match) const;
  RequestParser::State parse();
  void read(bool is_due = false);  // the rest of a request (socket.hpp)
  void on_read(boost::system::error_code ec, std::size_t size);
  void watch();
  void look();
  void lose();
  void log(const Reply& reply, const EndpointPlan* endpoint, const Incoming& incoming, concurrency::Duration deadline);

  backends::Socket socket_;
  Worker& worker_;
  const Worker::SessionHold hold_{worker_};
  boost::asio::ip::address client_address_;
  std::string client_;
  RequestParser parser_;
  backends::PendingRead read_{this, [](void* self, boost::system::error_code ec, std::size_t size) {
                                static_cast<Session*>(self)->on_read(ec, size);
                              }};
  std::vector<char> in_;
  std::size_t begin_ = 0;  // of what is received and not yet parsed
  std::size_t end_ = 0;
  bool reading_ = false;
  bool watching_ = false;                             // for the client's end, as there is no room to read
  bool gone_ = false;                                 // the client closed, or the connection broke
  bool half_close_ = false;                           // the current request outlives what the client sends
  bool ended_ = false;                                // the client sends no more
  concurrency::detail::Parked* waiting_ = nullptr;    // for bytes
  const concurrency::Cancel* in_progress_ = nullptr;  // of the request that is being answered
  Glance glance_{*this};
  std::chrono::system_clock::time_point came_at_{};             // what was read last, if that is known
  concurrency::TimePoint arrived_{};                            // the head of the current request
  concurrency::Duration waited_{0};                             // that head, to be read
  concurrency::TimePoint due_ = concurrency::TimePoint::max();  // the reply to it
  std::chrono::system_clock::time_point arrived_at_{};
  std::string unsaid_;  // of interim responses
  std::string head_;    // of the reply
  ResponseWriter writer_{head_};
  Forwarder forwarder_;
  std::vector<boost::asio::const_buffer> out_;
  std::uint64_t written_ = 0;
  std::optional<Streamed> streamed_;  // the current reply
  std::string scratch_;
  std::vector<AccessCall> logged_calls_;
};

class Session::More : public concurrency::detail::Awaiter {
 public:
  More(Session& session, const concurrency::Context& ctx, concurrency::TimePoint until)
      : session_(session), ctx_(ctx), until_(until) {}

  [[nodiscard]] bool await_ready();
  template <class T>
  void await_suspend(std::coroutine_handle<concurrency::detail::Promise<T>> coroutine) {
    parked_.suspend(coroutine);
  }
  [[nodiscard]] bool await_resume() const {
    session_.waiting_ = nullptr;
    return session_.end_ - session_.begin_ > had_;
  }

 private:
  Session& session_;
  const concurrency::Context& ctx_;
  const concurrency::TimePoint until_;
  std::size_t had_ = 0;
  concurrency::detail::Parked parked_;
  concurrency::detail::ContextWake done_{parked_, 1};
  concurrency::detail::TimerWake late_{parked_, 2};
};

inline Session::More Session::more(const concurrency::Context& ctx, concurrency::TimePoint until) {
  return More(*this, ctx, until);
}

}  // namespace sluice::gateway
