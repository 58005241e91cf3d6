// Finds values in JSON that is known to be valid, as slices of it: nothing is copied, converted or allocated.
#pragma once

#include "gateway/detail/json_tokens.hpp"
#include "gateway/json_scanner.hpp"
#include "gateway/turns.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::gateway {

// Everything here takes text that a JsonScanner has accepted, or a value that was found in it, without white space
// around it.

[[nodiscard]] JsonKind kind_of(std::string_view value);

/// The content of a string, quotes left out, with its escapes resolved; nothing if that is not Unicode, because of an
/// escaped lone surrogate.
[[nodiscard]] std::optional<std::string> unescape_json(std::string_view content);

/// `text`, which is UTF-8, as a JSON string.
[[nodiscard]] std::string json_string(std::string_view text);

/// Goes through the members of an object, or the elements of an array, in order. *one worker*
class JsonWalk {
 public:
  /// Of any other value there is nothing to go through.
  explicit JsonWalk(std::string_view container);

  /// Moves to the next; false at the end. Costs a pass over what is moved past.
  [[nodiscard]] bool next();
  enum class Step { item, end, pause };
  /// The same bit by bit: after `pause` there is more to do, with another quantum.
  [[nodiscard]] Step step(Quantum& quantum);

  /// Of a member: as written, without its quotes.
  [[nodiscard]] std::string_view name() const { return name_; }
  /// Whether that is how a document may write `name`. Without Unicode normalisation.
  [[nodiscard]] bool is_named(std::string_view name) const;
  [[nodiscard]] std::string_view value() const { return value_; }
  /// The member from its name to the end of its value, or the element.
  [[nodiscard]] std::string_view whole() const;

 private:
  const char* at_;
  const char* end_;
  detail::ValueSkip skip_;
  bool in_object_;
  std::string_view name_;
  std::string_view value_;
};

/// A JSON Pointer (RFC 6901). A token names a member of an object (the last of those that share the name) or an element
/// of an array if it is a decimal index. "" is the whole value. *immutable*
class JsonPointer {
 public:
  /// Nothing if `text` is not one.
  static std::optional<JsonPointer> parse(std::string_view text);

  [[nodiscard]] const std::vector<std::string>& tokens() const { return tokens_; }
  /// The value that it points to, a slice of `value`; nothing if there is none.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view value) const;

 private:
  std::vector<std::string> tokens_;
};

/// JsonPointer::find() bit by bit; the pointer must live as long. *one worker*
class JsonSearch {
 public:
  JsonSearch(const JsonPointer& pointer, std::string_view value);

  /// True when it is over.
  [[nodiscard]] bool run(Quantum& quantum);
  [[nodiscard]] std::optional<std::string_view> found() const { return found_; }

 private:
  bool descend();

  const std::vector<std::string>& tokens_;
  std::size_t token_ = 0;
  std::optional<std::size_t> index_;  // the token as that of an element
  std::size_t passed_ = 0;            // elements
  std::optional<std::string_view> found_;
  bool in_array_ = false;
  bool is_inside_ = false;  // looking for a token
  JsonWalk walk_;
};

/// `token` as the index of an element: decimal, without leading zeros.
[[nodiscard]] std::optional<std::size_t> json_index(std::string_view token);

}  // namespace sluice::gateway
