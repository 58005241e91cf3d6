// The grammar of JSON on masks of 64 bytes, a bit each: where strings are after Langdale and Lemire, "Parsing gigabytes
// of JSON per second" (2019), UTF-8 after Keiser and Lemire, "Validating UTF-8 in less than one instruction per byte"
// (2020). Numbers are judged on masks, too: adding a mask of bytes to the mask of the runs that begin there
// carries to behind the runs. What may follow what is judged for 64 tokens at a time, of which only the first bytes are
// left. Only brackets and literals are looked at one by one.
//
// Whatever is wrong is left to the scanner, which finds the first such byte; so it need only be noticed by the end of
// the piece it is in.
#pragma once

#include "gateway/detail/json_place.hpp"
#include "gateway/detail/json_strings.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <immintrin.h>

namespace sluice::gateway::detail {
namespace {

constexpr std::size_t kPiece = 64 * kBlock;

constexpr bool is_delimiter(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',' || c == ':' || c == '[' || c == ']' || c == '{' ||
         c == '}';
}
struct Delimiters {
  constexpr Delimiters() {
    for (int c = 0; c < 256; ++c) is[c] = is_delimiter(static_cast<char>(c));
  }
  bool is[256]{};
};
constexpr Delimiters kDelimiters;

SLUICE_INLINE inline std::uint32_t four_bytes(const char* p) {
  std::uint32_t word = 0;
  std::memcpy(&word, p, sizeof word);
  return word;
}

/// Whether at `p` is true, false or null with a delimiter behind it. No branches: nobody can foretell which it is.
SLUICE_INLINE inline bool is_literal(const char* p) {
  const unsigned more = *p == 'f' ? 1U : 0U;
  const std::uint32_t word = four_bytes(p + more);
  const unsigned is_short = unsigned{word == four_bytes("true")} | unsigned{word == four_bytes("null")};
  const unsigned is_long = unsigned{word == four_bytes("alse")};
  const unsigned is_word = more != 0 ? is_long : is_short;
  return (is_word & unsigned{kDelimiters.is[static_cast<unsigned char>(p[4 + more])]}) != 0;
}

/// A mask that goes on in the next block.
class Carried {
 public:
  Carried() = default;
  explicit Carried(bool is_pending) : pending_(is_pending ? 1 : 0) {}

  [[nodiscard]] bool is_pending() const { return pending_ != 0; }

  /// What is behind each of `mask`, in a block of `size`.
  SLUICE_INLINE std::uint64_t behind(std::uint64_t mask, std::size_t size = kBlock) {
    const std::uint64_t behind = mask << 1 | pending_;
    pending_ = mask >> (size - 1);
    return behind;
  }
  /// Flips those of `runs` that begin at `begins`, and the bytes behind them.
  SLUICE_INLINE std::uint64_t flipped(std::uint64_t runs, std::uint64_t begins) {
    unsigned long long sum = 0;
    pending_ = _addcarry_u64(static_cast<unsigned char>(pending_), runs, begins, &sum);
    return sum;
  }

