#include "backends/socket.hpp"

#include "concurrency/loop.hpp"

#include <cerrno>
#include <cstring>
#include <ctime>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <utility>

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

namespace sluice::backends {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

using std::chrono::system_clock;

/// What the system says with some bytes.
struct Said {
  int left = -1;  // to read, the end included
  system_clock::time_point came_at;
};

template <class T>
T data_of(const cmsghdr& header) {
  T data;
  std::memcpy(&data, CMSG_DATA(&header), sizeof data);
  return data;
}

Said said_in(msghdr& message) {
  Said said;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level == IPPROTO_TCP && header->cmsg_type == TCP_CM_INQ) {
      said.left = data_of<int>(*header);
    } else if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_TIMESTAMPNS) {
      const auto time = data_of<timespec>(*header);
      const auto since_epoch = std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
      said.came_at = system_clock::time_point(std::chrono::duration_cast<system_clock::duration>(since_epoch));
    }
  }
  return said;
}

}  // namespace

void note_arrivals(int listener) {
  const int on = 1;
  (void)::setsockopt(listener, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);  // without it they are not known
}

PendingRead::PendingRead(void* owner, Done function)
    : reactor_op(error_code(), &PendingRead::perform, &PendingRead::complete), owner_(owner), done_(function) {}

PendingRead::status PendingRead::perform(reactor_op* base) {
  auto& read = *static_cast<PendingRead*>(base);
  if (!read.is_wanted_) return not_done;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(timespec))];
  msghdr message{};
  // One buffer is less work for the system than two of which one is empty.
  const bool is_first_empty = read.where_[0].iov_len == 0;
  message.msg_iov = read.where_ + (is_first_empty ? 1 : 0);
  message.msg_iovlen = is_first_empty || read.where_[1].iov_len == 0 ? 1 : 2;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t size = 0;
  do {
    size = ::recvmsg(read.descriptor_, &message, MSG_DONTWAIT);
  } while (size < 0 && errno == EINTR);
  if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return not_done;
  read.has_read_ = true;
  read.bytes_transferred_ = size > 0 ? static_cast<std::size_t>(size) : 0;
  if (size > 0) {
    read.ec_ = error_code();
  } else {
    read.ec_ = size == 0 ? error_code(asio::error::eof) : error_code(errno, asio::error::get_system_category());
  }
  // After `done_and_exhausted` Asio does not try again before epoll reports the next event.
  const Said said = size > 0 ? said_in(message) : Said();
  read.came_at_ = said.came_at;
  read.was_drained_ = said.left == 0;
  return read.was_drained_ ? done_and_exhausted : done;
}

void PendingRead::complete(void* scheduler, asio::detail::operation* base, const error_code&, std::size_t) {
  auto& read = *static_cast<PendingRead*>(base);
  const auto owner = std::exchange(read.keeps_alive_, nullptr);
  read.has_read_ = false;
  if (scheduler == nullptr) return;
  if (std::exchange(read.was_taken_, false)) {
    if (read.is_wanted_) read.socket_->begin(read, owner, true);
    return;
  }
  if (!std::exchange(read.is_wanted_, false)) return;
  const std::size_t size = read.bytes_transferred_;
  read.done_(read.owner_, read.ec_, size);
  concurrency::Loop::current().has_read(size);
}

Socket::Socket(const concurrency::Executor& executor)
    : Base(executor), reactor_(&asio::use_service<asio::detail::reactor>(executor.context())) {}

void Socket::start_read(PendingRead& read, std::shared_ptr<void> owner, const ReadBuffers& where, bool is_due) {
  if (read.has_read_) return;
  for (std::size_t i = 0; i < where.size(); ++i) read.where_[i] = {where[i].data(), where[i].size()};
  const bool was_wanted = std::exchange(read.is_wanted_, true);
  if (read.keeps_alive_ != nullptr) {
    // What the reactor has told of meanwhile it does not tell again.
    const bool is_forgotten = !was_wanted && !read.was_taken_;
    if (is_forgotten) asio::post(get_executor(), [this, &read, owner] { (void)read_now(read); });
    return;
  }
  if (!std::exchange(asks_what_is_left_, true)) {
    const int on = 1;
    (void)::setsockopt(native_handle(), IPPROTO_TCP, TCP_INQ, &on, sizeof on);  // without it reads are tried at once
  }
  begin(read, std::move(owner), is_due);
}

void Socket::begin(PendingRead& read, std::shared_ptr<void> owner, bool is_due) {
  auto& socket = impl_.get_implementation();
  read.socket_ = this;
  read.keeps_alive_ = std::move(owner);
  read.descriptor_ = socket.socket_;
  read.ec_ = error_code();
  read.bytes_transferred_ = 0;
  if (is_due && std::exchange(read.was_drained_, false) && PendingRead::perform(&read) != PendingRead::not_done) {
    return reactor_->post_immediate_completion(&read, false);
  }
  reactor_->start_op(asio::detail::reactor::read_op, socket.socket_, socket.reactor_data_, &read, false, true);
}

bool Socket::read_now(PendingRead& read) {
  if (!is_open() || read.keeps_alive_ == nullptr || !read.is_wanted_) return false;
  if (read.has_read_) {
    read.was_taken_ = true;
  } else if (PendingRead::perform(&read) == PendingRead::not_done) {
    return false;
  }
  read.has_read_ = read.is_wanted_ = false;
  const std::size_t size = std::exchange(read.bytes_transferred_, 0);
  read.done_(read.owner_, std::exchange(read.ec_, error_code()), size);
  return true;
}

}  // namespace sluice::backends
