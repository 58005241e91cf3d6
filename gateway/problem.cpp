// The two written forms of a problem.
#include "gateway/problem.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace sluice::gateway {

std::string format(const Problem& problem) {
  std::string text = problem.file + ":" + std::to_string(problem.line) + ":" + std::to_string(problem.column) + ": ";
  if (!problem.pointer.empty()) text += problem.pointer + ": ";
  if (problem.severity == Problem::Severity::warning) text += "warning: ";
  text += problem.message;
  // A problem is one line, whatever keys and values have in them.
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return text;
}

std::string format_json(std::span<const Problem> problems) {
  auto list = nlohmann::ordered_json::array();
  for (const Problem& problem : problems) {
    list.push_back({{"severity", problem.severity == Problem::Severity::error ? "error" : "warning"},
                    {"file", problem.file},
                    {"line", problem.line},
                    {"column", problem.column},
                    {"pointer", problem.pointer},
                    {"message", problem.message}});
  }
  // A file name may hold any bytes.
  return list.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace sluice::gateway
