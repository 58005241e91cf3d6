// One recursive descent for both: without a place to put the value it only checks.
#include "loadtest/json.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

namespace sluice::loadtest {
namespace {

constexpr int kMaxDepth = 512;

/// Bytes that a string may hold as they are: not '"', '\', control characters, nor those above 0x7f.
constexpr auto kPlain = [] {
  std::array<bool, 256> plain{};
  for (std::size_t c = 0x20; c < 0x80; ++c) plain[c] = c != '"' && c != '\\';
  return plain;
}();

void append_utf8(std::string& text, std::uint32_t code) {
  const auto put = [&](std::uint32_t byte) { text += static_cast<char>(byte); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xc0 | code >> 6);
  } else {
    if (code < 0x10000) {
      put(0xe0 | code >> 12);
    } else {
      put(0xf0 | code >> 18);
      put(0x80 | (code >> 12 & 0x3f));
    }
    put(0x80 | (code >> 6 & 0x3f));
  }
  put(0x80 | (code & 0x3f));
}

class Parser {
 public:
  Parser(std::string_view text, bool with_comments)
      : begin_(text.data()), at_(text.data()), end_(text.data() + text.size()), with_comments_(with_comments) {}

  /// The whole text, into `out` unless that is null. False: `problem()`.
  bool parse(Json* out) {
    return skip_space() && value(out, 0) && skip_space() && (at_ == end_ || fail("nothing after the value"));
  }

  [[nodiscard]] JsonProblem problem() const { return {static_cast<std::size_t>(at_ - begin_), expected_}; }

 private:
  bool fail(std::string_view expected) {
    expected_ = expected;
    return false;
  }

  [[nodiscard]] bool is_at(char c) const { return at_ != end_ && *at_ == c; }
  [[nodiscard]] bool is_digit() const { return at_ != end_ && *at_ >= '0' && *at_ <= '9'; }

  bool take(char c) {
    if (!is_at(c)) return false;
    ++at_;
    return true;
  }

  bool skip_space() {
    for (;;) {
      while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
      if (!with_comments_ || !is_at('/')) return true;
      const std::string_view rest(at_, static_cast<std::size_t>(end_ - at_));
      const bool is_line = rest.starts_with("//");
      if (!is_line && !rest.starts_with("/*")) return fail("a value or a comment");
      const std::size_t end = is_line ? std::min(rest.find('\n'), rest.size()) : rest.find("*/", 2);
      if (end == std::string_view::npos) return fail("an end of this comment");
      at_ += end + (is_line ? 0 : 2);
    }
  }

  bool value(Json* out, int depth) {
    if (at_ == end_) return fail("a value");
    const char* const start = at_;
    const auto set = [&](Json::Type type) {
      if (out) out->type = type;
    };
    bool good = false;
    switch (*at_) {
      case '{':
        set(Json::Type::object);
        good = depth < kMaxDepth ? object(out, depth) : fail("at most 512 levels");
        break;
      case '[':
        set(Json::Type::array);
        good = depth < kMaxDepth ? array(out, depth) : fail("at most 512 levels");
        break;
      case '"':
        set(Json::Type::string);
        good = string(out ? &out->string : nullptr);
        break;
      case 't':
      case 'f':
        set(Json::Type::boolean);
        if (out) out->boolean = *at_ == 't';
        good = word(*at_ == 't' ? "true" : "false");
        break;
      case 'n':
        good = word("null");
        break;
      default:
        set(Json::Type::number);
        good = number(out);
    }
    if (good && out) {
      out->begin = static_cast<std::size_t>(start - begin_);
      out->end = static_cast<std::size_t>(at_ - begin_);
    }
    return good;
  }

  bool word(std::string_view expected) {
    if (!std::string_view(at_, static_cast<std::size_t>(end_ - at_)).starts_with(expected)) return fail("a value");
    at_ += expected.size();
    return true;
  }

  bool object(Json* out, int depth) {
    ++at_;
    if (!skip_space()) return false;
    if (take('}')) return true;
    for (;;) {
      if (!is_at('"')) return fail("the name of a member in quotes");
      Json* child = nullptr;
      std::string* name = nullptr;
      if (out) {
        auto& member = out->members.emplace_back();
        name = &member.name;
        child = &member.value;
      }
      if (!string(name) || !skip_space()) return false;
      if (!take(':')) return fail("':'");
      if (!skip_space() || !value(child, depth + 1) || !skip_space()) return false;
      if (take('}')) return true;
      if (!take(',')) return fail("',' or '}'");
      if (!skip_space()) return false;
    }
  }

