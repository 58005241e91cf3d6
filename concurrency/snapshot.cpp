// The type-independent half of Snapshot<T>: handing objects to readers, and the caches of threads.
#include "concurrency/snapshot.hpp"

#include <algorithm>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

namespace sluice::concurrency {
namespace detail {

constinit Held holds_nothing;  // never written
constinit thread_local RecentHolds recent_holds;

namespace {

constexpr unsigned kIndexShift = 48;  // of head_: 2^48 first reads between two publishes do not happen
constexpr std::uint64_t kCameMask = (std::uint64_t{1} << kIndexShift) - 1;

constinit std::atomic<std::uint64_t> next_version{1};

/// A number that no Snapshot of the process has had before.
std::uint64_t new_version() {
  return next_version.fetch_add(1, std::memory_order_relaxed);
}

/// All cells of the process. Never destroyed: a Snapshot may end after any static object.
struct Cells {
  std::mutex mutex;
  std::deque<VersionCell> all;
  std::vector<VersionCell*> unused;
};

Cells& cells() {
  static Cells& instance = *new Cells;
  return instance;
}

VersionCell& claim_cell() {
  Cells& pool = cells();
  const std::lock_guard lock(pool.mutex);
  if (pool.unused.empty()) {
    pool.unused.reserve(pool.all.size() + 1);  // so that giving a cell back cannot fail
    VersionCell& cell = pool.all.emplace_back();
    cell.index = pool.all.size() - 1;
    return cell;
  }
  VersionCell& cell = *pool.unused.back();
  pool.unused.pop_back();
  return cell;
}

void give_back(VersionCell& cell) {
  cell.version.store(new_version(), std::memory_order_release);  // matches no thread's hold
  Cells& pool = cells();
  const std::lock_guard lock(pool.mutex);
  pool.unused.push_back(&cell);
}

// All of the thread's holds by cell index; holds_nothing stands for a cell that it has not read.
constinit thread_local Held** held_slots = nullptr;
constinit thread_local std::size_t held_count = 0;

struct ThreadEnd {
  ~ThreadEnd() {
    // Objects that end here may read Snapshots and so begin a new table.
    while (held_slots != nullptr) {
      Held** const slots = std::exchange(held_slots, nullptr);
      const std::size_t count = std::exchange(held_count, 0);
      recent_holds.clear();
      for (std::size_t i = 0; i < count; ++i) {
        if (slots[i] == &holds_nothing) {
          continue;
        }
        slots[i]->cached = false;
        if (!slots[i]->is_borrowed()) {
          delete slots[i];
        }
      }
      delete[] slots;
    }
  }
};

void grow_table(std::size_t index) {
  // A read made by a thread-local object that ends after this one still works; its hold is not released.
  thread_local const ThreadEnd end_of_thread;
  static_cast<void>(&end_of_thread);

  const std::size_t count = std::max(index + 1, held_count * 2);
  Held** const slots = new Held*[count];
  std::fill(std::copy_n(held_slots, held_count, slots), slots + count, &holds_nothing);
  delete[] std::exchange(held_slots, slots);
  held_count = count;
}

}  // namespace

SnapshotCore::SnapshotCore(std::shared_ptr<const void> initial)
    : SnapshotCore(initial == nullptr ? throw std::invalid_argument("Snapshot: the initial object is null")
                                      : claim_cell()) {
  slots_[0].object = std::move(initial);
  slots_[0].is_free.store(false, std::memory_order_relaxed);
}

SnapshotCore::SnapshotCore(VersionCell& cell)
    : version_(new_version()), place_(cell.index % RecentHolds().by_index.size()), cell_(cell) {
  slots_[0].version = version_.load(std::memory_order_relaxed);
  cell_.version.store(slots_[0].version, std::memory_order_release);
}

SnapshotCore::~SnapshotCore() {
  give_back(cell_);
}

void SnapshotCore::publish(std::shared_ptr<const void> next) {
  if (next == nullptr) {
    throw std::invalid_argument("Snapshot::publish: the object is null");
  }
  std::shared_ptr<const void> replaced;  // destroyed after the lock: its destructor may publish
  const std::lock_guard lock(publishing_);
  std::size_t index = 0;
  // All taken only while seven readers stand still between the two steps of take().
  while (!slots_[index].is_free.load(std::memory_order_acquire)) {
    index = (index + 1) % slots_.size();
    if (index == 0) {
      std::this_thread::yield();
    }
  }
  Slot& slot = slots_[index];
  slot.is_free.store(false, std::memory_order_relaxed);
  slot.object = std::move(next);
  slot.version = new_version();
  // The version first: from the moment that anybody can get the new object, no thread trusts its hold on the old one.
  version_.store(slot.version, std::memory_order_release);
  cell_.version.store(slot.version, std::memory_order_release);
  const std::uint64_t before = head_.exchange(std::uint64_t{index} << kIndexShift, std::memory_order_acq_rel);
  replaced = settle(slots_[before >> kIndexShift], static_cast<std::int64_t>(before & kCameMask));
}

/// Adds to what a slot is owed; who brings it to zero empties the slot and gets its object.
std::shared_ptr<const void> SnapshotCore::settle(Slot& slot, std::int64_t owed) {
  if (slot.owed.fetch_add(owed, std::memory_order_acq_rel) + owed != 0) {
    return nullptr;
  }
  std::shared_ptr<const void> object = std::move(slot.object);
  slot.object.reset();
  slot.is_free.store(true, std::memory_order_release);
  return object;
}

/// A copy of the current object's owner. Wait-free: coming is counted in the word that names the slot, so the slot
/// stays as it is until this reader has left it.
std::pair<std::shared_ptr<const void>, std::uint64_t> SnapshotCore::take() const {
  Slot& slot = slots_[head_.fetch_add(1, std::memory_order_acquire) >> kIndexShift];
  std::pair<std::shared_ptr<const void>, std::uint64_t> taken(slot.object, slot.version);
  static_cast<void>(settle(slot, -1));  // a current slot goes below zero, never to it
  return taken;
}

Held& SnapshotCore::refresh() const {
  if (cell_.index >= held_count) grow_table(cell_.index);
  Held*& mine = held_slots[cell_.index];
  if (mine != &holds_nothing && mine->version == version_.load(std::memory_order_acquire)) {
    recent_holds.by_index[place_] = mine;
    ++mine->borrows_begun;
    return *mine;
  }
  if (mine == &holds_nothing || mine->is_borrowed()) {
    auto* const fresh = new Held;
    fresh->cell = &cell_;
    fresh->thread = &recent_holds;
    if (mine != &holds_nothing) mine->cached = false;
    mine = fresh;
  }
  Held& held = *mine;
  recent_holds.by_index[place_] = &held;
  ++held.borrows_begun;  // from here on nested reads leave it alone
  auto [object, version] = take();
  held.version = version;
  held.object.swap(object);
  return held;  // what was held before goes last: its destructor may read Snapshots
}

void delete_unborrowed(Held& held) noexcept {
  if (!held.is_borrowed()) delete &held;
}

}  // namespace detail

void refresh_snapshots() noexcept {
  using detail::held_slots;
  for (std::size_t i = 0; i < detail::held_count; ++i) {  // an object that ends here may change the table
    detail::Held& held = *held_slots[i];
    if (held.version != 0 && !held.is_borrowed() &&
        held.version != held.cell->version.load(std::memory_order_acquire)) {
      held.version = 0;
      const auto object = std::exchange(held.object, nullptr);
    }
  }
}

}  // namespace sluice::concurrency
