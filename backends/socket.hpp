// A TCP socket that is read from only when there is something to read.
#pragma once

#include "concurrency/task.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <sys/uio.h>

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/detail/reactor.hpp>
#include <boost/asio/detail/reactor_op.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

namespace sluice::backends {

class Socket;

/// Where to put what is read: into the first buffer, and when that is full, into the second. Either may be empty.
using ReadBuffers = std::array<boost::asio::mutable_buffer, 2>;

/// The one read of a socket that may be pending; a member of who owns the socket. *one worker*
class PendingRead : private boost::asio::detail::reactor_op {
 public:
  using Done = void (*)(void* owner, boost::system::error_code ec, std::size_t size);

  PendingRead(void* owner, Done function);
  PendingRead(const PendingRead&) = delete;
  PendingRead& operator=(const PendingRead&) = delete;

  /// It has read, and its function is about to be called.
  [[nodiscard]] bool has_read() const { return has_read_; }
  /// When the last of what it has read reached this machine; the epoch, unless note_arrivals() asked for it.
  [[nodiscard]] std::chrono::system_clock::time_point came_at() const { return came_at_; }

 private:
  friend class Socket;

  static status perform(reactor_op* base);
  static void complete(void* scheduler, boost::asio::detail::operation* base, const boost::system::error_code& ec,
                       std::size_t size);

  void* const owner_;
  const Done done_;
  Socket* socket_ = nullptr;           // while pending
  std::shared_ptr<void> keeps_alive_;  // likewise
  bool has_read_ = false;
  bool is_wanted_ = false;    // else it is pending for the reactor only: read_now() has been before it
  bool was_taken_ = false;    // by read_now(), what the reactor had read; its completion is still to come
  bool was_drained_ = false;  // by the last read
  std::chrono::system_clock::time_point came_at_{};
  int descriptor_ = -1;
  iovec where_[2]{};
};

/// Has the system note when what comes for the sockets that `listener` will accept reaches this machine.
void note_arrivals(int listener);

/// Asio's reads try at once, in vain whenever a whole message has just been read: a third of a request's system calls.
/// start_read() asks the system with each read what is left (TCP_INQ), and does not try when it was nothing.
class Socket : public boost::asio::basic_stream_socket<boost::asio::ip::tcp, concurrency::Executor> {
  using Base = boost::asio::basic_stream_socket<boost::asio::ip::tcp, concurrency::Executor>;

 public:
  explicit Socket(const concurrency::Executor& executor);

  /// Reads what there is, at least a byte, into `where`; then, in a turn of the loop, calls `read`'s function with the
  /// error or the size. If it is pending already, only `where` changes. Closing the socket ends it with
  /// operation_aborted. The read lives as long as `owner`, which is kept alive as long as it is pending.
  ///
  /// What is left, in TCP_INQ, counts the end of the stream, but not a reset that came together with the last bytes:
  /// whoever is in the middle of a message (`is_due`) has it tried at once, who waits for the next one learns of a
  /// reset when it comes alone, or by a write that fails.
  void start_read(PendingRead& read, std::shared_ptr<void> owner, const ReadBuffers& where, bool is_due);
  /// If `read` is pending and something has been read or is there to read, calls its function at once, without a turn
  /// of the loop; false if not.
  bool read_now(PendingRead& read);

 private:
  friend class PendingRead;
  void begin(PendingRead& read, std::shared_ptr<void> owner, bool is_due);

  boost::asio::detail::reactor* reactor_;
  bool asks_what_is_left_ = false;
};

}  // namespace sluice::backends
