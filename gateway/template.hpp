// Templates of a call: a path with query, or a header value, with references to values of the client's request.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
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
};

/// One compiled template. References: `{name}` a path parameter of the endpoint, `{query.x}` the first query parameter
/// x,
/// `{header.x}` a header.
///
/// Every value is decoded once and percent-encoded for where it is put, so it can end neither its segment nor its query
/// parameter; a `{rest...}` parameter keeps its slashes. Thread: *immutable*.
class Template {
 public:
  enum class Place : std::uint8_t {
    target,  // path and query
    header,  // a header's value
  };

  /// Compiles `source`. `parameters` are the endpoint's path parameters in order, `{rest...}` as "rest...".
  ///
  /// On a mistake the result is empty and `problem` says what was expected.
  static std::optional<Template> compile(std::string_view source, Place place, std::span<const std::string> parameters,
                                         std::string& problem);

  /// Appends the expansion to `out`; allocates nothing but what `out` needs.
  ///
  /// A query parameter with an absent value is left out whole. Returns false, with `out` unchanged, when a path or
  /// header value is absent, a path value is empty or would make a segment `.` or `..`, or a header value has CR, LF,
  /// NUL or another control character.
  [[nodiscard]] bool expand(const TemplateValues& values, std::string& out) const;

  /// The client headers that influence the expansion, in lower case.
  [[nodiscard]] const std::vector<std::string>& headers() const { return headers_; }
  /// Whether the client's path or query influences the expansion.
  [[nodiscard]] bool reads_target() const;

 private:
  enum class Source : std::uint8_t { literal, parameter, rest, query, header };
  enum class Encoding : std::uint8_t { segment, query, header };
  struct Piece {
    Source source;
    std::string text;       // of a literal; name of a query parameter or header
    std::size_t index = 0;  // of a path parameter
  };
  // A run of pieces that stands or falls as one: the path, a query parameter, a header value.
  struct Part {
    Encoding encoding;
    std::vector<Piece> pieces;
  };
  struct Compiler;

  static bool append(const Part& part, const TemplateValues& values, std::string& out);

  std::vector<Part> parts_;
  std::vector<std::string> headers_;
};

}  // namespace sluice::gateway
