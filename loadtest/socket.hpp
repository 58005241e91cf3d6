// Raw TCP sockets and epoll: addresses, owners of descriptors, connecting, listening.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <utility>

namespace sluice::loadtest {

/// An IPv4 or IPv6 address with a port. *immutable*
class Address {
 public:
  /// From `HOST:PORT`, `[::1]:PORT`; a name is looked up once. Errors: std::invalid_argument.
  explicit Address(std::string_view host_port);
  /// The local end of a socket.
  static Address local(int fd);

  [[nodiscard]] bool is_loopback() const;
  [[nodiscard]] std::string to_string() const;
  [[nodiscard]] int family() const { return storage_.ss_family; }
  [[nodiscard]] const sockaddr* data() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  [[nodiscard]] socklen_t size() const { return size_; }

 private:
  Address() = default;
  sockaddr_storage storage_{};
  socklen_t size_ = 0;
};

/// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd();

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// All sockets are non-blocking, with TCP_NODELAY. Errors: std::system_error, unless said otherwise.
[[nodiscard]] Fd listen_on(const Address& address);
/// Closed (`is_open()` is false, errno says why) when nobody waits to be accepted.
[[nodiscard]] Fd accept_from(const Fd& listener);
/// Waits until the connection is there.
[[nodiscard]] Fd connect_to(const Address& address);
/// Returns at once; the socket turns writable, or SO_ERROR is set. Closed on an error that is known at once (errno).
[[nodiscard]] Fd start_connect(const Address& address);

[[nodiscard]] Fd make_epoll();
/// Watches `fd` edge-triggered for `events` (EPOLLIN, EPOLLOUT) and the peer's end; `data` comes back with each event.
void watch(const Fd& epoll, const Fd& fd, std::uint32_t events, void* data);

/// Sets the soft limit of open files to the hard one.
void raise_file_limit();
/// `listening on ADDR:PORT`, flushed: for whoever started the program with port 0.
void print_listening(const Fd& listener);

}  // namespace sluice::loadtest
