// select: waits for the first of several sends, receives, contexts and timers.
#pragma once

#include "concurrency/channel.hpp"
#include "concurrency/context.hpp"
#include "concurrency/task.hpp"
#include "concurrency/wait.hpp"

#include <array>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>

namespace sluice::concurrency {
namespace detail {

/// What a case waits with: made when the wait starts, so a case that is moved (it has not started then) moves nothing.
template <class T>
class Started : public std::optional<T> {
 public:
  Started() = default;
  Started(Started&&) noexcept : std::optional<T>() {}
};

/// One case. The functions with `locked` in their name are called with `*mutex()` held, if there is one.
class SelectCase {
 public:
  SelectCase() = default;
  SelectCase(const SelectCase&) = delete;
  SelectCase(SelectCase&&) = default;
  SelectCase& operator=(const SelectCase&) = delete;
  virtual ~SelectCase() = default;

  /// The lock of the case's channel; null if it needs none.
  virtual ThinMutex* mutex() noexcept { return nullptr; }
  /// Fires the case if it is ready; `woken` is whom to wake after unlocking.
  virtual bool try_locked(Waiter*& woken) = 0;
  /// Starts waiting. False if the case became ready meanwhile (nothing is waiting then).
  virtual bool enqueue_locked(Parked& parked, int index) = 0;
  virtual void dequeue_locked() noexcept = 0;
  /// For the case that fired, without locks.
  virtual void fired() {}
  [[nodiscard]] virtual bool is_default() const noexcept { return false; }
};

/// The algorithm of Go's runtime/select.go: lock all channels in address order, take a ready case at random, else
/// queue on all, unlock and park; when woken, leave the queues of those that lost.
class Selector {
 public:
  /// `mutexes` and `order` are scratch space of the same length as `cases`.
  Selector(std::span<SelectCase*> cases, std::span<ThinMutex*> mutexes, std::span<std::uint8_t> order)
      : cases_(cases), mutexes_(mutexes), order_(order) {}
  ~Selector() { leave(); }
  Selector(const Selector&) = delete;
  Selector& operator=(const Selector&) = delete;

  /// The case that fired at once, if any; else all cases wait and `parked()` is to be awaited, then finish().
  std::optional<std::size_t> start();
  Parked& parked() { return parked_; }
  std::size_t finish();

 private:
  void lock();
  void unlock() noexcept;
  void leave() noexcept;

  std::span<SelectCase*> cases_;
  std::span<ThinMutex*> mutexes_;  // those of the cases, each once, by address
  std::span<std::uint8_t> order_;
  std::size_t queued_ = 0;  // how many of cases_ wait
  Parked parked_;
};

/// What select() returns: an awaiter, or a Task that does the same.
template <class... Cases>
class [[nodiscard]] Selecting : public Awaiter {
  static_assert(sizeof...(Cases) <= 256);

 public:
  using value_type = std::size_t;

  explicit Selecting(Cases... cases) : cases_(std::move(cases)...) {}

  [[nodiscard]] bool await_ready() {
    std::apply([this](Cases&... c) { all_ = {&c...}; }, cases_);
    fired_ = selector_.emplace(all_, mutexes_, order_).start();
    return fired_.has_value();
  }
  template <class T>
  void await_suspend(std::coroutine_handle<Promise<T>> coroutine) {
    selector_->parked().suspend(coroutine);
  }
  std::size_t await_resume() { return fired_ ? *fired_ : selector_->finish(); }

  // NOLINTNEXTLINE(google-explicit-constructor): for functions that return it as their Task
  operator Task<std::size_t>() && { return run(std::move(*this)); }

 private:
  static Task<std::size_t> run(Selecting selecting) { co_return co_await std::move(selecting); }

  std::tuple<Cases...> cases_;
  std::array<SelectCase*, sizeof...(Cases)> all_{};
  std::array<ThinMutex*, sizeof...(Cases)> mutexes_{};
  std::array<std::uint8_t, sizeof...(Cases)> order_{};
  std::optional<std::size_t> fired_;
  Started<Selector> selector_;  // first to die: it leaves the queues in which the cases stand
};

}  // namespace detail

/// Receives into `out`, which is left alone if another case fires; empty when the channel is closed and drained.
template <class T>
class ReceiveCase final : public detail::SelectCase {
 public:
  ReceiveCase(const Channel<T>& channel, std::optional<T>& out) : state_(channel.state_), out_(out) {}

