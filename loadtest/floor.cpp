// sluice-floor: the least that a gateway must do. What every other gateway's CPU per request is compared with.
//
// One thread, edge-triggered epoll, no speculative reads: per request one read of the client, N writes, N reads, one
// gathered write. Nothing is parsed but the ends of headers and Content-Length, nothing is checked. Any failure ends
// the client's connection.
#include "loadtest/command_line.hpp"
#include "loadtest/head.hpp"
#include "loadtest/socket.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <system_error>
#include <utility>
#include <vector>

namespace sluice::loadtest {
namespace {

/// One fragment of the reply: whom to ask, with which bytes, and what stands before its body in the reply.
struct Call {
  Address address;
  std::string request;
  std::string prefix;
};

/// From `NAME=ADDR:PORT/PATH`. Errors: UsageError.
Call parse_call(std::string_view text, bool first) {
  const std::size_t equals = text.find('=');
  const std::size_t slash = text.find('/', equals);
  if (equals == 0 || equals == std::string_view::npos || slash == std::string_view::npos)
    throw UsageError("expected NAME=ADDR:PORT/PATH, got \"" + std::string(text) + '"');
  const std::string_view host = text.substr(equals + 1, slash - equals - 1);
  try {
    return {Address(host),
            "GET " + std::string(text.substr(slash)) + " HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n",
            (first ? "{\"" : ",\"") + std::string(text.substr(0, equals)) + "\":"};
  } catch (const std::invalid_argument& error) {
    throw UsageError("expected NAME=ADDR:PORT/PATH with a " + std::string(error.what()) + ", got \"" +
                     std::string(text) + '"');
  }
}

/// Bytes of one message as they arrive. Keeps its memory for the next message.
class Input {
 public:
  enum class Status { incomplete, complete, failed };

  /// Reads until the message is complete or nothing more is there (`ending`: until the end of the stream).
  Status read(const Fd& fd, bool ending) {
    while (!is_complete()) {
      if (size_ == capacity_) grow(2 * capacity_);
      const ssize_t got = recv(fd.get(), bytes_.get() + size_, capacity_ - size_, 0);
      if (got < 0 && errno == EAGAIN) {
        has_unread_ = false;
        return Status::incomplete;
      }
      if (got <= 0) return Status::failed;
      has_unread_ = size_ + static_cast<std::size_t>(got) == capacity_;
      size_ += static_cast<std::size_t>(got);
      if (!has_unread_ && !ending) return is_complete() ? Status::complete : Status::incomplete;
    }
    return Status::complete;
  }

  [[nodiscard]] bool is_complete() {
    if (head_.size == 0 && size_ > 0) {
      head_ = scan_head({bytes_.get(), size_});
      if (head_.size + head_.body > capacity_) grow(head_.size + head_.body);
    }
    return head_.size > 0 && size_ >= head_.size + head_.body;
  }

  void mark_readable() { has_unread_ = true; }
  /// Whether the socket may hold bytes that no further edge will tell of.
  [[nodiscard]] bool has_unread() const { return has_unread_; }

  [[nodiscard]] std::string_view body() const { return {bytes_.get() + head_.size, head_.body}; }

  /// Forgets the message; what came after it is the start of the next.
  void next() {
    const std::size_t used = head_.size + head_.body;
    std::memmove(bytes_.get(), bytes_.get() + used, size_ - used);
    size_ -= used;
    head_ = {};
  }

 private:
  void grow(std::size_t capacity) {
    auto larger = std::make_unique_for_overwrite<char[]>(capacity);
    std::memcpy(larger.get(), bytes_.get(), size_);
    bytes_ = std::move(larger);
    capacity_ = capacity;
  }

  std::size_t capacity_ = 4096, size_ = 0;
  std::unique_ptr<char[]> bytes_ = std::make_unique_for_overwrite<char[]>(4096);
  Head head_{};
  bool has_unread_ = false;
};

struct Client;

/// A connection to the client or to a backend: what an event leads to.
struct Peer {
  Client* client = nullptr;
  Fd fd;
  Input input;
  bool ending = false;  // its last byte has been sent
};

struct Client {
  explicit Client(std::size_t calls) : backends(calls) {}

  Peer front;
  std::vector<Peer> backends;
  enum class State { reading, waiting, writing } state = State::reading;
  std::size_t missing = 0;  // answers still to come
  std::string head;         // of the reply, with the first prefix
  std::vector<iovec> reply;
  std::size_t reply_begin = 0;  // first piece not written yet
  bool failed = false;
};

class Floor {
 public:
  explicit Floor(std::vector<Call> calls) : calls_(std::move(calls)) {
    for (const Call& call : calls_) frame_size_ += call.prefix.size();
  }

  [[noreturn]] void serve(const Fd& listener) {
    watch(epoll_, listener, EPOLLIN, nullptr);
    std::array<epoll_event, 256> events{};
    for (;;) {
      const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        if (event.data.ptr == nullptr) {
          accept_all(listener);
        } else if (auto& peer = *static_cast<Peer*>(event.data.ptr); !peer.client->failed) {
          peer.ending |= (event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
          if (!on_event(peer, event.events)) {
            peer.client->failed = true;
            failed_.emplace_back(peer.client);
          }
        }
      }
      failed_.clear();  // only now: later events of this turn may have named their peers
    }
  }

