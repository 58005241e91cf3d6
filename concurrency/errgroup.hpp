// ErrGroup: tasks that belong together; the first error cancels the rest. Collect: it does not, and results arrive.
#pragma once

#include "concurrency/channel.hpp"
#include "concurrency/context.hpp"
#include "concurrency/loop.hpp"
#include "concurrency/semaphore.hpp"
#include "concurrency/task.hpp"
#include "concurrency/wait.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <boost/asio/deferred.hpp>
#include <boost/asio/post.hpp>

namespace sluice::concurrency {
namespace detail {

/// Counts the running tasks of a group and keeps the first error. *any thread*
class GroupState : public Gathering {
 public:
  explicit GroupState(Cancel cancel) : cancel_(std::move(cancel)) {}

  void started() noexcept { running.fetch_add(1, std::memory_order_relaxed); }
  void ended(boost::system::error_code ec, std::exception_ptr thrown) noexcept;
  void cancel() const noexcept { cancel_(); }

  std::atomic<std::size_t> running{0};
  boost::system::error_code error;
  std::exception_ptr exception;
  std::optional<Semaphore> limit;

 private:
  void fail(boost::system::error_code ec, std::exception_ptr thrown) noexcept;

  Cancel cancel_;
};

/// A task's membership: it counts as running until this is told how it ended, or destroyed.
class Member {
 public:
  explicit Member(std::shared_ptr<GroupState> group) : group_(std::move(group)) { group_->started(); }
  Member(Member&&) noexcept = default;
  Member& operator=(Member&&) = delete;
  ~Member() {
    if (group_) end(Error::canceled, nullptr);
  }

  [[nodiscard]] GroupState& group() const { return *group_; }
  void hold_permit() { has_permit_ = true; }
  void end(boost::system::error_code ec, std::exception_ptr thrown) noexcept {
    if (has_permit_) group_->limit->release();
    group_->ended(ec, std::move(thrown));
    group_.reset();
  }

 private:
  std::shared_ptr<GroupState> group_;
  bool has_permit_ = false;
};

inline boost::system::error_code error_of(const Result<>& result) {
  return result.has_error() ? result.error() : boost::system::error_code();
}

/// Runs one task of a group to its end. The arguments live in this frame, so a task may take references to them.
template <class F, class... Args>
Root run_in_group(Member member, bool wait_for_permit, F f, Args... args) {
  boost::system::error_code ec;
  std::exception_ptr thrown;
  try {
    Loop& loop = Loop::current();
    if (loop.is_deeply_nested()) co_await boost::asio::post(loop.executor(), boost::asio::deferred);
    if (wait_for_permit) {
      (void)co_await member.group().limit->acquire(Context());
      member.hold_permit();
    }
    using R = typename std::invoke_result_t<F&, Args...>::value_type;
    if constexpr (std::is_void_v<R>) {
      co_await f(std::move(args)...);
    } else {
      const Result<> result = co_await f(std::move(args)...);
      ec = error_of(result);
    }
  } catch (...) {
    thrown = std::current_exception();
  }
  member.end(ec, std::move(thrown));
}

}  // namespace detail

/// Spawns tasks on the current loop and waits for all of them. *one worker*
///
///     auto [group, ctx] = ErrGroup::with_context(parent);
///     group.go(fetch, ctx, "users");   // Task<Result<>> or Task<> fetch(Context, std::string)
///     Result<> first_error = co_await group.wait();
///
/// `ctx` is cancelled by the first error (which is its cause), when wait() returns, and when the group is destroyed. A
/// group that was moved from throws std::logic_error.
class ErrGroup {
 public:
  static std::pair<ErrGroup, Context> with_context(const Context& parent);
  ErrGroup(ErrGroup&&) noexcept = default;
  ErrGroup& operator=(ErrGroup&&) = delete;
  ~ErrGroup() {
    if (state_) state_->cancel();
  }

  /// Starts `f(args...)`; the arguments are kept for as long as it runs, so pass a function, not a capturing lambda.
  /// Beyond the limit the task waits, in the order of go(), until another has ended; the caller never does.
  template <class F, class... Args>
  void go(F f, Args... args) {
    Loop& loop = Loop::current();
    start(loop, detail::Member(state()), state()->limit.has_value(), std::move(f), std::move(args)...);
  }

  /// Cancels the context of the group; its tasks are still to be waited for.
  void cancel() const noexcept {
    if (state_) state_->cancel();
  }

