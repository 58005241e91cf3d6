// The store of degraded data: what backends answered lately, for when they do not.
#pragma once

#include "backends/body.hpp"
#include "concurrency/clock.hpp"
#include "concurrency/cow_map.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::gateway {

using concurrency::Duration;
using concurrency::TimePoint;

/// How long a stored body serves; the two stale windows count from the end of freshness, side by side.
struct Windows {
  Duration ttl{};
  Duration stale_while_revalidate{};
  Duration stale_if_error{};
};

/// The best use that the windows still allow; each includes those after it, as far as they are configured.
enum class Freshness {
  fresh,             // without a call
  while_revalidate,  // at once, beside a call in the background
  if_error,          // in place of a call that failed
  expired            // never
};

/// One stored answer. *immutable*
struct StaleEntry {
  StaleEntry() = default;  // no aggregate: g++ 12 miscompiles those in the operand of a co_await

  unsigned status = 200;
  std::string media_type;
  std::string headers;  // further fields that are kept, in the form that who stores them chose
  std::shared_ptr<const backends::Body> body;
  TimePoint stored_at{};
  Duration age_when_stored{};  // as the origin's Date and Age say
  /// The most that the origin allows; of it and what the configuration says the shorter counts.
  Windows allowed{Duration::max(), Duration::max(), Duration::max()};

  /// Since the origin made it. A `now` before `stored_at` (workers read their clocks apart) counts as `stored_at`.
  [[nodiscard]] Duration age(TimePoint now) const noexcept;

  /// What a call configured with `windows` may do with it. Each window excludes its end.
  [[nodiscard]] Freshness freshness(const Windows& windows, TimePoint now) const noexcept;

  /// When freshness() turns to `expired`; TimePoint::max() if that is never.
  [[nodiscard]] TimePoint usable_until(const Windows& windows) const noexcept;
};

/// A copy-on-write map of bounded size from keys, made by the caller, to entries.
///
/// Readers see an immutable version of the map, never lock and never wait, and see a put as soon as it has returned.
/// Writers queue, and copy a path of the map. Bodies, strings, keys and overhead count towards the bound; the least
/// recently used entries of small samples go first, where a use is known to the second. The bound holds at all times
/// for the entries in the store; a thread that has not read for long keeps those it saw last
/// (concurrency::refresh_snapshots). Thread: any thread.
class StaleStore {
 public:
  enum class Put {
    stored,
    too_large,  // the entry alone exceeds the bound; nothing changed
    again       // hundreds of entries had to go, and some more must: call again, letting other work run in between
  };

  struct Stats {
    std::size_t bytes = 0;
    std::size_t entries = 0;
    std::uint64_t evictions = 0;
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
  };

  /// `seed` protects the map from clients that choose keys to collide: it must be hard to guess.
  StaleStore(std::size_t max_bytes, std::uint64_t seed);
  ~StaleStore();
  StaleStore(const StaleStore&) = delete;
  StaleStore& operator=(const StaleStore&) = delete;

  /// The entry of `key`, whatever its age, or null. Marks it as used at `now`.
  [[nodiscard]] std::shared_ptr<const StaleEntry> find(std::string_view key, TimePoint now) const;

  /// Stores `entry` in place of any earlier one of `key`, evicting others as needed, about 250 at most (under 1 ms).
  Put put(std::string_view key, const StaleEntry& entry, TimePoint now);

  /// Whether `entry` alone fits the bound.
  [[nodiscard]] bool can_hold(std::string_view key, const StaleEntry& entry) const noexcept {
    return cost(key, entry) <= max_bytes_;
  }

  /// True if there was an entry of `key`.
  bool erase(std::string_view key);

  /// Removes the entries whose keys are `uri`, or begin with it and a line feed, about 250 at most; false if there may
  /// be more: call again, letting other work run in between.
  bool invalidate(std::string_view uri);

  /// Removes all entries whose keys begin with `prefix`, and returns how many. Walks the whole store, without holding
  /// up writers for long: for an administrator, not for a worker. What is put meanwhile may stay.
  std::size_t erase_prefix(std::string_view prefix);

  /// Frees about 250 objects that were removed or replaced, and that nobody sees any more; returns whether there are
  /// more. Puts do as much by themselves as keeps up with them: this is for what is left when they come to an end, and
  /// after a purge or a long for_each(). Holds up writers for about 0.1 ms: let them have their turn before the next.
  bool reclaim() { return map_.reclaim(kReclaimed); }

  /// Calls `visit(key, entry)` for each entry of one version of the store, in no particular order, without marking any
  /// as used. Holds up nobody.
  void for_each(const std::function<void(std::string_view key, const StaleEntry& entry)>& visit) const;

  /// Counters for the metrics; not all of the same instant.
  [[nodiscard]] Stats stats() const noexcept;

  /// What an entry counts towards the bound.
  [[nodiscard]] static std::size_t cost(std::string_view key, const StaleEntry& entry) noexcept;

 private:
  struct Stored;

  // The bytes of a short key are where the map looks at the entry anyway.
  class Key {
   public:
    explicit Key(std::string_view text);
    [[nodiscard]] std::string_view text() const noexcept { return size_ <= near_.size() ? near_text() : far_; }

   private:
    [[nodiscard]] std::string_view near_text() const noexcept { return {near_.data(), size_}; }
    std::size_t size_;
    std::array<char, 72> near_{};
    std::string far_;
  };
  struct KeyHash {
    std::uint64_t seed;
    [[nodiscard]] std::size_t operator()(std::string_view key) const noexcept;
    [[nodiscard]] std::size_t operator()(const Key& key) const noexcept { return (*this)(key.text()); }
  };
  struct KeyEqual {
    bool operator()(const Key& a, std::string_view b) const noexcept { return a.text() == b; }
    bool operator()(const Key& a, const Key& b) const noexcept { return a.text() == b.text(); }
  };
  using Map = concurrency::CowMap<Key, Stored, KeyHash, KeyEqual>;

  static constexpr std::size_t kReclaimed = 250;

  // Counted by stripes, so that threads do not share a line.
  struct alignas(64) Lookups {
    std::atomic<std::uint64_t> hits{0};
    std::atomic<std::uint64_t> misses{0};
  };

  [[nodiscard]] Lookups& lookups() const noexcept;
  [[nodiscard]] bool choose_victims(const Map::Entry* keep, std::size_t to_free);
  std::size_t erase_all(std::span<const std::string_view> keys);
  [[nodiscard]] const Map::Entry*& first_alike(std::string_view key) noexcept;
  void link(const Map::Entry& entry) noexcept;
  void unlink(const Map::Entry& entry) noexcept;
  void remove_victims(std::size_t bytes_added, std::size_t bytes_replaced) noexcept;

  const std::size_t max_bytes_;
  Map map_;
  mutable std::array<Lookups, 16> lookups_;
  std::atomic<std::size_t> bytes_{0};
  std::atomic<std::size_t> entries_{0};
  std::atomic<std::uint64_t> evictions_{0};

  // The writers' side. `all_` has every entry of the map, at the place that the entry knows.
  std::mutex writing_;
  std::deque<std::shared_ptr<const Map::Entry>> all_;
  std::vector<std::shared_ptr<const Map::Entry>> victims_;
  std::size_t hand_ = 0;  // where in all_ the next sample begins
  // Entries by what their keys have before a line feed, hashed; each is the head of a list through the entries.
  std::vector<const Map::Entry*> alike_;
  const std::uint64_t seed_;
};

}  // namespace sluice::gateway
