// Pool: recycled temporaries. LeasePool: a bounded number of things that are expensive to have, such as connections.
#pragma once

#include "concurrency/context.hpp"
#include "concurrency/detail/thin_mutex.hpp"
#include "concurrency/semaphore.hpp"
#include "concurrency/task.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <utility>
#include <vector>

namespace sluice::concurrency {
namespace detail {

/// A small number that is this thread's own.
inline std::size_t thread_number() {
  static std::atomic<std::size_t> next{0};
  thread_local const std::size_t number = next++;
  return number;
}

}  // namespace detail

/// Go's sync.Pool: saves allocations, and promises nothing. What is put may be dropped at any time, and may come back
/// to any thread, as it was left: for buffers, not for what has a state or an owner (that is LeasePool). *any thread*
///
/// Each thread has a few of its own, the one put last comes back first; a thread that has none takes another's.
template <class T>
class Pool {
 public:
  /// `make` is what get() falls back on; without one it returns null then.
  explicit Pool(std::function<std::unique_ptr<T>()> make = {}) : make_(std::move(make)) {}

  [[nodiscard]] std::unique_ptr<T> get() {
    const std::size_t own = detail::thread_number();
    for (std::size_t i = 0; i < kShards; ++i) {
      Shard& shard = shards_[(own + i) % kShards];
      const std::unique_lock lock(shard.mutex, std::try_to_lock);
      if (!lock || shard.items.empty()) continue;
      std::unique_ptr<T> item = std::move(shard.items.back());
      shard.items.pop_back();
      return item;
    }
    return make_ ? make_() : nullptr;
  }

  /// Null is ignored; beyond 64 a thread, it is dropped.
  void put(std::unique_ptr<T> item) {
    if (item == nullptr) return;
    Shard& shard = shards_[detail::thread_number() % kShards];
    const std::unique_lock lock(shard.mutex, std::try_to_lock);
    if (!lock || shard.items.size() == kMostPerShard) return;
    shard.items.push_back(std::move(item));
  }

  /// Drops all: what Go's collector does now and then.
  void clear() {
    for (Shard& shard : shards_) {
      std::vector<std::unique_ptr<T>> dropped;
      const std::lock_guard lock(shard.mutex);
      dropped.swap(shard.items);
    }
  }

 private:
  static constexpr std::size_t kShards = 16;
  static constexpr std::size_t kMostPerShard = 64;
  struct alignas(64) Shard {
    detail::ThinMutex mutex;
    std::vector<std::unique_ptr<T>> items;
  };

  std::function<std::unique_ptr<T>()> make_;
  std::array<Shard, kShards> shards_;
};

/// At most `most` leases at a time; those who wait are served in order of arrival. What is given back is used again,
/// newest first, so that the oldest age out. Leases may outlive the pool: their things are dropped then. A pool that
/// was moved from throws std::logic_error. *any thread*
template <class T>
class LeasePool {
  struct State;

 public:
  using Open = std::function<Task<Result<T>>(Context)>;

  /// Holds one T for its owner, and gives it back when it dies.
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept = default;
    Lease& operator=(Lease other) noexcept {
      std::swap(state_, other.state_);
      std::swap(item_, other.item_);
      return *this;
    }
    ~Lease() {
      if (state_) state_->give_back(std::move(item_));
    }

    T& operator*() const { return *item_; }
    T* operator->() const { return item_.get(); }
    explicit operator bool() const { return item_ != nullptr; }
    /// It is not to be used again: broken, or in an unknown state.
    void discard() {
      item_.reset();
      if (state_) std::exchange(state_, nullptr)->give_back(nullptr);
    }

   private:
    friend class LeasePool;
    Lease(std::shared_ptr<State> state, std::unique_ptr<T> item) : state_(std::move(state)), item_(std::move(item)) {}
    std::shared_ptr<State> state_;
    std::unique_ptr<T> item_;
  };

  LeasePool(std::size_t most, Open open) : state_(std::make_shared<State>(most, std::move(open))) {}
  ~LeasePool() {
    if (state_) state_->close();
  }
  LeasePool(LeasePool&&) noexcept = default;
  LeasePool& operator=(LeasePool&&) = delete;

  /// An idle one, else a new one, else waits until one is given back.
  /// Errors: canceled, deadline_exceeded from `ctx`; whatever `open` returned. Nothing is taken then.
  [[nodiscard]] Task<Result<Lease>> acquire(Context ctx) { return acquire_from(state(), std::move(ctx)); }

  /// How many stand ready.
  [[nodiscard]] std::size_t idle() const {
    const std::lock_guard lock(state()->mutex);
    return state_->idle.size();
  }
  /// Drops those that stand ready.
  void drop_idle() { (void)state()->take_all(); }

 private:
  struct State {
    State(std::size_t most, Open o) : permits(static_cast<std::int64_t>(most)), open(std::move(o)) {}

    std::unique_ptr<T> take() {
      const std::lock_guard lock(mutex);
      if (idle.empty()) return nullptr;
      std::unique_ptr<T> item = std::move(idle.back());
      idle.pop_back();
      return item;
    }
    std::vector<std::unique_ptr<T>> take_all() {
      const std::lock_guard lock(mutex);
      return std::exchange(idle, {});
    }
    void give_back(std::unique_ptr<T> item) {
      if (item != nullptr) {
        const std::lock_guard lock(mutex);
        if (!closed) idle.push_back(std::move(item));
      }
      permits.release();  // last: whoever is next finds it
    }
    void close() {
      {
        const std::lock_guard lock(mutex);
        closed = true;
      }
      (void)take_all();
    }

    Semaphore permits;
    Open open;
    mutable std::mutex mutex;
    std::vector<std::unique_ptr<T>> idle;
    bool closed = false;
  };

  [[nodiscard]] const std::shared_ptr<State>& state() const {
    if (state_ == nullptr) throw std::logic_error("LeasePool: used after it was moved from");
    return state_;
  }

  static Task<Result<Lease>> acquire_from(std::shared_ptr<State> state, Context ctx) {
    Result<Permit> permit = co_await state->permits.permit(ctx);
    if (!permit) co_return permit.error();
    std::unique_ptr<T> item = state->take();
    if (item == nullptr) {
      Result<T> opened = co_await state->open(std::move(ctx));
      if (!opened) co_return opened.error();
      item = std::make_unique<T>(std::move(*opened));
    }
    permit->keep();  // now the lease's
    co_return Lease(std::move(state), std::move(item));
  }

  std::shared_ptr<State> state_;
};

}  // namespace sluice::concurrency
