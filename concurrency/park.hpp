// How a coroutine waits: it is parked, claimed exactly once by whoever has what it waits for, and resumed on its loop.
#pragma once

#include "concurrency/loop.hpp"

#include <atomic>
#include <coroutine>
#include <optional>
#include <utility>

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
  /// Resumes it after all that are ready, also if it was urgent. For the loop's own thread.
  void wake_after_others() { loop_.make_ready(*this, loop_.ready_); }
  /// Where the coroutine runs.
  [[nodiscard]] const Loop& loop() const noexcept { return loop_; }
  /// Which source claimed it.
  [[nodiscard]] int source() const noexcept { return source_.load(std::memory_order_acquire); }

  /// `co_await parked.wait()` suspends until woken. A wake that came before the suspension is not lost: it is posted to
  /// the loop, whose thread is the one that suspends.
  auto wait() { return Suspension(*this); }

  /// What awaiting wait() does, for awaiters that park.
  template <class T>
  void suspend(std::coroutine_handle<Promise<T>> coroutine) {
    Handler::result_type nothing;
    handler_.emplace(coroutine.promise().detach_thread(), nothing);
    link();
  }

 private:
  friend class sluice::concurrency::Loop;
  static constexpr int kNobody = -1;
  // The coroutine's handler, which owns its frame and therefore this object.
  using Handler = boost::asio::detail::awaitable_async_op_handler<void(), Executor>;

  class Suspension : public Awaiter {
   public:
    explicit Suspension(Parked& parked) : parked_(parked) {}
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class T>
    void await_suspend(std::coroutine_handle<Promise<T>> coroutine) const {
      parked_.suspend(coroutine);
    }
    void await_resume() const noexcept {}

   private:
    Parked& parked_;
  };

  void link();
  void unlink();
  [[nodiscard]] Handler take() {
    unlink();
    Handler taken(std::move(*handler_));
    handler_.reset();
    return taken;
  }
  void resume() { take()(); }
  /// Destroys the coroutine instead of resuming it.
  void destroy_frame() { (void)take(); }

  std::atomic<int> source_{kNobody};
  Loop& loop_;
  Parked* next_ = nullptr;
  Parked* next_ready_ = nullptr;
  Parked** link_ = nullptr;  // the pointer that points here, null while not suspended
  std::optional<Handler> handler_;
};

/// `co_await AfterOthers()`: those that are ready go on first; who is the only one does not wait.
///
/// For what many do at the end of their turn, such as writing to a socket: done by all in a row it costs less, since
/// code stays in the caches, and a reader on the same machine is woken once for all.
class AfterOthers : public Awaiter {
 public:
  [[nodiscard]] bool await_ready() const { return !parked_.loop().has_others_ready(); }
  template <class T>
  void await_suspend(std::coroutine_handle<Promise<T>> coroutine) {
    parked_.suspend(coroutine);
    parked_.wake_after_others();
  }
  void await_resume() const noexcept {}

 private:
  Parked parked_;
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

  /// Whether there is a waiter that nobody has claimed so far.
  [[nodiscard]] bool has_claimable() {
    while (head_ != nullptr && head_->parked.is_claimed()) remove(*head_);
    return head_ != nullptr;
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
