// CowMap<K, V>: against a model, under bad hashes and exceptions, and with readers beside writers.
#include "concurrency/cow_map.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::concurrency {
namespace {

struct Constant {
  std::size_t operator()(int) const { return 42; }
};
struct FewBits {
  std::size_t operator()(int key) const { return static_cast<std::size_t>(key % 7); }
};
/// Differs in the highest bits only after mixing; chains of nodes with one branch.
struct Identity {
  std::size_t operator()(int key) const { return static_cast<std::size_t>(key); }
};

template <class Hash>
class CowMapModelTest : public testing::Test {};
using Hashes = testing::Types<std::hash<int>, Constant, FewBits, Identity>;
TYPED_TEST_SUITE(CowMapModelTest, Hashes);

template <class Map>
void expect_equal(const typename Map::Version& version, const std::unordered_map<int, int>& model, int keys) {
  ASSERT_EQ(version.size(), model.size());
  for (int key = 0; key < keys; ++key) {
    const int* const value = version.find(key);
    const auto expected = model.find(key);
    ASSERT_EQ(value != nullptr, expected != model.end()) << key;
    if (value != nullptr) {
      ASSERT_EQ(*value, expected->second) << key;
    }
  }
  std::unordered_map<int, int> visited;
  version.for_each([&](int key, int value) { ASSERT_TRUE(visited.emplace(key, value).second) << key; });
  ASSERT_EQ(visited, model);
}

TYPED_TEST(CowMapModelTest, DoesWhatAnUnorderedMapDoesAndLeavesOldVersionsAlone) {
  using Map = CowMap<int, int, TypeParam>;
  constexpr int kKeys = std::is_same_v<TypeParam, Constant> ? 40 : 300;
  for (const unsigned seed : {1u, 2u, 3u}) {
    std::mt19937 random(seed);
    Map map;
    std::unordered_map<int, int> model;
    std::vector<std::pair<std::shared_ptr<const typename Map::Version>, std::unordered_map<int, int>>> kept;
    for (int i = 0; i < 3000; ++i) {
      const int key = static_cast<int>(random() % kKeys);
      // Long stretches of growing and of shrinking, down to nothing.
      if (random() % 8 < (i / 700 % 2 == 0 ? 6u : 1u)) {
        EXPECT_EQ(map.insert_or_assign(key, i), model.insert_or_assign(key, i).second);
      } else {
        EXPECT_EQ(map.erase(key), model.erase(key) == 1);
      }
      ASSERT_EQ(map.size(), model.size());
      if (i % 100 == 0) kept.emplace_back(map.load(), model);
      if (kept.size() > 5) kept.erase(kept.begin() + random() % 5);
    }
    const auto now = map.read();
    ASSERT_NO_FATAL_FAILURE(expect_equal<Map>(*now, model, kKeys));
    for (const auto& [version, expected] : kept) ASSERT_NO_FATAL_FAILURE(expect_equal<Map>(*version, expected, kKeys));
  }
}

TYPED_TEST(CowMapModelTest, ABatchIsSeenByItselfAsItGoesAndByOthersAsAWhole) {
  using Map = CowMap<int, int, TypeParam>;
  std::mt19937 random(4);
  Map map;
  std::unordered_map<int, int> model;
  for (int round = 0; round < 40; ++round) {
    const auto before = map.load();
    const auto expected_before = model;
    map.update([&](typename Map::Batch& batch) {
      for (int i = 0; i < 60; ++i) {
        const int key = static_cast<int>(random() % 50);
        if (random() % 2 == 0) {
          EXPECT_EQ(batch.insert_or_assign(key, i), model.insert_or_assign(key, i).second);
          EXPECT_EQ(*batch.find(key), i);
        } else {
          EXPECT_EQ(batch.erase(key), model.erase(key) == 1);
          EXPECT_EQ(batch.find(key), nullptr);
        }
        EXPECT_EQ(batch.size(), model.size());
      }
      EXPECT_EQ(map.load(), before);
    });
    ASSERT_NO_FATAL_FAILURE(expect_equal<Map>(*before, expected_before, 50));
    ASSERT_NO_FATAL_FAILURE(expect_equal<Map>(*map.load(), model, 50));
  }
}

TEST(CowMap, AnUpdateThatChangesNothingPublishesNothing) {
  CowMap<int, int> map;
  map.insert_or_assign(1, 1);
  const auto before = map.load();
  EXPECT_FALSE(map.erase(2));
  EXPECT_EQ(map.load(), before);
}

TEST(CowMap, AnUpdateThatThrowsHasNotHappened) {
  CowMap<int, std::shared_ptr<int>, Constant> map;
  const auto value = std::make_shared<int>(1);
  for (int i = 0; i < 10; ++i) map.insert_or_assign(i, value);
  const auto change_and_throw = [&](auto& batch) {
    for (int i = 0; i < 20; i += 2) batch.insert_or_assign(i, value);
    for (int i = 1; i < 20; i += 2) batch.erase(i);
    throw std::runtime_error("changed my mind");
  };
  EXPECT_THROW(map.update(change_and_throw), std::runtime_error);
  EXPECT_EQ(value.use_count(), 11);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(map.find(i).has_value(), i < 10);
  map.erase(3);
  EXPECT_EQ(map.size(), 9u);
}

struct SeededHash {
  std::uint64_t seed;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text) ^ seed; }
};

TEST(CowMap, LooksUpByATypeThatTheHashAccepts) {
  CowMap<std::string, int, SeededHash> map(SeededHash{99});
  map.insert_or_assign("one", 1);
  EXPECT_EQ(map.find(std::string_view("one")), 1);
  EXPECT_EQ(map.find("two"), std::nullopt);
  EXPECT_TRUE(map.erase(std::string_view("one")));
}

