// The validator of JSON bodies on the request path: strict RFC 8259, fed chunk by chunk, builds no tree.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::gateway {

/// A part of a document, as byte offsets; no JSON value is empty, so an empty slice says that there is none.
struct JsonSlice {
  std::size_t begin = 0;
  std::size_t end = 0;

  bool operator==(const JsonSlice&) const = default;
  [[nodiscard]] bool exists() const { return begin != end; }
  [[nodiscard]] std::string_view of(std::string_view document) const { return document.substr(begin, end - begin); }
};

enum class JsonKind : std::uint8_t { object, array, string, number, boolean, null };

/// The one value of a document.
struct JsonValue {
  JsonSlice slice;  ///< without the white space around it
  JsonKind kind = JsonKind::null;
  bool is_empty = false;  ///< an object without members or an array without elements

  bool operator==(const JsonValue&) const = default;
};

/// Why a document was refused, and at which byte: the first that no valid document has there, or its end.
struct JsonProblem {
  std::string_view text;  ///< static
  std::size_t offset = 0;

  bool operator==(const JsonProblem&) const = default;
};

/// Judges one JSON document (RFC 8259) that arrives in chunks, cut at any byte, and finds where its value is.
///
/// Valid is exactly one value with nothing but white space around it: no byte order mark, no leading zeros, no
/// comments. A document without a value (empty or white space only) is refused. All of it must be UTF-8 in its shortest
/// form. Numbers may have any length and magnitude, for they are never converted; escaped lone surrogates ("\ud800")
/// are in the grammar and pass; member names may repeat. Nothing is allocated, nothing recurses. Verdict,
/// slices and offsets do not depend on the cuts.
///
/// Thread: one worker.
class JsonScanner {
 public:
  static constexpr std::size_t kMaxDepth = 512;  ///< of nested objects and arrays; one more is refused

  JsonScanner() = default;
  JsonScanner(const JsonScanner&) = delete;
  JsonScanner& operator=(const JsonScanner&) = delete;

  /// Judges the next bytes; false once the document cannot become valid, and from then on.
  [[nodiscard]] bool feed(std::string_view chunk);

  /// Ends the document: true if it is valid. Nothing may be fed afterwards.
  [[nodiscard]] bool finish();

  /// Once finish() has returned true.
  [[nodiscard]] const JsonValue& value() const { return value_; }

  /// Once feed() or finish() has returned false.
  [[nodiscard]] const JsonProblem& problem() const { return problem_; }

 private:
  /// What the next byte is for. White space may stand before the token that the states up to `done` wait for.
  enum class State : std::uint8_t {
    value,
    first_element,
    first_member,
    member,
    colon,
    after_value,
    done,
    string,
    escape,
    hex_digit,
    continuation,
    literal,
    minus,
    zero,
    integer,
    point,
    fraction,
    exponent,
    exponent_sign,
    exponent_digits,
    failed,
  };

  static std::string_view expectation(State state);
  bool fail(std::string_view text, std::size_t offset);

  State state_ = State::value;
  bool in_object_ = false;            // the innermost open container is an object
  bool in_name_ = false;              // the string being read is a member's name
  std::uint8_t more_ = 0;             // bytes that the escape or the UTF-8 sequence still needs
  unsigned char low_ = 0, high_ = 0;  // bounds of the next continuation byte
  const char* rest_ = "";             // what is left of a literal
  std::size_t depth_ = 0;             // open containers
  std::size_t consumed_ = 0;          // bytes of the chunks before this one
  JsonValue value_;
  JsonProblem problem_;
  std::bitset<kMaxDepth> outer_in_object_;  // in_object_ of the containers further out
};

}  // namespace sluice::gateway
