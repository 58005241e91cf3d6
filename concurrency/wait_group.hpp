// WaitGroup: waits until a number of things are done.
#pragma once

#include "concurrency/context.hpp"
#include "concurrency/operation.hpp"
#include "concurrency/task.hpp"
#include "concurrency/wait.hpp"

#include <atomic>
#include <cstdint>
#include <utility>

namespace sluice::concurrency {

/// Go's sync.WaitGroup. It may be used again once it is back at zero. It must outlive those who wait. *any thread*
class WaitGroup {
 public:
  /// Throws std::logic_error, and changes nothing, if the count would become negative or reach 2^62.
  void add(long count) {
    if (count > 0 && count <= kFew) {
      const std::int64_t before = count_.fetch_add(count, std::memory_order_acq_rel);
      if ((before & ~kWaited) < kWaited - count) return;
      count_.fetch_sub(count);
    }
    std::int64_t state = count_.load(std::memory_order_relaxed);
    do {
      if (!is_plain(state, count)) return add_slowly(count);
    } while (!count_.compare_exchange_weak(state, state + count, std::memory_order_acq_rel, std::memory_order_relaxed));
  }
  void done() { add(-1); }
  /// Ends when the count is zero, at once if it is. Errors: canceled, deadline_exceeded from `ctx`.
  [[nodiscard]] auto wait(Context ctx = {}) {
    return detail::Operation(
        std::move(ctx), *this, detail::Nothing(),
        [](WaitGroup& g, detail::Nothing, const Context&) {
          return g.count_.load(std::memory_order_acquire) == 0 ? detail::Now::done : detail::Now::wait;
        },
        [](WaitGroup&, detail::Nothing) { return Result<>(); },
        [](WaitGroup& g, detail::Nothing, Context c) { return g.wait_for_zero(std::move(c)); });
  }

 private:
  // In count_, since somebody waited; until a wait finds the count at zero, nobody brings it down without the lock. So
  // that who finds zero without the lock may end the object: nobody is between the change and the end of waking then.
  static constexpr std::int64_t kWaited = std::int64_t{1} << 62;

  static constexpr long kFew = 1L << 30;  // added without a look first, since the sum is beyond reach

  /// Nobody has waited, and the sum is a count.
  static bool is_plain(std::int64_t state, std::int64_t count) {
    const auto before = static_cast<std::uint64_t>(state);
    return (before | (before + static_cast<std::uint64_t>(count))) < std::uint64_t{kWaited};
  }
  void add_slowly(std::int64_t count);
  static std::int64_t sum(std::int64_t state, std::int64_t count);
  Task<Result<>> wait_for_zero(Context ctx);

  detail::Gathering gathering_;
  std::atomic<std::int64_t> count_{0};
};

}  // namespace sluice::concurrency
