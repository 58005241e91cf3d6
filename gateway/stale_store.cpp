// Lookup, eviction and accounting of the store of degraded data.
#include "gateway/stale_store.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace sluice::gateway {

namespace {

// Entries that one update removes: 250 take some 0.5 ms, with what they free.
constexpr std::size_t kMaxVictims = 250;
// Lists of entries that are told apart by what follows the first line feed in their keys: 512 KiB.
constexpr std::size_t kLists = std::size_t{1} << 16U;
// Of as many neighbours the least recently used goes. Redis finds ten close to true LRU.
constexpr std::size_t kSample = 10;

constexpr std::uint64_t kMultiplier = 0x9E3779B97F4A7C15u;

__extension__ using Wide = unsigned __int128;

std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

/// The second that a time is in: uses are recorded no finer, so a popular entry is written once a second.
std::uint32_t tick(TimePoint now) {
  return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count());
}

Duration saturating_add(Duration a, Duration b) {
  return a > Duration::max() - b ? Duration::max() : a + b;
}

Duration positive(Duration d) {
  return std::max(d, Duration::zero());
}

}  // namespace

/// An entry in the store, with what only the store knows of it.
struct StaleStore::Stored {
  Stored(const StaleEntry& e, std::size_t c, std::uint32_t now) : used(now), bytes(c), entry(e) {}

  mutable std::atomic<std::uint32_t> used;   // tick of the last find or put
  mutable bool is_victim = false;            // of the writer, as `place`
  mutable std::size_t place = 0;             // in all_
  mutable const Map::Entry* next = nullptr;  // in its list of alike_
  mutable const Map::Entry* previous = nullptr;
  const std::size_t bytes;
  const StaleEntry entry;
};

StaleStore::Key::Key(std::string_view text) : size_(text.size()) {
  if (size_ <= near_.size()) {
    std::copy(text.begin(), text.end(), near_.begin());
  } else {
    far_ = text;
  }
}

Duration StaleEntry::age(TimePoint now) const noexcept {
  return saturating_add(positive(age_when_stored), positive(now - stored_at));
}

Freshness StaleEntry::freshness(const Windows& windows, TimePoint now) const noexcept {
  const Duration stale_for = age(now) - positive(std::min(windows.ttl, allowed.ttl));
  if (stale_for < Duration::zero()) return Freshness::fresh;
  if (stale_for < std::min(windows.stale_while_revalidate, allowed.stale_while_revalidate)) {
    return Freshness::while_revalidate;
  }
  if (stale_for < std::min(windows.stale_if_error, allowed.stale_if_error)) return Freshness::if_error;
  return Freshness::expired;
}

TimePoint StaleEntry::usable_until(const Windows& windows) const noexcept {
  const Duration stale = std::max(std::min(windows.stale_while_revalidate, allowed.stale_while_revalidate),
                                  std::min(windows.stale_if_error, allowed.stale_if_error));
  const Duration lifetime = saturating_add(positive(std::min(windows.ttl, allowed.ttl)), positive(stale));
  const Duration left = positive(lifetime - positive(age_when_stored));
  return lifetime == Duration::max() || left > TimePoint::max() - stored_at ? TimePoint::max() : stored_at + left;
}

/// Two keyed 64x64-bit products folded for each 16 bytes (the scheme of wyhash, with secrets of our own).
std::size_t StaleStore::KeyHash::operator()(std::string_view key) const noexcept {
  const std::uint64_t other = std::rotl(seed, 32) * kMultiplier;
  std::uint64_t hash = seed ^ key.size();
  while (!key.empty()) {
    std::uint64_t words[2] = {0, 0};
    const std::size_t length = std::min(key.size(), sizeof words);
    std::memcpy(words, key.data(), length);
    hash = fold(words[0] ^ other, words[1] ^ hash);
    key.remove_prefix(length);
  }
  return static_cast<std::size_t>(fold(hash ^ seed, other));
}

StaleStore::StaleStore(std::size_t max_bytes, std::uint64_t seed)
    : max_bytes_(max_bytes), map_(KeyHash{seed}), alike_(kLists), seed_(seed) {
  victims_.reserve(kMaxVictims);
}

StaleStore::~StaleStore() = default;

