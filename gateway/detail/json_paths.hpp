// The paths of one shape as trees, and where in them a value stands.
#pragma once

#include "gateway/json_shape.hpp"
#include "gateway/json_walk.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::gateway::detail {

struct Renamed {
  std::string member;  // `"new":`
  std::string to;
  std::size_t order;  // in the configuration
};

/// Paths as a tree of their tokens.
struct Node {
  std::string token;
  std::optional<std::size_t> index;  // the token as that of an element
  bool is_end = false;
  const Renamed* renamed = nullptr;
  bool renames_children = false;
  std::vector<Node> children;

  Node& child(const std::string& name) {
    const auto found =
        std::find_if(children.begin(), children.end(), [&](const Node& node) { return node.token == name; });
    if (found != children.end()) return *found;
    Node& added = children.emplace_back();
    added.token = name;
    added.index = json_index(name);
    return added;
  }
};

/// A member's name, to be compared.
class Name {
 public:
  Name(std::string_view written, bool has_escapes) : written_(written), text_(written) {
    if (!has_escapes) return;
    if (written.size() > kLongest) {
      is_unicode_ = false;
      return;
    }
    auto plain = unescape_json(written);
    is_unicode_ = plain.has_value();
    if (plain) text_ = unescaped_ = std::move(*plain);
  }
  Name(const Name&) = delete;
  Name& operator=(const Name&) = delete;

  [[nodiscard]] std::string_view written() const { return written_; }
  [[nodiscard]] bool is(std::string_view name) const { return is_unicode_ && text_ == name; }

 private:
  static constexpr std::size_t kLongest = 64 * 1024;  // nobody configures one like that

  std::string_view written_;
  std::string unescaped_;
  std::string_view text_;
  bool is_unicode_ = true;
};

/// The nodes that lead to a value; null: no path goes on from there.
struct Spot {
  const Node* dotted = nullptr;
  const Node* pointer = nullptr;

  [[nodiscard]] bool leads_on() const { return dotted != nullptr || pointer != nullptr; }
  [[nodiscard]] bool is_end() const {
    return (dotted != nullptr && dotted->is_end) || (pointer != nullptr && pointer->is_end);
  }
  [[nodiscard]] bool renames_members() const {
    return (dotted != nullptr && dotted->renames_children) || (pointer != nullptr && pointer->renames_children);
  }
  /// The pointer is the more precise of the two.
  [[nodiscard]] const Renamed* renamed() const {
    if (pointer != nullptr && pointer->renamed != nullptr) return pointer->renamed;
    return dotted == nullptr ? nullptr : dotted->renamed;
  }

  template <class Function>
  void for_each_rename(Function function) const {
    for (const Node* node : {dotted, pointer}) {
      if (node == nullptr || !node->renames_children) continue;
      for (const Node& child : node->children) {
        if (child.renamed != nullptr) function(*child.renamed);
      }
    }
  }

  [[nodiscard]] Spot member(const Name& name) const {
    const auto below = [&](const Node* node) -> const Node* {
      if (node == nullptr) return nullptr;
      for (const Node& child : node->children) {
        if (name.is(child.token)) return &child;
      }
      return nullptr;
    };
    return {below(dotted), below(pointer)};
  }
  [[nodiscard]] Spot element(std::size_t index) const {
    if (pointer == nullptr) return {dotted, nullptr};
    for (const Node& child : pointer->children) {
      if (child.index == index) return {dotted, &child};
    }
    return {dotted, nullptr};
  }
};

struct Paths {
  Node dotted, pointers;

  Node& add(const MemberPath& path, Node** parent = nullptr) {
    Node* node = path.is_pointer ? &pointers : &dotted;
    for (const std::string& token : path.tokens) {
      if (parent != nullptr) *parent = node;
      node = &node->child(token);
    }
    return *node;
  }
  [[nodiscard]] Spot root() const {
    return {dotted.children.empty() ? nullptr : &dotted, pointers.children.empty() ? nullptr : &pointers};
  }
};

}  // namespace sluice::gateway::detail