 private:
  void accept_all(const Fd& listener) {
    for (;;) {
      Fd fd = accept_from(listener);
      if (!fd.is_open()) return;
      auto client = std::make_unique<Client>(calls_.size());
      client->front.fd = std::move(fd);
      try {
        for (std::size_t i = 0; i < calls_.size(); ++i) client->backends[i].fd = connect_to(calls_[i].address);
      } catch (const std::system_error& error) {
        if (!std::exchange(has_complained_, true)) std::fprintf(stderr, "sluice-floor: %s\n", error.what());
        continue;
      }
      for (Peer& backend : client->backends) register_peer(*client, backend, EPOLLIN);
      register_peer(*client, client->front, EPOLLIN | EPOLLOUT);
      client.release();  // owned by its registrations, until it fails
    }
  }

  void register_peer(Client& client, Peer& peer, std::uint32_t events) {
    peer.client = &client;
    watch(epoll_, peer.fd, events, &peer);
  }

  /// False: the client is over.
  bool on_event(Peer& peer, std::uint32_t events) {
    Client& client = *peer.client;
    if (&peer != &client.front) return on_answer(client, peer);
    if (peer.ending || (events & EPOLLIN) != 0) peer.input.mark_readable();
    switch (client.state) {
      case Client::State::reading:
        return !peer.input.has_unread() || read_request(client);
      case Client::State::waiting:
        return !peer.ending;
      case Client::State::writing:
        return write_reply(client);
    }
    return false;
  }

  bool on_answer(Client& client, Peer& backend) {
    if (client.state != Client::State::waiting || backend.input.is_complete()) return !backend.ending;
    switch (backend.input.read(backend.fd, backend.ending)) {
      case Input::Status::failed:
        return false;
      case Input::Status::incomplete:
        return true;
      case Input::Status::complete:
        break;
    }
    return --client.missing > 0 || start_reply(client);
  }

  bool read_request(Client& client) {
    switch (client.front.input.read(client.front.fd, client.front.ending)) {
      case Input::Status::failed:
        return false;
      case Input::Status::incomplete:
        return true;
      case Input::Status::complete:
        break;
    }
    client.front.input.next();
    client.state = Client::State::waiting;
    client.missing = calls_.size();
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      const std::string& request = calls_[i].request;
      if (send(client.backends[i].fd.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
          static_cast<ssize_t>(request.size()))
        return false;
    }
    return true;
  }

  bool start_reply(Client& client) {
    static char closing_brace = '}';
    std::size_t size = frame_size_ + 1;
    for (const Peer& backend : client.backends) size += backend.input.body().size();
    client.head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ";
    client.head.append(std::to_string(size)).append("\r\n\r\n").append(calls_[0].prefix);
    client.reply.clear();
    client.reply_begin = 0;
    client.reply.push_back({client.head.data(), client.head.size()});
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      if (i > 0) client.reply.push_back({calls_[i].prefix.data(), calls_[i].prefix.size()});
      const std::string_view body = client.backends[i].input.body();
      client.reply.push_back({const_cast<char*>(body.data()), body.size()});
    }
    client.reply.push_back({&closing_brace, 1});
    client.state = Client::State::writing;
    return write_reply(client);
  }

  bool write_reply(Client& client) {
    while (client.reply_begin < client.reply.size()) {
      msghdr message{};
      message.msg_iov = client.reply.data() + client.reply_begin;
      message.msg_iovlen = client.reply.size() - client.reply_begin;
      const ssize_t sent = sendmsg(client.front.fd.get(), &message, MSG_NOSIGNAL);
      if (sent < 0) return errno == EAGAIN || errno == EINTR;
      advance(client, static_cast<std::size_t>(sent));
    }
    for (Peer& backend : client.backends) backend.input.next();
    client.state = Client::State::reading;
    const bool may_have_next = client.front.input.is_complete() || client.front.input.has_unread();
    return !may_have_next || read_request(client);
  }

  static void advance(Client& client, std::size_t sent) {
    while (sent > 0) {
      iovec& piece = client.reply[client.reply_begin];
      const std::size_t part = std::min(sent, piece.iov_len);
      piece = {static_cast<char*>(piece.iov_base) + part, piece.iov_len - part};
      sent -= part;
      if (piece.iov_len == 0) ++client.reply_begin;
    }
  }

  std::vector<Call> calls_;
  std::size_t frame_size_ = 0;  // of all prefixes
  Fd epoll_ = make_epoll();
  std::vector<std::unique_ptr<Client>> failed_;
  bool has_complained_ = false;  // about a backend that cannot be reached; once is enough
};

int run(int argc, char** argv) {
  CommandLine command("sluice-floor", "[--listen ADDR] NAME=ADDR:PORT/PATH...",
                      "The least a gateway can do: asks every backend, replies with {\"NAME\":BODY,...}.\n"
                      "Nothing is parsed or checked, and any failure ends the client's connection.");
  Address listen("127.0.0.1:0");
  command.add("--listen", "ADDR", "where to listen (127.0.0.1:0: a free port, which is printed)",
              [&](std::string_view value) { listen = Address(value); });
  return command.run([&] {
    std::vector<Call> calls;
    for (const std::string& text : command.parse(argc, argv)) calls.push_back(parse_call(text, calls.empty()));
    if (calls.empty()) throw UsageError("expected at least one NAME=ADDR:PORT/PATH");
    if (calls.size() > 500) throw UsageError("expected at most 500 backends");
    raise_file_limit();
    const Fd listener = listen_on(listen);
    print_listening(listener);
    Floor(std::move(calls)).serve(listener);
    return 0;
  });
}

}  // namespace
}  // namespace sluice::loadtest

int main(int argc, char** argv) {
  return sluice::loadtest::run(argc, argv);
}
