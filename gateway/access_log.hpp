// The access log: one line a request to a file descriptor, without ever holding up a worker.
#pragma once

#include "gateway/access_line.hpp"
#include "gateway/metrics.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

namespace sluice::gateway {

/// Takes lines from workers into a bounded buffer each, and writes them from a thread of its own.
///
/// Lines of one worker stay in order. While the output is blocked the buffers fill; lines that do not fit any more are
/// dropped and counted. An output that is gone (EPIPE) or fails drops, too. SIGPIPE is blocked in the writing thread.
class AccessLogWriter {
 public:
  struct Options {
    Options() {}

    std::size_t buffer_bytes = 256 * 1024;         // two of them a worker
    std::chrono::milliseconds interval{100};       // between writes, unless a buffer is half full before
    std::chrono::milliseconds stop_timeout{1000};  // for what is left when stopping
  };

  /// Writes to `fd`, which must stay open until after `stop`. Starts the thread.
  /// Throws std::system_error when out of file descriptors or threads.
  AccessLogWriter(int fd, std::size_t workers, Counter dropped, Options options = Options());
  ~AccessLogWriter();  // stops
  AccessLogWriter(const AccessLogWriter&) = delete;
  AccessLogWriter& operator=(const AccessLogWriter&) = delete;

  /// Formats `record` into the buffer of `worker`. No allocation; a system call only when the buffer becomes half full.
  /// Thread: any, but only a worker's own is sure never to meet another than the writer.
  void write(std::size_t worker, LineFormat format, const AccessRecord& record);

  /// Writes what the buffers hold, for at most `stop_timeout` while the output is blocked, and ends the thread.
  /// Lines written later are dropped and counted. Thread: any one; once is enough.
  void stop();

 private:
  struct Buffer;

  void run();
  void wake();
  void write_out(Buffer& buffer);
  [[nodiscard]] bool wait_until_writable();

  const int fd_;
  const Counter dropped_;
  const Options options_;
  std::size_t write_bytes_;  // at most so many at once
  int wake_fd_;              // an eventfd
  std::vector<std::unique_ptr<Buffer>> buffers_;
  std::chrono::steady_clock::time_point stop_deadline_;  // set before `is_stopping_`
  std::atomic<bool> is_stopping_ = false;
  std::thread thread_;
};

}  // namespace sluice::gateway
