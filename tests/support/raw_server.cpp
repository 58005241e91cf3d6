#include "tests/support/raw_server.hpp"

#include "concurrency/context.hpp"
#include "concurrency/io.hpp"
#include "concurrency/task.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>

namespace sluice::support {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using concurrency::Task;
using Socket = asio::basic_stream_socket<tcp, concurrency::Executor>;
using Acceptor = asio::basic_socket_acceptor<tcp, concurrency::Executor>;

}  // namespace

struct RawServer::State {
  explicit State(concurrency::Loop& l)
      : loop(l), acceptor(l.executor(), tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {}

  static Task<> accept(std::shared_ptr<State> self) {
    for (;;) {
      auto socket = std::make_shared<Socket>(self->loop.executor());
      auto operation = self->acceptor.async_accept(*socket, asio::deferred);
      const auto accepted = co_await concurrency::io(self->running.ctx, std::move(operation));
      if (accepted.has_error()) co_return;
      ++self->accepted;
      boost::system::error_code ignored;
      socket->set_option(tcp::no_delay(true), ignored);  // virtual time does not wait for a delayed ACK
      self->socket = socket;
      self->is_open = true;
      self->received.clear();
      self->written = 0;
      if (!self->is_paused) asio::co_spawn(self->loop.executor(), read(self, socket), asio::detached);
    }
  }

  static Task<> read(std::shared_ptr<State> self, std::shared_ptr<Socket> socket) {
    std::array<char, 16 * 1024> block;
    while (!self->is_paused) {
      auto operation = socket->async_read_some(asio::buffer(block), asio::deferred);
      const auto size = co_await concurrency::io(self->running.ctx, std::move(operation));
      if (self->socket != socket) co_return;
      if (size.has_error()) {
        self->is_open = false;
        co_return;
      }
      self->received.append(block.data(), *size);
    }
  }

  static Task<> write(std::shared_ptr<State> self, std::shared_ptr<Socket> socket, std::string bytes) {
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t piece = std::min(bytes.size() - at, std::size_t{64} * 1024);
      auto operation = socket->async_write_some(asio::buffer(bytes.data() + at, piece), asio::deferred);
      const auto size = co_await concurrency::io(self->running.ctx, std::move(operation));
      if (size.has_error()) co_return;
      at += *size;
      if (self->socket == socket) self->written += *size;
    }
  }

  concurrency::Loop& loop;
  Acceptor acceptor;
  std::shared_ptr<Socket> socket;
  std::size_t accepted = 0;
  std::size_t written = 0;
  std::string received;
  bool is_open = false;
  bool is_paused = false;
  concurrency::Cancellable running = concurrency::with_cancel(concurrency::Context());
};

RawServer::RawServer(concurrency::Loop& loop) : state_(std::make_shared<State>(loop)) {
  asio::co_spawn(loop.executor(), State::accept(state_), asio::detached);
}

RawServer::~RawServer() {
  state_->running.cancel();
}

std::string RawServer::url() const {
  return "http://127.0.0.1:" + std::to_string(state_->acceptor.local_endpoint().port());
}
std::size_t RawServer::accepted() const {
  return state_->accepted;
}
bool RawServer::is_open() const {
  return state_->is_open;
}
const std::string& RawServer::received() const {
  return state_->received;
}
std::string RawServer::take() {
  return std::exchange(state_->received, {});
}

void RawServer::pause() {
  state_->is_paused = true;
  boost::system::error_code ignored;
  if (state_->socket) state_->socket->cancel(ignored);
}

void RawServer::resume() {
  state_->is_paused = false;
  state_->is_open = true;
  asio::co_spawn(state_->loop.executor(), State::read(state_, state_->socket), asio::detached);
}

void RawServer::say(std::string bytes) {
  asio::co_spawn(state_->loop.executor(), State::write(state_, state_->socket, std::move(bytes)), asio::detached);
}
std::size_t RawServer::written() const {
  return state_->written;
}

void RawServer::close(std::string_view last) {
  boost::system::error_code ignored;
  (void)state_->socket->write_some(asio::buffer(last), ignored);
  state_->socket->close(ignored);
}
void RawServer::reset(std::string_view last) {
  boost::system::error_code ignored;
  state_->socket->set_option(asio::socket_base::linger(true, 0), ignored);
  close(last);
}
void RawServer::stop() {
  boost::system::error_code ignored;
  state_->acceptor.close(ignored);
}

}  // namespace sluice::support