  detail::ThinMutex* mutex() noexcept override { return state_ ? &state_->mutex : nullptr; }
  bool try_locked(detail::Waiter*& woken) override {
    if (!state_) return false;
    return state_->receive_locked(value_, woken) || state_->closed;
  }
  bool enqueue_locked(detail::Parked& parked, int index) override {
    if (state_) state_->receivers.push_back(waiter_.emplace(parked, index, static_cast<std::optional<T>*>(&value_)));
    return true;
  }
  void dequeue_locked() noexcept override {
    if (waiter_) state_->receivers.remove(*waiter_);
  }
  void fired() override {
    out_.reset();
    if (value_) out_.emplace(std::move(*value_));
  }

 private:
  std::shared_ptr<detail::ChannelState<T>> state_;
  std::optional<T>& out_;
  detail::Started<T> value_;  // what `out_` held must not die under the locks
  detail::Started<detail::Waiter> waiter_;
};

/// Sends `value`, which is moved from only if this case fires.
/// Throws boost::system::system_error (closed) out of the select if the channel is closed, as Go panics.
template <class T>
class SendCase final : public detail::SelectCase {
 public:
  SendCase(const Channel<T>& channel, T& value) : state_(channel.state_), value_(value) {}

  detail::ThinMutex* mutex() noexcept override { return state_ ? &state_->mutex : nullptr; }
  bool try_locked(detail::Waiter*& woken) override {
    if (!state_) return false;
    if (state_->closed) throw boost::system::system_error(Error::closed, "select: send");
    return state_->send_locked(value_, woken);
  }
  bool enqueue_locked(detail::Parked& parked, int index) override {
    if (state_) state_->senders.push_back(waiter_.emplace(parked, index, &value_));
    return true;
  }
  void dequeue_locked() noexcept override {
    if (waiter_) state_->senders.remove(*waiter_);
  }
  void fired() override {
    if (waiter_ && !waiter_->ok) throw boost::system::system_error(Error::closed, "select: send");
  }

 private:
  std::shared_ptr<detail::ChannelState<T>> state_;
  T& value_;
  detail::Started<detail::Waiter> waiter_;
};

/// Fires when a context is done.
class DoneCase final : public detail::SelectCase {
 public:
  explicit DoneCase(Context ctx) : ctx_(std::move(ctx)) {}
  bool try_locked(detail::Waiter*&) override { return ctx_.is_done(); }
  bool enqueue_locked(detail::Parked& parked, int index) override {
    return wake_.emplace(parked, index).subscribe(ctx_);
  }
  void dequeue_locked() noexcept override { wake_.reset(); }

 private:
  Context ctx_;
  detail::Started<detail::ContextWake> wake_;
};

/// Fires when `duration` has passed since the case was made.
class AfterCase final : public detail::SelectCase {
 public:
  explicit AfterCase(Duration duration) : when_(later(Loop::current().now(), duration)) {}
  bool try_locked(detail::Waiter*&) override { return when_ <= Loop::current().now(); }
  bool enqueue_locked(detail::Parked& parked, int index) override {
    wake_.emplace(parked, index).arm(when_);
    return true;
  }
  void dequeue_locked() noexcept override { wake_.reset(); }

 private:
  TimePoint when_;
  detail::Started<detail::TimerWake> wake_;
};

/// Fires when no other case is ready at once.
class DefaultCase final : public detail::SelectCase {
 public:
  bool try_locked(detail::Waiter*&) override { return false; }
  bool enqueue_locked(detail::Parked&, int) override { return true; }
  void dequeue_locked() noexcept override {}
  [[nodiscard]] bool is_default() const noexcept override { return true; }
};

template <class T>
[[nodiscard]] ReceiveCase<T> when_received(const Channel<T>& channel, std::optional<T>& out) {
  return ReceiveCase<T>(channel, out);
}
template <class T>
[[nodiscard]] SendCase<T> when_sent(const Channel<T>& channel, T& value) {
  return SendCase<T>(channel, value);
}
[[nodiscard]] inline DoneCase when_done(Context ctx) {
  return DoneCase(std::move(ctx));
}
[[nodiscard]] inline AfterCase after(Duration duration) {
  return AfterCase(duration);
}
[[nodiscard]] inline DefaultCase otherwise() {
  return {};
}

/// The index of the one case that fired; among those that are ready, each is equally likely. Without cases: for ever.
///
///     std::optional<int> value;
///     switch (co_await select(when_received(numbers, value), when_done(ctx), after(10ms))) { ... }
template <class... Cases>
[[nodiscard]] auto select(Cases... cases) {
  static_assert((std::size_t{std::is_same_v<Cases, DefaultCase>} + ... + 0) <= 1, "more than one default case");
  return detail::Selecting<Cases...>(std::move(cases)...);
}

}  // namespace sluice::concurrency