TEST(CowMap, ReplacedValuesAreFreedAtOnceWhenNobodyReads) {
  CowMap<int, std::shared_ptr<int>> map;
  const auto value = std::make_shared<int>(1);
  for (int i = 0; i < 1000; ++i) map.insert_or_assign(i, value);
  EXPECT_EQ(value.use_count(), 1001);
  for (int i = 0; i < 1000; ++i) {
    map.erase(i);
    ASSERT_EQ(value.use_count(), 1000 - i);
  }
}

TEST(CowMap, AnOldReaderKeepsItsVersionAloneAndNothingInBetween) {
  CowMap<int, std::shared_ptr<int>> map;
  const auto old_value = std::make_shared<int>(1);
  const auto value = std::make_shared<int>(2);
  for (int i = 0; i < 1000; ++i) map.insert_or_assign(i, old_value);
  auto reader = map.load();
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 1000; ++i) map.insert_or_assign(i, value);
  }
  EXPECT_EQ(old_value.use_count(), 1001);
  EXPECT_EQ(value.use_count(), 1001);  // one generation, not five
  EXPECT_EQ(**reader->find(500), 1);

  reader.reset();
  refresh_snapshots();
  EXPECT_EQ(old_value.use_count(), 1001);  // the reader itself destroys nothing
  int steps = 0;
  while (map.reclaim(100)) ++steps;
  EXPECT_GE(steps, 10);
  EXPECT_EQ(old_value.use_count(), 1);
}

TEST(CowMap, VersionsThatEndInAnyOrderFreeExactlyWhatNobodyReaches) {
  std::mt19937 random(7);
  const auto value = std::make_shared<int>(1);
  {
    CowMap<int, std::shared_ptr<int>> map;
    std::vector<std::shared_ptr<const CowMap<int, std::shared_ptr<int>>::Version>> readers;
    for (int i = 0; i < 5000; ++i) {
      const int key = static_cast<int>(random() % 200);
      if (random() % 2 == 0) {
        map.insert_or_assign(key, value);
      } else {
        map.erase(key);
      }
      if (random() % 10 == 0) readers.push_back(map.load());
      if (readers.size() > 20 || (!readers.empty() && random() % 12 == 0)) {
        readers.erase(readers.begin() + static_cast<std::ptrdiff_t>(random() % readers.size()));
      }
    }
    for (const auto& reader : readers) {
      reader->for_each([&](int key, const std::shared_ptr<int>& v) { EXPECT_EQ(*reader->find(key), v); });
    }
    readers.clear();
    refresh_snapshots();
    while (map.reclaim(1000)) {
    }
    EXPECT_EQ(value.use_count(), 1 + static_cast<long>(map.size()));
  }
  refresh_snapshots();
  EXPECT_EQ(value.use_count(), 1);
}

TEST(CowMap, AVersionOutlivesTheMap) {
  const auto value = std::make_shared<int>(1);
  std::shared_ptr<const CowMap<int, std::shared_ptr<int>>::Version> version;
  {
    CowMap<int, std::shared_ptr<int>> map;
    for (int i = 0; i < 100; ++i) map.insert_or_assign(i, value);
    version = map.load();
    map.insert_or_assign(100, value);
  }
  EXPECT_EQ(version->size(), 100u);
  EXPECT_EQ(*version->find(99), value);
  version.reset();
  refresh_snapshots();
  EXPECT_EQ(value.use_count(), 1);
}

TEST(CowMap, ReadersOnSeveralThreadsSeeEachUpdateWholeAndAtOnce) {
  // Every update moves one unit from one account to another; account 0 counts updates.
  constexpr int kAccounts = 200;
  constexpr int kUpdates = 2000;
  using Map = CowMap<int, int>;
  Map map;
  map.update([](Map::Batch& batch) {
    for (int i = 0; i <= kAccounts; ++i) batch.insert_or_assign(i, 0);
  });
  std::atomic<int> published{0};
  std::atomic<int> wrong{0};
  const auto reader = [&] {
    for (int seen = 0; seen < kUpdates;) {
      const int at_least = published.load();
      const auto now = map.read();
      const int count = *now->find(0);
      int sum = 0;
      int entries = 0;
      now->for_each([&](int key, int value) {
        sum += key == 0 ? 0 : value;
        ++entries;
      });
      wrong += sum != 0 || entries != kAccounts + 1 || count < at_least || count < seen ? 1 : 0;
      seen = count;
    }
  };
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 3; ++i) threads.emplace_back(reader);
    std::mt19937 random(11);
    for (int i = 1; i <= kUpdates; ++i) {
      map.update([&](Map::Batch& batch) {
        const int from = 1 + static_cast<int>(random() % kAccounts);
        const int to = 1 + static_cast<int>(random() % kAccounts);
        batch.insert_or_assign(from, *batch.find(from) - 1);
        batch.insert_or_assign(to, *batch.find(to) + 1);
        batch.insert_or_assign(0, i);
      });
      published = i;
    }
  }
  EXPECT_EQ(wrong, 0);
}

TEST(CowMap, WritersOnSeveralThreadsLoseNoUpdate) {
  CowMap<int, std::shared_ptr<int>> map;
  const auto value = std::make_shared<int>(1);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 500; ++i) {
          EXPECT_TRUE(map.insert_or_assign(t * 1000 + i, value));
          EXPECT_TRUE(map.find(t * 1000 + i).has_value());
          if (i % 2 == 1) {
            EXPECT_TRUE(map.erase(t * 1000 + i));
          }
        }
      });
    }
  }
  EXPECT_EQ(map.size(), 1000u);
  refresh_snapshots();
  while (map.reclaim(1000)) {
  }
  EXPECT_EQ(value.use_count(), 1001);
}

}  // namespace
}  // namespace sluice::concurrency
