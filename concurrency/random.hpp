// A small seeded generator, so that every random choice of a run can be replayed.
#pragma once

#include <cstdint>
#include <limits>

namespace sluice::concurrency {

/// SplitMix64 (Steele, Lea, Flood 2014). A UniformRandomBitGenerator. *one worker*
class Random {
 public:
  using result_type = std::uint64_t;
  explicit Random(std::uint64_t seed) : state_(seed) {}

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return std::numeric_limits<result_type>::max(); }

  result_type operator()() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
  }

  /// Uniform in [0, bound); `bound` > 0. (Lemire's multiplication; its bias is below bound / 2^32.)
  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(((*this)() >> 32U) * bound >> 32U); }

 private:
  std::uint64_t state_;
};

}  // namespace sluice::concurrency
