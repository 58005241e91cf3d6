// select: waits for the first of several sends, receives, contexts and timers.
#pragma once

#include "concurrency/channel.hpp"
#include "concurrency/context.hpp"
#include "concurrency/task.hpp"
#include "concurrency/wait.hpp"

#include <array>
#include <bit>
#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace sluice::concurrency {

class DefaultCase;

namespace detail {

/// What a case waits with: made when the wait starts, so a case that is moved (it has not started then) moves nothing.
template <class T>
class Started : public std::optional<T> {
 public:
  Started() = default;
  Started(Started&&) noexcept : std::optional<T>() {}
};

/// What each case has. Of it, the functions with `locked` in their name are called with `*mutex()` held, if there is
/// one.
template <class Case>
concept IsCase = requires(Case c, Waiter*& woken, Parked& parked, int index) {
  { c.mutex() } -> std::same_as<ThinMutex*>;       // the lock of the case's channel; null if it needs none
  { c.is_ready_locked() } -> std::same_as<bool>;   // whether fire_locked would fire it
  { c.fire_locked(woken) } -> std::same_as<bool>;  // unless it is not ready; `woken` to be woken after unlocking
  { c.enqueue_locked(parked, index) } -> std::same_as<bool>;  // starts waiting; false: it became ready, and does not
  c.dequeue_locked();
  c.fired();  // for the case that fired, without locks
  c.keep();   // from now on it owns what it needs
};

/// The locks of a select, each once, in the order of their addresses.
template <std::size_t N>
class Locks {
 public:
  void add(ThinMutex* mutex) {
    if (mutex == nullptr) return;
    // Selects are short: sorting by insertion is quick.
    std::size_t place = count_;
    while (place > 0 && std::less<>()(mutex, mutexes_[place - 1])) --place;
    if (place > 0 && mutexes_[place - 1] == mutex) return;
    for (std::size_t i = count_++; i > place; --i) mutexes_[i] = mutexes_[i - 1];
    mutexes_[place] = mutex;
  }
  void lock() noexcept {
    for (std::size_t i = 0; i < count_; ++i) mutexes_[i]->lock();
  }
  void unlock() noexcept {
    for (std::size_t i = 0; i < count_; ++i) mutexes_[i]->unlock();
  }

 private:
  std::array<ThinMutex*, N> mutexes_;  // the first count_ of them
  std::size_t count_ = 0;
};

/// What select() returns: an awaiter, or a Task that does the same.
///
/// The algorithm of Go's runtime/select.go: lock all channels in address order, take a ready case at random, else
/// queue on all, unlock and park; when woken, leave the queues of those that lost.
template <class... Cases>
class [[nodiscard]] Selecting : public Awaiter {
  static constexpr std::size_t kCount = sizeof...(Cases);
  static_assert(kCount <= 64);
  static_assert((IsCase<Cases> && ...));

 public:
  using value_type = std::size_t;

  explicit Selecting(Cases&&... cases) : cases_(std::move(cases)...) {}
  /// Of one that has not been awaited.
  Selecting(Selecting&& other) noexcept : cases_(std::move(other.cases_)) {}
  Selecting& operator=(Selecting&&) = delete;
  ~Selecting() { leave(); }

  [[nodiscard]] bool await_ready() {
    Locks<kCount> locks;
    each([&locks](auto& c) { locks.add(c.mutex()); });
    Waiter* woken = nullptr;
    {
      const std::lock_guard lock(locks);
      if (!fire_one_locked(woken)) park_locked();
    }
    if (woken != nullptr) woken->parked.wake();
    if (fired_ == kNone) return false;
    with(fired_, [](auto& c) { c.fired(); });
    return true;
  }
  template <class T>
  void await_suspend(std::coroutine_handle<Promise<T>> coroutine) {
    parked_->suspend(coroutine);
  }
  std::size_t await_resume() {
    if (fired_ != kNone) return fired_;
    leave();
    const auto index = static_cast<std::size_t>(parked_->source());
    with(index, [](auto& c) { c.fired(); });
    return index;
  }

  // NOLINTNEXTLINE(google-explicit-constructor): for functions that return it as their Task
  operator Task<std::size_t>() && {
    each([](auto& c) { c.keep(); });
    return run(std::move(*this));
  }

 private:
  static constexpr std::size_t kNone = ~std::size_t{0};
  static constexpr std::size_t kDefault = [] {
    std::size_t found = kNone;
    std::size_t i = 0;
    ((found = std::is_same_v<Cases, DefaultCase> ? i : found, ++i), ...);
    return found;
  }();

