// Vectors of 64 bytes for JSON in blocks: one a block, whose comparisons are masks already.
#include "gateway/detail/json_blocks.hpp"

#ifdef __x86_64__

#define SLUICE_TARGET gnu::target("avx2,bmi,lzcnt,pclmul,avx512f,avx512bw,avx512vbmi2,bmi2")
#include "gateway/detail/json_grammar.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <immintrin.h>

namespace sluice::gateway::detail {

/// For each byte a vector of it. Weak, so that nobody knows what is in it: g++ would make each vector anew from a
/// general register, which takes as long as the comparison that it is for.
struct Alike {
  constexpr Alike() {
    for (int c = 0; c < 256; ++c) std::fill_n(of[c], 64, static_cast<char>(c));
  }
  alignas(64) char of[256][64]{};
};
[[gnu::weak]] extern const Alike kAlike;
constinit const Alike kAlike;

namespace {

/// Where intrinsics are masked by all ones, g++ 12 takes the plain ones for uninitialised.
struct Vector {
  static constexpr std::size_t kSize = 64;
  __m512i bytes{};

  SLUICE_INLINE static Vector load(const char* p) { return {_mm512_loadu_si512(p)}; }
  SLUICE_INLINE void store(char* p) const { _mm512_storeu_si512(p, bytes); }
  SLUICE_INLINE static Vector all(char c) { return load(kAlike.of[static_cast<unsigned char>(c)]); }

  SLUICE_INLINE [[nodiscard]] std::uint64_t operator==(Vector other) const {
    return mask(_mm512_cmpeq_epi8_mask(bytes, other.bytes));
  }
  SLUICE_INLINE [[nodiscard]] std::uint64_t at_most(Vector other) const {
    return mask(_mm512_cmple_epu8_mask(bytes, other.bytes));
  }
  /// Those of `mask`, one behind the other, and zeros behind them.
  SLUICE_INLINE [[nodiscard]] Vector compressed(std::uint64_t mask) const {
    return {_mm512_maskz_compress_epi8(mask, bytes)};
  }
  /// Those that have the bit 7 - `up`.
  template <int up>
  SLUICE_INLINE [[nodiscard]] std::uint64_t bit() const {
    return mask(_mm512_test_epi8_mask(bytes, all(static_cast<char>(0x80 >> up)).bytes));
  }
  SLUICE_INLINE [[nodiscard]] bool is_ascii() const { return _mm512_movepi8_mask(bytes) == 0; }
  SLUICE_INLINE [[nodiscard]] bool is_none() const { return _mm512_test_epi8_mask(bytes, bytes) == 0; }

  SLUICE_INLINE Vector operator|(Vector other) const { return {_mm512_or_si512(bytes, other.bytes)}; }
  SLUICE_INLINE Vector operator&(Vector other) const { return {_mm512_and_si512(bytes, other.bytes)}; }
  SLUICE_INLINE Vector operator^(Vector other) const { return {_mm512_xor_si512(bytes, other.bytes)}; }
  SLUICE_INLINE Vector operator-(Vector other) const { return {_mm512_sub_epi8(bytes, other.bytes)}; }
  /// The difference, or 0.
  SLUICE_INLINE [[nodiscard]] Vector above(Vector other) const { return {_mm512_subs_epu8(bytes, other.bytes)}; }
  SLUICE_INLINE [[nodiscard]] Vector high_nibbles() const { return Vector{_mm512_srli_epi16(bytes, 4)} & all(15); }
  /// What `table` has at the low nibbles, for bytes below 0x80; 0 for others.
  SLUICE_INLINE [[nodiscard]] Vector look_up(const char (&table)[16]) const {
    const __m128i lane = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
    return {_mm512_shuffle_epi8(_mm512_maskz_broadcast_i32x4(0xffff, lane), bytes)};
  }
  /// Each byte replaced by the one `count` before it; the first ones by the last ones of `before`.
  template <int count>
  SLUICE_INLINE [[nodiscard]] Vector shifted_from(Vector before) const {
    return {_mm512_alignr_epi8(bytes, _mm512_maskz_alignr_epi64(0xff, bytes, before.bytes, 6), 16 - count)};
  }

 private:
  /// A compiler that saw what becomes of the mask would keep it where there are only masks, and move others there.
  SLUICE_INLINE static std::uint64_t mask(std::uint64_t bits) {
    asm("" : "+r"(bits));
    return bits;
  }
};

[[SLUICE_TARGET]] const char* pass(const char* begin, const char* end, JsonPlace& place) {
  return pass_tokens<Vector>(begin, end, place);
}

}  // namespace

PassTokens pass_with_avx512() {
  __builtin_cpu_init();
  const bool has_all = pass_with_avx2() != nullptr && __builtin_cpu_supports("avx512f") != 0 &&
                       __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vbmi2") != 0 &&
                       __builtin_cpu_supports("bmi2") != 0;
  return has_all ? &pass : nullptr;
}

}  // namespace sluice::gateway::detail

#else

namespace sluice::gateway::detail {

PassTokens pass_with_avx512() {
  return nullptr;
}

}  // namespace sluice::gateway::detail

#endif
