// Configurations for tests: a small good one to put mistakes into, and an environment that is always the same.
#pragma once

#include "gateway/config_reader.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::gateway {

inline std::optional<std::string> environment(const std::string& name) {
  if (name == "HOST") return "10.0.0.7";
  if (name == "EMPTY") return "";
  if (name == "LATIN1") return "\xe9";
  return std::nullopt;
}

inline std::vector<std::string> problems(std::string_view text) {
  std::vector<std::string> lines;
  for (const Problem& problem : parse_config(text, "f", environment).problems) lines.push_back(format(problem));
  return lines;
}

// A configuration whose only endpoint is on line 4, its only call on line 5; the rest on lines of their own.
inline std::string with(std::string_view call, std::string_view endpoint = "", std::string_view top = "") {
  return std::string("{ \"version\": 1,\n") + std::string(top) +
         "\n\"backends\": { \"users\": { \"servers\": [\"http://h:1\"] } }, \"endpoints\": [\n{ \"path\": "
         "\"/u/{id}\", " +
         std::string(endpoint) + "\"calls\": [\n{ \"name\": \"user\", \"backend\": \"users\", \"path\": \"/u/{id}\"" +
         (call.empty() || call[0] == '}' ? "" : ", ") + std::string(call) + " }\n] } ] }";
}

}  // namespace sluice::gateway
