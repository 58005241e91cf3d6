// Once and OnceValue: work that is done a single time, whoever asks first.
#pragma once

#include "concurrency/context.hpp"
#include "concurrency/operation.hpp"
#include "concurrency/task.hpp"
#include "concurrency/wait.hpp"

#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

namespace sluice::concurrency {

/// Go's sync.Once. It must outlive its callers. *any thread*
class Once {
 public:
  /// The first caller runs `f(args...)`, a coroutine or a function, to its end; the others wait for that end. However
  /// it ends, by an exception (which only that caller sees) or with its loop, it is done. Calling it from inside `f`
  /// waits for itself, until `ctx` ends. Errors: canceled, deadline_exceeded from `ctx`, while waiting for another
  /// caller.
  template <class F, class... Args>
  [[nodiscard]] auto call(Context ctx, F f, Args... args) {
    return detail::Operation(
        std::move(ctx), *this, detail::Nothing(),
        [](Once& o, detail::Nothing, const Context&) { return o.is_done() ? detail::Now::done : detail::Now::wait; },
        [](Once&, detail::Nothing) { return Result<>(); },
        [f = std::move(f), ... a = std::move(args)](Once& o, detail::Nothing, Context c) mutable {
          return o.call_or_wait(std::move(c), std::move(f), std::move(a)...);
        });
  }

  [[nodiscard]] bool is_done() const noexcept { return phase_.load(std::memory_order_acquire) == kDone; }

 private:
  enum : int { kNew, kRunning, kDone };

  template <class F, class... Args>
  Task<Result<>> call_or_wait(Context ctx, F f, Args... args);

  /// Whoever holds this does the work.
  class Turn {
   public:
    explicit Turn(Once& once) : once_(once) {}
    ~Turn() {
      const std::lock_guard lock(once_.gathering_.mutex);
      once_.phase_.store(kDone, std::memory_order_release);
      once_.gathering_.wake_all();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    Once& once_;
  };

  std::atomic<int> phase_{kNew};
  detail::Gathering gathering_;
};

template <class F, class... Args>
Task<Result<>> Once::call_or_wait(Context ctx, F f, Args... args) {
  if (is_done()) co_return Result<>();
  int phase = kNew;
  if (phase_.compare_exchange_strong(phase, kRunning)) {
    const Turn turn(*this);
    if constexpr (std::is_void_v<std::invoke_result_t<F&, Args...>>) {
      std::invoke(f, std::move(args)...);
    } else {
      co_await std::invoke(f, std::move(args)...);
    }
    co_return Result<>();
  }
  detail::Parked parked;
  detail::Waiter waiter(parked, 0);
  {
    const std::lock_guard lock(gathering_.mutex);
    if (is_done()) co_return Result<>();
    if (ctx.is_done()) co_return ctx.err();
    gathering_.waiters.push_back(waiter);
  }
  co_return co_await detail::wait_for_turn(std::move(ctx), gathering_, waiter);
}

/// A value made by the first who asks. T is copied to each who asks: make it a shared_ptr if it is large. *any thread*
template <class T>
class OnceValue {
 public:
  using Make = std::function<Task<T>()>;
  explicit OnceValue(Make make) : make_(std::move(make)) {}

  /// The value. An exception of its making is rethrown to all who ask, each time.
  /// Errors: canceled, deadline_exceeded from `ctx`, while another makes it; canceled if it died with its loop.
  [[nodiscard]] auto get(Context ctx) {
    return detail::Operation(
        std::move(ctx), *this, detail::Nothing(),
        [](OnceValue& o, detail::Nothing, const Context&) {
          return o.once_.is_done() && o.value_ ? detail::Now::done : detail::Now::wait;
        },
        [](OnceValue& o, detail::Nothing) { return Result<T>(boost::system::in_place_value, *o.value_); },
        [](OnceValue& o, detail::Nothing, Context c) { return o.make_or_wait(std::move(c)); });
  }

 private:
  Task<Result<T>> make_or_wait(Context ctx) {
    const Result<> made = co_await once_.call(std::move(ctx), &OnceValue::make, this);
    if (!made) co_return made.error();
    if (thrown_) std::rethrow_exception(thrown_);
    if (!value_) co_return Error::canceled;
    co_return *value_;
  }

  static Task<> make(OnceValue* self) {
    try {
      self->value_.emplace(co_await self->make_());
    } catch (...) {
      self->thrown_ = std::current_exception();
    }
    self->make_ = nullptr;
  }

  Make make_;
  Once once_;
  std::optional<T> value_;
  std::exception_ptr thrown_;
};

}  // namespace sluice::concurrency
