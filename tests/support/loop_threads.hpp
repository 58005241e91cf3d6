// Loops in real time, each on a thread of its own, for tests across threads.
#pragma once

#include "concurrency/loop.hpp"
#include "concurrency/operation.hpp"
#include "concurrency/task.hpp"

#include <cstddef>
#include <cstdint>
#include <exception>
#include <future>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>

namespace sluice::test {

class LoopThreads {
 public:
  explicit LoopThreads(std::size_t count, std::uint64_t seed = 1) {
    for (std::size_t i = 0; i < count; ++i) loops_.push_back(std::make_unique<concurrency::Loop>(seed + i));
    for (auto& loop : loops_) threads_.emplace_back([&loop = *loop] { loop.run(); });
  }
  /// Ends all threads before the first loop dies, as loops whose coroutines wake each other must.
  ~LoopThreads() {
    for (auto& loop : loops_) loop->stop();
    for (auto& thread : threads_) thread.join();
  }
  LoopThreads(const LoopThreads&) = delete;
  LoopThreads& operator=(const LoopThreads&) = delete;

  [[nodiscard]] concurrency::Loop& loop(std::size_t i) { return *loops_[i % loops_.size()]; }

  /// Runs `task` on loop `i` (modulo their number).
  template <class T>
  std::future<T> spawn(std::size_t i, concurrency::Task<T> task) {
    auto promise = std::make_shared<std::promise<T>>();
    std::future<T> future = promise->get_future();
    boost::asio::co_spawn(loop(i).executor(), std::move(task), Keep<T>{std::move(promise)});
    return future;
  }
  template <concurrency::IsOperation Op>
  auto spawn(std::size_t i, Op operation) {
    return spawn(i, concurrency::Task<typename Op::value_type>(std::move(operation)));
  }

 private:
  // In place of asio::use_future, of which g++ 12 says at -O1 that it is used uninitialised.
  template <class T>
  struct Keep {
    std::shared_ptr<std::promise<T>> promise;

    void operator()(std::exception_ptr thrown, T value) const {
      if (thrown) {
        promise->set_exception(std::move(thrown));
      } else {
        promise->set_value(std::move(value));
      }
    }
  };

  std::vector<std::unique_ptr<concurrency::Loop>> loops_;
  std::vector<std::thread> threads_;
};

template <>
struct LoopThreads::Keep<void> {
  std::shared_ptr<std::promise<void>> promise;

  void operator()(std::exception_ptr thrown) const {
    if (thrown) {
      promise->set_exception(std::move(thrown));
    } else {
      promise->set_value();
    }
  }
};

}  // namespace sluice::test
