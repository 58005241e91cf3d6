// Templates of a call: a path with query, or a header value, with references to values of the client's request and of
// other calls.
#pragma once

#include "gateway/json_reference.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::gateway {

/// What references stand for, as views into one client request: nothing is decoded or copied before an expansion needs
/// it.
struct TemplateValues {
  std::span<const std::string_view> path;  // path parameters in the pattern's order, still percent-encoded
  std::string_view query;                  // what follows the target's '?', still percent-encoded

  // The client's header `name` (lower case), looked up in `headers`; nullopt when it is absent.
  const void* headers = nullptr;
  std::optional<std::string_view> (*find_header)(const void* headers, std::string_view name) = nullptr;

  // The JSON of a call of the endpoint, which must have some; looked up in `calls`.
  const void* calls = nullptr;
  std::string_view (*json_of_call)(const void* calls, std::size_t call) = nullptr;
  std::string_view item;  // JSON of the element that the call is made for
  // What pointers of references were found to lead to, before, because the JSON is large.
  std::span<const std::pair<const JsonPointer*, std::optional<std::string_view>>> found{};
};

/// One compiled template. References: `{name}` a path parameter of the endpoint, `{query.x}` the first query parameter
/// x, `{header.x}` a header, `{CALL.member}` a scalar in the JSON of a call, `{item}` the element, as in JsonReference;
/// what is no scalar, or null, or has more than 8 KiB, is absent.
///
/// Every value is decoded once and percent-encoded for where it is put, so it can end neither its segment nor its query
/// parameter; a `{rest...}` parameter keeps its slashes. Thread: *immutable*.
class Template {
 public:
  enum class Place : std::uint8_t {
    target,  // path and query
    header,  // a header's value
  };

  /// Compiles `source`. On a mistake the result is empty and `problem` says what was expected.
  static std::optional<Template> compile(std::string_view source, Place place, const ReferenceNames& names,
                                         std::string& problem);

  /// Appends the expansion to `out`; allocates nothing but what `out` and strings with escapes need.
  ///
  /// A query parameter with an absent value is left out whole. Returns false, with `out` unchanged, when a path or
  /// header value is absent, a path value is empty or would make a segment `.` or `..`, or a header value has CR, LF,
  /// NUL or another control character. Then `culprit`, if given, is the call (or kItem) whose value that is; none: it
  /// is the client's.
  [[nodiscard]] bool expand(const TemplateValues& values, std::string& out,
                            std::optional<std::size_t>* culprit = nullptr) const;

  /// The client headers that influence the expansion, in lower case.
  [[nodiscard]] const std::vector<std::string>& headers() const { return headers_; }
  /// The calls whose JSON influences it.
  [[nodiscard]] const std::vector<std::size_t>& calls() const { return calls_; }
  [[nodiscard]] bool reads_item() const { return reads_item_; }
  /// Calls `each(call, pointer)` for every reference into the JSON of a call (or kItem).
  template <class F>
  void for_each_json(F&& each) const {
    for (const Part& part : parts_) {
      for (const Piece& piece : part.pieces) {
        if (piece.source == Source::json) each(piece.index, piece.pointer);
      }
    }
  }
  /// Whether it differs between requests whose client headers are the same: by their path or query, or by JSON.
  [[nodiscard]] bool reads_target() const;

 private:
  enum class Source : std::uint8_t { literal, parameter, rest, query, header, json };
  enum class Encoding : std::uint8_t { segment, query, header };
  struct Piece {
    Source source;
    std::string text;       // of a literal; name of a query parameter or header
    std::size_t index = 0;  // of a path parameter or call
    JsonPointer pointer{};  // into the call's JSON
  };
  // A run of pieces that stands or falls as one: the path, a query parameter, a header value.
  struct Part {
    Encoding encoding;
    std::vector<Piece> pieces;
  };
  struct Compiler;

  static bool append(const Part& part, const TemplateValues& values, std::string& out,
                     std::optional<std::size_t>& culprit);
  static bool append(const Piece& piece, Encoding encoding, const TemplateValues& values, std::string& out);

  std::vector<Part> parts_;
  std::vector<std::string> headers_;
  std::vector<std::size_t> calls_;
  bool reads_item_ = false;
};

}  // namespace sluice::gateway
