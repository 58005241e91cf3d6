// Parsing the text of a configuration: structure by hand, to have positions, strings and numbers by nlohmann_json.
#include "gateway/config_text.hpp"

#include <algorithm>
#include <cctype>
#include <string>
#include <unordered_set>

#include <nlohmann/json.hpp>

namespace sluice::gateway {
namespace {

using Kind = ConfigNode::Kind;

constexpr std::size_t kMaxDepth = 64;

bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

// Length of the UTF-8 sequence at `at` (RFC 3629 §4), 0 if there is none.
std::size_t utf8_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xC2 && lead <= 0xDF   ? 2
                             : (lead & 0xF0U) == 0xE0       ? 3
                             : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                            : 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80) return 0;
  }
  const unsigned second = byte(1);
  const bool is_overlong = (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
  const bool is_surrogate = lead == 0xED && second > 0x9F;
  const bool is_beyond = lead == 0xF4 && second > 0x8F;
  return is_overlong || is_surrogate || is_beyond ? 0 : length;
}

// Offset behind the white space and comments at `at`, or of a comment that has no end.
std::size_t skip_blank(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    if (std::string_view(" \t\r\n").find(text[at]) != std::string_view::npos) {
      ++at;
    } else if (text.substr(at, 2) == "//") {
      at = std::min(text.find('\n', at), text.size());
    } else if (text.substr(at, 2) == "/*") {
      const std::size_t end = text.find("*/", at + 2);
      if (end == std::string_view::npos) break;
      at = end + 2;
    } else {
      break;
    }
  }
  return at;
}

// Offset behind the string that begins at `at`; npos if its quote is missing on its line.
std::size_t skip_string(std::string_view text, std::size_t at) {
  for (++at; at < text.size() && text[at] != '\n'; ++at) {
    if (text[at] == '"') return at + 1;
    if (text[at] == '\\') ++at;
  }
  return std::string_view::npos;
}

std::string shown(char c) {
  const auto value = static_cast<unsigned char>(c);
  if (value >= 0x20 && value < 0x7f) return std::string("\"") + c + "\"";
  constexpr char kDigits[] = "0123456789ABCDEF";
  return std::string("byte 0x") + kDigits[value / 16] + kDigits[value % 16];
}

class Parser {
 public:
  Parser(std::string_view text, std::vector<TextProblem>& problems) : text_(text), problems_(problems) {}

  std::optional<ConfigNode> parse() {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
    if (!check_utf8()) return std::nullopt;
    ConfigNode root;
    if (!skip()) return std::nullopt;
    if (at_ == text_.size()) {
      fail(at_, "", "the file is empty, expected a JSON object");
      return std::nullopt;
    }
    if (!value(root, "", 0) || !skip()) return std::nullopt;
    if (at_ != text_.size()) {
      fail(at_, "", "expected the end of the file, found " + found());
      return std::nullopt;
    }
    return root;
  }

 private:
  bool check_utf8() {
    for (std::size_t at = at_; at < text_.size();) {
      const std::size_t length = utf8_length(text_, at);
      if (length == 0) return fail(at, "", "the file is not UTF-8: found " + shown(text_[at]));
      at += length;
    }
    return true;
  }

  bool value(ConfigNode& node, const std::string& pointer, std::size_t depth) {
    if (depth == kMaxDepth) {
      return fail(at_, pointer, "values nest more than " + std::to_string(kMaxDepth) + " deep");
    }
    node.begin = at_;
    const char first = at_ < text_.size() ? text_[at_] : '\0';
    const bool is_good = first == '{'   ? object(node, pointer, depth)
                         : first == '[' ? array(node, pointer, depth)
                                        : scalar(node, pointer);
    node.end = at_;
    return is_good;
  }

  bool object(ConfigNode& node, const std::string& pointer, std::size_t depth) {
    node.kind = Kind::object;
    std::unordered_set<std::string> keys;
    ++at_;
    if (!skip()) return false;
    if (take('}')) return true;
    do {
      if (!skip()) return false;
      if (at_ == text_.size() || text_[at_] != '"')
        return fail(at_, pointer, "expected a key in quotes, found " + found());
      ConfigNode key;
      ConfigNode::Member member;
      member.begin = at_;
      if (!scalar(key, pointer)) return false;
      member.key = std::move(key.text);
      if (!skip()) return false;
      if (!take(':'))
        return fail(at_, pointer, "expected \":\" after the key \"" + member.key + "\", found " + found());
      const std::string child = pointer_to(pointer, member.key);
      if (!skip() || !value(member.value, child, depth + 1) || !skip()) return false;
      if (!keys.insert(member.key).second) {
        fail(member.begin, child, "the key \"" + member.key + "\" is there twice");
      } else {
        node.members.push_back(std::move(member));
      }
    } while (take(','));
    return take('}') || fail(at_, pointer, "expected \",\" or \"}\", found " + found());
  }

