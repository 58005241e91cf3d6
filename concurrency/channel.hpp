// Channel<T>: Go's channel. A handle; copies share one channel.
#pragma once

#include "concurrency/context.hpp"
#include "concurrency/detail/recycled.hpp"
#include "concurrency/detail/thin_mutex.hpp"
#include "concurrency/operation.hpp"
#include "concurrency/wait.hpp"

#include <coroutine>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

namespace sluice::concurrency {
namespace detail {

/// A channel's state. The functions with `locked` in their name are called with `mutex` held.
template <class T>
class ChannelState : public std::enable_shared_from_this<ChannelState<T>> {
 public:
  explicit ChannelState(std::size_t capacity) : ring_(capacity) {}

  ThinMutex mutex;
  WaitList senders;
  WaitList receivers;
  bool closed = false;

  [[nodiscard]] std::size_t capacity() const { return ring_.size(); }
  [[nodiscard]] std::size_t size_locked() const { return size_; }

  /// Whether the two below would do something now; then they do it, unless who waits is claimed meanwhile.
  [[nodiscard]] bool may_send_locked() { return size_ < ring_.size() || receivers.has_claimable(); }
  [[nodiscard]] bool may_receive_locked() { return size_ != 0 || senders.has_claimable(); }

  /// Takes over `value` if it can go to a receiver or into the buffer. Returns whom to wake through `woken`.
  bool send_locked(T& value, Waiter*& woken) {
    woken = receivers.claim_front();
    if (woken != nullptr) {
      static_cast<std::optional<T>*>(woken->slot)->emplace(std::move(value));
      woken->ok = true;
      return true;
    }
    if (size_ == ring_.size()) return false;
    ring_[place(size_)].emplace(std::move(value));
    ++size_;
    return true;
  }

  /// Takes the oldest value, buffered or from a waiting sender.
  bool receive_locked(std::optional<T>& out, Waiter*& woken) {
    if (size_ != 0) {
      out.emplace(std::move(*ring_[head_]));
      ring_[head_].reset();
      head_ = place(1);
      --size_;
      woken = senders.claim_front();
      if (woken != nullptr) {
        ring_[place(size_)].emplace(std::move(*static_cast<T*>(woken->slot)));
        ++size_;
        woken->ok = true;
      }
      return true;
    }
    woken = senders.claim_front();
    if (woken == nullptr) return false;
    out.emplace(std::move(*static_cast<T*>(woken->slot)));
    woken->ok = true;
    return true;
  }

 private:
  // The index `offset` behind the head; at most one round.
  [[nodiscard]] std::size_t place(std::size_t offset) const {
    const std::size_t i = head_ + offset;
    return i < ring_.size() ? i : i - ring_.size();
  }

  std::vector<std::optional<T>, Recycled<std::optional<T>>> ring_;
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

}  // namespace detail

/// Values go from senders to receivers in order, both sides served in order of arrival. *any thread*
///
/// Capacity 0 is a rendezvous: a send ends when a receiver has taken the value. A default-constructed ("nil") channel
/// blocks for ever. T needs a move constructor that does not throw.
template <class T>
class Channel {
  static_assert(std::is_nothrow_move_constructible_v<T>);
  template <class Value>
  class Sending;
  class Receiving;
  enum class Now : unsigned char { wait, done, ended, closed };

 public:
  Channel() = default;
  explicit Channel(std::size_t capacity) : state_(detail::make_recycled<detail::ChannelState<T>>(capacity)) {}

  /// Blocks until the value is taken or buffered.
  /// Errors: closed (also when closed while waiting); canceled, deadline_exceeded from `ctx`.
  [[nodiscard]] Sending<T> send(Context ctx, T value) const {
    return Sending<T>(*this, std::move(ctx), std::move(value));
  }
  /// The same for a value that must not be lost on failure: it is moved from on success only, and must live until then.
  [[nodiscard]] Sending<T&> send_from(Context ctx, T& value) const { return Sending<T&>(*this, std::move(ctx), value); }

  /// Blocks until there is a value. After close() what is buffered is still received.
  /// Errors: closed (and drained); canceled, deadline_exceeded from `ctx`.
  [[nodiscard]] Receiving receive(Context ctx) const { return Receiving(*this, std::move(ctx)); }

  /// Never block. False if it would have; `value` is moved from on success only. Error: closed.
  [[nodiscard]] Result<bool> try_send(T&& value) const { return try_send_by_reference(value); }
  [[nodiscard]] Result<bool> try_send(const T& value) const {
    T copy(value);
    return try_send_by_reference(copy);
  }
  /// The value; empty if there is none now. Error: closed (and drained).
  [[nodiscard]] Result<std::optional<T>> try_receive() const;

