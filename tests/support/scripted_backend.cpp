#include "tests/support/scripted_backend.hpp"

#include "concurrency/context.hpp"
#include "concurrency/io.hpp"
#include "concurrency/sleep.hpp"
#include "concurrency/task.hpp"

#include <array>
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

}  // namespace

struct ScriptedBackend::State {
  State(concurrency::Loop& l, const tcp::endpoint& endpoint) : loop(l), acceptor(l.executor(), endpoint) {}

  static Task<> accept(std::shared_ptr<State> self) {
    for (;;) {
      auto socket = std::make_shared<Socket>(self->loop.executor());
      auto operation = self->acceptor.async_accept(*socket, asio::deferred);
      const auto accepted = co_await concurrency::io(self->running.ctx, std::move(operation));
      if (accepted.has_error()) co_return;
      ++self->accepted;
      self->sockets.push_back(socket);
      asio::co_spawn(self->loop.executor(), serve(self, socket), asio::detached);
    }
  }

  static Task<> serve(std::shared_ptr<State> self, std::shared_ptr<Socket> socket) {
    bool is_over = false;
    std::string unread;
    std::array<char, 4096> block;
    while (!is_over) {
      auto operation = socket->async_read_some(asio::buffer(block), asio::deferred);
      const auto size = co_await concurrency::io(self->running.ctx, std::move(operation));
      if (size.has_error()) break;
      unread.append(block.data(), *size);
      for (auto end = unread.find("\r\n\r\n"); end != std::string::npos && !is_over; end = unread.find("\r\n\r\n")) {
        self->heads.push_back(unread.substr(0, end + 4));
        unread.erase(0, end + 4);
        const Said next = self->next();
        if (next.delay != concurrency::Duration(0)) (void)co_await concurrency::sleep(self->running.ctx, next.delay);
        const bool written = next.bytes.empty() || co_await write(self, socket, next.bytes);
        is_over = !written || next.after == After::close;
        if (next.after == After::stall) co_await self->running.ctx.done();
      }
    }
    boost::system::error_code ignored;
    socket->close(ignored);
    std::erase(self->sockets, socket);
  }

  static Task<bool> write(std::shared_ptr<State> self, std::shared_ptr<Socket> socket, std::string bytes) {
    auto operation = asio::async_write(*socket, asio::buffer(bytes), asio::deferred);
    const auto written = co_await concurrency::io(self->running.ctx, std::move(operation));
    co_return written.has_value();
  }

  /// To the last of `heads`.
  Said next() {
    if (choose) return choose(heads.back());
    return script.empty() ? Said(std::string()) : script[std::min(step++, script.size() - 1)];
  }

  concurrency::Loop& loop;
  Acceptor acceptor;
  std::vector<Said> script;
  std::function<Said(const std::string&)> choose;
  std::size_t step = 0;
  std::size_t accepted = 0;
  std::vector<std::shared_ptr<Socket>> sockets;
  std::vector<std::string> heads;
  concurrency::Cancellable running = concurrency::with_cancel(concurrency::Context());
  tcp::endpoint where = acceptor.local_endpoint();
};

ScriptedBackend::ScriptedBackend(concurrency::Loop& loop, std::string_view host)
    : state_(std::make_shared<State>(loop, tcp::endpoint(asio::ip::make_address(host), 0))) {
  asio::co_spawn(loop.executor(), State::accept(state_), asio::detached);
}

ScriptedBackend::~ScriptedBackend() {
  stop();
}

void ScriptedBackend::answer(std::string bytes, After after) {
  state_->script.emplace_back(std::move(bytes), after);
}

void ScriptedBackend::answer_by(std::function<Said(const std::string& head)> choose) {
  state_->choose = std::move(choose);
}

void ScriptedBackend::answer_json(std::string_view body, std::string_view fields) {
  std::string bytes = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ";
  answer(bytes.append(std::to_string(body.size())).append("\r\n").append(fields).append("\r\n").append(body));
}

void ScriptedBackend::say(const std::string& bytes) {
  for (const auto& socket : state_->sockets) {
    asio::co_spawn(state_->loop.executor(), State::write(state_, socket, bytes), asio::detached);
  }
}

void ScriptedBackend::hang_up() {
  boost::system::error_code ignored;
  for (const auto& socket : state_->sockets) socket->close(ignored);
}

void ScriptedBackend::stop() {
  state_->running.cancel();
}

const tcp::endpoint& ScriptedBackend::where() const {
  return state_->where;
}
std::size_t ScriptedBackend::accepted() const {
  return state_->accepted;
}
std::size_t ScriptedBackend::open() const {
  return state_->sockets.size();
}
const std::vector<std::string>& ScriptedBackend::heads() const {
  return state_->heads;
}

}  // namespace sluice::support
