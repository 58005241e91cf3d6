// The strings of a JSON document, block by block of 64 bytes: where they end, and whether what is in them is right.
// Only for x86-64, and there only for what is compiled for AVX2.
#pragma once

#include <cstdint>
#include <immintrin.h>

/// Of functions for processors with AVX2, and of what is part of them.
#define SLUICE_AVX2 [[gnu::target("avx2,bmi,lzcnt,pclmul")]]
#define SLUICE_INLINE [[gnu::target("avx2,bmi,lzcnt,pclmul"), gnu::always_inline]]

namespace sluice::gateway::detail {

/// Judges UTF-8 across blocks.
class Utf8 {
 public:
  SLUICE_INLINE void ascii() {
    error_ = _mm256_or_si256(error_, incomplete_);
    incomplete_ = _mm256_setzero_si256();
  }
  SLUICE_INLINE void block(__m256i low, __m256i high) {
    vector(low, before_);
    vector(high, low);
    // A first byte among the last three for which there is no room.
    const __m256i most = _mm256_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                                          -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, '\xef', '\xdf', '\xbf');
    incomplete_ = _mm256_subs_epu8(high, most);
  }
  SLUICE_INLINE void end_block(__m256i high) { before_ = high; }
  SLUICE_INLINE [[nodiscard]] bool has_failed() const { return _mm256_testz_si256(error_, error_) == 0; }

 private:
  SLUICE_INLINE static __m256i lookup(__m256i nibbles, char c0, char c1, char c2, char c3, char c4, char c5, char c6,
                                      char c7, char c8, char c9, char ca, char cb, char cc, char cd, char ce, char cf) {
    const __m256i table = _mm256_setr_epi8(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, ca, cb, cc, cd, ce, cf, c0, c1, c2,
                                           c3, c4, c5, c6, c7, c8, c9, ca, cb, cc, cd, ce, cf);
    return _mm256_shuffle_epi8(table, nibbles);
  }

  SLUICE_INLINE void vector(__m256i bytes, __m256i before) {
    // What a pair of bytes can be wrong in, one bit each.
    constexpr char kTooShort = 1, kTooLong = 2, kOverlong3 = 4, kTooLarge = 8, kSurrogate = 16, kOverlong2 = 32;
    constexpr char kTooLarge1000 = 64, kOverlong4 = 64, kTwoConts = '\x80';
    constexpr char kCarry = kTooShort | kTooLong | kTwoConts;
    const __m256i crossing = _mm256_permute2x128_si256(before, bytes, 0x21);
    const __m256i one_back = _mm256_alignr_epi8(bytes, crossing, 15);
    const __m256i nibble = _mm256_set1_epi8(15);
    const __m256i first_high = lookup(
        _mm256_and_si256(_mm256_srli_epi16(one_back, 4), nibble), kTooLong, kTooLong, kTooLong, kTooLong, kTooLong,
        kTooLong, kTooLong, kTooLong, kTwoConts, kTwoConts, kTwoConts, kTwoConts, kTooShort | kOverlong2, kTooShort,
        kTooShort | kOverlong3 | kSurrogate, kTooShort | kTooLarge | kTooLarge1000 | kOverlong4);
    constexpr char kLarge = kCarry | kTooLarge | kTooLarge1000;
    const __m256i first_low = lookup(_mm256_and_si256(one_back, nibble), kCarry | kOverlong3 | kOverlong2 | kOverlong4,
                                     kCarry | kOverlong2, kCarry, kCarry, kCarry | kTooLarge, kLarge, kLarge, kLarge,
                                     kLarge, kLarge, kLarge, kLarge, kLarge, kLarge | kSurrogate, kLarge, kLarge);
    constexpr char kLater = kTooLong | kOverlong2 | kTwoConts;
    const __m256i second_high =
        lookup(_mm256_and_si256(_mm256_srli_epi16(bytes, 4), nibble), kTooShort, kTooShort, kTooShort, kTooShort,
               kTooShort, kTooShort, kTooShort, kTooShort, kLater | kOverlong3 | kTooLarge1000 | kOverlong4,
               kLater | kOverlong3 | kTooLarge, kLater | kSurrogate | kTooLarge, kLater | kSurrogate | kTooLarge,
               kTooShort, kTooShort, kTooShort, kTooShort);
    const __m256i wrong = _mm256_and_si256(_mm256_and_si256(first_high, first_low), second_high);
    const __m256i two_back = _mm256_alignr_epi8(bytes, crossing, 14);
    const __m256i three_back = _mm256_alignr_epi8(bytes, crossing, 13);
    const __m256i third = _mm256_subs_epu8(two_back, _mm256_set1_epi8(0xe0 - 0x80));
    const __m256i fourth = _mm256_subs_epu8(three_back, _mm256_set1_epi8(0xf0 - 0x80));
    const __m256i must_continue = _mm256_and_si256(_mm256_or_si256(third, fourth), _mm256_set1_epi8('\x80'));
    error_ = _mm256_or_si256(error_, _mm256_xor_si256(must_continue, wrong));
  }

  __m256i error_{};
  __m256i incomplete_{};
  __m256i before_{};
};

/// Whether each byte of a block is of a kind, one bit each.
struct Bytes {
  __m256i low, high;

