// JSON as the load tests need it: is a reply valid, and what does a scenario file say where.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::loadtest {

/// A JSON value that knows where in its text it stands. *immutable*
struct Json {
  enum class Type { null, boolean, number, string, array, object };

  Type type = Type::null;
  std::size_t begin = 0, end = 0;  // its bytes in the text
  bool boolean = false;
  double number = 0;
  std::string string;  // escapes resolved
  std::vector<Json> items;
  struct Member;
  std::vector<Member> members;  // in the order of the text, doubles included
};

struct Json::Member {
  std::string name;
  Json value;
};

/// Why a text is not JSON.
struct JsonProblem {
  std::size_t offset;
  std::string_view expected;
};

/// Whether `text` is JSON (RFC 8259): valid UTF-8, at most 512 levels deep, nothing after the value.
/// nullopt: it is.
[[nodiscard]] std::optional<JsonProblem> find_json_problem(std::string_view text);

/// Reads `text`, in which `// ...` and `/* ... */` may stand where space may. nullopt: `problem` says why.
[[nodiscard]] std::optional<Json> parse_json(std::string_view text, JsonProblem& problem);

}  // namespace sluice::loadtest
