// Operations that seldom have to wait: awaiting one that need not costs no coroutine.
#pragma once

#include "concurrency/context.hpp"
#include "concurrency/task.hpp"

#include <coroutine>
#include <new>
#include <type_traits>
#include <utility>

namespace sluice::concurrency {
namespace detail {

/// What trying came to: nothing yet, success, or that the context has ended.
enum class Now : unsigned char { wait, done, ended };

/// Awaited, it first calls `try_now(owner, arg, ctx)`; its result is `make(owner, arg)` when that is done, and that of
/// the coroutine `wait(owner, arg, ctx)` if there is something to wait for. It is awaited once, or made a Task, which
/// does the same.
// What it stores is written to the frame of who awaits it, before an atomic instruction that waits for it: hence one
// place for the context and for what has been made of it. No result is stored before it is asked for, and functions
// have no captures: reading back at once, as a whole, what was just written in smaller pieces costs 10 ns.
template <class Owner, class Arg, class Try, class Make, class Wait>
class [[nodiscard]] Operation : public SmallAwaiter {
 public:
  using value_type = std::invoke_result_t<Make&, Owner&, Arg>;

  Operation(Context&& ctx, Owner& owner, Arg arg, Try try_now, Make make, Wait wait)
      : ctx_(std::move(ctx)),
        owner_(owner),
        arg_(arg),
        try_now_(std::move(try_now)),
        make_(std::move(make)),
        wait_(std::move(wait)) {}
  /// Of one that has not been awaited.
  Operation(Operation&& other) noexcept
      : ctx_(std::move(other.ctx_)),
        owner_(other.owner_),
        arg_(other.arg_),
        try_now_(std::move(other.try_now_)),
        make_(std::move(other.make_)),
        wait_(std::move(other.wait_)) {}
  Operation& operator=(Operation&&) = delete;
  ~Operation() {
    if (is_waiting_) {
      waiting_.~Waiting();
    } else {
      ctx_.~Context();
    }
  }

  [[nodiscard]] bool await_ready() {
    now_ = try_now_(owner_, arg_, std::as_const(ctx_));
    return now_ != Now::wait;
  }
  template <class T>
  void await_suspend(std::coroutine_handle<Promise<T>> coroutine) {
    Waiting waiting = wait_(owner_, arg_, std::move(ctx_));
    ctx_.~Context();
    new (&waiting_) Waiting(std::move(waiting));
    is_waiting_ = true;
    detail::await_suspend(waiting_, coroutine);
  }
  value_type await_resume() {
    if (now_ == Now::done) return make_(owner_, arg_);
    return now_ == Now::ended ? value_type(ctx_.err()) : waiting_.await_resume();
  }

  // NOLINTNEXTLINE(google-explicit-constructor): for functions that return it as their Task
  operator Task<value_type>() && { return wait_(owner_, arg_, std::move(ctx_)); }

 private:
  using Waiting = Task<value_type>;

  union {
    Context ctx_;
    Waiting waiting_;
  };
  Owner& owner_;
  [[no_unique_address]] const Arg arg_;
  [[no_unique_address]] Try try_now_;
  [[no_unique_address]] Make make_;
  [[no_unique_address]] Wait wait_;
  Now now_ = Now::wait;
  bool is_waiting_ = false;  // waiting_ stands in ctx_'s place
};

/// An Operation's `arg` if there is nothing to say.
struct Nothing {};

}  // namespace detail

/// What a Task may await and functions that take a Task take, too.
template <class Op>
concept IsOperation = std::derived_from<Op, detail::Awaiter>;

}  // namespace sluice::concurrency