std::size_t StaleStore::cost(std::string_view key, const StaleEntry& entry) noexcept {
  // The key's place, the leaf and its part of a node, a place in all_, the owners' counts, and what malloc adds; within
  // 5 % of the resident memory of a million entries.
  constexpr std::size_t kOverhead = sizeof(Stored) + 272;
  const std::size_t body = entry.body == nullptr ? 0 : sizeof(backends::Body) + entry.body->bytes.capacity();
  return kOverhead + key.size() + entry.media_type.size() + entry.headers.size() + body;
}

StaleStore::Lookups& StaleStore::lookups() const noexcept {
  static constinit std::atomic<std::size_t> next_thread{0};
  thread_local const std::size_t thread = next_thread.fetch_add(1, std::memory_order_relaxed);
  return lookups_[thread % lookups_.size()];
}

std::shared_ptr<const StaleEntry> StaleStore::find(std::string_view key, TimePoint now) const {
  const Map::Borrow version = map_.read();
  std::shared_ptr<const Map::Entry> found = version->find_owned(key);
  if (found == nullptr) {
    lookups().misses.fetch_add(1, std::memory_order_relaxed);
    return nullptr;
  }
  const Stored& stored = found->value;
  const std::uint32_t at = tick(now);
  if (stored.used.load(std::memory_order_relaxed) < at) stored.used.store(at, std::memory_order_relaxed);
  lookups().hits.fetch_add(1, std::memory_order_relaxed);
  return std::shared_ptr<const StaleEntry>(std::move(found), &stored.entry);
}

StaleStore::Put StaleStore::put(std::string_view key, const StaleEntry& entry, TimePoint now) {
  const std::size_t bytes = cost(key, entry);
  if (bytes > max_bytes_) return Put::too_large;
  std::shared_ptr<const Map::Entry> stored;
  std::shared_ptr<const Map::Entry> replaced;

  const std::lock_guard lock(writing_);
  const std::size_t before = all_.size();
  try {
    map_.update([&](Map::Batch& batch) {
      replaced = batch.find_owned(key);
      const std::size_t used =
          bytes_.load(std::memory_order_relaxed) - (replaced == nullptr ? 0 : replaced->value.bytes) + bytes;
      const bool fits = choose_victims(replaced.get(), used > max_bytes_ ? used - max_bytes_ : 0);
      for (const auto& victim : victims_) batch.erase(victim->key);
      if (!fits) return;
      batch.insert_or_assign(Key(key), entry, bytes, tick(now));
      stored = batch.find_owned(key);
      if (replaced == nullptr) all_.emplace_back();
    });
  } catch (...) {
    all_.resize(before);
    for (const auto& victim : victims_) victim->value.is_victim = false;
    victims_.clear();
    throw;
  }
  std::size_t bytes_replaced = 0;
  if (stored != nullptr) {
    stored->value.place = before;
    if (replaced != nullptr) {
      stored->value.place = replaced->value.place;
      bytes_replaced = replaced->value.bytes;
    }
    if (replaced != nullptr) unlink(*replaced);
    link(*stored);
    all_[stored->value.place] = stored;
  }
  evictions_.fetch_add(victims_.size(), std::memory_order_relaxed);
  remove_victims(stored == nullptr ? 0 : bytes, bytes_replaced);
  return stored == nullptr ? Put::again : Put::stored;
}

/// Fills victims_ with entries of at least `to_free` bytes; false if kMaxVictims do not have as many.
bool StaleStore::choose_victims(const Map::Entry* keep, std::size_t to_free) {
  for (std::size_t freed = 0; freed < to_free;) {
    if (victims_.size() == kMaxVictims) return false;
    // The bytes to free are those of others than `keep`, so there is always somebody left to choose.
    const std::shared_ptr<const Map::Entry>* oldest = nullptr;
    std::uint32_t oldest_used = 0;
    for (std::size_t seen = 0; oldest == nullptr || seen < std::min(kSample, all_.size()); ++seen) {
      const auto& candidate = all_[hand_ % all_.size()];
      hand_ = (hand_ + 1) % all_.size();
      if (candidate->value.is_victim || candidate.get() == keep) continue;
      const std::uint32_t candidate_used = candidate->value.used.load(std::memory_order_relaxed);
      if (oldest == nullptr || candidate_used < oldest_used) {
        oldest = &candidate;
        oldest_used = candidate_used;
      }
    }
    (*oldest)->value.is_victim = true;
    freed += (*oldest)->value.bytes;
    victims_.push_back(*oldest);
  }
  return true;
}

