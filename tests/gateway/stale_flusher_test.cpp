// StaleFlusher: a last write, failures that are counted and logged once, and files that are not ours.
#include "gateway/stale_flusher.hpp"

#include "gateway/log.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::internal::CaptureStderr;
using ::testing::internal::GetCapturedStderr;

class Flusher : public ::testing::Test {
 protected:
  Flusher()
      : folder_(std::filesystem::path(testing::TempDir()) /
                ("stale_flusher_test." + std::to_string(getpid()) + "." +
                 testing::UnitTest::GetInstance()->current_test_info()->name())),
        path_(folder_ / "cache") {
    std::filesystem::create_directories(folder_);
  }
  ~Flusher() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<StaleFlusher> make(StaleStore& store, concurrency::Duration period = 24h) {
    return std::make_unique<StaleFlusher>(store, path_, period, metrics_);
  }
  static void put(StaleStore& store, const std::string& key) {
    StaleEntry entry;
    auto body = std::make_shared<backends::Body>();
    body->bytes = "1";
    entry.body = std::move(body);
    entry.stored_at = TimePoint::clock::now();
    ASSERT_EQ(store.put(key, entry, entry.stored_at), StaleStore::Put::stored);
  }
  static void finish(StaleFlusher& flusher) {
    flusher.finish();
    while (!flusher.is_finished()) std::this_thread::yield();
  }

  const std::filesystem::path folder_;
  const std::filesystem::path path_;
  Metrics metrics_;
};

TEST_F(Flusher, WritesALastTimeAndTheNextOneReadsIt) {
  StaleStore store(1 << 20, 1);
  put(store, "a");
  {
    const auto flusher = make(store);
    flusher->start();
    put(store, "b");
    finish(*flusher);
  }
  EXPECT_THAT(metrics_.text(), HasSubstr("sluice_cache_file_writes_total{result=\"success\"} 1\n"));
  StaleStore next(1 << 20, 1);
  const auto flusher = make(next);
  EXPECT_EQ(next.stats().entries, 2U);
}

TEST_F(Flusher, WritesSoonWhenToldTo) {
  StaleStore store(1 << 20, 1);
  put(store, "a");
  const auto flusher = make(store);
  flusher->start();
  flusher->write_soon();
  while (!std::filesystem::exists(path_)) std::this_thread::yield();
  StaleStore next(1 << 20, 1);
  EXPECT_EQ(read_stale_file(path_, next, Moment::current()).entries, 1U);
}

TEST_F(Flusher, WritesNothingWhenItIsOnlyDestroyed) {
  StaleStore store(1 << 20, 1);
  {
    const auto flusher = make(store);
    flusher->start();
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(Flusher, CountsEveryFailureAndLogsWhenTheyBeginAndEnd) {
  StaleStore store(1 << 20, 1);
  CaptureStderr();
  {
    const auto flusher = make(store, 1ms);
    std::filesystem::create_directory(folder_ / "cache.tmp");
    flusher->start();
    const auto reaches = [&](const std::string& line) {
      const auto end = std::chrono::steady_clock::now() + 30s;
      while (metrics_.text().find(line) == std::string::npos && std::chrono::steady_clock::now() < end) {
        std::this_thread::yield();
      }
      EXPECT_THAT(metrics_.text(), HasSubstr(line));
    };
    reaches("sluice_cache_file_writes_total{result=\"failure\"} 3");
    std::filesystem::remove(folder_ / "cache.tmp");
    reaches("sluice_cache_file_writes_total{result=\"success\"} 3");
    finish(*flusher);
  }
  const std::string log = GetCapturedStderr();
  const auto count = [&](const std::string& text) {
    int times = 0;
    for (std::size_t at = log.find(text); at != std::string::npos; at = log.find(text, at + 1)) ++times;
    return times;
  };
  EXPECT_EQ(count("cannot make cache.tmp"), 1) << log;
  EXPECT_EQ(count("can be written again"), 1) << log;
}

TEST_F(Flusher, StartsBesideAFileThatIsNotOursAndLeavesIt) {
  std::ofstream(path_) << "a letter";
  StaleStore store(1 << 20, 1);
  CaptureStderr();
  const auto flusher = make(store);
  flusher->start();
  finish(*flusher);
  const std::string log = GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr(path_.string() + "\": is not a cache of sluice: starting with nothing stored"));
  EXPECT_THAT(log, HasSubstr("stored data would not outlive a restart"));
  std::string text;
  std::getline(std::ifstream(path_), text);
  EXPECT_EQ(text, "a letter");
}

TEST_F(Flusher, SaysHowManyEntriesWereReadAndLost) {
  StaleStore store(1 << 20, 1);
  put(store, "a");
  put(store, "b");
  ASSERT_EQ(write_stale_file(path_, store, Moment::current()).problem, "");
  std::filesystem::resize_file(path_, StaleHead::kSize + StaleRecord::kSize + 2);
  StaleStore next(1 << 20, 1);
  CaptureStderr();
  const auto flusher = make(next);
  EXPECT_THAT(GetCapturedStderr(), HasSubstr("1 entries read, 1 dropped"));
}

}  // namespace
}  // namespace sluice::gateway
