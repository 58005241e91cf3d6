// A mutex for a few instructions at a time.
#pragma once

#include <atomic>

namespace sluice::concurrency::detail {

/// Uncontended, locking and unlocking are one atomic instruction each, inlined; contended, it sleeps in the kernel.
/// Ulrich Drepper, "Futexes Are Tricky", the second mutex. *any thread*
class ThinMutex {
 public:
  ThinMutex() = default;
  ThinMutex(const ThinMutex&) = delete;
  ThinMutex& operator=(const ThinMutex&) = delete;

  void lock() noexcept {
    int found = kFree;
    if (state_.compare_exchange_strong(found, kLocked, std::memory_order_acquire, std::memory_order_relaxed)) return;
    while (state_.exchange(kContended, std::memory_order_acquire) != kFree) {
      state_.wait(kContended, std::memory_order_relaxed);
    }
  }
  bool try_lock() noexcept {
    int found = kFree;
    return state_.compare_exchange_strong(found, kLocked, std::memory_order_acquire, std::memory_order_relaxed);
  }
  void unlock() noexcept {
    if (state_.exchange(kFree, std::memory_order_release) == kContended) state_.notify_one();
  }

 private:
  enum : int { kFree, kLocked, kContended };  // contended: somebody may sleep
  std::atomic<int> state_{kFree};
};

}  // namespace sluice::concurrency::detail