  /// All who wait wake. Error: closed, if it was; std::logic_error for a nil channel.
  Result<> close();

  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] std::size_t capacity() const { return state_ ? state_->capacity() : 0; }
  [[nodiscard]] bool is_nil() const { return state_ == nullptr; }

  friend bool operator==(const Channel& a, const Channel& b) { return a.state_ == b.state_; }

 private:
  template <class U>
  friend class ReceiveCase;
  template <class U>
  friend class SendCase;
  using State = detail::ChannelState<T>;

  Now send_now(const Context& ctx, T& value) const;
  Now receive_now(const Context& ctx, std::optional<T>& value) const;
  Result<bool> try_send_by_reference(T& value) const;
  static Task<Result<>> send_by_reference(std::shared_ptr<State> state, Context ctx, T& value);
  static Task<Result<>> send_copy(std::shared_ptr<State> state, Context ctx, T value) {
    Task<Result<>> sending = send_by_reference(std::move(state), std::move(ctx), value);
    co_return co_await std::move(sending);
  }
  static Task<Result<T>> receive_from(std::shared_ptr<State> state, Context ctx);

  std::shared_ptr<State> state_;
};

/// As detail::Operation, with the value that it sends, or a reference to it.
template <class T>
template <class Value>
class [[nodiscard]] Channel<T>::Sending : public detail::Awaiter {
 public:
  using value_type = Result<>;

  Sending(const Channel& channel, Context ctx, T& value)
    requires std::is_reference_v<Value>
      : channel_(channel), ctx_(std::move(ctx)), value_(value) {}
  Sending(const Channel& channel, Context ctx, T&& value)
    requires(!std::is_reference_v<Value>)
      : channel_(channel), ctx_(std::move(ctx)), value_(std::move(value)) {}

  [[nodiscard]] bool await_ready() {
    now_ = channel_.send_now(ctx_, value_);
    return now_ != Now::wait;
  }
  template <class U>
  void await_suspend(std::coroutine_handle<detail::Promise<U>> coroutine) {
    waiting_ = send_by_reference(channel_.state_, std::move(ctx_), value_);
    detail::await_suspend(waiting_, coroutine);
  }
  Result<> await_resume() {
    if (now_ == Now::done) return {};
    if (now_ == Now::wait) return waiting_.await_resume();
    return now_ == Now::ended ? ctx_.err() : make_error_code(Error::closed);
  }

  // NOLINTNEXTLINE(google-explicit-constructor): for functions that return it as their Task
  operator Task<Result<>>() && {
    if constexpr (std::is_reference_v<Value>) {
      return send_by_reference(channel_.state_, std::move(ctx_), value_);
    } else {
      return send_copy(channel_.state_, std::move(ctx_), std::move(value_));
    }
  }

 private:
  const Channel& channel_;
  Context ctx_;
  Value value_;
  Now now_ = Now::wait;
  Task<Result<>> waiting_;
};

template <class T>
class [[nodiscard]] Channel<T>::Receiving : public detail::Awaiter {
 public:
  using value_type = Result<T>;

  Receiving(const Channel& channel, Context ctx) : channel_(channel), ctx_(std::move(ctx)) {}

  [[nodiscard]] bool await_ready() {
    now_ = channel_.receive_now(ctx_, value_);
    return now_ != Now::wait;
  }
  template <class U>
  void await_suspend(std::coroutine_handle<detail::Promise<U>> coroutine) {
    waiting_ = receive_from(channel_.state_, std::move(ctx_));
    detail::await_suspend(waiting_, coroutine);
  }
  Result<T> await_resume() {
    if (now_ == Now::done) return Result<T>(boost::system::in_place_value, std::move(*value_));
    if (now_ == Now::wait) return waiting_.await_resume();
    return now_ == Now::ended ? ctx_.err() : make_error_code(Error::closed);
  }

  // NOLINTNEXTLINE(google-explicit-constructor): for functions that return it as their Task
  operator Task<Result<T>>() && { return receive_from(channel_.state_, std::move(ctx_)); }

