// Semaphore: a weighted one, served in order of arrival; and the guards of everything that is held.
#pragma once

#include "concurrency/context.hpp"
#include "concurrency/task.hpp"
#include "concurrency/wait.hpp"

#include <cstdint>
#include <memory>
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
  [[nodiscard]] Task<Result<>> acquire(Context ctx, std::int64_t units = 1);
  /// Never blocks; false also if somebody waits.
  [[nodiscard]] bool try_acquire(std::int64_t units = 1);
  /// Throws std::logic_error if fewer than `units` are held.
  void release(std::int64_t units = 1);

  /// acquire() with a guard.
  [[nodiscard]] Task<Result<Permit>> permit(Context ctx, std::int64_t units = 1);

 private:
  struct Request;
  class Line;
  void admit_locked() noexcept;

  const std::int64_t capacity_;
  std::int64_t held_ = 0;
  detail::Gathering line_;
};

}  // namespace sluice::concurrency
