// Compiles JSON Pointers and resolves the escapes of JSON strings.
#include "gateway/json_paths.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <numeric>
#include <stdexcept>
#include <system_error>

namespace sluice::gateway {
namespace {

/// The tokens of a well-formed pointer.
std::vector<std::string> tokens_of(std::string_view pointer) {
  std::vector<std::string> tokens;
  for (std::size_t i = 0; i < pointer.size(); ++i) {
    if (pointer[i] == '/') {
      tokens.emplace_back();
    } else if (pointer[i] == '~') {
      tokens.back() += pointer[++i] == '0' ? '~' : '/';
    } else {
      tokens.back() += pointer[i];
    }
  }
  return tokens;
}

std::optional<std::size_t> index_of(std::string_view token) {
  if (token.empty() || (token.size() > 1 && token[0] == '0')) return std::nullopt;
  std::size_t index = 0;
  const auto [rest, error] = std::from_chars(token.data(), token.data() + token.size(), index);
  if (error != std::errc() || rest != token.data() + token.size()) return std::nullopt;
  return index;
}

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

JsonPaths::JsonPaths(const std::vector<std::string>& pointers) : targets_(pointers.size()) {
  std::vector<std::vector<std::string>> paths;
  for (const auto& pointer : pointers) {
    if (!is_pointer(pointer)) throw std::invalid_argument("not a JSON Pointer: " + pointer);
    paths.push_back(tokens_of(pointer));
  }
  std::vector<std::size_t> order(paths.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return paths[a] < paths[b]; });

  // Sorted, the paths that share their first tokens are neighbours, and each adds what the one before does not have.
  nodes_.push_back({"", std::nullopt, {}, 0});
  for (const std::size_t target : order) {
    std::size_t node = 0;
    for (const auto& token : paths[target]) {
      if (nodes_[node].children.empty() || nodes_[nodes_[node].children.back()].token != token) {
        nodes_[node].children.push_back(nodes_.size());
        nodes_.push_back({token, index_of(token), {}, 0});
        longest_name_ = std::max(longest_name_, 6 * token.size());
      }
      node = nodes_[node].children.back();
    }
    targets_[target] = node;
    levels_ = std::max(levels_, paths[target].size() + 1);
  }
  for (std::size_t node = nodes_.size(); node-- > 0;) {
    const auto& children = nodes_[node].children;
    nodes_[node].end = children.empty() ? node + 1 : nodes_[children.back()].end;
  }
}

bool JsonPaths::is_pointer(std::string_view text) {
  if (!text.empty() && text[0] != '/') return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '~' && (i + 1 == text.size() || (text[i + 1] != '0' && text[i + 1] != '1'))) return false;
  }
  return true;
}

std::optional<std::size_t> JsonPaths::member(std::size_t node, std::string_view name) const {
  const auto& children = nodes_[node].children;
  if (children.empty() || name.size() > longest_name_) return std::nullopt;
  std::optional<std::string> unescaped;
  if (name.find('\\') != name.npos) {
    unescaped = unescape_json(name);
    if (!unescaped) return std::nullopt;
    name = *unescaped;
  }
  const auto child =
      std::find_if(children.begin(), children.end(), [&](std::size_t c) { return nodes_[c].token == name; });
  return child == children.end() ? std::nullopt : std::optional(*child);
}

std::optional<std::size_t> JsonPaths::element(std::size_t node, std::size_t index) const {
  const auto& children = nodes_[node].children;
  const auto child =
      std::find_if(children.begin(), children.end(), [&](std::size_t c) { return nodes_[c].index == index; });
  return child == children.end() ? std::nullopt : std::optional(*child);
}

}  // namespace sluice::gateway