  /// The same, but false without starting anything if the limit is reached.
  template <class F, class... Args>
  [[nodiscard]] bool try_go(F f, Args... args) {
    Loop& loop = Loop::current();
    if (state()->limit && !state_->limit->try_acquire()) return false;
    detail::Member member(state_);
    if (state_->limit) member.hold_permit();
    start(loop, std::move(member), false, std::move(f), std::move(args)...);
    return true;
  }

  /// At most `most` tasks run at a time; any number if it is negative; none, so that only try_go() makes sense, if it
  /// is zero. Throws std::logic_error while any runs.
  void set_limit(std::int64_t most);

  /// Ends when all tasks have: with the first error, or by rethrowing the exception if a task threw first. A task whose
  /// loop was destroyed under it counts as canceled.
  [[nodiscard]] Task<Result<>> wait() { return wait(Context()); }
  /// The same, but not longer than `ctx`: then with its error. The tasks' context is cancelled, and they end unwaited.
  [[nodiscard]] Task<Result<>> wait(Context ctx);

 private:
  explicit ErrGroup(std::shared_ptr<detail::GroupState> state) : state_(std::move(state)) {}

  [[nodiscard]] const std::shared_ptr<detail::GroupState>& state() const {
    if (state_ == nullptr) throw std::logic_error("ErrGroup: used after it was moved from");
    return state_;
  }

  template <class F, class... Args>
  static void start(Loop& loop, detail::Member member, bool wait_for_permit, F f, Args... args) {
    const Loop::Nested nested(loop);
    detail::start(loop.executor(), detail::run_in_group<F, Args...>(std::move(member), wait_for_permit, std::move(f),
                                                                    std::move(args)...));
  }
  static Task<Result<>> wait_for(std::shared_ptr<detail::GroupState> state, Context ctx);

  std::shared_ptr<detail::GroupState> state_;
};

/// What one task of a Collect came to: the `index`-th that was started.
template <class T>
struct Outcome {
  Outcome(std::size_t i, Result<T> r) : index(i), result(std::move(r)) {}
  std::size_t index;
  Result<T> result;
};

/// A group whose tasks do not fail each other: every outcome arrives, in the order of completion. *one worker*
///
///     Collect<Reply> calls(parent, 3);
///     calls.go(fetch, calls.context(), "users");   // Task<Result<Reply>> or Task<Reply>
///     auto outcome = co_await calls.next(parent);   // again until it is empty
template <class T>
class Collect {
 public:
  /// For `most` tasks in all, so that none ever waits for its outcome to be received.
  Collect(const Context& parent, std::size_t most)
      : made_(ErrGroup::with_context(parent)), outcomes_(most), most_(most) {}

  /// Cancelled when the group is destroyed or `cancel` called, and by a task's exception, which wait() rethrows.
  [[nodiscard]] const Context& context() const { return made_.second; }
  [[nodiscard]] const Channel<Outcome<T>>& outcomes() const { return outcomes_; }

  /// Starts `f(args...)` as ErrGroup::go does; returns its index. Throws std::logic_error beyond `most`.
  template <class F, class... Args>
  std::size_t go(F f, Args... args) {
    if (started_ == most_) throw std::logic_error("Collect: more tasks than announced");
    made_.first.go(run<F, Args...>, outcomes_, started_, std::move(f), std::move(args)...);
    return started_++;
  }

  /// The next outcome of those started. Errors: closed, when all have been had or others wait for the rest, or none is
  /// left after an exception; from `ctx`.
  [[nodiscard]] Task<Result<Outcome<T>>> next(Context ctx) {
    if (outcomes_.is_nil()) throw std::logic_error("Collect: used after it was moved from");
    if (taken_ == started_) co_return Error::closed;
    ++taken_;
    auto outcome = co_await outcomes_.receive(std::move(ctx));
    if (!outcome) --taken_;
    co_return outcome;
  }

  /// As ErrGroup's, without the tasks' errors.
  [[nodiscard]] Task<Result<>> wait(Context ctx = {}) { return made_.first.wait(std::move(ctx)); }

 private:
  template <class F, class... Args>
  static Task<> run(Channel<Outcome<T>> outcomes, std::size_t index, F f, Args... args) {
    try {
      Result<T> result = co_await f(std::move(args)...);
      (void)outcomes.try_send(Outcome<T>(index, std::move(result)));
    } catch (...) {
      (void)outcomes.close();  // nobody waits for what will not come
      throw;
    }
  }

  std::pair<ErrGroup, Context> made_;
  Channel<Outcome<T>> outcomes_;
  std::size_t most_;
  std::size_t started_ = 0;
  std::size_t taken_ = 0;
};

}  // namespace sluice::concurrency
