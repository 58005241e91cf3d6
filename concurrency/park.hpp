// How a coroutine waits: it is parked, claimed exactly once by whoever has what it waits for, and resumed on its loop.
#pragma once

#include "concurrency/loop.hpp"

#include <atomic>
#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

#include <boost/asio/async_result.hpp>
#include <boost/asio/deferred.hpp>

namespace sluice::concurrency::detail {

/// One wait of one coroutine, in its frame. Several sources (queues, contexts, timers) may try to end it; the first
/// that claims it wins and must wake it. `claim` and `wake` are for any thread, the rest for the loop's own.
class Parked {
 public:
  Parked() : loop_(Loop::current()) {}
  ~Parked();
  Parked(const Parked&) = delete;
  Parked& operator=(const Parked&) = delete;

  /// True for the first caller only. The claimer may write into the coroutine's frame until it calls wake().
  bool claim(int source) noexcept {
    int nobody = kNobody;
    return source_.compare_exchange_strong(nobody, source, std::memory_order_acq_rel, std::memory_order_relaxed);
  }
  [[nodiscard]] bool is_claimed() const noexcept { return source_.load(std::memory_order_acquire) != kNobody; }
  /// Resumes the coroutine on its own loop, never inline. Call once, after a claim that succeeded.
  void wake() noexcept;
  /// Which source claimed it.
  [[nodiscard]] int source() const noexcept { return source_.load(std::memory_order_acquire); }

  /// `co_await parked.wait()` suspends until woken. A wake that came before the suspension is not lost: it is posted to
  /// the loop, whose thread is the one that suspends.
  auto wait() {
    return boost::asio::async_initiate<const boost::asio::deferred_t&, void()>(Suspend(), boost::asio::deferred, this);
  }

 private:
  friend class sluice::concurrency::Loop;
  static constexpr int kNobody = -1;
  static constexpr std::size_t kHandlerSize = 4 * sizeof(void*);

  struct Suspend {
    template <class Handler>
    void operator()(Handler&& handler, Parked* parked) const {
      parked->suspend(std::forward<Handler>(handler));
    }
  };

  // The coroutine's handler, which owns its frame and therefore this object: kept as bytes and two functions, since
  // its type differs between versions of Asio.
  template <class Handler>
  void suspend(Handler&& handler) {
    using H = std::decay_t<Handler>;
    static_assert(sizeof(H) <= kHandlerSize && alignof(H) <= alignof(std::max_align_t));
    new (handler_) H(std::forward<Handler>(handler));
    take_ = [](Parked& self, bool invoke) {
      H& stored = *std::launder(reinterpret_cast<H*>(self.handler_));
      H taken(std::move(stored));
      stored.~H();
      if (invoke) std::move(taken)();  // destroys `self`
    };
    link();
  }

  void link();
  void unlink();
  void resume() {
    unlink();
    std::exchange(take_, nullptr)(*this, true);
  }
  /// Destroys the coroutine instead of resuming it.
  void destroy_frame() {
    unlink();
    std::exchange(take_, nullptr)(*this, false);
  }

  std::atomic<int> source_{kNobody};
  Loop& loop_;
  Parked* next_ = nullptr;
  Parked* next_ready_ = nullptr;
  Parked** link_ = nullptr;  // the pointer that points here, null while not suspended
  void (*take_)(Parked&, bool) = nullptr;
  alignas(std::max_align_t) std::byte handler_[kHandlerSize];
};

/// One entry of a wait list: a parked coroutine, and what to do when it is its turn.
struct Waiter {
  Waiter(Parked& p, int s, void* v = nullptr) : parked(p), source(s), slot(v) {}
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  Parked& parked;
  const int source;  // what to claim with
  void* slot;        // where a value comes from or goes to; written only by the claimer
  bool ok = false;   // set by the claimer: a value was transferred
  bool linked = false;
  Waiter* next = nullptr;
  Waiter* previous = nullptr;
};

/// FIFO. Every access under the lock of the list's owner.
class WaitList {
 public:
  [[nodiscard]] bool empty() const { return head_ == nullptr; }
  [[nodiscard]] Waiter* front() const { return head_; }

  void push_back(Waiter& waiter) {
    waiter.linked = true;
    waiter.next = nullptr;
    waiter.previous = tail_;
    (tail_ != nullptr ? tail_->next : head_) = &waiter;
    tail_ = &waiter;
  }

  void remove(Waiter& waiter) {
    if (!waiter.linked) return;
    waiter.linked = false;
    (waiter.previous != nullptr ? waiter.previous->next : head_) = waiter.next;
    (waiter.next != nullptr ? waiter.next->previous : tail_) = waiter.previous;
  }

  /// Takes the first waiter that can still be claimed, claimed; null if there is none. The caller wakes it.
  Waiter* claim_front() {
    while (head_ != nullptr) {
      Waiter& waiter = *head_;
      remove(waiter);
      if (waiter.parked.claim(waiter.source)) return &waiter;
    }
    return nullptr;
  }

 private:
  Waiter* head_ = nullptr;
  Waiter* tail_ = nullptr;
};

}  // namespace sluice::concurrency::detail
