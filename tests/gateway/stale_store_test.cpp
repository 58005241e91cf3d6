// StaleStore: windows, eviction, the byte bound, and readers beside a writer.
#include "gateway/stale_store.hpp"

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

using namespace std::chrono_literals;
using Put = StaleStore::Put;

constexpr TimePoint kStart{1000h};
constexpr std::uint64_t kSeed = 0x1234567890ABCDEF;

std::shared_ptr<const backends::Body> body_of(std::string bytes) {
  auto body = std::make_shared<backends::Body>();
  body->bytes = std::move(bytes);
  return body;
}

StaleEntry entry_of(std::string bytes) {
  StaleEntry entry;
  entry.media_type = "application/json";
  entry.body = body_of(std::move(bytes));
  entry.stored_at = kStart;
  return entry;
}

/// What `count` entries of "k0".. with `body_bytes` each cost.
std::size_t room_for(std::size_t count, std::size_t body_bytes) {
  return count * StaleStore::cost("k0", entry_of(std::string(body_bytes, 'x')));
}

std::set<std::string> keys_of(const StaleStore& store) {
  std::set<std::string> keys;
  store.for_each([&](std::string_view key, const StaleEntry&) { keys.emplace(key); });
  return keys;
}

struct WindowCase {
  Windows windows;
  Windows allowed;
  Duration age_when_stored;
  Duration later;
  Freshness expected;
};

TEST(StaleEntry, EachWindowCountsFromTheEndOfFreshnessAndExcludesItsEnd) {
  constexpr Windows kAll{2s, 10s, 1h};
  constexpr Windows kAny{Duration::max(), Duration::max(), Duration::max()};
  const std::vector<WindowCase> cases = {
      {kAll, kAny, 0s, 0s, Freshness::fresh},
      {kAll, kAny, 0s, 2s - 1ns, Freshness::fresh},
      {kAll, kAny, 0s, 2s, Freshness::while_revalidate},
      {kAll, kAny, 0s, 12s - 1ns, Freshness::while_revalidate},
      {kAll, kAny, 0s, 12s, Freshness::if_error},
      {kAll, kAny, 0s, 1h + 2s - 1ns, Freshness::if_error},
      {kAll, kAny, 0s, 1h + 2s, Freshness::expired},
      // The origin's age counts.
      {kAll, kAny, 2s, 0s, Freshness::while_revalidate},
      {kAll, kAny, 1h, 2s, Freshness::expired},
      // A clock read on another worker, a little earlier; an age before zero.
      {kAll, kAny, 1s, -5s, Freshness::fresh},
      {kAll, kAny, -5s, 2s, Freshness::while_revalidate},
      // What is not configured does not exist.
      {{0s, 0s, 0s}, kAny, 0s, 0s, Freshness::expired},
      {{0s, 0s, 10s}, kAny, 0s, 0s, Freshness::if_error},
      {{0s, 10s, 5s}, kAny, 0s, 9s, Freshness::while_revalidate},
      {{0s, 10s, 5s}, kAny, 0s, 10s, Freshness::expired},
      // The origin may shorten, never lengthen.
      {kAll, {1s, Duration::max(), Duration::max()}, 0s, 1s, Freshness::while_revalidate},
      {kAll, {1h, 0s, Duration::max()}, 0s, 2s, Freshness::if_error},
      {kAll, {Duration::max(), 0s, 0s}, 0s, 2s, Freshness::expired},
      {kAll, {-1s, 0s, 5s}, 0s, 4s, Freshness::if_error},
      // No end.
      {{Duration::max(), 0s, 0s}, kAny, 1h, 1000h, Freshness::fresh},
      {{1s, 0s, Duration::max()}, kAny, 1h, 1000h, Freshness::if_error},
  };
  for (const WindowCase& c : cases) {
    StaleEntry entry = entry_of("{}");
    entry.allowed = c.allowed;
    entry.age_when_stored = c.age_when_stored;
    EXPECT_EQ(entry.freshness(c.windows, kStart + c.later), c.expected) << &c - cases.data();
  }
}

