// The timer wheel against a model: a sorted multimap.
#include "concurrency/timer_wheel.hpp"

#include "concurrency/random.hpp"

#include <algorithm>
#include <deque>
#include <iterator>
#include <map>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::concurrency {
namespace {

using namespace std::chrono_literals;

constexpr Duration kTick = 1ms;
const TimePoint kStart{1000s};

struct Entry : TimerEntry {
  explicit Entry(std::vector<Entry*>& log) : TimerEntry(&Entry::on_fire), fired(log) {}
  static void on_fire(TimerEntry& entry, bool expired) noexcept {
    auto& self = static_cast<Entry&>(entry);
    self.was_expired = expired;
    self.fired.push_back(&self);
  }
  std::vector<Entry*>& fired;
  TimePoint expiry{};
  bool was_expired = false;
  std::multimap<TimePoint, Entry*>::iterator place;
};

TimePoint on_tick(TimePoint t) {
  return kStart + (t - kStart + kTick - Duration(1)) / kTick * kTick;
}

/// A wheel and what it should do.
class Checked {
 public:
  explicit Checked(std::uint64_t seed) : random_(seed) {}

  void run(int operations, unsigned horizon_bits) {
    for (int i = 0; i < operations; ++i) {
      const auto choice = random_.below(10);
      if (choice < 5) {
        arm(horizon_bits);
      } else if (choice < 7) {
        disarm();
      } else {
        advance(horizon_bits);
      }
      check_next_turn();
      if (testing::Test::HasFailure()) return;
    }
    drain();
  }

 private:
  Duration some_duration(unsigned bits) {
    return Duration(static_cast<std::int64_t>(random_() >> (64U - (1 + random_.below(bits)))));
  }

  void arm(unsigned horizon_bits) {
    Entry* entry = nullptr;
    if (idle_.empty()) {
      entry = &entries_.emplace_back(log_);
    } else {
      entry = idle_.back();
      idle_.pop_back();
    }
    entry->expiry = now_ + some_duration(horizon_bits);
    // What is due already needs not wait for a tick.
    entry->place = model_.emplace(entry->expiry <= now_ ? now_ : on_tick(entry->expiry), entry);
    wheel_.arm(*entry, entry->expiry, now_);
    EXPECT_TRUE(entry->is_armed());
  }

  void disarm() {
    if (model_.empty()) return;
    auto victim =
        std::next(model_.begin(), random_.below(static_cast<std::uint32_t>(std::min<std::size_t>(8, model_.size()))));
    Entry* entry = victim->second;
    model_.erase(victim);
    wheel_.disarm(*entry);
    EXPECT_FALSE(entry->is_armed());
    idle_.push_back(entry);
  }

  void advance(unsigned horizon_bits) {
    now_ += some_duration(horizon_bits > 20 ? horizon_bits - 3 : horizon_bits);
    expire();
  }

  void expire() {
    log_.clear();
    wheel_.advance(now_);
    TimePoint last = TimePoint::min();
    for (Entry* entry : log_) {
      EXPECT_TRUE(entry->was_expired);
      EXPECT_LE(entry->expiry, now_) << "early";
      EXPECT_GE(entry->place->first, last) << "out of order";
      last = entry->place->first;
      model_.erase(entry->place);
      idle_.push_back(entry);
    }
    if (!model_.empty()) {
      EXPECT_GT(model_.begin()->first, now_) << "late";
    }
    EXPECT_EQ(wheel_.empty(), model_.empty());
  }

  void check_next_turn() {
    const auto turn = wheel_.next_turn();
    if (model_.empty()) return;
    ASSERT_TRUE(turn.has_value());
    EXPECT_LE(*turn, std::max(model_.begin()->first, now_));
  }

  void drain() {
    // Only next_turn() leads on: each timer fires exactly at its tick, after few turns.
    for (int turns = 0; !model_.empty(); ++turns) {
      ASSERT_LT(turns, 1'000'000);
      now_ = std::max(now_, wheel_.next_turn().value());
      const auto expected = model_.begin()->first;
      expire();
      if (!log_.empty()) {
        EXPECT_EQ(now_, std::max(now_, expected));
      }
    }
    EXPECT_TRUE(wheel_.empty());
    EXPECT_FALSE(wheel_.next_turn().has_value());
  }

