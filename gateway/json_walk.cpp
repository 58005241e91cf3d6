#include "gateway/json_walk.hpp"

#include <charconv>
#include <cstdint>
#include <system_error>
#include <utility>

namespace sluice::gateway {
namespace {

using detail::behind_space;
using detail::end_of_string;
using detail::end_of_value;

/// The UTF-16 code unit of the four hexadecimal digits at `p`.
std::uint32_t code_unit(const char* p) {
  std::uint32_t unit = 0;
  std::from_chars(p, p + 4, unit, 16);
  return unit;
}

void append_utf8(std::string& text, std::uint32_t code_point) {
  const auto append = [&](std::uint32_t byte) { text += static_cast<char>(byte); };
  if (code_point < 0x80) return append(code_point);
  if (code_point < 0x800) {
    append(0xc0 | code_point >> 6);
  } else {
    if (code_point < 0x10000) {
      append(0xe0 | code_point >> 12);
    } else {
      append(0xf0 | code_point >> 18);
      append(0x80 | (code_point >> 12 & 0x3f));
    }
    append(0x80 | (code_point >> 6 & 0x3f));
  }
  append(0x80 | (code_point & 0x3f));
}

}  // namespace

JsonKind kind_of(std::string_view value) {
  switch (value.front()) {
    case '{':
      return JsonKind::object;
    case '[':
      return JsonKind::array;
    case '"':
      return JsonKind::string;
    case 't':
    case 'f':
      return JsonKind::boolean;
    case 'n':
      return JsonKind::null;
    default:
      return JsonKind::number;
  }
}

std::optional<std::string> unescape_json(std::string_view content) {
  std::string text;
  for (;;) {
    const std::size_t escape = content.find('\\');
    text += content.substr(0, escape);
    if (escape == content.npos) return text;
    const char kind = content[escape + 1];
    content.remove_prefix(escape + 2);
    if (kind != 'u') {
      constexpr std::string_view kLetters = "bfnrt", kMeanings = "\b\f\n\r\t";
      const std::size_t letter = kLetters.find(kind);
      text += letter == kLetters.npos ? kind : kMeanings[letter];
      continue;
    }
    std::uint32_t unit = code_unit(content.data());
    content.remove_prefix(4);
    if (unit >= 0xd800 && unit < 0xe000) {
      if (unit >= 0xdc00 || !content.starts_with("\\u")) return std::nullopt;
      const std::uint32_t low = code_unit(content.data() + 2);
      if (low < 0xdc00 || low >= 0xe000) return std::nullopt;
      unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
      content.remove_prefix(6);
    }
    append_utf8(text, unit);
  }
}

std::string json_string(std::string_view text) {
  std::string json = "\"";
  for (const char c : text) {
    if (detail::byte(c) < 0x20) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      json.append("\\u00").append(1, kDigits[detail::byte(c) >> 4]).append(1, kDigits[detail::byte(c) & 15]);
      continue;
    }
    if (c == '"' || c == '\\') json += '\\';
    json += c;
  }
  return json += '"';
}

JsonWalk::JsonWalk(std::string_view container)
    : at_(container.data()), end_(at_ + container.size()), in_object_(container.starts_with('{')) {
  if (in_object_ || container.starts_with('[')) {
    ++at_;
  } else {
    at_ = end_;
  }
}

bool JsonWalk::next() {
  Quantum quantum = Quantum::unlimited();
  return step(quantum) == Step::item;
}

JsonWalk::Step JsonWalk::step(Quantum& quantum) {
  if (quantum.is_spent()) return Step::pause;
  if (!skip_.is_under_way()) {
    quantum.spend(Quantum::kStep);
    at_ = behind_space(at_, end_);
    if (at_ != end_ && *at_ == ',') at_ = behind_space(at_ + 1, end_);
    if (at_ == end_ || *at_ == '}' || *at_ == ']') return Step::end;
    if (in_object_) {
      const char* const behind = end_of_string(at_ + 1, end_);
      name_ = {at_ + 1, behind - 1};
      at_ = behind_space(behind, end_);
      at_ = behind_space(at_ + 1, end_);  // the colon
    }
    if (static_cast<std::size_t>(end_ - at_) <= quantum.left()) {
      const char* const behind = end_of_value(at_, end_);
      quantum.spend(static_cast<std::size_t>(behind - at_));
      value_ = {at_, behind};
      at_ = behind;
      return Step::item;
    }
    skip_.start(at_);
    if (quantum.is_spent()) return Step::pause;
  }
  const char* const from = skip_.at();
  const bool is_over = skip_.run(quantum.left(), end_);
  quantum.spend(static_cast<std::size_t>(skip_.at() - from));
  if (!is_over) return Step::pause;
  value_ = {at_, skip_.at()};
  at_ = skip_.at();
  return Step::item;
}

bool JsonWalk::is_named(std::string_view name) const {
  constexpr std::size_t kLongestEscape = 6;
  if (name_.size() > kLongestEscape * name.size()) return false;
  if (name_.find('\\') == name_.npos) return name_ == name;
  return unescape_json(name_) == name;
}

std::string_view JsonWalk::whole() const {
  if (!in_object_) return value_;
  return {name_.data() - 1, value_.data() + value_.size()};
}

std::optional<std::size_t> json_index(std::string_view token) {
  if (token.empty() || (token.size() > 1 && token[0] == '0')) return std::nullopt;
  std::size_t index = 0;
  const auto [rest, error] = std::from_chars(token.data(), token.data() + token.size(), index);
  if (error != std::errc() || rest != token.data() + token.size()) return std::nullopt;
  return index;
}

std::optional<JsonPointer> JsonPointer::parse(std::string_view text) {
  if (!text.empty() && text[0] != '/') return std::nullopt;
  JsonPointer pointer;
  auto& tokens = pointer.tokens_;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '/') {
      tokens.emplace_back();
    } else if (text[i] != '~') {
      tokens.back() += text[i];
    } else {
      ++i;
      if (i == text.size() || (text[i] != '0' && text[i] != '1')) return std::nullopt;
      tokens.back() += text[i] == '0' ? '~' : '/';
    }
  }
  return pointer;
}

std::optional<std::string_view> JsonPointer::find(std::string_view value) const {
  JsonSearch search(*this, value);
  Quantum quantum = Quantum::unlimited();
  (void)search.run(quantum);
  return search.found();
}

JsonSearch::JsonSearch(const JsonPointer& pointer, std::string_view value)
    : tokens_(pointer.tokens()), found_(value), walk_({}) {}

/// Begins to look for the next token in what was found; false if there is nothing more to do.
bool JsonSearch::descend() {
  if (!found_ || token_ == tokens_.size()) return false;
  const std::string_view value = *std::exchange(found_, std::nullopt);
  in_array_ = value.starts_with('[');
  index_ = in_array_ ? json_index(tokens_[token_]) : std::nullopt;
  passed_ = 0;
  walk_ = JsonWalk(in_array_ && !index_ ? std::string_view() : value);
  return true;
}

bool JsonSearch::run(Quantum& quantum) {
  for (;;) {
    if (!is_inside_ && !(is_inside_ = descend())) return true;
    const JsonWalk::Step step = walk_.step(quantum);
    if (step == JsonWalk::Step::pause) return false;
    if (step == JsonWalk::Step::end) {
      ++token_;
      is_inside_ = false;
    } else if (!in_array_) {
      if (walk_.is_named(tokens_[token_])) found_ = walk_.value();
    } else if (passed_++ == *index_) {
      found_ = walk_.value();
      ++token_;
      is_inside_ = false;
    }
  }
}

}  // namespace sluice::gateway