 private:
  std::uint64_t pending_ = 0;  // 1: so is the next block's first one
};

/// The numbers and literals of a document.
template <typename Vector>
class Words {
 public:
  /// Returns where words begin. `p` is where the block is, with kAhead readable bytes more than that; blanks
  /// stand for what is behind the chunk, of which `left` bytes are.
  SLUICE_INLINE std::uint64_t block(const char* p, const Bytes<Vector>& bytes, std::uint64_t words, std::size_t left) {
    if (words == 0 && !word_.is_pending()) return 0;
    const std::uint64_t begins = words & ~word_.behind(words);
    const std::uint64_t digits = bytes.digits() & words;
    const std::uint64_t minuses = bytes.equal('-') & begins;
    const std::uint64_t points = bytes.equal('.') & words;
    const std::uint64_t integers = digits | minuses;  // and what is behind a point, which is not where a word begins
    const std::uint64_t behind_integers = integer_.flipped(integers, integers & begins) & ~integers;
    const std::uint64_t zeros = (begins | behind_minus_.behind(minuses)) & bytes.equal('0');
    const std::uint64_t before_digits = Bytes<Vector>::load(p + 1).digits();
    const std::uint64_t others = words & ~(integers | points);
    std::uint64_t wrong = (points & ~behind_integers) | (zeros & before_digits) | ((minuses | points) & ~before_digits);
    if ((others | goes_on_) != 0) wrong |= letters(p, bytes, words, begins, digits, others);
    last_digits_ = digits;
    if (left <= kBlock) {
      is_cut_ = (words >> (left - 1) & 1) != 0;
      if (is_cut_) wrong &= begins != 0 ? (std::uint64_t{1} << (63 - std::countl_zero(begins))) - 1 : 0;  // maybe not
    }
    error_ |= wrong;
    return begins;
  }
  [[nodiscard]] SLUICE_INLINE bool has_failed() const { return error_ != 0; }
  /// Whether the next byte may belong to the last word.
  [[nodiscard]] SLUICE_INLINE bool is_open() const { return is_cut_ || word_.is_pending(); }

 private:
  /// Returns what is wrong, at the first byte of a literal, else where it is.
  SLUICE_INLINE std::uint64_t letters(const char* p, const Bytes<Vector>& bytes, std::uint64_t words,
                                      std::uint64_t begins, std::uint64_t digits, std::uint64_t others) {
    std::uint64_t literals = 0;
    for (std::uint64_t left = others & begins; left != 0; left = _blsr_u64(left)) {
      if (is_literal(p + std::countr_zero(left))) literals |= _blsi_u64(left);
    }
    others &= literal_.flipped(words, literals);
    goes_on_ = literal_.is_pending() ? 1 : 0;
    if (others == 0 && !is_in_exponent_) return 0;

    const std::uint64_t exponents = others & bytes.folded().equal('e');
    const std::uint64_t behind_exponents = behind_exponent_.behind(exponents);
    const std::uint64_t signs = others & behind_exponents & (bytes.equal('+') | bytes.equal('-'));
    const std::uint64_t first_digits = (behind_exponents & ~signs) | behind_exponent_sign_.behind(signs);
    const std::uint64_t flipped = exponent_.flipped(digits, first_digits & digits);
    is_in_exponent_ = behind_exponent_.is_pending() || behind_exponent_sign_.is_pending() || exponent_.is_pending();
    if (is_in_exponent_) goes_on_ = 1;
    return (exponents & ~(digits << 1 | last_digits_ >> 63)) | (first_digits & ~digits) | (flipped & ~digits & words) |
           (others & ~(exponents | signs));
  }

  Carried word_, behind_minus_, integer_, literal_;
  Carried behind_exponent_, behind_exponent_sign_, exponent_;
  std::uint64_t last_digits_ = 0;
  std::uint64_t goes_on_ = 0;  // not 0: a literal or an exponent
  bool is_in_exponent_ = false;
  bool is_cut_ = false;  // the chunk ends in a word
  std::uint64_t error_ = 0;
};

/// What may follow what. Of each token there is only the first byte, and of 64 tokens masks, a bit each.
template <typename Vector>
class Grammar {
 public:
  static constexpr std::size_t kMaxDepth = 60;  // open containers; what is deeper is rare

  /// `place` is less than kMaxDepth deep.
  SLUICE_INLINE explicit Grammar(const JsonPlace& place)
      : wanted_(place.state != State::after_value && place.state != State::colon),
        value_wanted_(place.state == State::value && place.in_object),
        opened_(place.state == State::first_element || place.state == State::first_member),
        named_(place.state == State::colon) {
    for (std::size_t level = 1; level < place.depth; ++level)
      kinds_ = kinds_ << 1 | (place.outer_in_object[0] >> level & 1);
    kinds_ = kinds_ << 1 | (place.in_object ? 1 : 0);
  }

