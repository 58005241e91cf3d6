// Scenario files: JSON in, a Scenario or every problem out.
#pragma once

#include "loadtest/scenario.hpp"

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::loadtest {

/// Everything that is wrong with a file, a line each: `FILE:LINE:COLUMN: /json/pointer: message`.
class ScenarioError : public std::runtime_error {
 public:
  explicit ScenarioError(std::vector<std::string> problems)
      : std::runtime_error(problems.front()), problems_(std::move(problems)) {}
  [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }

 private:
  std::vector<std::string> problems_;
};

/// A scenario from the text of `file`, whose name is for messages. `target`, unless empty, is used for the file's own.
/// The format is in loadtest/README.md. Errors: ScenarioError.
[[nodiscard]] Scenario read_scenario(std::string_view file, std::string_view text, std::string_view target = {});

}  // namespace sluice::loadtest
