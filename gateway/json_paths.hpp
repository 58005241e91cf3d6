// JSON Pointers compiled for finding values while a document is scanned.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::gateway {

/// The content of a JSON string, quotes left out, with its escapes resolved; nothing if that is not Unicode, because of
/// an escaped lone surrogate. `content` must come from a valid document.
[[nodiscard]] std::optional<std::string> unescape_json(std::string_view content);

/// A set of JSON Pointers (RFC 6901) as a tree of their tokens, in depth-first order.
///
/// A token names a member of an object, compared after unescaping and without Unicode normalisation, or an element of
/// an array if it is a decimal index ("-" never finds one). "" is the whole value.
///
/// Thread: immutable.
class JsonPaths {
 public:
  struct Node {
    std::string token;
    std::optional<std::size_t> index;   ///< `token` as an array index
    std::vector<std::size_t> children;  ///< nodes
    std::size_t end;                    ///< node behind the subtree of this one
  };

  /// Throws std::invalid_argument if one is not a JSON Pointer.
  explicit JsonPaths(const std::vector<std::string>& pointers);

  [[nodiscard]] static bool is_pointer(std::string_view text);

  /// The tree; node 0 is the whole value.
  [[nodiscard]] const std::vector<Node>& nodes() const { return nodes_; }

  /// The node of each pointer, in the order they were given.
  [[nodiscard]] const std::vector<std::size_t>& targets() const { return targets_; }

  /// Levels of the tree, node 0 being one.
  [[nodiscard]] std::size_t levels() const { return levels_; }

  /// Bytes that the longest token can take in a document, where each byte may be written as \u00XX.
  [[nodiscard]] std::size_t longest_name() const { return longest_name_; }

  /// Child of `node` for the member whose name is written `name` in a document, quotes left out.
  [[nodiscard]] std::optional<std::size_t> member(std::size_t node, std::string_view name) const;

  /// Child of `node` for the element `index` of an array.
  [[nodiscard]] std::optional<std::size_t> element(std::size_t node, std::size_t index) const;

 private:
  std::vector<Node> nodes_;
  std::vector<std::size_t> targets_;
  std::size_t levels_ = 1;
  std::size_t longest_name_ = 0;
};

}  // namespace sluice::gateway
