// sluice-cheap-backend: answers every request with the same JSON body, as cheaply as a server can.
#include "loadtest/command_line.hpp"
#include "loadtest/head.hpp"
#include "loadtest/json_body.hpp"
#include "loadtest/socket.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <vector>

namespace sluice::loadtest {
namespace {

constexpr std::size_t kMaxHead = 64 * 1024;

struct Session {
  Fd fd;
  std::string input;        // the start of a header that is not complete yet
  std::size_t to_skip = 0;  // bytes of a request's body still to come
  std::size_t owed = 0;     // replies to write; while there are any nothing more is read
  std::size_t written = 0;  // of the first of them
  bool ending = false;      // the peer has sent its last byte
};

class CheapBackend {
 public:
  explicit CheapBackend(const std::string& body)
      : reply_("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
               "\r\n\r\n" + body) {}

  [[noreturn]] void serve(const std::vector<Fd>& listeners) {
    for (const Fd& listener : listeners) watch(epoll_, listener, EPOLLIN, const_cast<Fd*>(&listener));
    const auto is_listener = [&](const void* data) {
      return data >= listeners.data() && data < listeners.data() + listeners.size();
    };
    std::array<epoll_event, 256> events{};
    for (;;) {
      const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        if (is_listener(event.data.ptr)) {
          accept_all(*static_cast<const Fd*>(event.data.ptr));
        } else if (auto* session = static_cast<Session*>(event.data.ptr); !on_event(*session, event.events)) {
          delete session;  // one event per descriptor and wait: nobody else refers to it
        }
      }
    }
  }

 private:
  void accept_all(const Fd& listener) {
    for (;;) {
      auto session = std::make_unique<Session>();
      session->fd = accept_from(listener);
      if (!session->fd.is_open()) return;
      watch(epoll_, session->fd, EPOLLIN | EPOLLOUT, session.get());
      session.release();  // owned by its registration
    }
  }

  /// False: the session is over.
  bool on_event(Session& session, std::uint32_t events) {
    session.ending |= (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    const bool was_blocked = session.owed > 0;  // input may have come meanwhile, its edge is gone
    if (!flush(session)) return false;
    if (session.owed > 0 || (!was_blocked && !session.ending && (events & EPOLLIN) == 0)) return true;
    for (;;) {
      const ssize_t got = recv(session.fd.get(), buffer_.data(), buffer_.size(), 0);
      if (got <= 0) return got < 0 && (errno == EAGAIN || errno == EINTR);
      if (!take(session, {buffer_.data(), static_cast<std::size_t>(got)}) || !flush(session)) return false;
      if (session.owed > 0 || (static_cast<std::size_t>(got) < buffer_.size() && !session.ending)) return true;
    }
  }

  /// Counts the requests in `bytes`. False: a header without an end.
  bool take(Session& session, std::string_view bytes) {
    if (!session.input.empty()) bytes = session.input.append(bytes);
    while (!bytes.empty()) {
      const std::size_t skipped = std::min(session.to_skip, bytes.size());
      session.to_skip -= skipped;
      bytes.remove_prefix(skipped);
      const Head head = scan_head(bytes);
      if (head.size == 0) break;
      bytes.remove_prefix(head.size);
      session.to_skip = head.body;
      ++session.owed;
    }
    session.input = std::string(bytes);
    return session.input.size() <= kMaxHead;
  }

  /// Writes what is owed, as far as the socket takes it. False: the peer is gone.
  bool flush(Session& session) {
    while (session.owed > 0) {
      std::array<iovec, 64> pieces{};
      const std::size_t count = std::min(session.owed, pieces.size());
      pieces.fill({reply_.data(), reply_.size()});
      pieces[0] = {reply_.data() + session.written, reply_.size() - session.written};
      msghdr message{};
      message.msg_iov = pieces.data();
      message.msg_iovlen = count;
      const ssize_t sent = sendmsg(session.fd.get(), &message, MSG_NOSIGNAL);
      if (sent < 0) return errno == EAGAIN || errno == EINTR;
      session.written += static_cast<std::size_t>(sent);
      session.owed -= session.written / reply_.size();
      session.written %= reply_.size();
    }
    return true;
  }

  std::string reply_;
  Fd epoll_ = make_epoll();
  std::array<char, 64 * 1024> buffer_{};
};

int run(int argc, char** argv) {
  CommandLine command("sluice-cheap-backend", "[--listen ADDR]... [--size BYTES]",
                      "Answers every request with the same JSON body. A stand-in that is never the bottleneck.");
  std::vector<Address> addresses;
  std::string body = make_json_body(200);
  command.add("--listen", "ADDR", "where to listen, again for more ports (127.0.0.1:0: a free port, which is printed)",
              [&](std::string_view value) { addresses.emplace_back(value); });
  command.add("--size", "BYTES", "size of the body, 22 or more (200)",
              [&](std::string_view value) { body = make_json_body(parse_size(value)); });
  return command.run([&] {
    if (const auto rest = command.parse(argc, argv); !rest.empty()) throw UsageError(rest[0] + ": unexpected argument");
    if (addresses.empty()) addresses.emplace_back("127.0.0.1:0");
    raise_file_limit();
    std::vector<Fd> listeners;
    for (const Address& address : addresses) listeners.push_back(listen_on(address));
    for (const Fd& listener : listeners) print_listening(listener);
    CheapBackend(body).serve(listeners);
    return 0;
  });
}

}  // namespace
}  // namespace sluice::loadtest

int main(int argc, char** argv) {
  return sluice::loadtest::run(argc, argv);
}
