#include "gateway/worker.hpp"

#include "concurrency/io.hpp"
#include "concurrency/sleep.hpp"
#include "concurrency/snapshot.hpp"
#include "gateway/log.hpp"
#include "gateway/session.hpp"

#include <algorithm>
#include <ctime>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>

namespace sluice::gateway {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using concurrency::Context;
using concurrency::Task;

// How long to leave the accept queue alone when too many file descriptors are in use.
constexpr std::chrono::milliseconds kPauseWhenFull{50};

// Descriptors that clients cannot take: what backends, the admin port and files need when clients take all they can.
constexpr rlim_t kMaxReserve = 1024;

/// Whether only the reserve is left. The kernel gives the lowest free number, so the next one tells how many are taken.
bool are_descriptors_scarce(int next) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return false;
  return next < 0 || static_cast<rlim_t>(next) >= limit.rlim_cur - std::min(limit.rlim_cur / 4, kMaxReserve);
}

bool are_descriptors_scarce() {
  const int next = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
  const bool are_scarce = are_descriptors_scarce(next);
  if (next >= 0) ::close(next);
  return are_scarce;
}

}  // namespace

Worker::Worker(concurrency::Loop& loop, Shared& shared, std::size_t number, std::size_t count,
               std::shared_ptr<const Runtime> runtime)
    : loop_(loop),
      shared_(shared),
      number_(number),
      count_(count),
      background_(concurrency::with_cancel(Context())),
      serving_(concurrency::with_cancel(Context())) {
  deploy(std::move(runtime));
  asio::co_spawn(loop_.executor(), let_go_of_old_snapshots(background_.ctx), asio::detached);
}

Worker::~Worker() {
  for (const auto& acceptor : acceptors_) {
    error_code ignored;
    acceptor->close(ignored);
  }
}

// A worker that is idle for long must not keep what others have replaced.
Task<> Worker::let_go_of_old_snapshots(Context ctx) {
  for (;;) {
    const auto slept = co_await concurrency::sleep(ctx, std::chrono::seconds(1));
    if (slept.has_error()) co_return;
    concurrency::refresh_snapshots();
  }
}

void Worker::deploy(std::shared_ptr<const Runtime> runtime) {
  deployment_ = std::make_shared<const Deployment>(std::move(runtime), shared_, background_.ctx, number_, count_,
                                                   deployment_.get());
}

void Worker::serve(Acceptor acceptor) {
  acceptors_.push_back(std::make_shared<Acceptor>(std::move(acceptor)));
  ++accepting_;
  asio::co_spawn(loop_.executor(), accept(acceptors_.back()), asio::detached);
}

Task<> Worker::accept(std::shared_ptr<Acceptor> acceptor) {
  bool was_full = false;
  while (acceptor->is_open()) {
    const std::size_t limit = (deployment_->runtime->config.limits.max_connections + count_ - 1) / count_;
    if (*sessions_ >= limit && !is_draining_) {
      (void)co_await concurrency::sleep(serving_.ctx, kPauseWhenFull);
      continue;
    }
    if (was_full && are_descriptors_scarce()) {
      (void)co_await concurrency::sleep(serving_.ctx, kPauseWhenFull);
      if (serving_.ctx.is_done()) break;
      continue;
    }
    backends::Socket socket(loop_.executor());
    const auto accepted = co_await concurrency::io(serving_.ctx, acceptor->async_accept(socket, asio::deferred));
    if (accepted.has_value()) {
      const bool is_full = are_descriptors_scarce(socket.native_handle());
      if (is_full && !was_full) log_warn("accept: few file descriptors are left; waiting for connections to close");
      was_full = is_full;
      start(std::move(socket));
      continue;
    }
    if (serving_.ctx.is_done()) break;
    const error_code ec = accepted.error();
    if (ec == asio::error::connection_aborted || ec == asio::error::interrupted) continue;
    // Out of file descriptors or memory: those who wait stay in the queue until something is free.
    if (!was_full) log_warn("accept: " + ec.message() + "; waiting for connections to close");
    was_full = true;
    (void)co_await concurrency::sleep(serving_.ctx, kPauseWhenFull);
  }
  // Draining: what is in the accept queue has been promised an answer.
  error_code ec;
  acceptor->non_blocking(true, ec);
  while (!ec && acceptor->is_open()) {
    backends::Socket socket(loop_.executor());
    acceptor->accept(socket, ec);
    if (!ec) start(std::move(socket));
  }
  acceptor->close(ec);
  --accepting_;
}

void Worker::start(backends::Socket socket) {
  asio::co_spawn(loop_.executor(), Session::run(std::make_shared<Session>(std::move(socket), *this)),
                 [](std::exception_ptr thrown) {
                   if (!thrown) return;
                   try {
                     std::rethrow_exception(thrown);
                   } catch (const std::exception& e) {
                     log_error(std::string("a session ended with an exception: ") + e.what());
                   }
                 });
}

void Worker::drain() {
  is_draining_ = true;
  serving_.cancel();
}

std::string_view Worker::http_date(std::chrono::system_clock::time_point time) {
  const auto now = std::chrono::floor<std::chrono::seconds>(time);
  if (now != date_second_) {
    date_second_ = now;
    const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    date_size_ = std::strftime(date_.data(), date_.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  }
  return {date_.data(), date_size_};
}

}  // namespace sluice::gateway
