// Places, order and suggestions of configuration problems.
#include "gateway/config_problems.hpp"

#include <algorithm>
#include <charconv>
#include <tuple>
#include <utility>

namespace sluice::gateway {
namespace {

// Edit distance with transposed neighbours counted as one (optimal string alignment).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> table(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        table[i][j] = i + j;
        continue;
      }
      const std::size_t replaced = table[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      table[i][j] = std::min({table[i - 1][j] + 1, table[i][j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        table[i][j] = std::min(table[i][j], table[i - 2][j - 2] + 1);
      }
    }
  }
  return table[a.size()][b.size()];
}

const ConfigNode* walk(const ConfigNode& root, const std::string& pointer, std::size_t& walked) {
  const ConfigNode* node = &root;
  walked = 0;
  while (walked < pointer.size()) {
    const std::size_t end = std::min(pointer.find('/', walked + 1), pointer.size());
    const std::string token = pointer.substr(walked, end - walked);
    const ConfigNode* next = nullptr;
    for (const ConfigNode::Member& member : node->members) {
      const bool is_plain = member.key.find_first_of("~/") == std::string::npos;
      const bool is_it =
          is_plain ? std::string_view(token).substr(1) == member.key : pointer_to("", member.key) == token;
      if (is_it) next = &member.value;
    }
    if (node->kind == ConfigNode::Kind::array) {
      std::size_t index = node->elements.size();
      std::from_chars(token.data() + 1, token.data() + token.size(), index);
      if (index < node->elements.size()) next = &node->elements[index];
    }
    if (next == nullptr) break;
    node = next;
    walked = end;
  }
  return node;
}

}  // namespace

Place place_of(const ConfigNode& root, const std::string& pointer) {
  std::size_t walked = 0;
  const ConfigNode* node = walk(root, pointer, walked);
  return {node->begin, pointer.substr(0, walked)};
}

const ConfigNode* node_at(const ConfigNode& root, const std::string& pointer) {
  std::size_t walked = 0;
  return walk(root, pointer, walked);
}

std::vector<Problem> ConfigProblems::take() {
  if (left_out_ > 0) {
    Problem& rest = problems_.emplace_back(problems_.back());
    rest.severity = has_errors_ ? Problem::Severity::error : Problem::Severity::warning;
    rest.message = "and " + std::to_string(left_out_) + " more problems, which are not shown";
    rest.pointer.clear();
  }
  return std::move(problems_);
}

bool is_good(const ConfigNode& root, const std::string& pointer) {
  std::size_t walked = 0;
  const ConfigNode* node = walk(root, pointer, walked);
  return walked < pointer.size() || node->is_valid;
}

void ConfigProblems::add(Problem::Severity severity, const Place& place, std::string message) {
  has_errors_ = has_errors_ || severity == Problem::Severity::error;
  if (is_full()) {
    ++left_out_;
    return;
  }
  const TextPosition position = position_of(text_, place.offset);
  Problem problem{severity, file_, position.line, position.column, place.pointer, std::move(message)};
  // Kept in order as they come: clang refuses std::stable_sort of libstdc++ 12, which uses something deprecated.
  const auto next = std::upper_bound(
      problems_.begin(), problems_.end(), problem,
      [](const Problem& a, const Problem& b) { return std::tie(a.line, a.column) < std::tie(b.line, b.column); });
  problems_.insert(next, std::move(problem));
}

std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& candidates) {
  std::string_view nearest;
  std::size_t least = word.size() > 64 ? 0 : std::max<std::size_t>(1, word.size() / 3) + 1;
  for (std::string_view candidate : candidates) {
    const std::size_t edits = candidate.size() > 64 ? least : distance(word, candidate);
    if (edits < least) {
      least = edits;
      nearest = candidate;
    }
  }
  return nearest.empty() ? "" : "; did you mean \"" + std::string(nearest) + "\"?";
}

std::string quote(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

std::string quoted_list(const std::vector<std::string_view>& words) {
  std::string list;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) list += i + 1 == words.size() ? " or " : ", ";
    list.append("\"").append(words[i]).append("\"");
  }
  return list;
}

}  // namespace sluice::gateway
