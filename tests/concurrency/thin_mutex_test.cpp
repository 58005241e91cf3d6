// ThinMutex: threads that want it at the same time.
#include "concurrency/detail/thin_mutex.hpp"

#include <algorithm>
#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::concurrency::detail {
namespace {

TEST(ThinMutex, LetsOneThreadInAtATime) {
  constexpr int kThreads = 4;
  constexpr int kTimes = 5000;
  ThinMutex mutex;
  int inside = 0;
  int total = 0;
  int most = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < kTimes; ++n) {
        const std::lock_guard lock(mutex);
        most = std::max(most, ++inside);
        if (n % 64 == 0) std::this_thread::yield();  // so that the others find it taken, and sleep
        ++total;
        --inside;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(most, 1);
  EXPECT_EQ(total, kThreads * kTimes);
}

}  // namespace
}  // namespace sluice::concurrency::detail
