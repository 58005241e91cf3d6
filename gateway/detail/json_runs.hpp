// Runs of bytes inside JSON tokens, skipped many at a time; what the scanner and the pointers know of single bytes.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace sluice::gateway::detail {

constexpr unsigned char byte(char c) {
  return static_cast<unsigned char>(c);
}
constexpr bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}
constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr bool is_hex_digit(char c) {
  return is_digit(c) || (byte(c | 0x20) >= 'a' && byte(c | 0x20) <= 'f');
}
constexpr bool is_plain(char c) {
  return byte(c) >= 0x20 && byte(c) < 0x80 && c != '"' && c != '\\';
}
constexpr bool is_short_escape(char c) {
  return c == '"' || c == '\\' || c == '/' || c == 'b' || c == 'f' || c == 'n' || c == 'r' || c == 't';
}

constexpr std::uint64_t every_byte(unsigned char c) {
  return 0x0101010101010101u * c;
}

/// Whether all of 8 bytes are plain. A borrow can only spread upwards from a byte that is not, so it changes no answer.
inline bool are_plain(const char* p) {
  std::uint64_t word = 0;
  std::memcpy(&word, p, sizeof word);
  const std::uint64_t below_space = word - every_byte(0x20);
  const std::uint64_t quote = (word ^ every_byte('"')) - every_byte(1);
  const std::uint64_t backslash = (word ^ every_byte('\\')) - every_byte(1);
  return ((word | below_space | quote | backslash) & every_byte(0x80)) == 0;
}

/// The first byte from `p` on that is not an ASCII character standing for itself inside a string.
inline const char* skip_plain(const char* p, const char* end) {
#ifdef __SSE2__
  for (; end - p >= 16; p += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    const __m128i backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    const __m128i other = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20));  // signed: from 0x80 on is below, too
    const int stops = _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), other));
    if (stops != 0) return p + std::countr_zero(static_cast<unsigned>(stops));
  }
#endif
  while (end - p >= 8 && are_plain(p)) p += 8;
  while (p != end && is_plain(*p)) ++p;
  return p;
}

inline const char* skip_space(const char* p, const char* end) {
#ifdef __SSE2__
  for (; end - p >= 16; p += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i blank =
        _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(' ')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t')));
    const __m128i line =
        _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\n')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\r')));
    const unsigned spaces = static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(blank, line)));
    if (spaces != 0xffff) return p + std::countr_one(spaces);
  }
#endif
  while (p != end && is_space(*p)) ++p;
  return p;
}

inline const char* skip_digits(const char* p, const char* end) {
#ifdef __SSE2__
  for (; end - p >= 16; p += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i below = _mm_cmplt_epi8(bytes, _mm_set1_epi8('0'));
    const __m128i above = _mm_cmpgt_epi8(bytes, _mm_set1_epi8('9'));
    const int stops = _mm_movemask_epi8(_mm_or_si128(below, above));
    if (stops != 0) return p + std::countr_zero(static_cast<unsigned>(stops));
  }
#endif
  while (p != end && is_digit(*p)) ++p;
  return p;
}

/// The first quote or backslash from `p` on.
inline const char* skip_to_quote(const char* p, const char* end) {
#ifdef __SSE2__
  for (; end - p >= 16; p += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    const __m128i backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    const int stops = _mm_movemask_epi8(_mm_or_si128(quote, backslash));
    if (stops != 0) return p + std::countr_zero(static_cast<unsigned>(stops));
  }
#endif
  while (p != end && *p != '"' && *p != '\\') ++p;
  return p;
}

/// What may follow the first byte of a UTF-8 sequence (Unicode 15, table 3-7); `more` is 0 if it cannot be a first
/// byte.
struct Lead {
  std::uint8_t more;        ///< bytes after it
  unsigned char low, high;  ///< bounds of the second byte
};

constexpr Lead lead_of(unsigned char c) {
  if (c < 0xc2) return {0, 0, 0};
  if (c < 0xe0) return {1, 0x80, 0xbf};
  if (c < 0xf0) return {2, byte(c == 0xe0 ? '\xa0' : '\x80'), byte(c == 0xed ? '\x9f' : '\xbf')};
  if (c < 0xf5) return {3, byte(c == 0xf0 ? '\x90' : '\x80'), byte(c == 0xf4 ? '\x8f' : '\xbf')};
  return {0, 0, 0};
}

constexpr bool is_continuation(char c) {
  return (byte(c) & 0xc0) == 0x80;
}

/// Length of the whole, well-formed sequence of more than one byte at `p`, which has 4 readable bytes; 0 if there is
/// none.
inline std::size_t sequence_length(const char* p) {
  const Lead lead = lead_of(byte(p[0]));
  if (lead.more == 0 || byte(p[1]) < lead.low || byte(p[1]) > lead.high) return 0;
  if (lead.more >= 2 && !is_continuation(p[2])) return 0;
  if (lead.more == 3 && !is_continuation(p[3])) return 0;
  return lead.more + 1u;
}

/// Length of the whole escape at `p`, which has 6 readable bytes; 0 if there is none.
inline std::size_t escape_length(const char* p) {
  if (is_short_escape(p[1])) return 2;
  const bool is_unicode =
      p[1] == 'u' && is_hex_digit(p[2]) && is_hex_digit(p[3]) && is_hex_digit(p[4]) && is_hex_digit(p[5]);
  return is_unicode ? 6 : 0;
}

/// The first byte of a string's content from `p` on that is its end, wrong, or near enough to the chunk's end to be
/// cut.
inline const char* skip_content(const char* p, const char* end) {
  for (;;) {
    p = skip_plain(p, end);
    if (end - p < 6 || *p == '"') return p;
    const std::size_t length = *p == '\\' ? escape_length(p) : sequence_length(p);
    if (length == 0) return p;
    p += length;
    while (end - p >= 6 && byte(*p) >= 0x80) {
      const std::size_t next = sequence_length(p);
      if (next == 0) return p;
      p += next;
    }
  }
}

}  // namespace sluice::gateway::detail
