#include "backends/demo/stand_in.hpp"

#include "backends/demo/service.hpp"
#include "concurrency/io.hpp"
#include "concurrency/sleep.hpp"

#include <chrono>
#include <stdexcept>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>

namespace sluice::backends::demo {

using boost::asio::ip::tcp;
using concurrency::Context;
using concurrency::Result;
using concurrency::Task;
using ErrorCode = boost::system::error_code;

namespace {

void take_in(const std::shared_ptr<Service>& service, Socket socket) {
  ErrorCode ignored;
  ++service->counters.accepted;
  const Faults faults = service->faults_for({});
  if (faults.reset == Place::accept) {
    socket.set_option(boost::asio::socket_base::linger(true, 0), ignored);
    socket.close(ignored);  // the destructor would forget the linger option
    return;
  }
  if (faults.hang == Place::accept) {
    ++service->counters.open;
    service->held.push_back(std::move(socket));
    return;
  }
  socket.non_blocking(true, ignored);
  socket.set_option(tcp::no_delay(true), ignored);
  start_session(service, std::move(socket));
}

/// Waits for readiness and only then accepts, so that a connection which comes while frozen stays in the queue.
Task<> accept_loop(std::shared_ptr<Service> service, std::shared_ptr<Acceptor> acceptor) {
  const Context ctx = service->running.ctx;
  for (;;) {
    const Result<> thawed = co_await service->until_thawed(ctx);
    if (!thawed) co_return;
    Socket socket(service->loop.executor());
    ErrorCode ec;
    acceptor->accept(socket, ec);
    if (!ec) {
      take_in(service, std::move(socket));
    } else if (ec == boost::asio::error::would_block) {
      auto wait = acceptor->async_wait(Acceptor::wait_read, boost::asio::deferred);
      const Result<> ready = co_await concurrency::io(ctx, std::move(wait));
      if (!ready) co_return;
    } else {
      // Out of files: does not spin.
      const Result<> slept = co_await concurrency::sleep(ctx, std::chrono::milliseconds(10));
      if (!slept) co_return;
    }
  }
}

}  // namespace

Task<Result<>> Service::until_thawed(Context ctx) const {
  while (frozen) {
    auto gate = *frozen;
    (void)co_await gate.receive(ctx);
    if (ctx.is_done()) co_return ctx.err();
  }
  co_return Result<>();
}

Faults Service::faults_for(std::string_view path) const {
  Faults result;
  for (const auto& [prefix, text] : faults) {
    if (path.starts_with(prefix)) (void)result.set_all(text);
  }
  return result;
}

std::string Service::set_faults(std::string_view text, std::string_view path) {
  Faults checked;
  std::string problem = checked.set_all(text);
  if (problem.empty()) faults.insert_or_assign(std::string(path), std::string(text));
  return problem;
}

StandIn::StandIn(concurrency::Loop& loop, const Options& options) : service_(std::make_shared<Service>(loop, options)) {
  if (options.faults.empty()) return;
  const std::string problem = set_faults(options.faults);
  if (!problem.empty()) throw std::invalid_argument(problem);
}

StandIn::StandIn(concurrency::Loop& loop) : StandIn(loop, Options()) {}

StandIn::~StandIn() {
  stop();
}

tcp::endpoint StandIn::listen(const tcp::endpoint& where) {
  if (service_->running.ctx.is_done()) service_->running = concurrency::with_cancel(Context::background());
  auto acceptor = std::make_shared<Acceptor>(service_->loop.executor());
  acceptor->open(where.protocol());
  acceptor->set_option(boost::asio::socket_base::reuse_address(true));
  acceptor->bind(where);
  acceptor->listen();
  acceptor->non_blocking(true);
  service_->acceptors.push_back(acceptor);
  boost::asio::co_spawn(service_->loop.executor(), accept_loop(service_, acceptor), boost::asio::detached);
  return acceptor->local_endpoint();
}

tcp::endpoint StandIn::listen() {
  return listen(tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
}

void StandIn::stop() {
  service_->running.cancel();
  ErrorCode ignored;
  for (const auto& acceptor : service_->acceptors) acceptor->close(ignored);
  service_->acceptors.clear();
  service_->counters.open -= service_->held.size();
  service_->held.clear();
}

void StandIn::freeze() {
  if (!service_->frozen) service_->frozen.emplace(std::size_t{0});
}

void StandIn::thaw() {
  if (!service_->frozen) return;
  (void)service_->frozen->close();
  service_->frozen.reset();
}

std::string StandIn::set_faults(std::string_view text, std::string_view path) {
  return service_->set_faults(text, path);
}

void StandIn::clear_faults() {
  service_->faults.clear();
}

const StandIn::Counters& StandIn::counters() const {
  return service_->counters;
}

const std::optional<ReceivedRequest>& StandIn::last_request() const {
  return service_->last_request;
}

}  // namespace sluice::backends::demo