TEST(StaleEntry, IsUsableUntilFreshnessSaysExpired) {
  StaleEntry entry = entry_of("{}");
  entry.age_when_stored = 3s;
  const Windows windows{2s, 10s, 60s};
  EXPECT_EQ(entry.usable_until(windows), kStart + 59s);
  EXPECT_EQ(entry.freshness(windows, kStart + 59s - 1ns), Freshness::if_error);
  EXPECT_EQ(entry.freshness(windows, kStart + 59s), Freshness::expired);
  EXPECT_EQ(entry.usable_until({2s, 0s, Duration::max()}), TimePoint::max());
  entry.age_when_stored = 100h;
  EXPECT_EQ(entry.usable_until(windows), kStart);
}

TEST(StaleStore, FindsWhatWasPutLastUntilItIsErased) {
  StaleStore store(1 << 20, kSeed);
  EXPECT_EQ(store.find("a", kStart), nullptr);
  EXPECT_EQ(store.put("a", entry_of("1"), kStart), Put::stored);
  EXPECT_EQ(store.put("b", entry_of("2"), kStart), Put::stored);
  const auto first = store.find("a", kStart);
  EXPECT_EQ(store.put("a", entry_of("3"), kStart), Put::stored);
  EXPECT_EQ(first->body->bytes, "1");
  EXPECT_EQ(store.find("a", kStart)->body->bytes, "3");
  EXPECT_EQ(store.find("a", kStart)->media_type, "application/json");
  EXPECT_TRUE(store.erase("a"));
  EXPECT_FALSE(store.erase("a"));
  EXPECT_EQ(store.find("a", kStart), nullptr);
  EXPECT_EQ(store.find("b", kStart)->body->bytes, "2");

  const StaleStore::Stats stats = store.stats();
  EXPECT_EQ(stats.entries, 1u);
  EXPECT_EQ(stats.bytes, StaleStore::cost("b", entry_of("2")));
  EXPECT_EQ(stats.hits, 4u);
  EXPECT_EQ(stats.misses, 2u);
  EXPECT_EQ(stats.evictions, 0u);
}

TEST(StaleStore, CountsKeysHeadersAndBodies) {
  StaleEntry entry = entry_of("body");
  const std::size_t plain = StaleStore::cost("key", entry);
  EXPECT_EQ(StaleStore::cost("longer key", entry), plain + 7);
  entry.headers = "etag: \"1\"\r\n";
  EXPECT_EQ(StaleStore::cost("key", entry), plain + 11);
  entry.body = body_of(std::string(5000, 'x'));
  EXPECT_GE(StaleStore::cost("key", entry), plain + 11 + 4900);
  entry.body = nullptr;
  EXPECT_GT(StaleStore::cost("", entry), sizeof(StaleEntry));
}

TEST(StaleStore, RefusesAnEntryLargerThanTheWholeAndKeepsTheOthers) {
  StaleStore store(room_for(3, 100), kSeed);
  ASSERT_EQ(store.put("k0", entry_of("old"), kStart), Put::stored);
  EXPECT_EQ(store.put("k0", entry_of(std::string(room_for(3, 100), 'x')), kStart), Put::too_large);
  EXPECT_EQ(store.find("k0", kStart)->body->bytes, "old");
  EXPECT_EQ(store.stats().evictions, 0u);
}

