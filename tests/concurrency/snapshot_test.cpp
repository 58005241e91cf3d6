// Snapshot<T>: atomicity, visibility, and what threads keep alive.
#include "concurrency/snapshot.hpp"

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::concurrency {
namespace {

/// Holds `value` many times over, so that a torn view shows; counts the living.
struct Picture {
  Picture(int v, std::atomic<int>& count) : living(count) {
    values.fill(v);
    ++living;
  }
  ~Picture() {
    values.fill(-1);
    --living;
  }
  [[nodiscard]] bool is_whole() const {
    for (const int value : values) {
      if (value != values[0] || value < 0) return false;
    }
    return true;
  }
  std::array<int, 64> values;
  std::atomic<int>& living;
};

class SnapshotTest : public testing::Test {
 protected:
  ~SnapshotTest() override { refresh_snapshots(); }
  std::shared_ptr<const Picture> picture(int value) { return std::make_shared<const Picture>(value, living_); }
  std::atomic<int> living_{0};
};

using Ints = Snapshot<int>;
template <class T>
concept Reads = requires(T&& snapshot) { static_cast<T&&>(snapshot).read(); };
template <class T>
concept Dereferences = requires(T&& borrow) { *static_cast<T&&>(borrow); };
static_assert(Reads<const Ints&> && !Reads<Ints>, "a temporary Snapshot is refused");
static_assert(Dereferences<const Ints::Borrow&> && !Dereferences<Ints::Borrow>, "a temporary borrow is refused");
static_assert(!std::is_copy_constructible_v<Ints::Borrow> && !std::is_move_constructible_v<Ints::Borrow>);
static_assert(!std::is_copy_constructible_v<Ints> && !std::is_move_constructible_v<Ints>);

TEST_F(SnapshotTest, ReadsWhatWasPublishedLast) {
  Snapshot<Picture> snapshot(picture(1));
  for (int i = 2; i < 50; ++i) {
    snapshot.publish(picture(i));
    const auto now = snapshot.read();
    EXPECT_EQ(now->values[0], i);
    EXPECT_EQ(snapshot.load()->values[0], i);
  }
}

TEST_F(SnapshotTest, RefusesNullAndStaysAsItWas) {
  EXPECT_THROW(Snapshot<int>(nullptr), std::invalid_argument);
  Snapshot<Picture> snapshot(picture(1));
  EXPECT_THROW(snapshot.publish(nullptr), std::invalid_argument);
  EXPECT_EQ(snapshot.load()->values[0], 1);
}

TEST_F(SnapshotTest, KeepsAnObjectWhileItIsBorrowedWhateverNestedReadsSee) {
  Snapshot<Picture> snapshot(picture(1));
  {
    const auto first = snapshot.read();
    snapshot.publish(picture(2));
    const auto second = snapshot.read();
    snapshot.publish(picture(3));
    const auto third = snapshot.read();
    refresh_snapshots();
    EXPECT_EQ(living_, 3);
    EXPECT_EQ(first->values[0], 1);
    EXPECT_EQ(second->values[0], 2);
    EXPECT_EQ(third->values[0], 3);
  }
  EXPECT_EQ(living_, 1);
}

TEST_F(SnapshotTest, ABorrowAndAnOwnerOutliveTheSnapshot) {
  std::optional<Snapshot<Picture>> snapshot(std::in_place, picture(7));
  const std::shared_ptr<const Picture> owner = snapshot->load();
  {
    const auto borrow = snapshot->read();
    snapshot.reset();
    refresh_snapshots();
    EXPECT_TRUE(borrow->is_whole());
  }
  refresh_snapshots();
  EXPECT_EQ(living_, 1);
  EXPECT_EQ(owner->values[0], 7);
}

TEST_F(SnapshotTest, ASnapshotInThePlaceOfAnotherNeverShowsTheOthersObject) {
  for (int i = 0; i < 100; ++i) {
    const Snapshot<Picture> snapshot(picture(i));
    const auto now = snapshot.read();
    EXPECT_EQ(now->values[0], i);
  }
  std::vector<std::unique_ptr<Snapshot<Picture>>> several;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 40; ++i) several.push_back(std::make_unique<Snapshot<Picture>>(picture(i)));
    for (int i = 0; i < 40; ++i) EXPECT_EQ(several[static_cast<std::size_t>(i)]->load()->values[0], i);
    several.clear();
  }
  refresh_snapshots();
  EXPECT_EQ(living_, 0);
}

TEST_F(SnapshotTest, AThreadKeepsOnlyItsLastReadUntilItRefreshes) {
  Snapshot<Picture> snapshot(picture(1));
  {
    const auto now = snapshot.read();
  }
  for (int i = 2; i < 20; ++i) snapshot.publish(picture(i));
  EXPECT_EQ(living_, 2);  // the current one and the one that this thread read
  refresh_snapshots();
  EXPECT_EQ(living_, 1);
}