/// Takes the victims, which are no longer in the map, out of all_, and settles the accounts at once.
void StaleStore::remove_victims(std::size_t bytes_added, std::size_t bytes_replaced) noexcept {
  std::size_t bytes = bytes_.load(std::memory_order_relaxed) + bytes_added - bytes_replaced;
  for (const auto& victim : victims_) {
    bytes -= victim->value.bytes;
    unlink(*victim);
    if (victim != all_.back()) {
      all_.back()->value.place = victim->value.place;
      all_[victim->value.place] = std::move(all_.back());
    }
    all_.pop_back();
  }
  victims_.clear();
  bytes_.store(bytes, std::memory_order_relaxed);
  entries_.store(all_.size(), std::memory_order_relaxed);
}

const StaleStore::Map::Entry*& StaleStore::first_alike(std::string_view key) noexcept {
  return alike_[KeyHash{seed_}(key.substr(0, key.find('\n'))) % kLists];
}

void StaleStore::link(const Map::Entry& entry) noexcept {
  const Map::Entry*& first = first_alike(entry.key.text());
  entry.value.next = first;
  if (first != nullptr) first->value.previous = &entry;
  first = &entry;
}

void StaleStore::unlink(const Map::Entry& entry) noexcept {
  const Stored& stored = entry.value;
  if (stored.next != nullptr) stored.next->value.previous = stored.previous;
  if (stored.previous != nullptr) {
    stored.previous->value.next = stored.next;
  } else {
    first_alike(entry.key.text()) = stored.next;
  }
}

bool StaleStore::invalidate(std::string_view uri) {
  std::vector<std::string> keys;
  {
    const std::lock_guard lock(writing_);
    for (const Map::Entry* entry = first_alike(uri); entry != nullptr; entry = entry->value.next) {
      const std::string_view key = entry->key.text();
      const bool is_alike = key.starts_with(uri) && (key.size() == uri.size() || key[uri.size()] == '\n');
      if (!is_alike) continue;
      if (keys.size() == kMaxVictims) break;
      keys.emplace_back(key);
    }
  }
  if (keys.empty()) return true;
  const std::vector<std::string_view> views(keys.begin(), keys.end());
  erase_all(views);
  return keys.size() < kMaxVictims;
}

bool StaleStore::erase(std::string_view key) {
  return erase_all({&key, 1}) == 1;
}

std::size_t StaleStore::erase_prefix(std::string_view prefix) {
  std::size_t erased = 0;
  {
    std::vector<std::string_view> keys;  // of entries that `version` keeps
    const auto version = map_.load();
    version->for_each([&](const Key& key, const Stored&) {
      if (key.text().starts_with(prefix)) keys.push_back(key.text());
    });
    for (std::size_t i = 0; i < keys.size(); i += kMaxVictims) {
      erased += erase_all({keys.data() + i, std::min(kMaxVictims, keys.size() - i)});
    }
  }
  concurrency::refresh_snapshots();  // the caller may never read again
  return erased;
}

/// At most kMaxVictims keys.
std::size_t StaleStore::erase_all(std::span<const std::string_view> keys) {
  const std::lock_guard lock(writing_);
  try {
    map_.update([&](Map::Batch& batch) {
      for (const std::string_view key : keys) {
        auto found = batch.find_owned(key);
        if (found == nullptr) continue;
        victims_.push_back(std::move(found));
        batch.erase(key);
      }
    });
  } catch (...) {
    victims_.clear();
    throw;
  }
  const std::size_t erased = victims_.size();
  remove_victims(0, 0);
  return erased;
}

void StaleStore::for_each(const std::function<void(std::string_view, const StaleEntry&)>& visit) const {
  {
    const auto version = map_.load();
    version->for_each([&](const Key& key, const Stored& stored) { visit(key.text(), stored.entry); });
  }
  concurrency::refresh_snapshots();
}

StaleStore::Stats StaleStore::stats() const noexcept {
  Stats stats;
  stats.bytes = bytes_.load(std::memory_order_relaxed);
  stats.entries = entries_.load(std::memory_order_relaxed);
  stats.evictions = evictions_.load(std::memory_order_relaxed);
  for (const Lookups& stripe : lookups_) {
    stats.hits += stripe.hits.load(std::memory_order_relaxed);
    stats.misses += stripe.misses.load(std::memory_order_relaxed);
  }
  return stats;
}

}  // namespace sluice::gateway