TEST(StaleStore, EvictsTheLeastRecentlyUsedFirst) {
  StaleStore store(room_for(4, 100), kSeed);
  const StaleEntry entry = entry_of(std::string(100, 'x'));
  TimePoint now = kStart;
  for (const char* key : {"k0", "k1", "k2", "k3"}) ASSERT_EQ(store.put(key, entry, now += 1s), Put::stored);
  ASSERT_NE(store.find("k0", now += 1s), nullptr);
  ASSERT_NE(store.find("k2", now += 1s), nullptr);

  ASSERT_EQ(store.put("k4", entry, now += 1s), Put::stored);
  EXPECT_EQ(keys_of(store), (std::set<std::string>{"k0", "k2", "k3", "k4"}));
  ASSERT_EQ(store.put("k5", entry, now += 1s), Put::stored);
  EXPECT_EQ(keys_of(store), (std::set<std::string>{"k0", "k2", "k4", "k5"}));
  ASSERT_EQ(store.put("k6", entry, now += 1s), Put::stored);
  EXPECT_EQ(keys_of(store), (std::set<std::string>{"k2", "k4", "k5", "k6"}));
  EXPECT_EQ(store.stats().evictions, 3u);
  EXPECT_EQ(store.stats().entries, 4u);
}

TEST(StaleStore, ReplacingAnEntryEvictsNobodyWhenItFitsInItsPlace) {
  StaleStore store(room_for(2, 100), kSeed);
  const StaleEntry entry = entry_of(std::string(100, 'x'));
  ASSERT_EQ(store.put("k0", entry, kStart), Put::stored);
  ASSERT_EQ(store.put("k1", entry, kStart + 1s), Put::stored);
  ASSERT_EQ(store.put("k0", entry, kStart + 2s), Put::stored);
  EXPECT_EQ(store.stats().evictions, 0u);
  // One that grows takes from others, never from itself, though it is the oldest.
  ASSERT_EQ(store.put("k0", entry_of(std::string(150, 'y')), kStart), Put::stored);
  EXPECT_EQ(keys_of(store), (std::set<std::string>{"k0"}));
}

TEST(StaleStore, KeepsMostOfWhatIsUsedWhileWhatIsNotPassesThrough) {
  constexpr int kHot = 200;
  StaleStore store(room_for(1000, 100), kSeed);
  const StaleEntry entry = entry_of(std::string(100, 'x'));
  TimePoint now = kStart;
  int lost = 0;
  for (int i = 0; i < kHot; ++i) ASSERT_EQ(store.put("h" + std::to_string(i), entry, now), Put::stored);
  for (int round = 0; round < 200; ++round) {
    now += 1s;
    for (int i = 0; i < kHot; ++i) {
      const std::string key = "h" + std::to_string(i);
      if (store.find(key, now) == nullptr) {
        ++lost;
        ASSERT_EQ(store.put(key, entry, now), Put::stored);
      }
    }
    for (int i = 0; i < 100; ++i) ASSERT_EQ(store.put("c" + std::to_string(round * 100 + i), entry, now), Put::stored);
  }
  EXPECT_GT(store.stats().evictions, 15000u);
  EXPECT_LT(lost, 400);  // of 40,000 uses
}

TEST(StaleStore, MakesRoomForALargeEntryInStepsOfBoundedLength) {
  StaleStore store(room_for(2000, 100), kSeed);
  const StaleEntry small = entry_of(std::string(100, 'x'));
  for (int i = 0; i < 2000; ++i) ASSERT_EQ(store.put("k" + std::to_string(i), small, kStart), Put::stored);
  const StaleEntry large = entry_of(std::string(room_for(1000, 100), 'y'));
  int calls = 1;
  std::size_t entries = store.stats().entries;
  while (store.put("large", large, kStart + 1s) == Put::again) {
    ++calls;
    EXPECT_LE(entries - store.stats().entries, 250u);
    EXPECT_EQ(store.find("large", kStart), nullptr);
    entries = store.stats().entries;
  }
  EXPECT_GE(calls, 4);
  EXPECT_NE(store.find("large", kStart), nullptr);
  EXPECT_LE(store.stats().bytes, room_for(2000, 100));
}

