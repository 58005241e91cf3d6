// The strings of a JSON document, block by block of 64 bytes: where they end, and whether what is in them is right.
// Only for x86-64; who includes it has defined SLUICE_TARGET, the processors that it is compiled for.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <immintrin.h>

/// Of whatever is compiled into a function for these processors.
#define SLUICE_INLINE [[SLUICE_TARGET, gnu::always_inline]]

namespace sluice::gateway::detail {
namespace {

constexpr std::size_t kBlock = 64;
constexpr std::size_t kAhead = 8;  // bytes behind a block that can be read: of literals, and of words that go on

/// Which of eight bytes have their bits set, in order, for each byte of such bits.
struct Orders {
  constexpr Orders() {
    for (int bits = 0; bits < 256; ++bits) {
      int count = 0;
      for (int i = 0; i < 8; ++i) {
        if ((bits >> i & 1) != 0) of[bits][count++] = static_cast<char>(i);
      }
    }
  }
  char of[257][8]{};  // the last one may be read together with the next one
};
constexpr Orders kOrders;

/// A block: whether each byte is of a kind, one bit each.
template <typename Vector>
struct Bytes {
  static constexpr std::size_t kVectors = kBlock / Vector::kSize;

  Vector vectors[kVectors]{};

  SLUICE_INLINE static Bytes load(const char* p) {
    Bytes block;
    for (std::size_t i = 0; i < kVectors; ++i) block.vectors[i] = Vector::load(p + i * Vector::kSize);
    return block;
  }
  SLUICE_INLINE void store(char* p) const {
    for (std::size_t i = 0; i < kVectors; ++i) vectors[i].store(p + i * Vector::kSize);
  }
  /// Puts those of `mask` one behind the other, and any others behind them, up to kBlock in all. The block is at `p`,
  /// too, with kAhead readable bytes more.
  SLUICE_INLINE void compress(const char* p, std::uint64_t mask, char* to) const {
    if constexpr (kVectors == 1) {
      vectors[0].compressed(mask).store(to);
    } else {
      for (std::size_t i = 0; i < kBlock; i += 8, mask >>= 8) {
        const auto some = static_cast<unsigned char>(mask);
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + i));
        const __m128i order = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kOrders.of[some]));
        _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_shuffle_epi8(bytes, order));
        to += std::popcount(some);
      }
    }
  }
  SLUICE_INLINE [[nodiscard]] std::uint64_t equal(char c) const {
    std::uint64_t mask = 0;
    for (std::size_t i = 0; i < kVectors; ++i) mask |= (vectors[i] == Vector::all(c)) << i * Vector::kSize;
    return mask;
  }
  SLUICE_INLINE [[nodiscard]] std::uint64_t at_most(char c) const {
    std::uint64_t mask = 0;
    for (std::size_t i = 0; i < kVectors; ++i) mask |= vectors[i].at_most(Vector::all(c)) << i * Vector::kSize;
    return mask;
  }
  /// Those that have the bit 7 - `up`.
  template <int up>
  SLUICE_INLINE [[nodiscard]] std::uint64_t bit() const {
    std::uint64_t mask = 0;
    for (std::size_t i = 0; i < kVectors; ++i) mask |= vectors[i].template bit<up>() << i * Vector::kSize;
    return mask;
  }
  SLUICE_INLINE [[nodiscard]] std::uint64_t blanks() const {
    // A blank is the only byte that its low nibble stands for; no byte with any other nibble is 0.
    static constexpr char kTable[16] = {' ', 0, 0, 0, 0, 0, 0, 0, 0, '\t', '\n', 0, 0, '\r', 0, 0};
    std::uint64_t mask = 0;
    for (std::size_t i = 0; i < kVectors; ++i) mask |= (vectors[i] == vectors[i].look_up(kTable)) << i * Vector::kSize;
    return mask;
  }
  /// Brackets, colons and commas; maybe control characters that are no blanks, too.
  SLUICE_INLINE [[nodiscard]] std::uint64_t operators() const {
    static constexpr char kTable[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ':', '{', ',', '}', 0, 0};
    const Bytes block = folded();
    std::uint64_t mask = 0;
    for (std::size_t i = 0; i < kVectors; ++i)
      mask |= (block.vectors[i] == block.vectors[i].look_up(kTable)) << i * Vector::kSize;
    return mask;
  }
  SLUICE_INLINE [[nodiscard]] bool are_ascii() const {
    Vector any = vectors[0];
    for (std::size_t i = 1; i < kVectors; ++i) any = any | vectors[i];
    return any.is_ascii();
  }
  SLUICE_INLINE [[nodiscard]] Bytes folded() const {
    Bytes block;
    for (std::size_t i = 0; i < kVectors; ++i) block.vectors[i] = vectors[i] | Vector::all(0x20);
    return block;
  }
  SLUICE_INLINE [[nodiscard]] Bytes minus(char c) const {
    Bytes block;
    for (std::size_t i = 0; i < kVectors; ++i) block.vectors[i] = vectors[i] - Vector::all(c);
    return block;
  }
  SLUICE_INLINE [[nodiscard]] std::uint64_t digits() const { return minus('0').at_most(9); }
};

/// Judges UTF-8 across blocks.
template <typename Vector>
class Utf8 {
 public:
  SLUICE_INLINE void block(const Bytes<Vector>& block) {
    if (block.are_ascii()) {
      error_ = error_ | incomplete_;
      incomplete_ = Vector();
    } else {
      for (const Vector bytes : block.vectors) {
        vector(bytes);
        before_ = bytes;
      }
      // A first byte among the last three for which there is no room.
      incomplete_ = before_.above(Vector::load(kMost + sizeof kMost - Vector::kSize));
    }
    before_ = block.vectors[Bytes<Vector>::kVectors - 1];
  }
  SLUICE_INLINE [[nodiscard]] bool has_failed() const { return !error_.is_none(); }

