// Writing the access log to outputs that are slow, blocked or gone.
#include "gateway/access_log.hpp"

#include "gateway/instruments.hpp"

#include <algorithm>
#include <chrono>
#include <fcntl.h>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

using namespace std::chrono_literals;

class Pipe {
 public:
  Pipe() {
    int ends[2];
    if (::pipe(ends) != 0) throw std::runtime_error("pipe");
    read_end_ = ends[0];
    write_end_ = ends[1];
  }
  ~Pipe() {
    close_read_end();
    close_write_end();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  [[nodiscard]] int write_end() const { return write_end_; }
  void close_read_end() { close(read_end_); }
  void close_write_end() { close(write_end_); }

  std::string read_some() const {
    std::string piece(1000, '\0');
    const ssize_t size = ::read(read_end_, piece.data(), piece.size());
    piece.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return piece;
  }

  std::string read_all() const {
    std::string all;
    for (std::string piece = read_some(); !piece.empty(); piece = read_some()) all += piece;
    return all;
  }

 private:
  static void close(int& fd) {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }

  int read_end_;
  int write_end_;
};

class AccessLog : public testing::Test {
 protected:
  static AccessLogWriter::Options options(std::size_t buffer_bytes = 256 * 1024) {
    AccessLogWriter::Options options;
    options.buffer_bytes = buffer_bytes;
    options.interval = 1h;  // never in a test: only a full buffer or stopping gets lines out
    options.stop_timeout = 1h;
    return options;
  }

  [[nodiscard]] std::size_t dropped() const {
    const std::string text = metrics_.text();
    const std::string name = "\nsluice_access_log_dropped_total ";
    return std::stoul(text.substr(text.find(name) + name.size()));
  }

  static std::string line(const AccessRecord& record) {
    std::string memory(64 * 1024, '\0');
    memory.resize(AccessLine().format(LineFormat::json, record, memory));
    return memory;
  }

  static std::size_t lines_in(const std::string& text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  }

  Metrics metrics_;
  Counter dropped_ = access_log_dropped(metrics_);
  Pipe pipe_;
  AccessRecord record_;
};

TEST_F(AccessLog, WritesEverythingBeforeItStops) {
  AccessLogWriter log(pipe_.write_end(), 2, dropped_, options());
  record_.target = "/first";
  const std::string first = line(record_);
  log.write(0, LineFormat::json, record_);
  log.write(0, LineFormat::json, record_);
  record_.target = "/second";
  log.write(1, LineFormat::json, record_);
  log.stop();
  pipe_.close_write_end();
  EXPECT_EQ(pipe_.read_all(), first + first + line(record_));
  EXPECT_EQ(dropped(), 0u);
}

TEST_F(AccessLog, WritesWhenABufferIsHalfFull) {
  AccessLogWriter log(pipe_.write_end(), 1, dropped_, options(1024));
  const std::string target(600, 'x');
  record_.target = target;
  log.write(0, LineFormat::json, record_);
  std::string read;
  while (read.size() < line(record_).size()) read += pipe_.read_some();
  EXPECT_EQ(read, line(record_));
}

TEST_F(AccessLog, DropsAndCountsWhatDoesNotFitWhileNobodyReads) {
  constexpr std::size_t kLines = 5000;
  auto given = options(8 * 1024);
  given.stop_timeout = 0ms;
  AccessLogWriter log(pipe_.write_end(), 1, dropped_, given);
  const std::string target(100, 'x');
  record_.target = target;
  for (std::size_t i = 0; i < kLines; ++i) log.write(0, LineFormat::json, record_);
  EXPECT_GE(dropped(), 1u);
  log.stop();
  log.write(0, LineFormat::json, record_);
  pipe_.close_write_end();
  const std::string read = pipe_.read_all();
  EXPECT_EQ(lines_in(read) + dropped(), kLines + 1);
  EXPECT_EQ(read.size(), lines_in(read) * line(record_).size());
}

TEST_F(AccessLog, LosesNothingOnAReaderThatIsSlowAndWritesThatAreShort) {
  constexpr int kLines = 300;
  ASSERT_GT(::fcntl(pipe_.write_end(), F_SETPIPE_SZ, 4096), 0);
  ASSERT_EQ(::fcntl(pipe_.write_end(), F_SETFL, O_NONBLOCK), 0);
  AccessLogWriter log(pipe_.write_end(), 1, dropped_, options(4 * 1024 * 1024));
  std::string expected;
  for (int i = 0; i < kLines; ++i) {
    const std::string target(static_cast<std::size_t>(i) * 41 % 9000, static_cast<char>('a' + i % 26));
    record_.target = target;
    record_.status = static_cast<unsigned>(i);
    expected += line(record_);
    log.write(0, LineFormat::json, record_);
  }
  std::string read;
  std::thread reader([&] { read = pipe_.read_all(); });
  log.stop();
  pipe_.close_write_end();
  reader.join();
  EXPECT_EQ(read, expected);
  EXPECT_EQ(dropped(), 0u);
}

TEST_F(AccessLog, OutlivesAReaderThatGoesAway) {
  AccessLogWriter log(pipe_.write_end(), 1, dropped_, options());
  pipe_.close_read_end();
  for (int i = 0; i < 10; ++i) log.write(0, LineFormat::json, record_);
  log.stop();
  EXPECT_EQ(dropped(), 10u);
}

TEST_F(AccessLog, KeepsTheOrderOfEachWorkersLines) {
  constexpr unsigned kLines = 2000;
  constexpr std::size_t kWorkers = 2;
  AccessLogWriter log(pipe_.write_end(), kWorkers, dropped_, options(16 * 1024));
  std::string read;
  std::thread reader([&] { read = pipe_.read_all(); });
  std::vector<std::thread> workers;
  for (std::size_t worker = 0; worker < kWorkers; ++worker) {
    workers.emplace_back([&, worker] {
      AccessRecord record;
      record.method = worker == 0 ? "A" : "B";
      for (unsigned i = 0; i < kLines; ++i) {
        record.status = i;
        log.write(worker, LineFormat::text, record);
      }
    });
  }
  for (auto& worker : workers) worker.join();
  log.stop();
  pipe_.close_write_end();
  reader.join();
  EXPECT_EQ(lines_in(read) + dropped(), kLines * kWorkers);
  for (const std::string method : {"\"A \" ", "\"B \" "}) {
    int last = -1;
    for (auto at = read.find(method); at != std::string::npos; at = read.find(method, at + 1)) {
      const int status = std::stoi(read.substr(at + method.size()));
      ASSERT_GT(status, last);
      last = status;
    }
    EXPECT_GE(last, 0);
  }
}

}  // namespace
}  // namespace sluice::gateway