TEST(StaleStore, ErasesByPrefix) {
  StaleStore store(1 << 20, kSeed);
  for (int i = 0; i < 700; ++i) {
    ASSERT_EQ(store.put((i % 7 == 0 ? "b /" : "a /") + std::to_string(i), entry_of("x"), kStart), Put::stored);
  }
  EXPECT_EQ(store.erase_prefix("a /"), 600u);
  EXPECT_EQ(store.erase_prefix("a /"), 0u);
  EXPECT_EQ(store.stats().entries, 100u);
  for (const std::string& key : keys_of(store)) EXPECT_TRUE(key.starts_with("b /"));
  EXPECT_EQ(store.erase_prefix(""), 100u);
  EXPECT_EQ(store.stats().bytes, 0u);
}

TEST(StaleStore, FreesWhatWasRemovedAlthoughNothingIsPutAnyMore) {
  StaleStore store(1 << 22, kSeed);
  std::vector<std::weak_ptr<const backends::Body>> bodies;
  for (int i = 0; i < 2000; ++i) {
    const StaleEntry entry = entry_of("x");
    bodies.emplace_back(entry.body);
    ASSERT_EQ(store.put(std::to_string(i), entry, kStart), Put::stored);
  }
  const auto kept = [&] { return std::count_if(bodies.begin(), bodies.end(), [](auto& b) { return !b.expired(); }); };
  EXPECT_EQ(store.erase_prefix(""), 2000u);
  EXPECT_GT(kept(), 0) << "all at once would hold up others";
  while (store.reclaim()) {
  }
  EXPECT_EQ(kept(), 0);
}

TEST(StaleStore, ForgetsAllVariantsOfAUriAndNothingElse) {
  StaleStore store(1 << 22, kSeed);
  const auto put = [&](const std::string& key) { ASSERT_EQ(store.put(key, entry_of("x"), kStart), Put::stored); };
  for (const char* key : {"a /1", "a /1\nwhole", "a /1\nx-v\t1\nwhole", "a /12", "a /12\nwhole", "a /", "b /1"})
    put(key);
  put("a /1\nwhole");
  EXPECT_TRUE(store.invalidate("a /1"));
  EXPECT_THAT(keys_of(store), testing::UnorderedElementsAre("a /12", "a /12\nwhole", "a /", "b /1"));
  EXPECT_TRUE(store.invalidate("a /1"));
  for (int i = 0; i < 600; ++i) put("c /\n" + std::to_string(i));
  EXPECT_FALSE(store.invalidate("c /")) << "in steps of bounded length";
  while (!store.invalidate("c /")) {
  }
  EXPECT_EQ(store.stats().entries, 4u);
}

TEST(StaleStore, NeverExceedsItsBoundAndItsAccountsAgreeWithItsContentWhateverIsDone) {
  for (const unsigned seed : {1u, 2u, 3u}) {
    std::mt19937 random(seed);
    const std::size_t max_bytes = 60000 + random() % 10000;
    StaleStore store(max_bytes, seed);
    std::map<std::string, std::string> last_put;
    TimePoint now = kStart;
    for (int i = 0; i < 4000; ++i) {
      now += std::chrono::milliseconds(random() % 800);
      const unsigned number = random() % 150;
      const std::string key = "key " + std::to_string(number / 3) + "\n" + std::to_string(number % 3);
      const unsigned what = random() % 100;
      if (what < 60) {
        StaleEntry entry =
            entry_of(std::string(random() % (what == 0 ? 80000 : 2000), static_cast<char>('a' + i % 26)));
        entry.headers.assign(random() % 200, 'h');
        const Put result = store.put(key, entry, now);
        ASSERT_EQ(result == Put::too_large, StaleStore::cost(key, entry) > max_bytes);
        if (result == Put::stored) {
          last_put[key] = entry.body->bytes;
          ASSERT_NE(store.find(key, now), nullptr);
        }
      } else if (what < 95) {
        if (const auto found = store.find(key, now); found != nullptr) {
          ASSERT_EQ(found->body->bytes, last_put.at(key));
        }
      } else if (what < 97) {
        const std::string uri = key.substr(0, key.find('\n'));
        ASSERT_TRUE(store.invalidate(uri));
        for (const char* variant : {"\n0", "\n1", "\n2"}) ASSERT_EQ(store.find(uri + variant, now), nullptr);
      } else if (what < 99) {
        store.erase(key);
        ASSERT_EQ(store.find(key, now), nullptr);
      } else {
        store.erase_prefix(key.substr(0, 5));
      }
      ASSERT_LE(store.stats().bytes, max_bytes);
      if (i % 50 == 0) {
        std::size_t bytes = 0;
        std::size_t entries = 0;
        store.for_each([&](std::string_view k, const StaleEntry& entry) {
          bytes += StaleStore::cost(k, entry);
          ++entries;
        });
        ASSERT_EQ(store.stats().bytes, bytes);
        ASSERT_EQ(store.stats().entries, entries);
      }
    }
    EXPECT_GT(store.stats().evictions, 100u);
  }
}

