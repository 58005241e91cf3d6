// A hierarchical timer wheel: arming, disarming and expiring cost the same whatever the number of timers.
#pragma once

#include "concurrency/clock.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace sluice::concurrency {

/// A timer that lives inside whatever waits for it. *one worker*: armed and disarmed on its loop's thread only.
class TimerEntry {
 public:
  /// Called once per arming, on the loop's thread, after the entry has left the wheel: because it expired, or because
  /// the wheel is being destroyed.
  using Fire = void (*)(TimerEntry&, bool expired) noexcept;

  explicit TimerEntry(Fire fire) : fire_(fire) {}
  TimerEntry(const TimerEntry&) = delete;
  TimerEntry& operator=(const TimerEntry&) = delete;

  [[nodiscard]] bool is_armed() const { return list_ != nullptr; }

 private:
  friend class TimerWheel;
  Fire fire_;
  TimerEntry* next_ = nullptr;
  TimerEntry* previous_ = nullptr;
  TimerEntry** list_ = nullptr;  // head of the list that holds this entry
  std::uint64_t tick_ = 0;
};

/// Pure: the caller says what time it is. Ticks of 1 ms; never fires early, and up to 1 ms late.
///
/// Source: Varghese and Lauck, "Hashed and hierarchical timing wheels" (1987), scheme 6. The level of an entry is
/// that of the highest digit (base 64) in which its tick differs from the wheel's.
class TimerWheel {
 public:
  explicit TimerWheel(TimePoint start) : start_(start) {}
  ~TimerWheel();
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  /// Precondition: `entry` is not armed.
  void arm(TimerEntry& entry, TimePoint expiry, TimePoint now);
  /// No effect if `entry` is not armed.
  void disarm(TimerEntry& entry);
  /// Fires what is due at `now`, in the order of expiry (by ticks). Entries may be armed and disarmed meanwhile.
  void advance(TimePoint now);
  /// When advance() should be called next: never later than the first expiry, perhaps earlier.
  [[nodiscard]] std::optional<TimePoint> next_turn() const;
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static constexpr unsigned kBits = 6;
  static constexpr unsigned kSlots = 1U << kBits;
  static constexpr unsigned kLevels = 8;  // 2^48 ms: 8900 years

  struct Level {
    std::array<TimerEntry*, kSlots> slots{};
    std::uint64_t occupied = 0;
  };
  struct Turn {
    std::uint64_t tick;
    unsigned level;
    unsigned slot;
  };

  [[nodiscard]] std::uint64_t ticks_until(TimePoint when) const;  // rounded down
  [[nodiscard]] TimePoint time_of(std::uint64_t tick) const;
  [[nodiscard]] std::optional<Turn> next_occupied() const;
  void insert(TimerEntry& entry);
  void unlink(TimerEntry& entry);
  static void link(TimerEntry& entry, TimerEntry*& list);

  TimePoint start_;
  std::uint64_t tick_ = 0;     // all that was due up to here has fired
  TimerEntry* due_ = nullptr;  // due at tick_ already
  std::size_t size_ = 0;
  std::array<Level, kLevels> levels_{};
};

}  // namespace sluice::concurrency
