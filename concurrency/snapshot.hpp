// Snapshot<T>: publishes immutable objects to readers that never lock, wait or allocate.
#pragma once

#include "concurrency/detail/thin_mutex.hpp"

#include <array>
#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace sluice::concurrency {

namespace detail {

/// Where one Snapshot announces its version to idle threads. Never freed, only handed on, so a thread may look long
/// after the Snapshot ended; versions are unique in the process, so what a thread kept from an earlier owner matches no
/// later one.
struct alignas(64) VersionCell {
  std::atomic<std::uint64_t> version{0};
  std::size_t index = 0;
};

/// One thread's hold on one published object. Only that thread touches it; its borrows are counted here.
struct Held {
  std::uint64_t version = 0;  // 0: holds nothing
  std::shared_ptr<const void> object;
  const VersionCell* cell = nullptr;
  const void* thread = nullptr;
  // Two numbers, since one that goes up and down at once would be waited for twice a read.
  std::size_t borrows_begun = 0;
  std::size_t borrows_ended = 0;
  bool cached = true;  // the thread's table points here; else the last borrow deletes it

  [[nodiscard]] bool is_borrowed() const { return borrows_begun != borrows_ended; }
};

extern constinit Held holds_nothing;

/// A thread's holds by the low bits of their cells' indices, the last used of each. Constant-initialised and trivially
/// destroyed: reading it needs no guard. An entry never matches another Snapshot of the same bits, as versions are
/// unique.
struct RecentHolds {
  constexpr RecentHolds() { clear(); }
  constexpr void clear() {
    for (Held*& held : by_index) held = &holds_nothing;
  }
  std::array<Held*, 64> by_index{};
};
extern constinit thread_local RecentHolds recent_holds;

/// The part of Snapshot<T> that does not depend on T.
class SnapshotCore {
 public:
  explicit SnapshotCore(std::shared_ptr<const void> initial);
  ~SnapshotCore();
  SnapshotCore(const SnapshotCore&) = delete;
  SnapshotCore& operator=(const SnapshotCore&) = delete;

  void publish(std::shared_ptr<const void> next);

  /// The thread's hold on the current object, with one borrow counted.
  [[nodiscard]] Held& borrow() const {
    Held& held = *recent_holds.by_index[place_];
    if (held.version == version_.load(std::memory_order_acquire)) [[likely]] {
      ++held.borrows_begun;
      return held;
    }
    return refresh();
  }

 private:
  // A published object on its way from the publisher to the threads' holds.
  struct alignas(64) Slot {
    std::shared_ptr<const void> object;
    std::uint64_t version = 0;
    std::atomic<std::int64_t> owed{0};  // minus those who left; plus those who came, once the slot is no longer current
    std::atomic<bool> is_free{true};
  };

  explicit SnapshotCore(VersionCell& cell);
  [[nodiscard]] Held& refresh() const;
  [[nodiscard]] std::pair<std::shared_ptr<const void>, std::uint64_t> take() const;
  [[nodiscard]] static std::shared_ptr<const void> settle(Slot& slot, std::int64_t owed);

  std::atomic<std::uint64_t> version_;  // of the object that is current or about to be
  const std::size_t place_;             // in RecentHolds
  VersionCell& cell_;
  ThinMutex publishing_;
  alignas(64) mutable std::atomic<std::uint64_t> head_{
      0};  // current slot in the high bits, readers that came in the low
  mutable std::array<Slot, 8> slots_;
};

void delete_unborrowed(Held& held) noexcept;

}  // namespace detail

/// Lets go of every superseded object that the calling thread's reads have left cached, of all Snapshots, ended ones
/// included. A thread keeps the object of its last read of each Snapshot (one each, with all that it owns) until it
/// reads that Snapshot again, calls this, or ends: a thread that reads seldom should call this now and then. Costs a
/// few nanoseconds for each Snapshot that the thread has ever read. Objects under a borrow stay.
void refresh_snapshots() noexcept;

/// An immutable object that is replaced as a whole: many read it, now and then somebody publishes the next.
///
/// Promises: a reader sees one published object, never a mixture; once publish has returned, every read that starts
/// sees that object or a later one; one who has seen an object never again sees an earlier one, nor does anybody he
/// tells. Neither reading nor publishing waits for a reader that holds a borrow. Ending a Snapshot while another thread
/// is inside one of its functions is a race; borrows and owners may outlive it. Thread: any thread.
template <class T>
class Snapshot {
 public:
  /// Keeps the object of one read in place. It belongs to the thread that made it and must not live across a co_await:
  /// what must, takes load(). Reads made meanwhile, nested ones too, may see later objects and leave this one alone.
  class [[nodiscard]] Borrow {
   public:
    ~Borrow() {
      assert(held_.thread == &detail::recent_holds && "a borrow ended on another thread than the one that made it");
      ++held_.borrows_ended;
      if (!held_.cached) [[unlikely]] {
        detail::delete_unborrowed(held_);
      }
    }
    Borrow(const Borrow&) = delete;
    Borrow& operator=(const Borrow&) = delete;
    void* operator new(std::size_t) = delete;

    [[nodiscard]] const T& operator*() const& noexcept { return *object_; }
    [[nodiscard]] const T* operator->() const& noexcept { return object_; }
    // A temporary ends before what it points to is used: name the borrow.
    const T& operator*() const&& = delete;
    const T* operator->() const&& = delete;

   private:
    friend Snapshot;
    explicit Borrow(detail::Held& held) noexcept : held_(held), object_(static_cast<const T*>(held.object.get())) {}

    detail::Held& held_;
    const T* object_;
  };

  /// Throws std::invalid_argument if `initial` is null.
  explicit Snapshot(std::shared_ptr<const T> initial) : core_(std::move(initial)) {}

  /// Makes `next` the current object. Publishers queue; the object replaced is destroyed by whoever lets go of it last,
  /// which may be any reader. Throws std::invalid_argument if `next` is null, and changes nothing.
  void publish(std::shared_ptr<const T> next) { core_.publish(std::move(next)); }

  /// The current object, in 1-2 ns. The first read of a thread after a publish copies a shared_ptr besides (wait-free),
  /// and only a thread's first read of this Snapshot, or one nested in a borrow of an older object, allocates.
  [[nodiscard]] Borrow read() const& { return Borrow(core_.borrow()); }
  Borrow read() const&& = delete;

  /// The current object, owned: for what outlives a co_await. Costs a read, with what that leaves cached, and one
  /// atomic increment.
  [[nodiscard]] std::shared_ptr<const T> load() const {
    const Borrow now(core_.borrow());
    return std::shared_ptr<const T>(now.held_.object, now.object_);
  }

 private:
  detail::SnapshotCore core_;
};

}  // namespace sluice::concurrency