  /// The next tokens; behind them kBlock bytes may be overwritten.
  SLUICE_INLINE void judge(char* tokens, std::size_t count) {
    Bytes<Vector>().store(tokens + count);
    for (std::size_t i = 0; i < count; i += kBlock) block(tokens + i, std::min(count - i, kBlock));
  }
  [[nodiscard]] SLUICE_INLINE bool has_failed() const { return error_ != 0; }

  /// With the last token the outermost container ends.
  [[nodiscard]] SLUICE_INLINE bool has_ended() const { return has_ended_; }
  /// Where the document is behind the tokens; if it has ended, before the last one.
  SLUICE_INLINE void tell(JsonPlace& place) const {
    place.depth = static_cast<std::size_t>(63 - std::countl_zero(kinds_));
    place.in_object = (kinds_ & 1) != 0;
    place.outer_in_object[0] = 0;
    for (std::size_t level = 1; level < place.depth; ++level)
      place.outer_in_object[0] |= (kinds_ >> (place.depth - level) & 1) << level;
    const bool is_first = has_ended_ ? is_empty_ : opened_.is_pending();
    place.state = is_first                ? (place.in_object ? State::first_member : State::first_element)
                  : has_ended_            ? State::after_value
                  : named_.is_pending()   ? State::colon
                  : !wanted_.is_pending() ? State::after_value
                  : place.in_object && !value_wanted_.is_pending() ? State::member
                                                                   : State::value;
  }

 private:
  using State = JsonPlace::State;

  /// Behind `count` tokens are zeros.
  SLUICE_INLINE void block(const char* p, std::size_t count) {
    const auto tokens = Bytes<Vector>::load(p);
    const Bytes<Vector> folded = tokens.folded();
    const std::uint64_t opens = folded.equal('{');
    const std::uint64_t closes = folded.equal('}');
    const std::uint64_t colons = tokens.equal(':');
    const std::uint64_t commas = tokens.equal(',');
    const std::uint64_t strings = tokens.equal('"');
    const std::uint64_t all = ~std::uint64_t{0} >> (kBlock - count);
    const std::uint64_t others = (opens | all) & ~(closes | colons | commas | strings);  // values

    error_ |= has_ended_ ? 1 : 0;
    const std::uint64_t in_object = match(opens, closes, tokens.template bit<2>(), all);
    const std::uint64_t wanted = wanted_.behind(opens | commas | colons, count);
    const std::uint64_t firsts = opened_.behind(opens, count);
    const std::uint64_t names_wanted = wanted & in_object & ~value_wanted_.behind(colons, count);
    const std::uint64_t named = named_.behind(strings & names_wanted, count);
    error_ |= (tokens.at_most(0x1f) & all) | (strings & ~wanted) | (others & (names_wanted | ~wanted)) |
              ((commas | (closes & ~firsts)) & (wanted | named)) | (colons & ~named);
    if (has_ended_) is_empty_ = (firsts >> (count - 1) & 1) != 0;
  }

  /// Pairs brackets. Returns which tokens are in an object; brackets are where they stand.
  SLUICE_INLINE std::uint64_t match(std::uint64_t opens, std::uint64_t closes, std::uint64_t braces,
                                    std::uint64_t all) {
    std::uint64_t kinds = kinds_;
    std::uint64_t wrong = 0;
    std::uint64_t in_object = 0 - (kinds & 1);
    for (std::uint64_t left = opens | closes; left != 0; left = _blsr_u64(left)) {
      const std::uint64_t bit = _blsi_u64(left);
      const std::uint64_t is_brace = (braces & bit) != 0 ? 1 : 0;
      const bool is_close = (closes & bit) != 0;
      wrong |= is_close ? kinds ^ is_brace : 0;
      const std::uint64_t next = is_close ? kinds >> 1 : kinds << 1 | is_brace;
      if (next - 2 > (std::uint64_t{1} << kMaxDepth) - 2) {
        has_ended_ = is_close;
        if (!is_close || (all & ~_blsmsk_u64(left)) != 0) wrong = 1;
        break;
      }
      in_object ^= (0 - ((kinds ^ next) & 1)) & ~_blsmsk_u64(left);
      kinds = next;
    }
    kinds_ = kinds;
    error_ |= wrong & 1;
    return in_object;
  }

