#include "gateway/json_reference.hpp"

#include "gateway/config_problems.hpp"

#include <algorithm>

namespace sluice::gateway {
namespace {

/// The JSON Pointer of what `.member.0` names; nothing if a name is empty.
std::optional<JsonPointer> pointer_of(std::string_view dotted) {
  std::string pointer;
  for (char last = '.'; char c : dotted) {
    if (c == '.' && !pointer.empty() && last == '.') return std::nullopt;
    if (c == '.') {
      pointer += '/';
    } else if (c == '~') {
      pointer += "~0";
    } else if (c == '/') {
      pointer += "~1";
    } else {
      pointer += c;
    }
    last = c;
  }
  if (pointer.ends_with('/')) return std::nullopt;
  return JsonPointer::parse(pointer);
}

}  // namespace

std::string ReferenceNames::hint(std::string_view name) const {
  std::vector<std::string_view> known;
  for (std::string_view parameter : parameters) known.push_back(parameter.substr(0, parameter.find("...")));
  known.insert(known.end(), calls.begin(), calls.end());
  if (has_item) known.emplace_back("item");
  known.emplace_back("query");
  known.emplace_back("header");
  return std::find(known.begin(), known.end(), name) == known.end() ? did_you_mean(name, known) : "";
}

std::optional<JsonReference> JsonReference::parse(std::string_view text, const ReferenceNames& names,
                                                  std::string& problem) {
  problem.clear();
  const std::string_view name = text.substr(0, text.find_first_of(".:"));
  JsonReference result;
  if (names.has_item && name == "item") {
    result.call = kItem;
  } else {
    const auto call = std::find(names.calls.begin(), names.calls.end(), name);
    if (call == names.calls.end()) return std::nullopt;
    result.call = static_cast<std::size_t>(call - names.calls.begin());
  }
  const std::string_view rest = text.substr(name.size());
  auto pointer = rest.starts_with(':') ? JsonPointer::parse(rest.substr(1)) : pointer_of(rest);
  if (!pointer) {
    problem = "refers to \"" + std::string(text) + "\", expected " + std::string(name) + ".MEMBER or " +
              std::string(name) + ":/JSON/POINTER";
    return std::nullopt;
  }
  result.pointer = std::move(*pointer);
  return result;
}

}  // namespace sluice::gateway
