// Looks at short texts eight bytes at a time, as every request has dozens of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace sluice::backends::detail {

inline constexpr std::uint64_t kOnes = 0x0101010101010101U;
inline constexpr std::uint64_t kHighs = kOnes << 7U;

/// Whether a byte of the word is less than `bound` (at most 128). May also say so of a byte above one that is.
[[nodiscard]] constexpr std::uint64_t has_less(std::uint64_t word, unsigned char bound) {
  return (word - kOnes * bound) & ~word & kHighs;
}
/// Whether a byte of the word is `byte`. May also say so of a byte above one that is.
[[nodiscard]] constexpr std::uint64_t has_byte(std::uint64_t word, unsigned char byte) {
  return has_less(word ^ kOnes * byte, 1);
}
/// Whether a byte of the word is not ASCII.
[[nodiscard]] constexpr std::uint64_t has_high(std::uint64_t word) {
  return word & kHighs;
}

/// Calls `look(word, at)` for all of the text, eight bytes at a time, of which the last may have been seen before; for
/// a text that is shorter once, with its bytes and some 'x'.
template <class Look>
void for_each_word(std::string_view text, Look look) {
  constexpr std::size_t kSize = sizeof(std::uint64_t);
  std::uint64_t word = kOnes * 'x';
  if (text.size() < kSize) {
    for (const char c : text) word = word << 8U | static_cast<unsigned char>(c);
    return look(word, std::size_t{0});
  }
  const std::size_t last = text.size() - kSize;
  for (std::size_t at = 0; at < last; at += kSize) {
    std::memcpy(&word, text.data() + at, kSize);
    look(word, at);
  }
  std::memcpy(&word, text.data() + last, kSize);
  look(word, last);
}

/// Whether `test(word)` is other than 0 for any of them.
template <class Test>
[[nodiscard]] bool any_word(std::string_view text, Test test) {
  std::uint64_t found = 0;
  for_each_word(text, [&](std::uint64_t word, std::size_t) { found |= test(word); });
  return found != 0;
}

/// The same, and copies the text on the way.
template <class Test>
[[nodiscard]] bool copy_and_test(std::string_view text, char* to, Test test) {
  std::uint64_t found = 0;
  const bool is_short = text.size() < sizeof found;
  for (std::size_t i = 0; is_short && i < text.size(); ++i) to[i] = text[i];
  for_each_word(text, [&](std::uint64_t word, std::size_t at) {
    found |= test(word);
    if (!is_short) std::memcpy(to + at, &word, sizeof word);
  });
  return found != 0;
}

}  // namespace sluice::backends::detail