  SLUICE_INLINE static Bytes load(const char* p) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32))};
  }
  SLUICE_INLINE static std::uint64_t mask(__m256i low, __m256i high) {
    return static_cast<std::uint32_t>(_mm256_movemask_epi8(low)) |
           std::uint64_t{static_cast<std::uint32_t>(_mm256_movemask_epi8(high))} << 32;
  }
  SLUICE_INLINE [[nodiscard]] std::uint64_t equal(char c) const {
    const __m256i wanted = _mm256_set1_epi8(c);
    return mask(_mm256_cmpeq_epi8(low, wanted), _mm256_cmpeq_epi8(high, wanted));
  }
  /// Those that have the bit 7 - `up`.
  template <int up>
  SLUICE_INLINE [[nodiscard]] std::uint64_t bit() const {
    return mask(_mm256_slli_epi16(low, up), _mm256_slli_epi16(high, up));
  }
  SLUICE_INLINE [[nodiscard]] std::uint64_t controls() const {
    const __m256i last = _mm256_set1_epi8(0x1f);
    return mask(_mm256_cmpeq_epi8(_mm256_max_epu8(low, last), last),
                _mm256_cmpeq_epi8(_mm256_max_epu8(high, last), last));
  }
  /// From `first` on, `count` more.
  SLUICE_INLINE [[nodiscard]] std::uint64_t within(char first, char count) const {
    const __m256i start = _mm256_set1_epi8(first);
    const __m256i most = _mm256_set1_epi8(count);
    const __m256i a = _mm256_sub_epi8(low, start);
    const __m256i b = _mm256_sub_epi8(high, start);
    return mask(_mm256_cmpeq_epi8(_mm256_min_epu8(a, most), a), _mm256_cmpeq_epi8(_mm256_min_epu8(b, most), b));
  }
  SLUICE_INLINE [[nodiscard]] std::uint64_t blanks() const {
    // A blank is the only byte that its low nibble stands for; no byte with any other nibble is 0.
    const __m256i table = _mm256_setr_epi8(' ', 0, 0, 0, 0, 0, 0, 0, 0, '\t', '\n', 0, 0, '\r', 0, 0, ' ', 0, 0, 0, 0,
                                           0, 0, 0, 0, '\t', '\n', 0, 0, '\r', 0, 0);
    return mask(_mm256_cmpeq_epi8(low, _mm256_shuffle_epi8(table, low)),
                _mm256_cmpeq_epi8(high, _mm256_shuffle_epi8(table, high)));
  }
  SLUICE_INLINE [[nodiscard]] bool are_ascii() const { return _mm256_movemask_epi8(_mm256_or_si256(low, high)) == 0; }
  SLUICE_INLINE [[nodiscard]] Bytes folded() const {
    const __m256i bit = _mm256_set1_epi8(0x20);
    return {_mm256_or_si256(low, bit), _mm256_or_si256(high, bit)};
  }
};

/// The ends of the strings of a block, and which of its bytes are inside one.
class Strings {
 public:
  SLUICE_INLINE void block(const Bytes& bytes) {
    const std::uint64_t escaped = escapes(bytes);
    quotes = bytes.equal('"') & ~escaped;
    inside = prefix_xor(quotes) ^ begins_inside_;
    begins_inside_ = 0 - (inside >> 63);
    error_ |= bytes.controls() & inside;
    if (bytes.are_ascii()) {
      utf8_.ascii();
    } else {
      utf8_.block(bytes.low, bytes.high);
    }
    utf8_.end_block(bytes.high);
  }
  SLUICE_INLINE [[nodiscard]] bool has_failed() const { return error_ != 0 || utf8_.has_failed(); }
  [[nodiscard]] bool is_open() const { return begins_inside_ != 0; }

  std::uint64_t quotes = 0;
  std::uint64_t inside = 0;  // from each opening quote up to before the closing one

 private:
  SLUICE_INLINE static std::uint64_t prefix_xor(std::uint64_t bits) {
    const __m128i all = _mm_set1_epi8(-1);
    const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<long long>(bits)), all, 0);
    return static_cast<std::uint64_t>(_mm_cvtsi128_si64(product));
  }

  SLUICE_INLINE std::uint64_t escapes(const Bytes& bytes) {
    std::uint64_t backslashes = bytes.equal('\\');
    if ((backslashes | escaped_ | hex_) == 0) return 0;
    constexpr std::uint64_t kEven = 0x5555555555555555;
    backslashes &= ~escaped_;
    const std::uint64_t follows = backslashes << 1 | escaped_;
    const std::uint64_t odd_starts = backslashes & ~kEven & ~follows;
    unsigned long long sum = 0;
    escaped_ = __builtin_add_overflow(odd_starts, backslashes, &sum) ? 1 : 0;
    const std::uint64_t escaped = (kEven ^ sum << 1) & follows;

    const std::uint64_t units = bytes.equal('u') & escaped;
    const std::uint64_t known = bytes.equal('"') | bytes.equal('\\') | bytes.equal('/') | bytes.equal('b') |
                                bytes.equal('f') | bytes.equal('n') | bytes.equal('r') | bytes.equal('t') | units;
    error_ |= escaped & ~known;
    const std::uint64_t hex = hex_ | units << 1 | units << 2 | units << 3 | units << 4;
    hex_ = units >> 63 | units >> 62 | units >> 61 | units >> 60;
    if (hex != 0) error_ |= hex & ~(bytes.within('0', 9) | bytes.folded().within('a', 5));
    return escaped;
  }

  std::uint64_t escaped_ = 0;        // whether the first byte of the next block is
  std::uint64_t hex_ = 0;            // which of its first bytes must be hexadecimal digits
  std::uint64_t begins_inside_ = 0;  // all ones: it begins inside a string
  std::uint64_t error_ = 0;
  Utf8 utf8_;
};

}  // namespace sluice::gateway::detail
