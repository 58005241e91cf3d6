#include "gateway/shaping_rules.hpp"

#include "gateway/config_problems.hpp"
#include "gateway/json_shape.hpp"
#include "gateway/json_walk.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace sluice::gateway {
namespace {

using Tokens = std::vector<std::string>;

Tokens into_of(const CallConfig& call) {
  return JsonPointer::parse(call.into.value_or("/" + call.name)).value().tokens();
}

bool is_prefix(const Tokens& shorter, const Tokens& longer) {
  return shorter.size() <= longer.size() && std::equal(shorter.begin(), shorter.end(), longer.begin());
}

/// The name at the top of the shaped value of the member that `path` begins with.
std::string shaped_name(const CallConfig& call, const MemberPath& path) {
  for (const RenameConfig& rename : call.rename) {
    const auto renamed = MemberPath::parse(rename.path).value();
    if (renamed.tokens.size() == 1 && renamed.tokens[0] == path.tokens[0]) return rename.to;
  }
  return path.tokens[0];
}

/// The members at the top of the reply that the configuration says the call may write: of a call whose members are
/// merged those that it allows or renames, and those of its fallback.
Tokens known_members(const CallConfig& call) {
  Tokens into = into_of(call);
  if (!into.empty()) return {into[0]};
  Tokens names;
  for (const std::string& path : call.allow.value_or(Tokens())) {
    names.push_back(shaped_name(call, MemberPath::parse(path).value()));
  }
  for (const RenameConfig& rename : call.rename) {
    if (!call.allow && MemberPath::parse(rename.path)->tokens.size() == 1) names.push_back(rename.to);
  }
  JsonWalk members(call.fallback ? std::string_view(*call.fallback) : std::string_view());
  while (call.fallback && call.fallback->starts_with('{') && members.next()) {
    if (auto name = unescape_json(members.name())) names.push_back(std::move(*name));
  }
  return names;
}

class ShapingRules {
 public:
  ShapingRules(const EndpointConfig& endpoint, std::vector<ShapingProblem>& problems)
      : endpoint_(endpoint), problems_(problems) {
    for (const CallConfig& call : endpoint.calls) {
      into_.push_back(into_of(call));
      names_.push_back(known_members(call));
    }
  }

  void check(std::size_t index) {
    const CallConfig& call = endpoint_.calls[index];
    if (call.allow && call.deny) error(index, "deny", "cannot stand beside \"allow\"");
    check_renames(index);
    if (call.into == "" && call.fallback && !call.fallback->starts_with('{') && call.fallback != "null") {
      error(index, "fallback", "must be an object, as \"into\" merges its members into the reply");
    }
  }

  /// `other` stands before it in the configuration.
  void check_both(std::size_t index, std::size_t other) {
    const CallConfig& call = endpoint_.calls[index];
    const CallConfig& before = endpoint_.calls[other];
    const Tokens& into = into_[index];
    const Tokens& into_before = into_[other];
    const char* key = call.into ? "into" : "name";
    if (call.name == before.name && !call.into && !before.into) return;  // reported as that
    if (!into.empty() && !into_before.empty()) {
      if (into == into_before) {
        warning(index, key, "writes the same member of the reply as " + quote(before.name) + ": the later call wins");
      } else if (is_prefix(into, into_before)) {
        error(index, key, "is where \"into\" of " + quote(before.name) + " leads through");
      } else if (is_prefix(into_before, into)) {
        error(index, key, "leads through the member that " + quote(before.name) + " writes");
      }
      return;
    }
    const Tokens& names = names_[other];
    for (const std::string& name : names_[index]) {
      if (std::find(names.begin(), names.end(), name) == names.end()) continue;
      warning(index, key,
              "may write the same member " + quote(name) + " of the reply as " + quote(before.name) +
                  ": the later call wins");
      return;
    }
  }

 private:
  void error(std::size_t call, std::string key, std::string message) {
    problems_.push_back({true, call, std::move(key), std::move(message)});
  }
  void warning(std::size_t call, std::string key, std::string message) {
    problems_.push_back({false, call, std::move(key), std::move(message)});
  }

  void check_renames(std::size_t index) {
    const auto& renames = endpoint_.calls[index].rename;
    for (std::size_t i = 0; i < renames.size(); ++i) {
      const Tokens path = MemberPath::parse(renames[i].path).value().tokens;
      for (std::size_t other = 0; other < i; ++other) {
        const Tokens before = MemberPath::parse(renames[other].path).value().tokens;
        if (path == before) {
          error(index, "rename",
                quote(renames[i].path) + " and " + quote(renames[other].path) + " are the same member");
        } else if (path.size() == before.size() && renames[i].to == renames[other].to &&
                   std::equal(path.begin(), path.end() - 1, before.begin())) {
          error(index, "rename",
                quote(renames[i].path) + " and " + quote(renames[other].path) + " get the same name " +
                    quote(renames[i].to));
        }
      }
    }
  }

  const EndpointConfig& endpoint_;
  std::vector<ShapingProblem>& problems_;
  std::vector<Tokens> into_;   // of each call
  std::vector<Tokens> names_;  // likewise
};

}  // namespace

std::vector<ShapingProblem> check_shaping(const EndpointConfig& endpoint, const std::vector<bool>& is_valid) {
  std::vector<ShapingProblem> problems;
  if (!merges(endpoint.strategy)) return problems;
  ShapingRules rules(endpoint, problems);
  for (std::size_t i = 0; i < endpoint.calls.size(); ++i) {
    rules.check(i);
    if (!is_valid[i]) continue;
    for (std::size_t other = 0; other < i; ++other) {
      if (is_valid[other]) rules.check_both(i, other);
    }
  }
  return problems;
}

}  // namespace sluice::gateway
