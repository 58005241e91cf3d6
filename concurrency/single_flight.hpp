// SingleFlight: identical work in flight is done once.
#pragma once

#include "concurrency/context.hpp"
#include "concurrency/detail/recycled.hpp"
#include "concurrency/detail/thin_mutex.hpp"
#include "concurrency/loop.hpp"
#include "concurrency/task.hpp"
#include "concurrency/wait.hpp"

#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

namespace sluice::concurrency {

/// As golang.org/x/sync/singleflight, with contexts: each waiter keeps its own, and the work has one that carries the
/// values of the caller that started it but not its end. The work goes on while anybody waits for it; when the last
/// waiter gives up, its context is cancelled, with the end of that waiter's context as the cause, and the key is free.
/// A waiter whose deadline has come gets the value still if the work, told so or not, has it in the same turn of its
/// loop. T is copied to each waiter. *any thread*
template <class Key, class T, class Hash = std::hash<Key>>
class SingleFlight {
 public:
  SingleFlight() = default;
  SingleFlight(const SingleFlight&) = delete;
  SingleFlight& operator=(const SingleFlight&) = delete;

  /// What run() returns: `shared` if the result went to several callers.
  struct Shared {
    Shared(T v, bool s) : value(std::move(v)), shared(s) {}
    T value;
    bool shared;
  };

  /// The result of `f(Context, args...)`, a Task<Result<T>>, run on the loop of the first caller for `key`, or of the
  /// run for `key` that is under way. An exception is rethrown to every waiter.
  /// Errors: canceled, deadline_exceeded from `ctx`; the work's own; canceled if it died with its loop.
  template <class F, class... Args>
  [[nodiscard]] Task<Result<Shared>> run(Context ctx, Key key, F f, Args... args);

  /// The next run() for `key` starts anew, whatever is under way.
  void forget(const Key& key) {
    const std::lock_guard lock(flights_->mutex);
    if (const auto found = flights_->by_key.find(key); found != flights_->by_key.end()) found->second->remove_locked();
  }
  /// The same if what is under way started before `limit`.
  void forget_if_older(const Key& key, TimePoint limit) {
    const std::lock_guard lock(flights_->mutex);
    const auto found = flights_->by_key.find(key);
    if (found != flights_->by_key.end() && found->second->started < limit) found->second->remove_locked();
  }

  /// Whether a run() for `key` would join another one, as far as no other thread interferes.
  [[nodiscard]] bool is_under_way(const Key& key) const {
    const std::lock_guard lock(flights_->mutex);
    return flights_->by_key.contains(key);
  }

 private:
  struct Flight;
  using Table =
      std::unordered_map<Key, Flight*, Hash, std::equal_to<Key>, detail::Recycled<std::pair<const Key, Flight*>>>;

  // Lock order: the table, then a flight.
  struct Flights {
    detail::ThinMutex mutex;
    Table by_key;  // those under way, which their work keeps alive
  };

  /// `mutex`, its own, guards `waiters`. What has `locked` in its comment or name: with that of the table.
  struct Flight : detail::Gathering, std::enable_shared_from_this<Flight> {
    Flight(std::shared_ptr<Flights> f, const Key& k, Cancel c, TimePoint now)
        : flights(std::move(f)), key(k), cancel(std::move(c)), started(now) {}
    const std::shared_ptr<Flights> flights;
    const Key& key;  // that of the table, as long as this is in it
    Cancel cancel;
    const TimePoint started;
    bool is_in_table = true;         // locked
    std::size_t waiting = 0;         // locked
    bool shared = false;             // locked; nobody writes it once done
    std::atomic<bool> done = false;  // set with both mutexes held, after the result
    std::exception_ptr thrown;
    std::optional<Result<T>> result;

    void remove_locked() {
      if (std::exchange(is_in_table, false)) flights->by_key.erase(flights->by_key.find(key));
    }
  };

  /// One who waits for a flight; the last to give up cancels it.
  class Passenger {
   public:
    Passenger(Context ctx, Flight& flight) : ctx_(std::move(ctx)), flight_(flight) {}
    ~Passenger() { leave(); }
    void leave() {
      if (std::exchange(has_left_, true) || flight_.done.load(std::memory_order_acquire)) return;
      {
        const std::lock_guard lock(flight_.flights->mutex);
        if (--flight_.waiting > 0 || flight_.done.load(std::memory_order_relaxed)) return;
        flight_.remove_locked();
      }
      flight_.cancel(ctx_.err());
    }
    Passenger(const Passenger&) = delete;
    Passenger& operator=(const Passenger&) = delete;

