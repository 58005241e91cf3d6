// Keeps the store of degraded data in a file: reads it at the start, writes it now and then and at the end.
#pragma once

#include "concurrency/clock.hpp"
#include "gateway/instruments.hpp"
#include "gateway/stale_file.hpp"

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>

namespace sluice::gateway {

/// Writes on a thread of its own, at the lowest priority: neither workers nor the control loop wait for the disk. What
/// goes wrong is logged when it begins and when it is over, counted, and keeps nothing from being served.
/// Thread: made, started and destroyed on one; the rest on any.
class StaleFlusher {
 public:
  /// Reads the file at `path` into `store`, which must outlive this. Says in the log what was read and what was lost.
  /// Something else at `path`, which a write would destroy, is left alone, and nothing is written.
  StaleFlusher(StaleStore& store, std::filesystem::path path, concurrency::Duration period, Metrics& metrics);
  /// Waits for a write that has begun, and begins none.
  ~StaleFlusher();
  StaleFlusher(const StaleFlusher&) = delete;
  StaleFlusher& operator=(const StaleFlusher&) = delete;

  /// Begins to write every `period`.
  void start();
  /// Writes without waiting for the end of the period: something was removed that must not come back.
  void write_soon();
  /// Writes a last time, after which is_finished(). Call after start().
  void finish();
  [[nodiscard]] bool is_finished() const { return is_finished_; }

 private:
  enum class Stop { no, after_a_last_write, now };

  void read();
  void run();
  void write();
  void stop(Stop how);

  StaleStore& store_;
  const std::filesystem::path path_;
  const std::string name_;  // in the log
  const concurrency::Duration period_;
  const CacheFileMetrics metrics_;
  bool is_failing_ = false;
  std::atomic<bool> is_finished_{false};

  std::mutex mutex_;
  std::condition_variable woken_;
  Stop stop_ = Stop::no;
  bool is_due_ = false;
  std::thread thread_;
};

}  // namespace sluice::gateway
