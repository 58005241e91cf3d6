// Task<T>: a coroutine that runs on one Loop.
#pragma once

#include "concurrency/detail/recycled.hpp"

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <type_traits>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

namespace sluice::concurrency {

using Executor = boost::asio::io_context::executor_type;

/// Lazy: starts when awaited or spawned. Mixes with every Asio operation whose executor is Executor.
template <class T = void>
using Task = boost::asio::awaitable<T, Executor>;

namespace detail {

template <class T>
class Promise;

/// An awaiter of ours, which a Task may await beside what Asio knows. Its await_suspend takes a handle of any Promise.
struct Awaiter {};
/// One that is quicker moved into its place than reached through a pointer.
struct SmallAwaiter : Awaiter {};

template <class T>
class AwaitTask;

/// g++ 12 would move an awaiter that it is given by reference, and then destroy two.
template <class A>
class AwaitInPlace {
 public:
  explicit AwaitInPlace(A& awaiter) : awaiter_(awaiter) {}
  [[nodiscard]] bool await_ready() const { return awaiter_.await_ready(); }
  template <class T>
  void await_suspend(std::coroutine_handle<Promise<T>> coroutine) const {
    awaiter_.await_suspend(coroutine);
  }
  decltype(auto) await_resume() const { return awaiter_.await_resume(); }

 private:
  A& awaiter_;
};

/// The promise of every Task: Asio's, with other memory, that also awaits what derives from Awaiter.
template <class T>
class Promise : public boost::asio::detail::awaitable_frame<T, Executor> {
  using Base = boost::asio::detail::awaitable_frame<T, Executor>;

 public:
  static void* operator new(std::size_t size) { return allocate_recycled(size); }
  static void operator delete(void* frame, std::size_t size) noexcept { free_recycled(frame, size); }

  using Base::await_transform;
  template <class U>
  auto await_transform(Task<U> task) const {
    return AwaitTask<U>(Base::await_transform(std::move(task)));
  }
  template <class A>
    requires std::derived_from<A, Awaiter>
  auto await_transform(A&& awaiter) const noexcept {
    if constexpr (std::derived_from<A, SmallAwaiter>) {
      return A(std::move(awaiter));
    } else {
      return AwaitInPlace<A>(awaiter);
    }
  }
};

/// Suspends a coroutine until `task` has ended.
template <class T, class U>
void await_suspend(Task<U>& task, std::coroutine_handle<Promise<T>> coroutine) {
  using Base = boost::asio::detail::awaitable_frame<T, Executor>;
  static_assert(sizeof(Promise<T>) == sizeof(Base) && alignof(Promise<T>) == alignof(Base), "one stands for the other");
  Base& promise = coroutine.promise();
  task.await_suspend(std::coroutine_handle<Base>::from_promise(promise));
}

template <class T>
class AwaitTask {
 public:
  explicit AwaitTask(Task<T> task) : task_(std::move(task)) {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class U>
  void await_suspend(std::coroutine_handle<Promise<U>> coroutine) {
    detail::await_suspend(task_, coroutine);
  }
  T await_resume() { return task_.await_resume(); }

 private:
  Task<T> task_;
};

/// A coroutine that nobody awaits. It must not throw.
using Root = Task<boost::asio::detail::awaitable_thread_entry_point>;

/// Starts `root`, on this stack up to its first wait if its loop runs on this thread, as co_spawn does, which costs
/// several times as much.
void start(const Executor& executor, Root root);

}  // namespace detail
}  // namespace sluice::concurrency

template <class T, class... Args>
struct std::coroutine_traits<boost::asio::awaitable<T, sluice::concurrency::Executor>, Args...> {
  using promise_type = sluice::concurrency::detail::Promise<T>;
};