  bool array(Json* out, int depth) {
    ++at_;
    if (!skip_space()) return false;
    if (take(']')) return true;
    for (;;) {
      if (!value(out ? &out->items.emplace_back() : nullptr, depth + 1) || !skip_space()) return false;
      if (take(']')) return true;
      if (!take(',')) return fail("',' or ']'");
      if (!skip_space()) return false;
    }
  }

  bool string(std::string* out) {
    ++at_;
    for (;;) {
      const char* const start = at_;
      while (at_ != end_ && kPlain[static_cast<unsigned char>(*at_)]) ++at_;
      if (out) out->append(start, at_);
      if (at_ == end_) return fail("an end of this string");
      if (take('"')) return true;
      const bool good = *at_ == '\\' ? escape(out) : rune(out);
      if (!good) return false;
    }
  }

  bool escape(std::string* out) {
    constexpr std::string_view kLetters = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
    ++at_;
    if (at_ == end_) return fail("an escape");
    if (*at_ != 'u') {
      const std::size_t letter = kLetters.find(*at_);
      if (letter == std::string_view::npos) return fail("an escape of JSON");
      if (out) *out += kMeanings[letter];
      ++at_;
      return true;
    }
    std::uint32_t code = 0;
    if (!hex(code)) return false;
    if (code >= 0xd800 && code < 0xdc00 && end_ - at_ >= 6 && at_[0] == '\\' && at_[1] == 'u') {
      const char* const back = at_++;
      std::uint32_t low = 0;
      if (!hex(low)) return false;
      if (low >= 0xdc00 && low < 0xe000) {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
      } else {
        at_ = back;  // a lone surrogate is JSON; the next escape is read by itself
      }
    }
    if (out) append_utf8(*out, code >= 0xd800 && code < 0xe000 ? 0xfffd : code);
    return true;
  }

  /// `u` and four digits.
  bool hex(std::uint32_t& code) {
    ++at_;
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = at_ == end_ ? '\0' : *at_;
      const char lower = static_cast<char>(c | 0x20);
      if (c >= '0' && c <= '9') {
        code = code * 16 + static_cast<std::uint32_t>(c - '0');
      } else if (lower >= 'a' && lower <= 'f') {
        code = code * 16 + static_cast<std::uint32_t>(lower - 'a' + 10);
      } else {
        return fail("four hexadecimal digits");
      }
    }
    return true;
  }

  /// One code point of two to four bytes (RFC 3629, §4).
  bool rune(std::string* out) {
    const auto byte = [&](int i) { return at_ + i < end_ ? static_cast<unsigned char>(at_[i]) : 0u; };
    const unsigned first = byte(0), second = byte(1);
    unsigned low = 0x80, high = 0xbf;  // of the second
    int size = 0;
    if (first >= 0xc2 && first <= 0xdf) {
      size = 2;
    } else if (first >= 0xe0 && first <= 0xef) {
      size = 3;
      if (first == 0xe0) low = 0xa0;
      if (first == 0xed) high = 0x9f;
    } else if (first >= 0xf0 && first <= 0xf4) {
      size = 4;
      if (first == 0xf0) low = 0x90;
      if (first == 0xf4) high = 0x8f;
    } else {
      return fail(first < 0x20 ? "no control character in a string" : "valid UTF-8");
    }
    if (second < low || second > high) return fail("valid UTF-8");
    for (int i = 2; i < size; ++i)
      if ((byte(i) & 0xc0) != 0x80) return fail("valid UTF-8");
    if (out) out->append(at_, static_cast<std::size_t>(size));
    at_ += size;
    return true;
  }

  bool digits() {
    if (!is_digit()) return fail("a digit");
    while (is_digit()) ++at_;
    return true;
  }

  bool number(Json* out) {
    const char* const start = at_;
    const bool is_negative = take('-');
    if (!is_digit()) return fail(is_negative ? "a digit" : "a value");
    if (!take('0') && !digits()) return false;
    if (take('.') && !digits()) return false;
    if (is_at('e') || is_at('E')) {
      ++at_;
      if (!take('+')) take('-');
      if (!digits()) return false;
    }
    if (out) std::from_chars(start, at_, out->number);
    return true;
  }

  const char *const begin_, *at_, *const end_;
  const bool with_comments_;
  std::string_view expected_;
};

}  // namespace

std::optional<JsonProblem> find_json_problem(std::string_view text) {
  Parser parser(text, false);
  if (parser.parse(nullptr)) return std::nullopt;
  return parser.problem();
}

std::optional<Json> parse_json(std::string_view text, JsonProblem& problem) {
  Parser parser(text, true);
  Json json;
  if (parser.parse(&json)) return json;
  problem = parser.problem();
  return std::nullopt;
}

}  // namespace sluice::loadtest
