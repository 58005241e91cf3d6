// A JSON text with comments as a tree that knows where each value stands in the text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::gateway {

/// One value of the text.
struct ConfigNode {
  enum class Kind : std::uint8_t { null, boolean, number, string, array, object };
  struct Member;

  Kind kind = Kind::null;
  std::size_t begin = 0, end = 0;    // offsets of the value in the text
  std::string text;                  // of a string: decoded; of null, a boolean or a number: as written
  std::vector<Member> members;       // of an object, in order, without repeated keys
  std::vector<ConfigNode> elements;  // of an array
  bool has_reference = false;        // of a string: values were put in for `${...}`, which may be secret
  bool is_valid = true;              // false: the checks found a mistake in it

  /// The member `key` of an object; null when there is none.
  [[nodiscard]] ConfigNode* find(std::string_view key);
};

struct ConfigNode::Member {
  std::string key;
  std::size_t begin = 0;  // offset of the key
  ConfigNode value;
};

/// A mistake in the text at an offset.
struct TextProblem {
  std::size_t offset;
  std::string pointer;
  std::string message;
};

/// Appends `token` to a JSON Pointer, escaped.
std::string pointer_to(std::string_view pointer, std::string_view token);

/// Parses JSON with `//` and `/* */` comments. A byte order mark at the front is skipped. Values nest at most 64 deep.
///
/// Empty, with the first mistake in `problems`, when the text is not UTF-8 or not such JSON. A key that is there twice
/// is a mistake too, but the tree is complete, with the first of them.
std::optional<ConfigNode> parse_config_text(std::string_view text, std::vector<TextProblem>& problems);

/// The JSON of `value` without comments and white space; strings and numbers byte for byte as they are.
std::string minified(std::string_view value);

/// Line and column, from 1, of an offset; columns count characters.
struct TextPosition {
  unsigned line, column;
};
TextPosition position_of(std::string_view text, std::size_t offset);

}  // namespace sluice::gateway
