// JsonShape agrees with shaping a tree, key by key, on random documents and configurations.
#include "gateway/json_walk.hpp"
#include "tests/gateway/json_shape_results.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace sluice::gateway {
namespace {

using Json = nlohmann::ordered_json;
using Paths = std::vector<std::string>;

struct Cursor {
  const MemberPath* path;
  const RenameConfig* rename;
  std::size_t at;
  [[nodiscard]] bool is_end() const { return at == path->tokens.size(); }
};
using Cursors = std::vector<Cursor>;

bool any_end(const Cursors& cursors) {
  return std::any_of(cursors.begin(), cursors.end(), [](const Cursor& c) { return c.is_end(); });
}
bool any_dotted(const Cursors& cursors) {
  return std::any_of(cursors.begin(), cursors.end(),
                     [](const Cursor& c) { return !c.path->is_pointer && !c.is_end(); });
}
Cursors at_member(const Cursors& cursors, const std::string& name) {
  Cursors below;
  for (const Cursor& c : cursors) {
    if (!c.is_end() && c.path->tokens[c.at] == name) below.push_back({c.path, c.rename, c.at + 1});
  }
  return below;
}
Cursors at_element(const Cursors& cursors, std::size_t index) {
  Cursors below;
  for (const Cursor& c : cursors) {
    if (c.is_end()) continue;
    if (!c.path->is_pointer) below.push_back(c);
    if (c.path->is_pointer && json_index(c.path->tokens[c.at]) == index) below.push_back({c.path, c.rename, c.at + 1});
  }
  return below;
}

std::optional<Json> allowed(const Json& value, const Cursors& cursors, bool stays) {
  if (any_end(cursors)) return value;
  if (cursors.empty() || !value.is_structured()) return std::nullopt;
  Json result = value.is_object() ? Json::object() : Json::array();
  if (value.is_object()) {
    for (const auto& [name, member] : value.items()) {
      if (auto kept = allowed(member, at_member(cursors, name), false)) result[name] = *kept;
    }
  } else {
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (auto kept = allowed(value[i], at_element(cursors, i), any_dotted(cursors))) result.push_back(*kept);
    }
    stays = stays || any_dotted(cursors);
  }
  if (result.empty() && !stays) return std::nullopt;
  return result;
}

std::optional<Json> denied(const Json& value, const Cursors& cursors) {
  if (any_end(cursors)) return std::nullopt;
  if (cursors.empty() || !value.is_structured()) return value;
  Json result = value.is_object() ? Json::object() : Json::array();
  if (value.is_object()) {
    for (const auto& [name, member] : value.items()) {
      if (auto kept = denied(member, at_member(cursors, name))) result[name] = *kept;
    }
  } else {
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (auto kept = denied(value[i], at_element(cursors, i))) result.push_back(*kept);
    }
  }
  return result;
}

const RenameConfig* rename_of(const Cursors& cursors) {
  const RenameConfig* found = nullptr;
  for (const Cursor& c : cursors) {
    if (c.is_end() && (found == nullptr || c.path->is_pointer)) found = c.rename;
  }
  return found;
}

Json renamed(const Json& value, const Cursors& cursors) {
  if (!value.is_structured()) return value;
  if (value.is_array()) {
    Json result = Json::array();
    for (std::size_t i = 0; i < value.size(); ++i) result.push_back(renamed(value[i], at_element(cursors, i)));
    return result;
  }
  std::vector<std::pair<std::string, const RenameConfig*>> winners;  // of each new name the last in the configuration
  for (const auto& [name, member] : value.items()) {
    const RenameConfig* rename = rename_of(at_member(cursors, name));
    if (rename == nullptr) continue;
    auto same = std::find_if(winners.begin(), winners.end(), [&](const auto& w) { return w.first == rename->to; });
    if (same == winners.end()) {
      winners.emplace_back(rename->to, rename);
    } else {
      same->second = std::max(same->second, rename);
    }
  }
  Json result = Json::object();
  for (const auto& [name, member] : value.items()) {
    const Cursors below = at_member(cursors, name);
    const RenameConfig* rename = rename_of(below);
    const std::string final_name = rename == nullptr ? name : rename->to;
    const auto winner =
        std::find_if(winners.begin(), winners.end(), [&](const auto& w) { return w.first == final_name; });
    if (winner != winners.end() && winner->second != rename) continue;
    result[final_name] = renamed(member, below);
  }
  return result;
}

