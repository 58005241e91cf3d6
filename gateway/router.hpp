// Which endpoint answers a request: method and path to an endpoint and its path parameters.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::gateway {

/// An endpoint's path, taken apart: `/users/{id}/files/{rest...}`.
struct Pattern {
  enum class Kind : std::uint8_t { literal, parameter, rest };
  struct Segment {
    Kind kind;
    std::string text;  // of a literal, decoded; else the parameter's name
  };
  static constexpr std::size_t kMaxParameters = 16;

  std::vector<Segment> segments;  // "/" has one, an empty literal

  /// The parameters' names in order, `{rest...}` as "rest...": what Template::compile takes.
  [[nodiscard]] std::vector<std::string> parameters() const;

  /// Takes `path` apart; on a mistake the result is empty and `problem` says what was expected.
  static std::optional<Pattern> parse(std::string_view path, std::string& problem);
};

/// Methods as bits, GET being the first of kMethods.
using MethodSet = std::uint8_t;
inline constexpr std::array<std::string_view, 6> kMethods = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};

/// The set of one method; 0 for one that no endpoint can have.
MethodSet method_set(std::string_view method);

/// The value of an Allow header: `allowed`, and OPTIONS, which the gateway answers everywhere.
std::string allow_header(MethodSet allowed);

/// The result of a look-up.
struct RouteMatch {
  enum class Status : std::uint8_t { found, no_path, no_method };  // 200, 404, 405
  Status status = Status::no_path;
  std::size_t endpoint = 0;  // index among the routes, when found
  MethodSet allowed = 0;     // over all patterns that match the path, when no_method

  /// Values of the path parameters in the pattern's order: views into the looked-up path, still percent-encoded.
  [[nodiscard]] std::span<const std::string_view> parameters() const { return {values.data(), count}; }

  std::array<std::string_view, Pattern::kMaxParameters> values;
  std::size_t count = 0;
};

/// The routing table: a tree of path segments. Thread: *immutable*.
///
/// A literal segment wins over `{name}`, which wins over `{name...}`, segment by segment from the left; a route that
/// does not have the method gives way to the next that matches. `{name}` takes one segment that is not empty,
/// `{name...}` the rest, which may be. Literals are compared with the decoded segment; a slash that is encoded
/// separates nothing; a trailing slash counts. A route with GET has HEAD.
///
/// A look-up takes a binary search per segment, whatever the number of routes, and allocates nothing.
class Router {
 public:
  struct Route {
    Pattern pattern;
    std::vector<std::string> methods;
  };

  /// Two routes match the same requests: the first answers them.
  struct Conflict {
    std::size_t first, second;  // indexes among the routes
    MethodSet methods;
  };

  explicit Router(std::span<const Route> routes);

  [[nodiscard]] const std::vector<Conflict>& conflicts() const { return conflicts_; }

  /// Looks up `path`: the target's path, without its query. The result lives as long as `path`.
  [[nodiscard]] RouteMatch find(std::string_view method, std::string_view path) const;

 private:
  struct End {
    MethodSet methods;
    std::size_t endpoint;
  };
  struct Node {
    std::vector<std::pair<std::string, std::size_t>> literals;  // sorted
    std::size_t parameter = 0;                                  // index of a node; 0: none, as the root has no parent
    std::vector<End> ends;                                      // routes that end here
    std::vector<End> rests;                                     // routes that take the rest from here
  };

  void add(const Route& route, std::size_t endpoint);
  bool find_from(const Node& node, std::string_view path, MethodSet method, RouteMatch& match) const;
  static bool take_end(const std::vector<End>& ends, MethodSet method, RouteMatch& match);

  std::vector<Node> nodes_;
  std::vector<Conflict> conflicts_;
};

}  // namespace sluice::gateway
