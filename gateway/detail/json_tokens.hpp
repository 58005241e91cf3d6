// Passing over whole JSON tokens and values in text that is known to be valid.
#pragma once

#include "gateway/detail/json_runs.hpp"

#include <cstddef>

namespace sluice::gateway::detail {

/// Behind the closing quote of the string whose content begins at `p`.
inline const char* end_of_string(const char* p, const char* end) {
  for (;;) {
    p = skip_to_quote(p, end);
    if (p == end) return end;
    if (*p == '"') return p + 1;
    p += end - p > 1 ? 2 : 1;
  }
}

/// Behind the object or array that begins at `p`.
inline const char* end_of_container(const char* p, const char* end) {
  std::size_t depth = 0;
#ifdef __SSE2__
  while (end - p >= 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i folded = _mm_or_si128(bytes, _mm_set1_epi8(0x20));  // brackets become braces, and nothing else does
    const auto open = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(folded, _mm_set1_epi8('{'))));
    const auto close = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(folded, _mm_set1_epi8('}'))));
    const auto quote = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'))));
    const unsigned before_quote = (quote & (0U - quote)) - 1U;  // all of them without one
    for (unsigned left = (open | close) & before_quote; left != 0; left &= left - 1) {
      if ((open & left & (0U - left)) != 0) {
        ++depth;
      } else if (--depth == 0) {
        return p + std::countr_zero(left) + 1;
      }
    }
    p = quote == 0 ? p + 16 : end_of_string(p + std::countr_zero(quote) + 1, end);
  }
#endif
  while (p != end) {
    const char c = *p++;
    if (c == '"') {
      p = end_of_string(p, end);
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == '}' || c == ']') && --depth == 0) {
      return p;
    }
  }
  return end;
}

/// Behind the value that begins at `p`.
inline const char* end_of_value(const char* p, const char* end) {
  if (p == end) return end;
  if (*p == '"') return end_of_string(p + 1, end);
  if (*p == '{' || *p == '[') return end_of_container(p, end);
  while (p != end && *p != ',' && *p != ']' && *p != '}' && !is_space(*p)) ++p;
  return p;
}

/// At the next byte that is not white space; there is little of it between tokens.
inline const char* behind_space(const char* p, const char* end) {
  while (p != end && is_space(*p)) ++p;
  return p;
}

}  // namespace sluice::gateway::detail
