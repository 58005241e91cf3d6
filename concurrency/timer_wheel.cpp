#include "concurrency/timer_wheel.hpp"

#include <algorithm>
#include <bit>

namespace sluice::concurrency {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(1);
constexpr std::uint64_t kMaxTick = (std::uint64_t{1} << 47) - 1;

}  // namespace

TimerWheel::~TimerWheel() {
  const auto abandon = [this](TimerEntry*& list) {
    while (list != nullptr) {
      TimerEntry& entry = *list;
      unlink(entry);
      entry.fire_(entry, false);
    }
  };
  abandon(due_);
  for (Level& level : levels_) {
    for (TimerEntry*& slot : level.slots) abandon(slot);
  }
}

std::uint64_t TimerWheel::ticks_until(TimePoint when) const {
  if (when <= start_) return 0;
  return std::min(static_cast<std::uint64_t>((when - start_) / kTick), kMaxTick);
}

TimePoint TimerWheel::time_of(std::uint64_t tick) const {
  // The tick that ends after the end of time is cut off there.
  const auto ticks = static_cast<std::int64_t>(tick);
  return ticks > (TimePoint::max() - start_) / kTick ? TimePoint::max() : start_ + kTick * ticks;
}

void TimerWheel::link(TimerEntry& entry, TimerEntry*& list) {
  // Appends, so that entries of one tick fire in the order in which they were armed; previous_ of the head is the tail.
  entry.list_ = &list;
  entry.next_ = nullptr;
  if (list == nullptr) {
    entry.previous_ = &entry;
    list = &entry;
    return;
  }
  entry.previous_ = list->previous_;
  list->previous_->next_ = &entry;
  list->previous_ = &entry;
}

void TimerWheel::unlink(TimerEntry& entry) {
  TimerEntry*& list = *entry.list_;
  if (&entry == list) {
    list = entry.next_;
    if (list != nullptr) list->previous_ = entry.previous_;
  } else {
    entry.previous_->next_ = entry.next_;
    (entry.next_ != nullptr ? entry.next_ : list)->previous_ = entry.previous_;
  }
  entry.list_ = nullptr;
  --size_;
}

void TimerWheel::insert(TimerEntry& entry) {
  ++size_;
  if (entry.tick_ <= tick_) {
    link(entry, due_);
    return;
  }
  const unsigned digit = (63U - static_cast<unsigned>(std::countl_zero(entry.tick_ ^ tick_))) / kBits;
  const unsigned slot = static_cast<unsigned>(entry.tick_ >> (digit * kBits)) & (kSlots - 1);
  link(entry, levels_[digit].slots[slot]);
  levels_[digit].occupied |= std::uint64_t{1} << slot;
}

void TimerWheel::arm(TimerEntry& entry, TimePoint expiry, TimePoint now) {
  // Catching up over time in which nothing was due keeps new entries on low levels.
  const std::uint64_t current = ticks_until(now);
  if (current > tick_ && due_ == nullptr) {
    const auto turn = next_occupied();
    if (!turn || turn->tick > current) tick_ = current;
  }
  entry.tick_ = expiry <= now ? 0 : std::min(ticks_until(expiry - Duration(1)) + 1, kMaxTick);
  insert(entry);
}

void TimerWheel::disarm(TimerEntry& entry) {
  // The slot's bit in `occupied` may stay set: an empty slot only costs one early turn.
  if (entry.is_armed()) unlink(entry);
}

std::optional<TimerWheel::Turn> TimerWheel::next_occupied() const {
  for (unsigned level = 0; level < kLevels; ++level) {
    if (levels_[level].occupied == 0) continue;
    // All slots of a level lie ahead of the wheel's own digit, so the lowest bit is the earliest.
    const auto slot = static_cast<unsigned>(std::countr_zero(levels_[level].occupied));
    const unsigned shift = level * kBits;
    const std::uint64_t above = tick_ >> (shift + kBits) << (shift + kBits);
    return Turn{above | (std::uint64_t{slot} << shift), level, slot};
  }
  return std::nullopt;
}

void TimerWheel::advance(TimePoint now) {
  const std::uint64_t target = ticks_until(now);
  for (;;) {
    while (due_ != nullptr) {
      TimerEntry& entry = *due_;
      unlink(entry);
      entry.fire_(entry, true);
    }
    const auto turn = next_occupied();
    if (!turn || turn->tick > target) break;
    tick_ = turn->tick;
    Level& level = levels_[turn->level];
    level.occupied &= ~(std::uint64_t{1} << turn->slot);
    TimerEntry*& slot = level.slots[turn->slot];
    while (slot != nullptr) {
      TimerEntry& entry = *slot;
      unlink(entry);
      insert(entry);
    }
  }
  tick_ = std::max(tick_, target);
}

std::optional<TimePoint> TimerWheel::next_turn() const {
  if (due_ != nullptr) return time_of(tick_);
  if (size_ == 0) return std::nullopt;
  const auto turn = next_occupied();
  if (!turn) return std::nullopt;
  return time_of(turn->tick);
}

}  // namespace sluice::concurrency