 private:
  const Channel& channel_;
  Context ctx_;
  std::optional<T> value_;
  Now now_ = Now::wait;
  Task<Result<T>> waiting_;
};

namespace detail {

/// What waiting on a nil channel does: ends with the context only.
inline Task<boost::system::error_code> until_done(Context ctx) {
  co_await ctx.done();
  co_return ctx.err();
}

inline void wake(Waiter* waiter) {
  if (waiter != nullptr) waiter->parked.wake();
}

}  // namespace detail

template <class T>
typename Channel<T>::Now Channel<T>::send_now(const Context& ctx, T& value) const {
  if (ctx.is_done()) return Now::ended;
  if (!state_) return Now::wait;
  detail::Waiter* woken = nullptr;
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->closed) return Now::closed;
    if (!state_->send_locked(value, woken)) return Now::wait;
  }
  detail::wake(woken);
  return Now::done;
}

template <class T>
typename Channel<T>::Now Channel<T>::receive_now(const Context& ctx, std::optional<T>& value) const {
  if (ctx.is_done()) return Now::ended;
  if (!state_) return Now::wait;
  detail::Waiter* woken = nullptr;
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->receive_locked(value, woken)) return state_->closed ? Now::closed : Now::wait;
  }
  detail::wake(woken);
  return Now::done;
}

template <class T>
Result<bool> Channel<T>::try_send_by_reference(T& value) const {
  if (!state_) return false;
  detail::Waiter* woken = nullptr;
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->closed) return Error::closed;
    if (!state_->send_locked(value, woken)) return false;
  }
  detail::wake(woken);
  return true;
}

template <class T>
Result<std::optional<T>> Channel<T>::try_receive() const {
  std::optional<T> value;
  if (!state_) return value;
  detail::Waiter* woken = nullptr;
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->receive_locked(value, woken)) {
      if (state_->closed) return Error::closed;
      return value;
    }
  }
  detail::wake(woken);
  return value;
}

template <class T>
Task<Result<>> Channel<T>::send_by_reference(std::shared_ptr<State> state, Context ctx, T& value) {
  if (ctx.is_done()) co_return ctx.err();
  if (!state) co_return co_await detail::until_done(ctx);
  detail::Parked parked;
  detail::Waiter waiter(parked, 0, &value);
  detail::Waiter* woken = nullptr;
  bool sent = false;
  {
    const std::lock_guard lock(state->mutex);
    if (state->closed) co_return Error::closed;
    sent = state->send_locked(value, woken);
    if (!sent) state->senders.push_back(waiter);
  }
  if (sent) {
    detail::wake(woken);
    co_return Result<>();
  }
  const detail::Queued<State> queued(*state, state->senders, waiter);
  detail::ContextWake done(parked, 1);
  if (!done.subscribe(ctx) && parked.claim(1)) co_return ctx.err();
  co_await parked.wait();
  if (parked.source() == 1) co_return ctx.err();
  if (!waiter.ok) co_return Error::closed;
  co_return Result<>();
}

template <class T>
Task<Result<T>> Channel<T>::receive_from(std::shared_ptr<State> state, Context ctx) {
  if (ctx.is_done()) co_return ctx.err();
  if (!state) co_return co_await detail::until_done(ctx);
  std::optional<T> value;
  detail::Parked parked;
  detail::Waiter waiter(parked, 0, &value);
  detail::Waiter* woken = nullptr;
  bool received = false;
  {
    const std::lock_guard lock(state->mutex);
    received = state->receive_locked(value, woken);
    if (!received) {
      if (state->closed) co_return Error::closed;
      state->receivers.push_back(waiter);
    }
  }
  if (received) {
    detail::wake(woken);
    co_return Result<T>(boost::system::in_place_value, std::move(*value));
  }
  const detail::Queued<State> queued(*state, state->receivers, waiter);
  detail::ContextWake done(parked, 1);
  if (!done.subscribe(ctx) && parked.claim(1)) co_return ctx.err();
  co_await parked.wait();
  if (parked.source() == 1) co_return ctx.err();
  if (!waiter.ok) co_return Error::closed;
  co_return Result<T>(boost::system::in_place_value, std::move(*value));
}

template <class T>
Result<> Channel<T>::close() {
  if (!state_) throw std::logic_error("close of a nil channel");
  const std::lock_guard lock(state_->mutex);
  if (state_->closed) return Error::closed;
  state_->closed = true;
  while (detail::Waiter* waiter = state_->receivers.claim_front()) waiter->parked.wake();
  while (detail::Waiter* waiter = state_->senders.claim_front()) waiter->parked.wake();
  return {};
}

template <class T>
std::size_t Channel<T>::size() const {
  if (!state_) return 0;
  const std::lock_guard lock(state_->mutex);
  return state_->size_locked();
}

}  // namespace sluice::concurrency