  static Task<std::size_t> run(Selecting selecting) { co_return co_await std::move(selecting); }

  template <class F>
  void each(const F& f) {
    std::apply([&f](Cases&... c) { (f(c), ...); }, cases_);
  }
  template <class F>
  void with(std::size_t index, const F& f) {
    std::apply([&](Cases&... c) { ((index-- == 0 ? f(c) : void()), ...); }, cases_);
  }

  /// Fires one of those that are ready, each equally likely, or else the default case; false if there is none.
  bool fire_one_locked(Waiter*& woken) {
    for (;;) {
      std::uint64_t ready = 0;
      std::uint64_t bit = 1;
      each([&](auto& c) {
        if (c.is_ready_locked()) ready |= bit;
        bit <<= 1U;
      });
      if (ready == 0) {
        fired_ = kDefault;
        return kDefault != kNone;
      }
      if (const int count = std::popcount(ready); count > 1) {
        for (std::uint32_t n = Loop::current().random().below(static_cast<std::uint32_t>(count)); n > 0; --n) {
          ready &= ready - 1;
        }
      }
      const auto index = static_cast<std::size_t>(std::countr_zero(ready));
      bool has_fired = false;
      with(index, [&](auto& c) { has_fired = c.fire_locked(woken); });
      if (has_fired) {
        fired_ = index;
        return true;
      }
      // Whom it would have woken has been claimed by something else meanwhile.
    }
  }

  // Under the locks, so that no channel can change between the look and the wait. A context may end meanwhile.
  void park_locked() {
    parked_.emplace();
    bool all_wait = true;
    each([&](auto& c) {
      if (!all_wait) return;
      const std::size_t index = queued_++;
      all_wait = c.enqueue_locked(*parked_, static_cast<int>(index));
      if (!all_wait && parked_->claim(static_cast<int>(index))) fired_ = index;
    });
  }

  void leave() noexcept {
    if (queued_ == 0) return;
    std::size_t left = std::exchange(queued_, 0);
    each([&left](auto& c) {
      if (left == 0) return;
      --left;
      if (ThinMutex* const mutex = c.mutex(); mutex != nullptr) {
        const std::lock_guard lock(*mutex);
        c.dequeue_locked();
      } else {
        c.dequeue_locked();
      }
    });
  }

  std::size_t fired_ = kNone;
  std::size_t queued_ = 0;  // how many of the cases wait
  std::tuple<Cases...> cases_;
  std::optional<Parked> parked_;
};

/// The channel of a case: the select may begin as long as the channel that it was given exists, and owns it from then
/// on; one that was given for good it owns from the start.
template <class T>
class CaseChannel {
 public:
  explicit CaseChannel(ChannelState<T>* state) : state_(state) {}
  explicit CaseChannel(std::shared_ptr<ChannelState<T>>&& state) : state_(state.get()), kept_(std::move(state)) {}

  explicit operator bool() const { return state_ != nullptr; }
  ChannelState<T>* operator->() const { return state_; }
  [[nodiscard]] ThinMutex* mutex() const noexcept { return state_ != nullptr ? &state_->mutex : nullptr; }
  void keep() {
    if (state_ != nullptr && kept_ == nullptr) kept_ = state_->shared_from_this();
  }

 private:
  ChannelState<T>* state_;
  std::shared_ptr<ChannelState<T>> kept_;
};

}  // namespace detail

/// Receives into `out`, which is left alone if another case fires; empty when the channel is closed and drained.
template <class T>
class ReceiveCase {
 public:
  ReceiveCase(const Channel<T>& channel, std::optional<T>& out) : channel_(channel.state_.get()), out_(out) {}
  ReceiveCase(Channel<T>&& channel, std::optional<T>& out) : channel_(std::move(channel.state_)), out_(out) {}

  detail::ThinMutex* mutex() noexcept { return channel_.mutex(); }
  bool is_ready_locked() { return channel_ && (channel_->may_receive_locked() || channel_->closed); }
  bool fire_locked(detail::Waiter*& woken) { return channel_->receive_locked(value_, woken) || channel_->closed; }
  bool enqueue_locked(detail::Parked& parked, int index) {
    if (!channel_) return true;
    channel_.keep();
    channel_->receivers.push_back(waiter_.emplace(parked, index, static_cast<std::optional<T>*>(&value_)));
    return true;
  }
  void dequeue_locked() noexcept {
    if (waiter_) channel_->receivers.remove(*waiter_);
  }
  void fired() {
    out_.reset();
    if (value_) out_.emplace(std::move(*value_));
  }
  void keep() { channel_.keep(); }