  Random random_;
  std::vector<Entry*> log_;
  std::deque<Entry> entries_;
  std::vector<Entry*> idle_;
  std::multimap<TimePoint, Entry*> model_;
  TimePoint now_ = kStart;
  TimerWheel wheel_{kStart};
};

TEST(TimerWheel, AgreesWithASortedMultimapOverRandomOperations) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    for (const unsigned horizon : {21U, 28U, 34U, 42U, 55U}) {  // 2 ms, 0.3 s, 17 s, 73 min, 1 year
      SCOPED_TRACE(testing::Message() << "seed " << seed << " horizon " << horizon);
      Checked(seed).run(600, horizon);
      if (HasFailure()) return;
    }
  }
}

TEST(TimerWheel, FiresEntriesOfOneTickInTheOrderOfArming) {
  std::vector<Entry*> log;
  TimerWheel wheel(kStart);
  Entry a(log);
  Entry b(log);
  Entry c(log);
  wheel.arm(a, kStart + 100ms, kStart);  // from a far slot
  wheel.arm(b, kStart + 99ms + 5us, kStart + 1ms);
  wheel.advance(kStart + 70ms);
  wheel.arm(c, kStart + 100ms, kStart + 70ms);  // straight into a near one
  wheel.advance(kStart + 100ms);
  EXPECT_EQ(log, (std::vector<Entry*>{&a, &b, &c}));
}

TEST(TimerWheel, NeverFiresBeforeTheTickIsOver) {
  std::vector<Entry*> log;
  TimerWheel wheel(kStart);
  Entry entry(log);
  wheel.arm(entry, kStart + 10ms + 1ns, kStart);
  wheel.advance(kStart + 10ms + 1ns);
  EXPECT_TRUE(log.empty());
  wheel.advance(kStart + 11ms);
  EXPECT_EQ(log.size(), 1U);
}

TEST(TimerWheel, FiresAtOnceWhatIsDueAlready) {
  std::vector<Entry*> log;
  TimerWheel wheel(kStart);
  Entry entry(log);
  wheel.arm(entry, TimePoint::min(), kStart + 5s);
  ASSERT_LE(wheel.next_turn().value(), kStart + 5s);
  wheel.advance(kStart + 5s);
  EXPECT_EQ(log.size(), 1U);
}

TEST(TimerWheel, HoldsTheFurthestFutureWithoutOverflow) {
  std::vector<Entry*> log;
  TimerWheel wheel(kStart);
  Entry entry(log);
  wheel.arm(entry, TimePoint::max(), kStart);
  EXPECT_GT(wheel.next_turn().value(), kStart);
  while (wheel.next_turn().value() < TimePoint::max() - 1h) {
    const TimePoint before = wheel.next_turn().value();
    wheel.advance(before);
    ASSERT_TRUE(log.empty());
    if (wheel.next_turn().value() == before) break;
  }
  wheel.disarm(entry);
  EXPECT_TRUE(wheel.empty());
}

struct Rearming : TimerEntry {
  explicit Rearming(TimerWheel& w) : TimerEntry(&Rearming::on_fire), wheel(w) {}
  static void on_fire(TimerEntry& entry, bool expired) noexcept {
    auto& self = static_cast<Rearming&>(entry);
    if (!expired) return;
    ++self.count;
    if (self.victim != nullptr) self.wheel.disarm(*self.victim);
    self.wheel.arm(self, kStart + self.count * 10ms + 10ms, kStart + 35ms);
  }
  TimerWheel& wheel;
  TimerEntry* victim = nullptr;
  int count = 0;
};

TEST(TimerWheel, LetsAnEntryRearmItselfAndDisarmOthersWhileItFires) {
  std::vector<Entry*> log;
  TimerWheel wheel(kStart);
  Rearming again(wheel);
  Entry victim(log);
  again.victim = &victim;
  wheel.arm(again, kStart + 10ms, kStart);
  wheel.arm(victim, kStart + 10ms, kStart);
  wheel.advance(kStart + 35ms);
  EXPECT_EQ(again.count, 3);  // at 10, 20 and 30 ms, although all three were overdue
  EXPECT_TRUE(again.is_armed());
  EXPECT_TRUE(log.empty());
  wheel.disarm(again);
}

TEST(TimerWheel, TellsItsEntriesWhenItDies) {
  std::vector<Entry*> log;
  Entry entry(log);
  {
    TimerWheel wheel(kStart);
    wheel.arm(entry, kStart + 1h, kStart);
  }
  ASSERT_EQ(log.size(), 1U);
  EXPECT_FALSE(entry.was_expired);
  EXPECT_FALSE(entry.is_armed());
}

}  // namespace
}  // namespace sluice::concurrency