   private:
    const Context ctx_;
    Flight& flight_;
    bool has_left_ = false;
  };

  /// The work's end, also if it is destroyed instead.
  class Landing {
   public:
    explicit Landing(std::shared_ptr<Flight> flight) : flight_(std::move(flight)) {}
    Landing(Landing&&) noexcept = default;
    ~Landing() {
      if (!flight_) return;
      result().emplace(Error::canceled);
      land();
    }
    /// Where the outcome goes before land(): one of the two.
    [[nodiscard]] std::optional<Result<T>>& result() { return flight_->result; }
    [[nodiscard]] std::exception_ptr& thrown() { return flight_->thrown; }
    void land() {
      const std::shared_ptr<Flight> flight = std::move(flight_);
      const std::lock_guard lock(flight->flights->mutex);
      const std::lock_guard flight_lock(flight->mutex);
      flight->remove_locked();
      flight->done.store(true, std::memory_order_release);
      flight->wake_all();
    }

   private:
    std::shared_ptr<Flight> flight_;
  };

  template <class F, class... Args>
  static detail::Root work(Landing landing, Context ctx, F f, Args... args) {
    try {
      landing.result().emplace(co_await f(std::move(ctx), std::move(args)...));
    } catch (...) {
      landing.thrown() = std::current_exception();
    }
    landing.land();
  }

  std::shared_ptr<Flights> flights_ = std::make_shared<Flights>();
};

template <class Key, class T, class Hash>
template <class F, class... Args>
auto SingleFlight<Key, T, Hash>::run(Context ctx, Key key, F f, Args... args) -> Task<Result<Shared>> {
  if (ctx.is_done()) co_return ctx.err();
  std::shared_ptr<Flight> flight;
  Context work_ctx;
  bool starts = false;
  {
    const std::lock_guard lock(flights_->mutex);
    const auto [place, is_new] = flights_->by_key.try_emplace(std::move(key), nullptr);
    starts = is_new;
    if (starts) {
      try {
        Cancellable made = with_cancel(without_cancel(ctx));
        work_ctx = std::move(made.ctx);
        flight = std::allocate_shared<Flight>(detail::Recycled<Flight>(), flights_, place->first,
                                              std::move(made.cancel), Loop::current().now());
      } catch (...) {
        flights_->by_key.erase(place);
        throw;
      }
      place->second = flight.get();
    } else {
      flight = place->second->shared_from_this();
      flight->shared = true;
    }
    ++flight->waiting;
  }
  Passenger passenger(ctx, *flight);
  if (starts) {
    Loop& loop = Loop::current();
    const Loop::Nested nested(loop);
    detail::start(loop.executor(),
                  work<F, Args...>(Landing(flight), std::move(work_ctx), std::move(f), std::move(args)...));
  }
  if (!flight->done.load(std::memory_order_acquire)) {
    detail::Parked parked;
    detail::Waiter waiter(parked, 0);
    bool done = false;
    {
      const std::lock_guard lock(flight->mutex);
      done = flight->done.load(std::memory_order_relaxed);
      if (!done) flight->waiters.push_back(waiter);
    }
    if (!done) {
      const Result<> waited = co_await detail::wait_for_turn(std::move(ctx), *flight, waiter);
      if (!waited) {
        if (waited.error() != Error::deadline_exceeded) co_return waited.error();
        passenger.leave();
        // First the others whose time is over leave, and the work, which may be over, or will be when it learns of
        // that.
        co_await detail::AfterOthers();
        const bool has_value = flight->done.load(std::memory_order_acquire) && flight->result && *flight->result;
        if (!has_value) co_return waited.error();
      }
    }
  }
  // Nobody writes any more.
  if (flight->thrown) std::rethrow_exception(flight->thrown);
  if (!*flight->result) co_return flight->result->error();
  co_return Shared(**flight->result, flight->shared);
}

}  // namespace sluice::concurrency
