// Runs coroutines in virtual time: what takes hours takes microseconds, and the same steps every time.
#pragma once

#include "concurrency/loop.hpp"
#include "concurrency/operation.hpp"

#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <boost/asio/co_spawn.hpp>

namespace sluice::concurrency {

/// What a task spawned by VirtualTime came to.
template <class T>
class Spawned {
 public:
  [[nodiscard]] bool done() const { return state_ != nullptr && state_->done; }
  /// The result; rethrows what the task threw. Throws std::logic_error if it is not done.
  T get() {
    if (!done()) throw std::logic_error("the task is not done");
    if (state_->thrown) std::rethrow_exception(state_->thrown);
    if constexpr (!std::is_void_v<T>) return std::move(*state_->value);
  }

 private:
  friend class VirtualTime;
  struct State {
    bool done = false;
    std::exception_ptr thrown;
    std::optional<std::conditional_t<std::is_void_v<T>, bool, T>> value;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

/// A loop whose clock moves only when nothing is left to do. For tests of everything that waits. *one worker*
///
/// It is the current loop of the thread that made it for as long as it lives.
/// Sockets on loopback work; what another thread or process does is not waited for.
class VirtualTime {
 public:
  explicit VirtualTime(std::uint64_t seed = 1) : loop_(clock_, seed) {}

  [[nodiscard]] Loop& loop() { return loop_; }
  [[nodiscard]] TimePoint now() const { return clock_.now(); }

  template <class T>
  Spawned<T> spawn(Task<T> task) {
    Spawned<T> spawned;
    const auto done = [state = spawned.state_](std::exception_ptr thrown) {
      state->done = true;
      state->thrown = std::move(thrown);
    };
    boost::asio::co_spawn(loop_.executor(), keep(std::move(task), spawned.state_), done);
    return spawned;
  }

  template <IsOperation Op>
  auto spawn(Op operation) {
    return spawn(Task<typename Op::value_type>(std::move(operation)));
  }

  /// Runs all that is ready, without moving the clock.
  void settle();
  /// Moves the clock by `duration`, stopping at each timer on the way and running what it starts. Throws
  /// std::invalid_argument if `duration` is negative.
  void advance(Duration duration);
  /// Runs the task to its end, moving the clock as needed. Throws std::logic_error if it can never end.
  template <class T>
  T run(Task<T> task) {
    Spawned<T> spawned = spawn(std::move(task));
    while (!spawned.done()) {
      settle();
      if (!spawned.done() && !step(TimePoint::max())) throw std::logic_error("deadlock: nothing left to wait for");
    }
    return spawned.get();
  }
  template <IsOperation Op>
  auto run(Op operation) {
    return run(Task<typename Op::value_type>(std::move(operation)));
  }

 private:
  // What co_spawn hands to its handler must be default-constructible, which results need not be.
  template <class T>
  static Task<> keep(Task<T> task, std::shared_ptr<typename Spawned<T>::State> state) {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(task);
    } else {
      state->value.emplace(co_await std::move(task));
    }
  }

  /// Moves the clock to the next timer that is due by `limit`, and fires it; false if there is none.
  bool step(TimePoint limit);

  VirtualClock clock_;
  Loop loop_;
  Loop::Entered entered_{loop_};
};

}  // namespace sluice::concurrency