TEST_F(SnapshotTest, AThreadThatEndsLetsGo) {
  Snapshot<Picture> snapshot(picture(1));
  std::thread([&] { const auto now = snapshot.read(); }).join();
  snapshot.publish(picture(2));
  EXPECT_EQ(living_, 1);
}

/// Reads and publishes a Snapshot when it ends.
struct Reentrant {
  Snapshot<int>& other;
  ~Reentrant() {
    int value = *other.load();
    other.publish(std::make_shared<int>(value + 1));
    refresh_snapshots();
  }
};

TEST_F(SnapshotTest, DestructorsOfObjectsMayReadAndPublish) {
  Snapshot<int> count(std::make_shared<int>(0));
  Snapshot<Reentrant> snapshot(std::make_shared<Reentrant>(count));
  {
    const auto now = snapshot.read();
  }
  snapshot.publish(std::make_shared<Reentrant>(count));
  {
    const auto now = snapshot.read();
  }  // drops the first
  EXPECT_EQ(*count.load(), 1);
  std::thread([&] {
    {
      const auto now = snapshot.read();
    }
    snapshot.publish(std::make_shared<Reentrant>(count));
  }).join();
  refresh_snapshots();
  EXPECT_EQ(*count.load(), 2);
}

/// Reads a Snapshot when its thread ends, after the thread's cache may have ended.
struct ReadsAtTheEnd {
  const Snapshot<int>* snapshot = nullptr;
  std::atomic<int>* seen = nullptr;
  ~ReadsAtTheEnd() {
    const auto now = snapshot->read();
    *seen = *now;
  }
};

TEST_F(SnapshotTest, ThreadLocalObjectsMayReadWhenTheirThreadEnds) {
  const Snapshot<int> snapshot(std::make_shared<int>(5));
  std::atomic<int> seen{0};
  std::thread([&] {
    {
      const auto now = snapshot.read();
    }
    thread_local ReadsAtTheEnd reader;  // made after the cache, so ends before it
    reader.snapshot = &snapshot;
    reader.seen = &seen;
  }).join();
  EXPECT_EQ(seen, 5);
}

TEST_F(SnapshotTest, ReadersOnSeveralThreadsSeeWholeObjectsInOrder) {
  constexpr int kLast = 3000;
  Snapshot<Picture> snapshot(picture(0));
  std::atomic<int> published{0};
  std::atomic<int> torn{0};
  std::atomic<int> late{0};
  std::atomic<int> backwards{0};
  const auto reader = [&](bool owning) {
    for (int seen = 0; seen < kLast;) {
      const int at_least = published.load();
      int value = 0;
      if (owning) {
        const auto now = snapshot.load();
        torn += now->is_whole() ? 0 : 1;
        value = now->values[0];
      } else {
        const auto now = snapshot.read();
        torn += now->is_whole() ? 0 : 1;
        value = now->values[0];
      }
      late += value < at_least ? 1 : 0;
      backwards += value < seen ? 1 : 0;
      seen = value;
    }
  };
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back(reader, i % 2 == 0);
    for (int i = 1; i <= kLast; ++i) {
      snapshot.publish(picture(i));
      published = i;
    }
  }
  EXPECT_EQ(torn, 0);
  EXPECT_EQ(late, 0);
  EXPECT_EQ(backwards, 0);
  EXPECT_EQ(living_, 1);
}

TEST_F(SnapshotTest, WhatOneReaderHasSeenNoOtherMissesAfterBeingTold) {
  constexpr int kLast = 3000;
  Snapshot<int> snapshot(std::make_shared<int>(0));
  std::atomic<int> seen{0};  // the largest that any reader has told of
  std::atomic<int> missed{0};
  const auto reader = [&] {
    for (int value = 0; value < kLast;) {
      int told = seen.load();
      const auto now = snapshot.read();
      value = *now;
      missed += value < told ? 1 : 0;
      while (told < value && !seen.compare_exchange_weak(told, value)) {
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back(reader);
    for (int i = 1; i <= kLast; ++i) snapshot.publish(std::make_shared<int>(i));
  }
  EXPECT_EQ(missed, 0);
}

TEST_F(SnapshotTest, PublishersOnSeveralThreadsLoseNoObjectAndLeakNone) {
  Snapshot<Picture> snapshot(picture(0));
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int n = 1; n <= 500; ++n) {
          snapshot.publish(picture(n));
          const auto now = snapshot.read();
          EXPECT_TRUE(now->is_whole());
        }
      });
    }
  }
  EXPECT_EQ(snapshot.load()->values[0], 500);
  refresh_snapshots();
  EXPECT_EQ(living_, 1);
}

TEST_F(SnapshotTest, ThreadsThatOutliveManySnapshotsNeverSeeAnEndedOne) {
  std::atomic<int> wrong{0};
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) {
        const int value = t * 1000 + i;
        Snapshot<Picture> snapshot(picture(value));  // cells pass between the threads
        const auto now = snapshot.read();
        wrong += now->values[0] == value && now->is_whole() ? 0 : 1;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(living_, 0);
}

}  // namespace
}  // namespace sluice::concurrency
