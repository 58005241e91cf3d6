// Vectors of 32 bytes for JSON in blocks.
#include "gateway/detail/json_blocks.hpp"

#ifdef __x86_64__

#define SLUICE_TARGET gnu::target("avx2,bmi,lzcnt,pclmul")
#include "gateway/detail/json_grammar.hpp"

#include <cstddef>
#include <cstdint>
#include <immintrin.h>

namespace sluice::gateway::detail {
namespace {

struct Vector {
  static constexpr std::size_t kSize = 32;
  __m256i bytes{};

  SLUICE_INLINE static Vector load(const char* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
  SLUICE_INLINE void store(char* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), bytes); }
  SLUICE_INLINE static Vector all(char c) { return {_mm256_set1_epi8(c)}; }

  SLUICE_INLINE [[nodiscard]] std::uint64_t operator==(Vector other) const {
    return mask(_mm256_cmpeq_epi8(bytes, other.bytes));
  }
  SLUICE_INLINE [[nodiscard]] std::uint64_t at_most(Vector other) const {
    return mask(_mm256_cmpeq_epi8(_mm256_min_epu8(bytes, other.bytes), bytes));
  }
  /// Those that have the bit 7 - `up`.
  template <int up>
  SLUICE_INLINE [[nodiscard]] std::uint64_t bit() const {
    return mask(_mm256_slli_epi16(bytes, up));
  }
  SLUICE_INLINE [[nodiscard]] bool is_ascii() const { return _mm256_movemask_epi8(bytes) == 0; }
  SLUICE_INLINE [[nodiscard]] bool is_none() const { return _mm256_testz_si256(bytes, bytes) != 0; }

  SLUICE_INLINE Vector operator|(Vector other) const { return {_mm256_or_si256(bytes, other.bytes)}; }
  SLUICE_INLINE Vector operator&(Vector other) const { return {_mm256_and_si256(bytes, other.bytes)}; }
  SLUICE_INLINE Vector operator^(Vector other) const { return {_mm256_xor_si256(bytes, other.bytes)}; }
  SLUICE_INLINE Vector operator-(Vector other) const { return {_mm256_sub_epi8(bytes, other.bytes)}; }
  /// The difference, or 0.
  SLUICE_INLINE [[nodiscard]] Vector above(Vector other) const { return {_mm256_subs_epu8(bytes, other.bytes)}; }
  SLUICE_INLINE [[nodiscard]] Vector high_nibbles() const { return Vector{_mm256_srli_epi16(bytes, 4)} & all(15); }
  /// What `table` has at the low nibbles, for bytes below 0x80; 0 for others.
  SLUICE_INLINE [[nodiscard]] Vector look_up(const char (&table)[16]) const {
    const __m128i lane = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
    return {_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(lane), bytes)};
  }
  /// Each byte replaced by the one `count` before it; the first ones by the last ones of `before`.
  template <int count>
  SLUICE_INLINE [[nodiscard]] Vector shifted_from(Vector before) const {
    return {_mm256_alignr_epi8(bytes, _mm256_permute2x128_si256(before.bytes, bytes, 0x21), 16 - count)};
  }

 private:
  SLUICE_INLINE static std::uint64_t mask(__m256i bytes) {
    return static_cast<std::uint32_t>(_mm256_movemask_epi8(bytes));
  }
};

[[SLUICE_TARGET]] const char* pass(const char* begin, const char* end, JsonPlace& place) {
  return pass_tokens<Vector>(begin, end, place);
}

}  // namespace

PassTokens pass_with_avx2() {
  __builtin_cpu_init();
  const bool has_all = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("bmi") != 0 &&
                       __builtin_cpu_supports("pclmul") != 0 && __builtin_cpu_supports("lzcnt") != 0;
  return has_all ? &pass : nullptr;
}

}  // namespace sluice::gateway::detail

#else

namespace sluice::gateway::detail {

PassTokens pass_with_avx2() {
  return nullptr;
}

}  // namespace sluice::gateway::detail

#endif
