#include "tests/support/path_backend.hpp"

#include "concurrency/context.hpp"
#include "concurrency/io.hpp"
#include "concurrency/sleep.hpp"
#include "concurrency/task.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/write.hpp>

namespace sluice::support {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using concurrency::Task;
using Socket = asio::basic_stream_socket<tcp, concurrency::Executor>;
using Acceptor = asio::basic_socket_acceptor<tcp, concurrency::Executor>;

struct Answer {
  std::string bytes;
  concurrency::Duration after{0};
};

std::string response(unsigned status, const std::string& fields, const std::string& body) {
  return "HTTP/1.1 " + std::to_string(status) +
         " Any\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + fields +
         "\r\n" + body;
}

}  // namespace

struct PathBackend::State {
  explicit State(concurrency::Loop& l)
      : loop(l), start(l.now()), acceptor(l.executor(), tcp::endpoint(asio::ip::make_address("127.0.0.1"), 0)) {}

  static Task<> accept(std::shared_ptr<State> self) {
    for (;;) {
      auto socket = std::make_shared<Socket>(self->loop.executor());
      auto operation = self->acceptor.async_accept(*socket, asio::deferred);
      const auto accepted = co_await concurrency::io(self->running.ctx, std::move(operation));
      if (accepted.has_error()) co_return;
      asio::co_spawn(self->loop.executor(), serve(self, socket), asio::detached);
    }
  }

  static Task<> serve(std::shared_ptr<State> self, std::shared_ptr<Socket> socket) {
    std::string unread;
    std::array<char, 4096> block;
    for (;;) {
      const auto end = unread.find("\r\n\r\n");
      if (end == std::string::npos) {
        auto operation = socket->async_read_some(asio::buffer(block), asio::deferred);
        const auto size = co_await concurrency::io(self->running.ctx, std::move(operation));
        if (size.has_error()) co_return;
        unread.append(block.data(), *size);
        continue;
      }
      const std::string head = unread.substr(0, end + 4);
      unread.erase(0, end + 4);
      const auto target = head.find(' ') + 1;
      self->requests.emplace_back(self->loop.now() - self->start, head.substr(target, head.find(' ', target) - target),
                                  head);
      const Answer answer = self->answer_to(self->requests.back().target);
      self->most = std::max(self->most, ++self->waiting);
      (void)co_await concurrency::sleep(self->running.ctx, answer.after);
      --self->waiting;
      auto operation = asio::async_write(*socket, asio::buffer(answer.bytes), asio::deferred);
      const auto written = co_await concurrency::io(self->running.ctx, std::move(operation));
      if (written.has_error()) co_return;
    }
  }

  Answer answer_to(const std::string& target) const {
    const auto known = answers.find(target);
    return known != answers.end() ? known->second : Answer{response(404, "", "{}"), {}};
  }

  concurrency::Loop& loop;
  concurrency::TimePoint start;
  Acceptor acceptor;
  std::map<std::string, Answer> answers;
  std::vector<Request> requests;
  std::size_t waiting = 0;
  std::size_t most = 0;
  concurrency::Cancellable running = concurrency::with_cancel(concurrency::Context());
};

PathBackend::PathBackend(concurrency::Loop& loop) : state_(std::make_shared<State>(loop)) {
  asio::co_spawn(loop.executor(), State::accept(state_), asio::detached);
}

PathBackend::~PathBackend() {
  state_->running.cancel();
}

void PathBackend::on(const std::string& target, const std::string& json, concurrency::Duration after, unsigned status,
                     const std::string& fields) {
  state_->answers[target] = Answer{response(status, fields, json), after};
}

std::string PathBackend::url() const {
  return "http://127.0.0.1:" + std::to_string(state_->acceptor.local_endpoint().port());
}

const std::vector<PathBackend::Request>& PathBackend::requests() const {
  return state_->requests;
}

std::chrono::milliseconds PathBackend::when(const std::string& target) const {
  for (const Request& request : state_->requests) {
    if (request.target == target) return std::chrono::duration_cast<std::chrono::milliseconds>(request.at);
  }
  return std::chrono::milliseconds(-1);
}

std::size_t PathBackend::most_at_once() const {
  return state_->most;
}

}  // namespace sluice::support
