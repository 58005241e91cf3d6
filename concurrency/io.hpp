// The adapter that ends an Asio operation with its context.
#pragma once

#include "concurrency/context.hpp"
#include "concurrency/loop.hpp"
#include "concurrency/task.hpp"

#include <memory>
#include <tuple>
#include <utility>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>

namespace sluice::concurrency {
namespace detail {

/// Cancels one Asio operation of the current loop when a context is done, on that loop's thread.
class IoCancel final : public ContextWaiter {
 public:
  IoCancel() : loop_(Loop::current()) { ++loop_.waiting_; }
  ~IoCancel();

  boost::asio::cancellation_slot slot() { return signal_.slot(); }

 private:
  void notify() noexcept override;

  Loop& loop_;
  boost::asio::cancellation_signal signal_;
  std::shared_ptr<IoCancel*> posted_;  // set when another thread cancelled: what its posted function looks at
};

inline boost::system::error_code io_error(const Context& ctx, boost::system::error_code ec) {
  return ec == boost::asio::error::operation_aborted && ctx.is_done() ? ctx.err() : ec;
}

template <class Signature>
struct IoSignature;
template <class R>
struct IoSignature<R(boost::system::error_code)> {
  using Value = void;
  using Outcome = std::tuple<boost::system::error_code>;
};
template <class R, class T>
struct IoSignature<R(boost::system::error_code, T)> {
  using Value = std::decay_t<T>;
  using Outcome = std::tuple<boost::system::error_code, Value>;
};
template <class Operation>
using IoSignatureOf = IoSignature<boost::asio::completion_signature_of_t<Operation>>;

/// Hands an operation's error and value to the coroutine as one tuple, and lets `slot` cancel the operation.
template <class Handler>
class IoHandler {
 public:
  using cancellation_slot_type = boost::asio::cancellation_slot;
  using executor_type = boost::asio::associated_executor_t<Handler>;

  IoHandler(Handler handler, cancellation_slot_type slot) : handler_(std::move(handler)), slot_(slot) {}
  [[nodiscard]] cancellation_slot_type get_cancellation_slot() const noexcept { return slot_; }
  [[nodiscard]] executor_type get_executor() const noexcept { return boost::asio::get_associated_executor(handler_); }

  template <class... Values>
  void operator()(boost::system::error_code ec, Values... values) {
    std::move(handler_)(std::make_tuple(ec, std::move(values)...));
  }

 private:
  Handler handler_;
  cancellation_slot_type slot_;
};

struct StartIo {
  template <class Handler, class Operation>
  void operator()(Handler&& handler, Operation* operation, boost::asio::cancellation_slot slot) const {
    std::move (*operation)(IoHandler<std::decay_t<Handler>>(std::forward<Handler>(handler), slot));
  }
};

}  // namespace detail

/// `co_await io(ctx, socket.async_read_some(buffer, deferred))`: the operation's value, or its error.
///
/// An operation that has already completed counts, even if the context ends in the same turn: what arrived is not lost.
/// Errors: canceled, deadline_exceeded from `ctx` (the operation is then over, its buffers are free); else Asio's own.
/// Thread: the loop that owns the I/O object; `ctx` may be cancelled from any.
template <class Operation>
[[nodiscard]] auto io(Context ctx, Operation operation)
    -> Task<Result<typename detail::IoSignatureOf<Operation>::Value>> {
  using Value = typename detail::IoSignatureOf<Operation>::Value;
  using Outcome = typename detail::IoSignatureOf<Operation>::Outcome;
  detail::IoCancel cancel;
  if (!cancel.subscribe(ctx)) co_return ctx.err();
  const boost::asio::cancellation_slot slot = cancel.slot();
  auto started = boost::asio::async_initiate<const boost::asio::deferred_t&, void(Outcome)>(
      detail::StartIo(), boost::asio::deferred, &operation, slot);
  Outcome outcome = co_await std::move(started);
  const boost::system::error_code ec = std::get<0>(outcome);
  if (ec) co_return detail::io_error(ctx, ec);
  if constexpr (std::is_void_v<Value>) {
    co_return Result<>();
  } else {
    co_return Result<Value>(boost::system::in_place_value, std::move(std::get<1>(outcome)));
  }
}

}  // namespace sluice::concurrency