 private:
  static constexpr char kAny = '\xff';
  static constexpr char kMost[64] = {kAny, kAny, kAny, kAny, kAny, kAny, kAny, kAny, kAny, kAny,   kAny,   kAny,  kAny,
                                     kAny, kAny, kAny, kAny, kAny, kAny, kAny, kAny, kAny, kAny,   kAny,   kAny,  kAny,
                                     kAny, kAny, kAny, kAny, kAny, kAny, kAny, kAny, kAny, kAny,   kAny,   kAny,  kAny,
                                     kAny, kAny, kAny, kAny, kAny, kAny, kAny, kAny, kAny, kAny,   kAny,   kAny,  kAny,
                                     kAny, kAny, kAny, kAny, kAny, kAny, kAny, kAny, kAny, '\xef', '\xdf', '\xbf'};

  // What a pair of bytes can be wrong in, one bit each.
  static constexpr char kTooShort = 1, kTooLong = 2, kOverlong3 = 4, kTooLarge = 8, kSurrogate = 16, kOverlong2 = 32;
  static constexpr char kTooLarge1000 = 64, kOverlong4 = 64, kTwoConts = '\x80';
  static constexpr char kCarry = kTooShort | kTooLong | kTwoConts;
  static constexpr char kLarge = kCarry | kTooLarge | kTooLarge1000;
  static constexpr char kLater = kTooLong | kOverlong2 | kTwoConts;
  static constexpr char kFirstHigh[16] = {kTooLong,
                                          kTooLong,
                                          kTooLong,
                                          kTooLong,
                                          kTooLong,
                                          kTooLong,
                                          kTooLong,
                                          kTooLong,
                                          kTwoConts,
                                          kTwoConts,
                                          kTwoConts,
                                          kTwoConts,
                                          kTooShort | kOverlong2,
                                          kTooShort,
                                          kTooShort | kOverlong3 | kSurrogate,
                                          kTooShort | kTooLarge | kTooLarge1000 | kOverlong4};
  static constexpr char kFirstLow[16] = {kCarry | kOverlong3 | kOverlong2 | kOverlong4,
                                         kCarry | kOverlong2,
                                         kCarry,
                                         kCarry,
                                         kCarry | kTooLarge,
                                         kLarge,
                                         kLarge,
                                         kLarge,
                                         kLarge,
                                         kLarge,
                                         kLarge,
                                         kLarge,
                                         kLarge,
                                         kLarge | kSurrogate,
                                         kLarge,
                                         kLarge};
  static constexpr char kSecondHigh[16] = {kTooShort,
                                           kTooShort,
                                           kTooShort,
                                           kTooShort,
                                           kTooShort,
                                           kTooShort,
                                           kTooShort,
                                           kTooShort,
                                           kLater | kOverlong3 | kTooLarge1000 | kOverlong4,
                                           kLater | kOverlong3 | kTooLarge,
                                           kLater | kSurrogate | kTooLarge,
                                           kLater | kSurrogate | kTooLarge,
                                           kTooShort,
                                           kTooShort,
                                           kTooShort,
                                           kTooShort};

  SLUICE_INLINE void vector(Vector bytes) {
    const Vector one_back = bytes.template shifted_from<1>(before_);
    const Vector wrong = one_back.high_nibbles().look_up(kFirstHigh) & (one_back & Vector::all(15)).look_up(kFirstLow) &
                         bytes.high_nibbles().look_up(kSecondHigh);
    const Vector third = bytes.template shifted_from<2>(before_).above(Vector::all(0xe0 - 0x80));
    const Vector fourth = bytes.template shifted_from<3>(before_).above(Vector::all(0xf0 - 0x80));
    const Vector must_continue = (third | fourth) & Vector::all('\x80');
    error_ = error_ | (must_continue ^ wrong);
  }

  Vector error_;
  Vector incomplete_;
  Vector before_;
};

/// The ends of the strings of a block, and which of its bytes are inside one.
template <typename Vector>
class Strings {
 public:
  SLUICE_INLINE void block(const Bytes<Vector>& bytes) {
    const std::uint64_t escaped = escapes(bytes);
    quotes = bytes.equal('"') & ~escaped;
    inside = prefix_xor(quotes) ^ begins_inside_;
    begins_inside_ = 0 - (inside >> 63);
    error_ |= bytes.at_most(0x1f) & inside;
    utf8_.block(bytes);
  }
  SLUICE_INLINE [[nodiscard]] bool has_failed() const { return error_ != 0 || utf8_.has_failed(); }
  SLUICE_INLINE [[nodiscard]] bool is_open() const { return begins_inside_ != 0; }

  std::uint64_t quotes = 0;
  std::uint64_t inside = 0;  // from each opening quote up to before the closing one

 private:
  SLUICE_INLINE static std::uint64_t prefix_xor(std::uint64_t bits) {
    const __m128i all = _mm_set1_epi8(-1);
    const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<long long>(bits)), all, 0);
    return static_cast<std::uint64_t>(_mm_cvtsi128_si64(product));
  }

  SLUICE_INLINE std::uint64_t escapes(const Bytes<Vector>& bytes) {
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
    if (hex != 0) error_ |= hex & ~(bytes.digits() | bytes.folded().minus('a').at_most(5));
    return escaped;
  }

  std::uint64_t escaped_ = 0;        // whether the first byte of the next block is
  std::uint64_t hex_ = 0;            // which of its first bytes must be hexadecimal digits
  std::uint64_t begins_inside_ = 0;  // all ones: it begins inside a string
  std::uint64_t error_ = 0;
  Utf8<Vector> utf8_;
};

}  // namespace
}  // namespace sluice::gateway::detail
