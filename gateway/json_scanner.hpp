// The validator of JSON bodies on the request path: strict RFC 8259, fed chunk by chunk, builds no tree.
#pragma once

#include "gateway/detail/json_place.hpp"

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
  static constexpr std::size_t kMaxDepth = detail::JsonPlace::kMaxDepth;  ///< of nested objects and arrays
  /// All give the same verdicts. `avx2` and `avx512` use such vectors, if this processor has them, wherever they can,
  /// `fastest` the widest where that pays.
  enum class Pace : std::uint8_t { fastest, bytes, avx2, avx512 };

  explicit JsonScanner(Pace pace = Pace::fastest) : pace_(pace) {}
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
  using State = detail::JsonPlace::State;

  static std::string_view expectation(State state);
  bool fail(std::string_view text, std::size_t offset);

  detail::JsonPlace place_;
  const Pace pace_;
  bool in_name_ = false;              // the string being read is a member's name
  std::uint8_t more_ = 0;             // bytes that the escape or the UTF-8 sequence still needs
  unsigned char low_ = 0, high_ = 0;  // bounds of the next continuation byte
  const char* rest_ = "";             // what is left of a literal
  std::size_t consumed_ = 0;          // bytes of the chunks before this one
  JsonValue value_;
  JsonProblem problem_;
};

}  // namespace sluice::gateway
