// Semaphore: a weighted one, served in order of arrival; and the guards of everything that is held.
#pragma once

#include "concurrency/context.hpp"
#include "concurrency/operation.hpp"
#include "concurrency/task.hpp"
#include "concurrency/wait.hpp"

#include <atomic>
#include <cstdint>
#include <utility>

namespace sluice::concurrency {
namespace detail {

/// Gives back, once, what was taken from an owner, by calling `Release` on it.
template <class Owner, void (Owner::*Release)()>
class Guard {
 public:
  Guard() = default;
  explicit Guard(Owner& owner) : owner_(&owner) {}
  Guard(Guard&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)) {}
  Guard& operator=(Guard other) noexcept {
    std::swap(owner_, other.owner_);
    return *this;
  }
  ~Guard() { reset(); }

  void reset() {
    if (owner_ != nullptr) (std::exchange(owner_, nullptr)->*Release)();
  }
  explicit operator bool() const { return owner_ != nullptr; }

 private:
  Owner* owner_ = nullptr;
};

}  // namespace detail

class Semaphore;

/// Units of a semaphore, given back when this dies. The semaphore must outlive it.
class Permit {
 public:
  Permit() = default;
  Permit(Semaphore& semaphore, std::int64_t units) : semaphore_(&semaphore), units_(units) {}
  Permit(Permit&& other) noexcept : semaphore_(std::exchange(other.semaphore_, nullptr)), units_(other.units_) {}
  Permit& operator=(Permit other) noexcept {
    std::swap(semaphore_, other.semaphore_);
    std::swap(units_, other.units_);
    return *this;
  }
  ~Permit();
  explicit operator bool() const { return semaphore_ != nullptr; }
  /// The units stay taken: somebody else will give them back.
  void keep() { semaphore_ = nullptr; }

 private:
  Semaphore* semaphore_ = nullptr;
  std::int64_t units_ = 0;
};

/// As golang.org/x/sync/semaphore: whoever asks for much is not starved by those who ask for little, for nobody
/// overtakes a waiter. It must outlive those who wait. *any thread*
class Semaphore {
 public:
  explicit Semaphore(std::int64_t capacity);

  /// Blocks until `units` are free and all who came before have been served. More than the capacity is never free.
  /// Errors: canceled, deadline_exceeded from `ctx`; nothing has been taken then. Throws std::invalid_argument if
  /// `units` is negative.
  [[nodiscard]] auto acquire(Context ctx, std::int64_t units = 1) {
    return detail::Operation(
        std::move(ctx), *this, units,
        [](Semaphore& s, std::int64_t n, const Context& c) { return s.acquire_now(c, n); },
        [](Semaphore&, std::int64_t) { return Result<>(); },
        [](Semaphore& s, std::int64_t n, Context c) { return s.wait_and_acquire(std::move(c), n); });
  }
  /// Never blocks; false also if somebody waits.
  [[nodiscard]] bool try_acquire(std::int64_t units = 1) {
    if (units < 0) throw_negative();
    std::int64_t held = held_.load(std::memory_order_relaxed);
    do {
      if ((held & kLine) != 0) return try_acquire_beside_line(units);
      if (units > capacity_ - held) return false;
    } while (!held_.compare_exchange_weak(held, held + units, std::memory_order_acquire, std::memory_order_relaxed));
    return true;
  }
  /// Throws std::logic_error if fewer than `units` are held.
  void release(std::int64_t units = 1) {
    std::int64_t held = held_.load(std::memory_order_relaxed);
    do {
      if ((held & kLine) != 0 || units < 0 || units > held) return release_to_line(units);
    } while (!held_.compare_exchange_weak(held, held - units, std::memory_order_release, std::memory_order_relaxed));
  }

  /// acquire() with a guard.
  [[nodiscard]] auto permit(Context ctx, std::int64_t units = 1) {
    return detail::Operation(
        std::move(ctx), *this, units,
        [](Semaphore& s, std::int64_t n, const Context& c) { return s.acquire_now(c, n); },
        [](Semaphore& s, std::int64_t n) { return Result<Permit>(boost::system::in_place_value, s, n); },
        [](Semaphore& s, std::int64_t n, Context c) { return s.wait_and_permit(std::move(c), n); });
  }

 private:
  friend class RwLock;
  // In held_, from when somebody gets in line until the last who stood there has left acquire(): then units are given
  // back only with the line's lock held. Who gives them back never takes it off, for whoever can take units without the
  // lock may end the object.
  static constexpr std::int64_t kLine = std::int64_t{1} << 62;

  detail::Now acquire_now(const Context& ctx, std::int64_t units) {
    if (units >= 0 && ctx.is_done()) return detail::Now::ended;
    return try_acquire(units) ? detail::Now::done : detail::Now::wait;
  }
  [[noreturn]] static void throw_negative();
  bool try_acquire_beside_line(std::int64_t units);
  void release_to_line(std::int64_t units);
  Task<Result<>> wait_and_acquire(Context ctx, std::int64_t units);
  Task<Result<Permit>> wait_and_permit(Context ctx, std::int64_t units);

  struct Request;
  class Line;
  void admit_locked() noexcept;

  const std::int64_t capacity_;
  std::atomic<std::int64_t> held_{0};
  detail::Gathering line_;
};

}  // namespace sluice::concurrency
