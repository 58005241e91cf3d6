// Long work on large bodies, a bit at a time, so that other requests of the worker are not late.
#pragma once

#include "concurrency/context.hpp"
#include "concurrency/loop.hpp"
#include "concurrency/task.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>

#include <boost/asio/deferred.hpp>
#include <boost/asio/post.hpp>

namespace sluice::gateway {

/// How much may be done before others have their turn: bytes that are passed over, other steps by what they cost beside
/// that.
class Quantum {
 public:
  static constexpr std::size_t kBytes = 256 * 1024;  // some 0.1 to 0.5 ms
  static constexpr std::size_t kStep = 64;           // a member or an element that is looked at

  static Quantum unlimited() { return Quantum(std::numeric_limits<std::size_t>::max()); }
  explicit Quantum(std::size_t bytes = kBytes) : left_(bytes) {}

  void spend(std::size_t bytes) { left_ -= std::min(left_, bytes); }
  [[nodiscard]] bool is_spent() const { return left_ == 0; }
  [[nodiscard]] std::size_t left() const { return left_; }

 private:
  std::size_t left_;
};

/// What is no longer than this is gone through at once, whatever it is made of.
constexpr std::size_t kAtOnceBytes = 64 * 1024;

/// Lets everything else on this worker run that can.
[[nodiscard]] inline auto pause() {
  return boost::asio::post(concurrency::Loop::current().executor(), boost::asio::deferred);
}

/// Calls `work.run(Quantum&)` until it says that it is over; false if `ctx` was done before that. `work` must live
/// until this ends.
template <class Work>
concurrency::Task<bool> in_turns(const concurrency::Context& ctx, Work& work) {
  for (;;) {
    Quantum quantum;
    if (work.run(quantum)) co_return true;
    co_await pause();
    if (ctx.is_done()) co_return false;
  }
}

}  // namespace sluice::gateway