  std::uint64_t kinds_ = 1;  // of the open containers, the innermost one lowest, behind a one: whether it is an object
  Carried wanted_;           // behind an opening bracket, a comma or a colon
  Carried value_wanted_;     // behind a colon
  Carried opened_;           // behind an opening bracket
  Carried named_;            // behind a name
  std::uint64_t error_ = 0;
  bool has_ended_ = false;  // with the last token the outermost container
  bool is_empty_ = false;   // which was opened just before
};

template <typename Vector>
SLUICE_INLINE inline const char* pass_tokens(const char* const begin, const char* const end, JsonPlace& place) {
  if (place.depth >= Grammar<Vector>::kMaxDepth) return begin;
  Strings<Vector> strings;
  Words<Vector> words;
  Grammar<Vector> grammar(place);
  // The last bytes are copied, with blanks behind them.
  const auto size = static_cast<std::size_t>(end - begin);
  const char* const tail = begin + (size < kAhead ? 0 : (size - kAhead) / kBlock * kBlock);
  char rest[2 * kBlock + kAhead];
  std::memset(rest, ' ', sizeof rest);
  std::memcpy(rest, tail, static_cast<std::size_t>(end - tail));

  std::uint64_t quotes[kPiece / kBlock];
  std::uint64_t inside[kPiece / kBlock];
  char tokens[kPiece + 2 * kBlock];  // their first bytes; the last one stays until it is whole
  std::size_t count = 0;
  const char* last = begin;
  const char* at = begin;
  for (const char* p = begin; p != end;) {
    const std::size_t piece = std::min(static_cast<std::size_t>(end - p), kPiece);
    // One after the other, so that more blocks are under way at once.
    for (std::size_t i = 0; i * kBlock < piece; ++i) {
      const char* const block = p + i * kBlock;
      strings.block(Bytes<Vector>::load(block < tail ? block : rest + (block - tail)));
      quotes[i] = strings.quotes;
      inside[i] = strings.inside;
    }
    for (std::size_t i = 0; i * kBlock < piece; ++i) {
      if ((~inside[i] | quotes[i]) == 0) continue;
      const char* const block = p + i * kBlock;
      const char* const source = block < tail ? block : rest + (block - tail);
      const auto bytes = Bytes<Vector>::load(source);
      const std::uint64_t operators = bytes.operators() & ~inside[i];
      const std::uint64_t others = ~(inside[i] | bytes.blanks() | operators | quotes[i]);
      const std::uint64_t begins = words.block(source, bytes, others, static_cast<std::size_t>(end - block)) |
                                   operators | (quotes[i] & inside[i]);
      bytes.compress(source, begins, tokens + count);
      count += static_cast<std::size_t>(std::popcount(begins));
      if (begins != 0) last = block + (63 - std::countl_zero(begins));
    }
    p += piece;
    const bool is_cut = strings.is_open() || words.is_open();
    const std::size_t whole = is_cut && count != 0 ? count - 1 : count;
    const char cut = tokens[whole];
    grammar.judge(tokens, whole);
    const bool has_failed = strings.has_failed() || words.has_failed() || grammar.has_failed();
    if (has_failed || (is_cut && grammar.has_ended())) return at;
    grammar.tell(place);
    at = is_cut || grammar.has_ended() ? last : p;
    tokens[0] = cut;
    count -= whole;
  }
  return at;
}

}  // namespace
}  // namespace sluice::gateway::detail