  bool array(ConfigNode& node, const std::string& pointer, std::size_t depth) {
    node.kind = Kind::array;
    ++at_;
    if (!skip()) return false;
    if (take(']')) return true;
    do {
      const std::string child = pointer_to(pointer, std::to_string(node.elements.size()));
      if (!skip() || !value(node.elements.emplace_back(), child, depth + 1) || !skip()) return false;
    } while (take(','));
    return take(']') || fail(at_, pointer, "expected \",\" or \"]\", found " + found());
  }

  bool scalar(ConfigNode& node, const std::string& pointer) {
    std::size_t end = at_;
    if (at_ < text_.size() && text_[at_] == '"') {
      end = skip_string(text_, at_);
      if (end == std::string_view::npos) return fail(at_, pointer, "the string has no closing quote on its line");
    } else {
      while (end < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[end])) != 0 ||
                                    std::string_view("+-._").find(text_[end]) != std::string_view::npos)) {
        ++end;
      }
      if (end == at_) return fail(at_, pointer, "expected a value, found " + found());
    }
    const std::string_view token = text_.substr(at_, end - at_);
    const auto json = nlohmann::json::parse(token, nullptr, false);
    if (json.is_discarded()) {
      if (token.front() == '"') return fail(at_, pointer, "the string has an invalid escape or a control character");
      return fail(at_, pointer, "expected a value, found \"" + std::string(token.substr(0, 40)) + "\"");
    }
    node.kind = json.is_string()   ? Kind::string
                : json.is_number() ? Kind::number
                : json.is_null()   ? Kind::null
                                   : Kind::boolean;
    node.text = json.is_string() ? json.get<std::string>() : std::string(token);
    at_ = end;
    return true;
  }

  bool skip() {
    at_ = skip_blank(text_, at_);
    if (text_.substr(at_, 2) == "/*") return fail(at_, "", "the comment has no end");
    return true;
  }

  bool take(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  std::string found() const { return at_ < text_.size() ? shown(text_[at_]) : "the end of the file"; }

  bool fail(std::size_t offset, std::string pointer, std::string message) {
    problems_.push_back({offset, std::move(pointer), std::move(message)});
    return false;
  }

  std::string_view text_;
  std::vector<TextProblem>& problems_;
  std::size_t at_ = 0;
};

}  // namespace

ConfigNode* ConfigNode::find(std::string_view key) {
  const auto member = std::find_if(members.begin(), members.end(), [&](const Member& m) { return m.key == key; });
  return member == members.end() ? nullptr : &member->value;
}

std::string pointer_to(std::string_view pointer, std::string_view token) {
  std::string result = std::string(pointer) + "/";
  for (char c : token) {
    if (c == '~') {
      result += "~0";
    } else if (c == '/') {
      result += "~1";
    } else {
      result.push_back(c);
    }
  }
  return result;
}

std::optional<ConfigNode> parse_config_text(std::string_view text, std::vector<TextProblem>& problems) {
  return Parser(text, problems).parse();
}

std::string minified(std::string_view value) {
  std::string result;
  for (std::size_t at = skip_blank(value, 0); at < value.size(); at = skip_blank(value, at)) {
    const std::size_t end = value[at] == '"' ? skip_string(value, at) : at + 1;
    result += value.substr(at, end - at);
    at = end;
  }
  return result;
}

TextPosition position_of(std::string_view text, std::size_t offset) {
  if (text.starts_with("\xEF\xBB\xBF")) {
    text.remove_prefix(3);
    offset -= std::min<std::size_t>(offset, 3);
  }
  text = text.substr(0, offset);
  const auto line = static_cast<unsigned>(1 + std::count(text.begin(), text.end(), '\n'));
  text.remove_prefix(text.rfind('\n') + 1);  // npos + 1 is 0
  const auto column =
      static_cast<unsigned>(1 + std::count_if(text.begin(), text.end(), [](char c) { return !is_continuation(c); }));
  return {line, column};
}

}  // namespace sluice::gateway