 private:
  detail::CaseChannel<T> channel_;
  std::optional<T>& out_;
  detail::Started<T> value_;  // what `out_` held must not die under the locks
  detail::Started<detail::Waiter> waiter_;
};

/// Sends `value`, which is moved from only if this case fires.
/// Throws boost::system::system_error (closed) out of the select if the channel is closed, as Go panics.
template <class T>
class SendCase {
 public:
  SendCase(const Channel<T>& channel, T& value) : channel_(channel.state_.get()), value_(value) {}
  SendCase(Channel<T>&& channel, T& value) : channel_(std::move(channel.state_)), value_(value) {}

  detail::ThinMutex* mutex() noexcept { return channel_.mutex(); }
  bool is_ready_locked() { return channel_ && (channel_->may_send_locked() || channel_->closed); }
  bool fire_locked(detail::Waiter*& woken) {
    if (channel_->closed) throw boost::system::system_error(Error::closed, "select: send");
    return channel_->send_locked(value_, woken);
  }
  bool enqueue_locked(detail::Parked& parked, int index) {
    if (!channel_) return true;
    channel_.keep();
    channel_->senders.push_back(waiter_.emplace(parked, index, &value_));
    return true;
  }
  void dequeue_locked() noexcept {
    if (waiter_) channel_->senders.remove(*waiter_);
  }
  void fired() {
    if (waiter_ && !waiter_->ok) throw boost::system::system_error(Error::closed, "select: send");
  }
  void keep() { channel_.keep(); }

 private:
  detail::CaseChannel<T> channel_;
  T& value_;
  detail::Started<detail::Waiter> waiter_;
};

/// Fires when a context is done.
class DoneCase {
 public:
  explicit DoneCase(Context ctx) : ctx_(std::move(ctx)) {}
  static detail::ThinMutex* mutex() noexcept { return nullptr; }
  bool is_ready_locked() { return ctx_.is_done(); }
  static bool fire_locked(detail::Waiter*&) { return true; }
  bool enqueue_locked(detail::Parked& parked, int index) { return wake_.emplace(parked, index).subscribe(ctx_); }
  void dequeue_locked() noexcept { wake_.reset(); }
  void fired() {}
  void keep() {}

 private:
  Context ctx_;
  detail::Started<detail::ContextWake> wake_;
};

/// Fires when `duration` has passed since the case was made.
class AfterCase {
 public:
  explicit AfterCase(Duration duration) : when_(later(Loop::current().now(), duration)) {}
  static detail::ThinMutex* mutex() noexcept { return nullptr; }
  bool is_ready_locked() { return when_ <= Loop::current().now(); }
  static bool fire_locked(detail::Waiter*&) { return true; }
  bool enqueue_locked(detail::Parked& parked, int index) {
    wake_.emplace(parked, index).arm(when_);
    return true;
  }
  void dequeue_locked() noexcept { wake_.reset(); }
  void fired() {}
  void keep() {}

 private:
  TimePoint when_;
  detail::Started<detail::TimerWake> wake_;
};

/// Fires when no other case is ready at once.
class DefaultCase {
 public:
  static detail::ThinMutex* mutex() noexcept { return nullptr; }
  static bool is_ready_locked() { return false; }
  static bool fire_locked(detail::Waiter*&) { return false; }
  static bool enqueue_locked(detail::Parked&, int) { return true; }
  void dequeue_locked() noexcept {}
  void fired() {}
  void keep() {}
};

/// The channel must exist when the select begins; it need not afterwards. A temporary is kept.
template <class T>
[[nodiscard]] ReceiveCase<T> when_received(const Channel<T>& channel, std::optional<T>& out) {
  return ReceiveCase<T>(channel, out);
}
template <class T>
[[nodiscard]] ReceiveCase<T> when_received(Channel<T>&& channel, std::optional<T>& out) {
  return ReceiveCase<T>(std::move(channel), out);
}
template <class T>
[[nodiscard]] SendCase<T> when_sent(const Channel<T>& channel, T& value) {
  return SendCase<T>(channel, value);
}
template <class T>
[[nodiscard]] SendCase<T> when_sent(Channel<T>&& channel, T& value) {
  return SendCase<T>(std::move(channel), value);
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
