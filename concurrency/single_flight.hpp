// SingleFlight: identical work in flight is done once.
#pragma once

#include "concurrency/context.hpp"
#include "concurrency/loop.hpp"
#include "concurrency/task.hpp"
#include "concurrency/wait.hpp"

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
/// T is copied to each waiter. *any thread*
template <class Key, class T, class Hash = std::hash<Key>>
class SingleFlight {
 public:
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
    flights_->by_key.erase(key);
  }
  /// The same if what is under way started before `limit`.
  void forget_if_older(const Key& key, TimePoint limit) {
    const std::lock_guard lock(flights_->mutex);
    const auto found = flights_->by_key.find(key);
    if (found != flights_->by_key.end() && found->second->started < limit) flights_->by_key.erase(found);
  }

  /// Whether a run() for `key` would join another one, as far as no other thread interferes.
  [[nodiscard]] bool is_under_way(const Key& key) const {
    const std::lock_guard lock(flights_->mutex);
    return flights_->by_key.contains(key);
  }

 private:
  struct Flight : detail::Gathering {
    Flight(Key k, Cancel c, TimePoint now) : key(std::move(k)), cancel(std::move(c)), started(now) {}
    const Key key;
    Cancel cancel;
    const TimePoint started;
    std::size_t waiting = 0;
    bool shared = false;
    bool done = false;
    std::exception_ptr thrown;
    std::optional<Result<T>> result;
  };
  // Lock order: the table, then a flight.
  struct Flights {
    std::mutex mutex;
    std::unordered_map<Key, std::shared_ptr<Flight>, Hash> by_key;

    void erase_locked(const Flight& flight) {
      const auto found = by_key.find(flight.key);
      if (found != by_key.end() && found->second.get() == &flight) by_key.erase(found);
    }
  };

  /// One who waits for a flight; the last to give up cancels it.
  class Passenger {
   public:
    Passenger(Context ctx, std::shared_ptr<Flights> flights, std::shared_ptr<Flight> flight)
        : ctx_(std::move(ctx)), flights_(std::move(flights)), flight_(std::move(flight)) {}
    ~Passenger() {
      bool abandoned = false;
      {
        const std::lock_guard lock(flights_->mutex);
        const std::lock_guard flight_lock(flight_->mutex);
        abandoned = --flight_->waiting == 0 && !flight_->done;
        if (abandoned) flights_->erase_locked(*flight_);
      }
      if (abandoned) flight_->cancel(ctx_.err());
    }
    Passenger(const Passenger&) = delete;
    Passenger& operator=(const Passenger&) = delete;

   private:
    const Context ctx_;
    std::shared_ptr<Flights> flights_;
    std::shared_ptr<Flight> flight_;
  };

  /// The work's end, also if it is destroyed instead.
  class Landing {
   public:
    Landing(std::shared_ptr<Flights> flights, std::shared_ptr<Flight> flight)
        : flights_(std::move(flights)), flight_(std::move(flight)) {}
    Landing(Landing&&) noexcept = default;
    ~Landing() {
      if (flight_) land(Result<T>(Error::canceled), nullptr);
    }
    void land(std::optional<Result<T>> result, std::exception_ptr thrown) {
      const std::shared_ptr<Flight> flight = std::move(flight_);
      const std::lock_guard lock(flights_->mutex);
      const std::lock_guard flight_lock(flight->mutex);
      flights_->erase_locked(*flight);
      flight->result = std::move(result);
      flight->thrown = std::move(thrown);
      flight->done = true;
      flight->wake_all();
    }

   private:
    std::shared_ptr<Flights> flights_;
    std::shared_ptr<Flight> flight_;
  };

  template <class F, class... Args>
  static detail::Root work(Landing landing, Context ctx, F f, Args... args) {
    std::optional<Result<T>> result;
    std::exception_ptr thrown;
    try {
      result.emplace(co_await f(std::move(ctx), std::move(args)...));
    } catch (...) {
      thrown = std::current_exception();
    }
    landing.land(std::move(result), std::move(thrown));
  }

  std::shared_ptr<Flights> flights_ = std::make_shared<Flights>();
};

template <class Key, class T, class Hash>
template <class F, class... Args>
auto SingleFlight<Key, T, Hash>::run(Context ctx, Key key, F f, Args... args) -> Task<Result<Shared>> {
  if (ctx.is_done()) co_return ctx.err();
  const std::shared_ptr<Flights> flights = flights_;
  std::shared_ptr<Flight> flight;
  Context work_ctx;
  bool starts = false;
  {
    const std::lock_guard lock(flights->mutex);
    auto& place = flights->by_key[key];
    starts = place == nullptr;
    if (starts) {
      Cancellable made = with_cancel(without_cancel(ctx));
      work_ctx = made.ctx;
      place = std::make_shared<Flight>(key, std::move(made.cancel), Loop::current().now());
    }
    flight = place;
    const std::lock_guard flight_lock(flight->mutex);
    ++flight->waiting;
    flight->shared = flight->shared || !starts;
  }
  const Passenger passenger(ctx, flights, flight);
  if (starts) {
    Loop& loop = Loop::current();
    const Loop::Nested nested(loop);
    detail::start(loop.executor(),
                  work<F, Args...>(Landing(flights, flight), work_ctx, std::move(f), std::move(args)...));
  }
  detail::Parked parked;
  detail::Waiter waiter(parked, 0);
  bool done = false;
  {
    const std::lock_guard lock(flight->mutex);
    done = flight->done;
    if (!done) flight->waiters.push_back(waiter);
  }
  if (!done) {
    const Result<> waited = co_await detail::wait_for_turn(std::move(ctx), *flight, waiter);
    if (!waited) co_return waited.error();
  }
  // Nobody writes any more.
  if (flight->thrown) std::rethrow_exception(flight->thrown);
  if (!*flight->result) co_return flight->result->error();
  co_return Shared(**flight->result, flight->shared);
}

}  // namespace sluice::concurrency