TEST(StaleStore, FreesBodiesThatItNoLongerHas) {
  std::vector<std::weak_ptr<const backends::Body>> bodies;
  {
    StaleStore store(room_for(50, 100), kSeed);
    for (int i = 0; i < 500; ++i) {
      const StaleEntry entry = entry_of(std::string(100, 'x'));
      bodies.emplace_back(entry.body);
      ASSERT_EQ(store.put("k" + std::to_string(i % 120), entry, kStart), Put::stored);
    }
    std::size_t living = 0;
    for (const auto& body : bodies) living += body.expired() ? 0u : 1u;
    EXPECT_EQ(living, store.stats().entries);
  }
  for (const auto& body : bodies) EXPECT_TRUE(body.expired());
}

TEST(StaleStore, ReadersBesideWritersSeeWholeEntriesAndNothingOlderThanWhatWasPut) {
  constexpr int kKeys = 40;
  constexpr int kRounds = 300;
  StaleStore store(room_for(kKeys / 2, 100), kSeed);
  std::atomic<bool> over{false};
  std::atomic<int> wrong{0};
  std::atomic<int> found{0};
  std::array<std::atomic<int>, kKeys> put{};  // the round last put, by key
  const auto reader = [&](unsigned seed) {
    std::mt19937 random(seed);
    while (!over) {
      const unsigned key = random() % kKeys;
      const int at_least = put[key];
      const auto entry = store.find("k" + std::to_string(key), kStart + std::chrono::seconds(random() % 100));
      if (entry == nullptr) continue;
      ++found;
      const auto round = static_cast<int>(entry->status);
      const bool is_whole = entry->headers == std::to_string(round) &&
                            entry->body->bytes == std::string(100, static_cast<char>('a' + round % 26));
      wrong += is_whole && round >= at_least ? 0 : 1;
      wrong += store.stats().bytes > room_for(kKeys / 2, 100) ? 1 : 0;
    }
  };
  const auto writer = [&](unsigned first) {  // each has keys of its own
    for (int round = 1; round <= kRounds; ++round) {
      for (unsigned key = first; key < kKeys; key += 2) {
        StaleEntry entry = entry_of(std::string(100, static_cast<char>('a' + round % 26)));
        entry.status = static_cast<unsigned>(round);
        entry.headers = std::to_string(round);
        if (store.put("k" + std::to_string(key), entry, kStart) == Put::stored) put[key] = round;
        if (round % 50 == 0) store.erase_prefix("k1");
      }
    }
  };
  {
    std::vector<std::jthread> readers;
    for (unsigned i = 0; i < 2; ++i) readers.emplace_back(reader, i);
    {
      std::vector<std::jthread> writers;
      for (unsigned i = 0; i < 2; ++i) writers.emplace_back(writer, i);
    }
    while (found == 0) std::this_thread::yield();  // some entries are left
    over = true;
  }
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace sluice::gateway
