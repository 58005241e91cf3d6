// Passing over whole JSON tokens and values in text that is known to be valid.
#pragma once

#include "gateway/detail/json_runs.hpp"

#include <algorithm>
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

/// Goes on in a string, to behind its closing quote (true) or to `limit`, or one byte further.
inline bool pass_string(const char*& p, const char* limit) {
  while (p < limit) {
    p = skip_to_quote(p, limit);
    if (p == limit) return false;
    if (*p++ == '"') return true;
    ++p;  // what the backslash escapes
  }
  return false;
}

/// Goes on in objects and arrays, `depth` of which are open, to behind the outermost (true) or to `limit`, or one byte
/// further.
inline bool pass_containers(const char*& at, const char* limit, std::size_t& depth, bool& in_string) {
  const char* p = at;
  std::size_t open_ones = depth;
  const auto leave = [&](const char* where, bool is_over) {
    at = where;
    depth = open_ones;
    return is_over;
  };
  if (in_string) {
    if (!pass_string(p, limit)) return leave(p, false);
    in_string = false;
  }
#ifdef __SSE2__
  while (limit - p >= 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i folded = _mm_or_si128(bytes, _mm_set1_epi8(0x20));  // brackets become braces, and nothing else does
    const auto open = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(folded, _mm_set1_epi8('{'))));
    const auto close = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(folded, _mm_set1_epi8('}'))));
    const auto quote = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'))));
    const unsigned before_quote = (quote & (0U - quote)) - 1U;  // all of them without one
    for (unsigned left = (open | close) & before_quote; left != 0; left &= left - 1) {
      if ((open & left & (0U - left)) != 0) {
        ++open_ones;
      } else if (--open_ones == 0) {
        return leave(p + std::countr_zero(left) + 1, true);
      }
    }
    if (quote == 0) {
      p += 16;
      continue;
    }
    p += std::countr_zero(quote) + 1;
    in_string = !pass_string(p, limit);
    if (in_string) return leave(p, false);
  }
#endif
  while (p < limit) {
    const char c = *p++;
    if (c == '"') {
      in_string = !pass_string(p, limit);
      if (in_string) return leave(p, false);
    } else if (c == '{' || c == '[') {
      ++open_ones;
    } else if ((c == '}' || c == ']') && --open_ones == 0) {
      return leave(p, true);
    }
  }
  return leave(p, false);
}

/// Behind the object or array that begins at `p`.
inline const char* end_of_container(const char* p, const char* end) {
  std::size_t depth = 0;
  bool in_string = false;
  (void)pass_containers(p, end, depth, in_string);
  return std::min(p, end);
}

inline bool ends_scalar(char c) {
  return c == ',' || c == ']' || c == '}' || is_space(c);
}

/// Behind the value that begins at `p`.
inline const char* end_of_value(const char* p, const char* end) {
  if (p == end) return end;
  if (*p == '"') return end_of_string(p + 1, end);
  if (*p == '{' || *p == '[') return end_of_container(p, end);
  while (p != end && !ends_scalar(*p)) ++p;
  return p;
}

/// Passes over one value bit by bit. *one worker*
class ValueSkip {
 public:
  [[nodiscard]] bool is_under_way() const { return kind_ != Kind::none; }

  void start(const char* value) {
    at_ = value;
    depth_ = 0;
    in_string_ = false;
    kind_ = *value == '"' ? Kind::string : *value == '{' || *value == '[' ? Kind::containers : Kind::scalar;
    if (kind_ == Kind::string) ++at_;
  }

  /// For about `bytes`, which are not none; true when the value, which ends by `end`, is over: then at() is behind it.
  [[nodiscard]] bool run(std::size_t bytes, const char* end) {
    const char* const limit = at_ + std::min(bytes, static_cast<std::size_t>(end - at_));
    bool is_over = false;
    switch (kind_) {
      case Kind::none:
        return true;
      case Kind::string:
        is_over = pass_string(at_, limit);
        break;
      case Kind::containers:
        is_over = pass_containers(at_, limit, depth_, in_string_);
        break;
      case Kind::scalar:
        while (at_ != limit && !ends_scalar(*at_)) ++at_;
        is_over = at_ != limit;
        break;
    }
    is_over = is_over || at_ >= end;
    if (is_over) kind_ = Kind::none;
    return is_over;
  }
  [[nodiscard]] const char* at() const { return at_; }

 private:
  enum class Kind : unsigned char { none, string, containers, scalar };

  const char* at_ = nullptr;
  std::size_t depth_ = 0;
  bool in_string_ = false;
  Kind kind_ = Kind::none;
};

/// At the next byte that is not white space; there is little of it between tokens.
inline const char* behind_space(const char* p, const char* end) {
  for (int i = 0; i < 2; ++i, ++p) {
    if (p == end || !is_space(*p)) return p;
  }
  return skip_space(p, end);
}

}  // namespace sluice::gateway::detail
