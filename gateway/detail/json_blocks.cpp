// Masks of 64 bytes, a bit each: where strings are after Langdale and Lemire, "Parsing gigabytes of JSON per second"
// (2019), UTF-8 after Keiser and Lemire, "Validating UTF-8 in less than one instruction per byte" (2020). The grammar
// is judged on masks, too: adding a mask of bytes to the mask of the runs that begin there carries to behind the runs.
// Only brackets, and words that are not all digits, are looked at one by one.
//
// Whatever is wrong is left to the scanner, which finds the first such byte; so it need only be noticed by the end of
// the piece it is in.
#include "gateway/detail/json_blocks.hpp"

#ifdef __x86_64__

#include "gateway/detail/json_strings.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <immintrin.h>

namespace sluice::gateway::detail {
namespace {

using State = JsonPlace::State;

constexpr std::size_t kBlock = 64;
constexpr std::size_t kPiece = 64 * kBlock;
constexpr int kShallow = 60;  // open containers; what is deeper is rare

constexpr bool is_blank(unsigned char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
constexpr bool is_operator(unsigned char c) {
  return c == ',' || c == ':' || c == '[' || c == ']' || c == '{' || c == '}';
}

struct Delimiters {
  constexpr Delimiters() {
    for (int c = 0; c < 256; ++c)
      is[c] = is_blank(static_cast<unsigned char>(c)) || is_operator(static_cast<unsigned char>(c));
  }
  bool is[256]{};
};
constexpr Delimiters kDelimiters;

bool is_delimiter(char c) {
  return kDelimiters.is[static_cast<unsigned char>(c)];
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// From tokens to the first byte of the next one, across blocks.
struct Next {
  /// `behind` are the bytes behind tokens that are not their last ones, and `last` their last ones.
  template <bool has_blanks>
  SLUICE_INLINE std::uint64_t of(std::uint64_t last, std::uint64_t blanks, std::uint64_t behind = 0) {
    const std::uint64_t first = last << 1 | pending | behind;
    pending = last >> 63;
    if constexpr (!has_blanks) return first;
    unsigned long long sum = 0;
    if (__builtin_add_overflow(first, blanks, &sum)) pending = 1;
    return sum & ~blanks;
  }
  std::uint64_t pending = 0;  // 1: it is to be looked for from the next block's first byte on
};

/// Bounded: what the chunk's end cuts is right so far.
const char* skip_digits(const char* p, const char* end) {
  for (; end - p >= 8; p += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, p, sizeof word);
    word ^= 0x3030303030303030;
    // A carry spreads upwards only from a byte that is no digit.
    const std::uint64_t others = ((word + 0x7676767676767676) | word) & 0x8080808080808080;
    if (others != 0) return p + __builtin_ctzll(others) / 8;
  }
  while (p != end && is_digit(*p)) ++p;
  return p;
}

bool is_number(const char* p, const char* end) {
  if (*p == '-' && ++p == end) return true;
  const char* digits = p;
  p = *p == '0' ? p + 1 : skip_digits(p, end);
  if (p == end) return true;
  if (p == digits) return false;
  if (*p == '.') {
    digits = ++p;
    p = skip_digits(p, end);
    if (p == end) return true;
    if (p == digits) return false;
  }
  if (*p == 'e' || *p == 'E') {
    if (++p == end) return true;
    if ((*p == '+' || *p == '-') && ++p == end) return true;
    digits = p;
    p = skip_digits(p, end);
    if (p == end) return true;
    if (p == digits) return false;
  }
  return is_delimiter(*p);
}

std::uint32_t four_bytes(const char* p) {
  std::uint32_t word = 0;
  std::memcpy(&word, p, sizeof word);
  return word;
}

constexpr std::size_t kLongestLiteral = 6;  // with the delimiter

/// The length of the true, false or null at `p`, with a delimiter behind it; else 0. No branches: nobody can foretell
/// which it is.
std::size_t literal_length(const char* p) {
  const std::size_t more = *p == 'f' ? 1U : 0U;
  const std::uint32_t word = four_bytes(p + more);
  const unsigned is_short = unsigned{word == four_bytes("true")} | unsigned{word == four_bytes("null")};
  const unsigned is_long = unsigned{word == four_bytes("alse")};
  const unsigned is_literal = (more != 0 ? is_long : is_short) & unsigned{is_delimiter(p[4 + more])};
  return is_literal != 0 ? 4 + more : 0;
}

/// What may follow what, as masks: which byte is the first of the token behind each kind of token, and what it may be.
class Grammar {
 public:
  /// `place` is less than kShallow deep.
  Grammar(const char* begin, const char* end, const JsonPlace& place)
      : end_(end), last_begin_(begin), depth_(static_cast<int>(place.depth)) {
    const State state = place.state;
    objects_ = place.in_object ? 1 : 0;
    for (int level = 1; level < depth_; ++level)
      objects_ |= (place.outer_in_object[0] >> (depth_ - level) & 1) << level;
    after_value_.pending = state == State::after_value;
    after_name_.pending = state == State::colon;
    before_value_.pending = state == State::value;
    after_bracket_.pending = state == State::first_element;
    after_brace_.pending = state == State::first_member;
    before_name_.pending = state == State::member;
  }

  /// `p` is where the block is in the chunk, which has `size` bytes of it; blanks stand for the rest. False: the
  /// outermost container ends, before where() the scanner goes on.
  SLUICE_INLINE bool block(const char* p, std::size_t size, const Bytes& bytes, const Strings& strings) {
    const std::uint64_t outside = ~strings.inside;
    if ((outside | strings.quotes) == 0) return true;
    const std::uint64_t blanks = bytes.blanks() & outside;
    const Bytes folded = bytes.folded();
    const std::uint64_t opens = folded.equal('{') & outside;
    const std::uint64_t closes = folded.equal('}') & outside;
    const std::uint64_t braces = bytes.bit<2>();  // of brackets
    const std::uint64_t colons = bytes.equal(':') & outside;
    const std::uint64_t commas = bytes.equal(',') & outside;
    const std::uint64_t closing_quotes = strings.quotes & outside;
    const std::uint64_t words = outside & ~(blanks | opens | closes | colons | commas | closing_quotes);
    const std::uint64_t behind_words = (words << 1 | in_word_) & ~words;
    const std::uint64_t begins = words & ~(words << 1 | in_word_);
    judge_words(p, bytes, words, begins);
    in_word_ = words >> (size - 1) & 1;

    const Tokens tokens{opens,  closes,         braces,         colons, commas,
                        blanks, strings.quotes, strings.inside, begins, behind_words};
    return blanks != 0 ? follow<true>(p, tokens) : follow<false>(p, tokens);
  }

  [[nodiscard]] bool has_failed() const { return error_ != 0; }

  /// Where the scanner can go on if `p` is the end of the last block, which ends inside a string or not; the place
  /// becomes what it is there.
  [[nodiscard]] const char* where(const char* p, bool is_in_string, JsonPlace& place) const {
    place.depth = static_cast<std::size_t>(depth_);
    place.in_object = (objects_ & 1) != 0;
    place.outer_in_object[0] = 0;
    for (int level = 1; level < depth_; ++level)
      place.outer_in_object[0] |= (objects_ >> level & 1) << (depth_ - level);
    if (root_end_ != 0) {
      place.state = state_at_root_end_;
      return last_begin_;
    }
    if (is_in_string || in_word_ != 0) {
      place.state = is_in_string && name_is_open_ != 0 ? State::member
                    : is_first_                        ? State::first_element
                                                       : State::value;
      return last_begin_;
    }
    place.state = after_value_.pending != 0    ? State::after_value
                  : after_name_.pending != 0   ? State::colon
                  : before_value_.pending != 0 ? State::value
                  : before_name_.pending != 0  ? State::member
                  : after_brace_.pending != 0  ? State::first_member
                                               : State::first_element;
    return p;
  }

 private:
  /// Of a block: brackets, their kind, and so on; all but `braces` outside of strings.
  struct Tokens {
    std::uint64_t opens, closes, braces, colons, commas, blanks, quotes, inside, begins, behind_words;
  };

  template <bool has_blanks>
  SLUICE_INLINE bool follow(const char* p, const Tokens& t) {
    const std::uint64_t opening_quotes = t.quotes & t.inside;
    const std::uint64_t closing_quotes = t.quotes & ~t.inside;
    const std::uint64_t values = opening_quotes | t.begins | t.opens;
    const std::uint64_t in_object = match(t.opens, t.closes, t.braces);
    const std::uint64_t first_members = after_brace_.of<has_blanks>(t.opens & t.braces, t.blanks);
    const std::uint64_t first_elements = after_bracket_.of<has_blanks>(t.opens & ~t.braces, t.blanks);
    if ((opening_quotes | t.begins) != 0) {
      const int last = 63 - __builtin_clzll(opening_quotes | t.begins);
      last_begin_ = p + last;
      is_first_ = (first_elements >> last & 1) != 0;
    }
    const std::uint64_t members = before_name_.of<has_blanks>(t.commas & in_object, t.blanks);
    const std::uint64_t others = before_value_.of<has_blanks>(t.colons | (t.commas & ~in_object), t.blanks);
    const std::uint64_t names = (first_members | members) & opening_quotes;
    unsigned long long ends = 0;
    const bool carry = __builtin_add_overflow(t.inside, names, &ends);
    name_is_open_ = __builtin_add_overflow(ends, name_is_open_, &ends) || carry ? 1 : 0;
    const std::uint64_t ends_of_names = ends & closing_quotes;
    const std::uint64_t separators = after_name_.of<has_blanks>(ends_of_names, t.blanks);
    const std::uint64_t ends_of_values = (closing_quotes & ~ends_of_names) | t.closes;
    const std::uint64_t followers = after_value_.of<has_blanks>(ends_of_values, t.blanks, t.behind_words);

    error_ |= (first_members & ~(opening_quotes | (t.closes & t.braces))) |
              (first_elements & ~(values | (t.closes & ~t.braces))) | (members & ~opening_quotes) | (others & ~values) |
              (separators & ~t.colons) | (followers & ~(t.commas | t.closes));
    if (root_end_ == 0) return true;
    last_begin_ = p + __builtin_ctzll(root_end_);
    state_at_root_end_ = (root_end_ & first_members) != 0    ? State::first_member
                         : (root_end_ & first_elements) != 0 ? State::first_element
                                                             : State::after_value;
    return false;
  }

  /// Pairs brackets. Returns which bytes are in an object; they themselves count for nothing.
  SLUICE_INLINE std::uint64_t match(std::uint64_t opens, std::uint64_t closes, std::uint64_t braces) {
    std::uint64_t objects = objects_;
    std::uint64_t wrong = 0;
    int depth = depth_;
    std::uint64_t in_object = 0 - (objects & 1);
    for (std::uint64_t left = opens | closes; left != 0; left = _blsr_u64(left)) {
      const std::uint64_t bit = _blsi_u64(left);
      const std::uint64_t is_brace = (braces & bit) != 0 ? 1 : 0;
      const bool is_close = (closes & bit) != 0;
      wrong |= is_close && (objects & 1) != is_brace ? bit : 0;
      depth += is_close ? -1 : 1;
      if (depth == 0 || depth == kShallow) {
        (depth == 0 ? root_end_ : wrong) |= bit;
        depth += is_close ? 1 : -1;
        break;
      }
      objects = is_close ? objects >> 1 : objects << 1 | is_brace;
      in_object = (in_object & (bit - 1)) | ((0 - (objects & 1)) & (0 - bit));
    }
    objects_ = objects;
    depth_ = depth;
    error_ |= wrong;
    return in_object;
  }

  SLUICE_INLINE void judge_words(const char* p, const Bytes& bytes, std::uint64_t words, std::uint64_t begins) {
    const std::uint64_t digits = bytes.within('0', 9);
    const std::uint64_t zeros = begins & bytes.equal('0');
    error_ |= (zeros << 1 | after_zero_) & words & digits;
    after_zero_ = zeros >> 63;
    std::uint64_t left = words & ~digits & ~literal_;
    literal_ = 0;
    for (std::uint64_t letters = left & begins & bytes.bit<1>(); letters != 0; letters = _blsr_u64(letters)) {
      const int at = __builtin_ctzll(letters);
      const char* const word = p + at;
      std::size_t length = 0;
      if (const auto rest = static_cast<std::size_t>(end_ - word); rest >= kLongestLiteral) {
        length = literal_length(word);
      } else {
        if (_tzcnt_u64(~(words >> at)) == rest) {  // cut by the end of the chunk
          left &= (std::uint64_t{1} << at) - 1;
          break;
        }
        char copy[kLongestLiteral];
        std::memset(copy, ' ', sizeof copy);
        std::memcpy(copy, word, rest);
        length = literal_length(copy);
      }
      error_ |= length == 0 ? 1U : 0U;
      const std::uint64_t mask = (std::uint64_t{1} << length) - 1;
      left &= ~(mask << at);
      literal_ |= at > 32 ? mask >> (64 - at) : 0;
    }
    while (left != 0) {
      const std::uint64_t up_to = _blsmsk_u64(left);
      const std::uint64_t before = begins & up_to;
      if (!is_number(before != 0 ? p + 63 - __builtin_clzll(before) : last_begin_, end_)) error_ |= 1;
      const std::uint64_t behind = ~words & ~up_to;
      left &= ~(_blsi_u64(behind) - 1);
    }
  }

  const char* const end_;
  const char* last_begin_;  // of a word or a string; or where the outermost container ends
  bool is_first_ = false;   // of an array
  Next after_value_, after_name_, before_value_, before_name_, after_bracket_, after_brace_;
  std::uint64_t in_word_ = 0;       // 1: the next block may begin inside a word
  std::uint64_t after_zero_ = 0;    // 1: or behind a zero that begins one
  std::uint64_t name_is_open_ = 0;  // 1: or inside a member's name
  std::uint64_t literal_ = 0;       // which of the next block's first bytes are the rest of one
  std::uint64_t objects_;           // the kinds of the open containers, the innermost one lowest
  int depth_;
  std::uint64_t root_end_ = 0;
  std::uint64_t error_ = 0;
  State state_at_root_end_ = State::after_value;
};

SLUICE_AVX2 const char* pass_tokens(const char* const begin, const char* const end, JsonPlace& place) {
  if (place.depth >= kShallow) return begin;
  Strings strings;
  Grammar grammar(begin, end, place);
  const char* at = begin;
  for (const char* p = begin; p != end;) {
    const char* const piece_end = static_cast<std::size_t>(end - p) > kPiece ? p + kPiece : end;
    bool goes_on = true;
    for (; goes_on && p != piece_end;) {
      const std::size_t size = std::min<std::size_t>(piece_end - p, kBlock);
      char rest[kBlock];
      const char* source = p;
      if (size < kBlock) {
        std::memset(rest, ' ', sizeof rest);
        std::memcpy(rest, p, size);
        source = rest;
      }
      const Bytes bytes = Bytes::load(source);
      strings.block(bytes);
      goes_on = grammar.block(p, size, bytes, strings);
      p += size;
    }
    if (strings.has_failed() || grammar.has_failed()) return at;
    at = grammar.where(p, strings.is_open(), place);
    if (!goes_on) break;
  }
  return at;
}

}  // namespace

PassTokens fastest_pass() {
  __builtin_cpu_init();
  const bool has_all = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("bmi") != 0 &&
                       __builtin_cpu_supports("pclmul") != 0 && __builtin_cpu_supports("lzcnt") != 0;
  return has_all ? &pass_tokens : nullptr;
}

}  // namespace sluice::gateway::detail

#else

namespace sluice::gateway::detail {

PassTokens fastest_pass() {
  return nullptr;
}

}  // namespace sluice::gateway::detail

#endif
