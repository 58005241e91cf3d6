// Raw TCP sockets and epoll, on the system calls.
#include "loadtest/socket.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <system_error>
#include <unistd.h>

namespace sluice::loadtest {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

void set_nodelay(const Fd& fd) {
  const int on = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Fd open_socket(const Address& address, int flags) {
  Fd fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
  if (fd.is_open()) set_nodelay(fd);
  return fd;
}

}  // namespace

Address::Address(std::string_view host_port) {
  const std::size_t colon = host_port.rfind(':');
  std::string_view host = host_port.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (colon == std::string_view::npos || host.empty() || colon + 1 == host_port.size())
    throw std::invalid_argument("HOST:PORT");
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(std::string(host).c_str(), std::string(host_port.substr(colon + 1)).c_str(), &hints, &found);
  if (error != 0)
    throw std::invalid_argument(std::string("HOST:PORT that can be looked up (") + gai_strerror(error) + ")");
  std::memcpy(&storage_, found->ai_addr, found->ai_addrlen);
  size_ = found->ai_addrlen;
  freeaddrinfo(found);
}

Address Address::local(int fd) {
  Address address;
  address.size_ = sizeof address.storage_;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage_), &address.size_) != 0) fail("getsockname");
  return address;
}

bool Address::is_loopback() const {
  const auto first_byte = [](const in_addr& ip) { return ntohl(ip.s_addr) >> 24; };
  if (family() == AF_INET) return first_byte(reinterpret_cast<const sockaddr_in&>(storage_).sin_addr) == 127;
  const in6_addr& ip = reinterpret_cast<const sockaddr_in6&>(storage_).sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(&ip) || (IN6_IS_ADDR_V4MAPPED(&ip) && ip.s6_addr[12] == 127);
}

std::string Address::to_string() const {
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (getnameinfo(data(), size_, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return "?";
  return family() == AF_INET6 ? '[' + std::string(host) + "]:" + port : std::string(host) + ':' + port;
}

Fd& Fd::operator=(Fd&& other) noexcept {
  std::swap(fd_, other.fd_);
  if (&other != this && other.fd_ >= 0) close(std::exchange(other.fd_, -1));
  return *this;
}

Fd::~Fd() {
  if (fd_ >= 0) close(fd_);
}

Fd listen_on(const Address& address) {
  Fd fd = open_socket(address, SOCK_NONBLOCK);
  const int on = 1;
  if (!fd.is_open() || setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(fd.get(), address.data(), address.size()) != 0 || listen(fd.get(), SOMAXCONN) != 0)
    fail("listen on " + address.to_string());
  return fd;
}

Fd accept_from(const Fd& listener) {
  Fd fd(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (fd.is_open()) set_nodelay(fd);
  return fd;
}

Fd connect_to(const Address& address) {
  Fd fd = open_socket(address, 0);
  if (!fd.is_open() || connect(fd.get(), address.data(), address.size()) != 0)
    fail("connect to " + address.to_string());
  int on = 1;
  if (ioctl(fd.get(), FIONBIO, &on) != 0) fail("ioctl");
  return fd;
}

Fd start_connect(const Address& address) {
  Fd fd = open_socket(address, SOCK_NONBLOCK);
  if (fd.is_open() && connect(fd.get(), address.data(), address.size()) != 0 && errno != EINPROGRESS) {
    const int error = errno;
    fd = Fd();
    errno = error;
  }
  return fd;
}

Fd make_epoll() {
  Fd fd(epoll_create1(EPOLL_CLOEXEC));
  if (!fd.is_open()) fail("epoll_create1");
  return fd;
}

void watch(const Fd& epoll, const Fd& fd, std::uint32_t events, void* data) {
  epoll_event event{};
  event.events = events | EPOLLRDHUP | EPOLLET;
  event.data.ptr = data;
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd.get(), &event) != 0) fail("epoll_ctl");
}

void raise_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

void print_listening(const Fd& listener) {
  std::printf("listening on %s\n", Address::local(listener.get()).to_string().c_str());
  std::fflush(stdout);
}

}  // namespace sluice::loadtest