Json shaped_tree(const CallConfig& call, Json value) {
  std::vector<MemberPath> paths, rename_paths;
  Cursors filter, rename;
  for (const auto& path : call.allow ? *call.allow : call.deny.value_or(Paths())) {
    paths.push_back(MemberPath::parse(path).value());
  }
  for (const auto& entry : call.rename) rename_paths.push_back(MemberPath::parse(entry.path).value());
  for (const auto& path : paths) filter.push_back({&path, nullptr, 0});
  for (std::size_t i = 0; i < rename_paths.size(); ++i) rename.push_back({&rename_paths[i], &call.rename[i], 0});
  if (call.allow) value = value.is_structured() ? allowed(value, filter, true).value() : Json();
  if (call.deny) value = denied(value, filter).value();
  return renamed(value, rename);
}

/// Documents in which no object repeats a name, and configurations, over few names, so that they meet often.
class Generator {
 public:
  explicit Generator(unsigned seed) : random_(seed) {}

  std::string value(int levels) {
    const auto kind = below(levels == 0 ? 2 : 8);
    if (kind == 0) return std::to_string(below(1000));
    if (kind == 1) return R"("}\"]")";
    const bool is_object = kind < 6;
    std::string text(1, is_object ? '{' : '[');
    std::set<std::size_t> names;
    for (auto n = below(5); n > 0; --n) {
      const auto name = below(kNames.size());
      if (is_object && !names.insert(name).second) continue;
      if (text.size() > 1) text += space() + "," + space();
      if (is_object) text += "\"" + (below(2) ? kNames[name] : escaped(name)) + "\"" + space() + ":" + space();
      text += value(levels - 1);
    }
    return text + space() + (is_object ? '}' : ']');
  }

  std::string path() {
    const bool is_pointer = below(2) == 0;
    std::string text;
    for (auto n = 1 + below(3); n > 0; --n) {
      if (is_pointer || !text.empty()) text += is_pointer ? '/' : '.';
      text += kNames[below(kNames.size())];
    }
    return text;
  }

  CallConfig call() {
    CallConfig call;
    const auto filter = below(3);
    if (filter != 0) {
      auto& paths = (filter == 1 ? call.allow : call.deny).emplace();
      for (auto n = 1 + below(4); n > 0; --n) paths.push_back(path());
    }
    for (auto n = below(4); n > 0; --n) {
      const RenameConfig rename{path(), below(4) == 0 ? "new" : kNames[below(kNames.size())]};
      const bool is_there = std::any_of(call.rename.begin(), call.rename.end(),
                                        [&](const RenameConfig& other) { return other.path == rename.path; });
      if (!is_there) call.rename.push_back(rename);
    }
    return call;
  }

 private:
  static std::string escaped(std::size_t name) {
    const char digits[] = {"0123456789abcdef"[kNames[name][0] >> 4], "0123456789abcdef"[kNames[name][0] & 15], 0};
    return std::string("\\u00") + digits;
  }
  std::string space() { return std::string(below(3) == 0 ? below(3) : 0, ' '); }
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }

  inline static const std::vector<std::string> kNames = {"a", "b", "c", "d", "0", "1"};
  std::mt19937 random_;
};

bool repeats_a_name(std::string_view value) {
  std::set<std::string> names;
  JsonWalk walk(value);
  while (walk.next()) {
    if (value[0] == '{' && !names.insert(unescape_json(walk.name()).value()).second) return true;
    if (repeats_a_name(walk.value())) return true;
  }
  return false;
}

TEST(JsonShape, AgreesWithShapingATree) {
  Generator generator(6902);
  int changed = 0, filtered = 0, renames = 0;
  for (int round = 0; round < 20'000; ++round) {
    const CallConfig call = generator.call();
    const std::string document = generator.value(4);
    std::string trace = document;
    for (const auto& path : call.allow.value_or(Paths())) trace += "\nallow " + path;
    for (const auto& path : call.deny.value_or(Paths())) trace += "\ndeny " + path;
    for (const auto& rename : call.rename) trace += "\nrename " + rename.path + " to " + rename.to;
    SCOPED_TRACE(trace);
    const std::string result = shaped(call, document);
    const Json expected = shaped_tree(call, Json::parse(document));
    ASSERT_EQ(Json::parse(result).dump(), expected.dump()) << result;
    ASSERT_FALSE(repeats_a_name(result)) << result;
    if (call.allow || call.deny) filtered += result != document;
    if (!call.rename.empty()) renames += result != document;
    changed += result != document;
    if (document[0] == '{') {
      const std::string lines = members(call, document);
      ASSERT_EQ(static_cast<std::size_t>(std::count(lines.begin(), lines.end(), '\n')), expected.size());
    }
  }
  EXPECT_GT(changed, 5'000);
  EXPECT_GT(filtered, 3'000);
  EXPECT_GT(renames, 3'000);
}

}  // namespace
}  // namespace sluice::gateway
