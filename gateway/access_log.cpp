// Buffers of the access log and the thread that writes them.
#include "gateway/access_log.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <limits.h>
#include <mutex>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace sluice::gateway {

struct AccessLogWriter::Buffer {
  explicit Buffer(std::size_t bytes)
      : front(std::make_unique_for_overwrite<char[]>(bytes)), back(std::make_unique_for_overwrite<char[]>(bytes)) {}

  std::mutex mutex;  // held to append a line or to swap, never during a system call
  std::unique_ptr<char[]> front;
  std::size_t used = 0;  // of `front`
  bool is_closed = false;
  AccessLine line;

  std::unique_ptr<char[]> back;  // the writing thread's
};

AccessLogWriter::AccessLogWriter(int fd, std::size_t workers, Counter dropped, Options options)
    : fd_(fd), dropped_(dropped), options_(options), wake_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (wake_fd_ < 0) throw std::system_error(errno, std::system_category(), "eventfd");
  // After poll() a blocking pipe takes at least PIPE_BUF without blocking (pipe(7)), and takes that much in one piece.
  struct stat status = {};
  const bool is_file = ::fstat(fd_, &status) == 0 && S_ISREG(status.st_mode);
  write_bytes_ = is_file ? options_.buffer_bytes : PIPE_BUF;
  for (std::size_t i = 0; i < workers; ++i) buffers_.push_back(std::make_unique<Buffer>(options_.buffer_bytes));

  // The thread inherits the mask: signals are for others, and a reader that went away is EPIPE.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    thread_ = std::thread(&AccessLogWriter::run, this);
  } catch (...) {
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    ::close(wake_fd_);
    throw;
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

AccessLogWriter::~AccessLogWriter() {
  stop();
  ::close(wake_fd_);
}

void AccessLogWriter::write(std::size_t worker, LineFormat format, const AccessRecord& record) {
  Buffer& buffer = *buffers_[worker];
  const std::size_t half = options_.buffer_bytes / 2;
  bool is_half_full = false;
  {
    const std::lock_guard lock(buffer.mutex);
    const std::size_t size =
        buffer.is_closed
            ? 0
            : buffer.line.format(format, record, {&buffer.front[buffer.used], options_.buffer_bytes - buffer.used});
    if (size == 0) {
      dropped_.add();
      return;
    }
    is_half_full = buffer.used < half && buffer.used + size >= half;
    buffer.used += size;
  }
  if (is_half_full) wake();
}

void AccessLogWriter::stop() {
  if (!thread_.joinable()) return;
  stop_deadline_ = std::chrono::steady_clock::now() + options_.stop_timeout;
  is_stopping_ = true;
  wake();
  thread_.join();
}

void AccessLogWriter::wake() {
  const std::uint64_t one = 1;
  // It can fail only when it has been woken 2^64 times already.
  [[maybe_unused]] const auto written = ::write(wake_fd_, &one, sizeof one);
}

void AccessLogWriter::run() {
  ::pthread_setname_np(::pthread_self(), "access log");
  bool is_last = false;
  while (!is_last) {
    pollfd woken = {wake_fd_, POLLIN, 0};
    ::poll(&woken, 1, is_stopping_ ? 0 : static_cast<int>(options_.interval.count()));
    std::uint64_t times = 0;
    [[maybe_unused]] const auto read = ::read(wake_fd_, &times, sizeof times);
    is_last = is_stopping_;
    for (const auto& buffer : buffers_) {
      if (is_last) {
        const std::lock_guard lock(buffer->mutex);
        buffer->is_closed = true;
      }
      write_out(*buffer);
    }
  }
}

void AccessLogWriter::write_out(Buffer& buffer) {
  std::size_t size = 0;
  {
    const std::lock_guard lock(buffer.mutex);
    std::swap(buffer.front, buffer.back);
    size = std::exchange(buffer.used, 0);
  }
  std::string_view rest(buffer.back.get(), size);
  while (!rest.empty()) {
    // Whole lines, where they fit, so that several programs can share a pipe.
    std::string_view piece = rest.substr(0, write_bytes_);
    if (const auto end = piece.rfind('\n'); end != std::string_view::npos) piece = piece.substr(0, end + 1);
    if (!wait_until_writable()) break;
    const ssize_t written = ::write(fd_, piece.data(), piece.size());
    if (written >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EAGAIN && errno != EINTR) {
      break;
    }
  }
  if (const auto lines = std::count(rest.begin(), rest.end(), '\n'); lines > 0) {
    dropped_.add(static_cast<std::uint64_t>(lines));
  }
}

// Waits for as long as it takes; when stopping, until the deadline for that. True also when writing would fail.
bool AccessLogWriter::wait_until_writable() {
  for (;;) {
    int timeout = -1;
    const bool is_stopping = is_stopping_;
    if (is_stopping) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(stop_deadline_ - std::chrono::steady_clock::now());
      timeout = static_cast<int>(std::max<std::int64_t>(0, left.count()));
    }
    pollfd fds[] = {{fd_, POLLOUT, 0}, {wake_fd_, POLLIN, 0}};
    const int ready = ::poll(fds, is_stopping ? 1 : 2, timeout);
    if (ready < 0 && errno != EINTR) return false;
    if (ready > 0 && fds[0].revents != 0) return true;
    if (ready == 0) return false;
    std::uint64_t times = 0;  // a wake for a buffer that is half full: nothing to do before this one is out
    [[maybe_unused]] const auto read = ::read(wake_fd_, &times, sizeof times);
  }
}

}  // namespace sluice::gateway
