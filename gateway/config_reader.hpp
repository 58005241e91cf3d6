// Reads a configuration file: text to values, with every problem it has.
#pragma once

#include "gateway/config.hpp"
#include "gateway/problem.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::gateway {

/// What reading came to. `config` is there exactly when no problem is an error.
struct Checked {
  std::optional<Config> config;
  std::vector<Problem> problems;  // in the order of the file
};

/// Reads and checks the file `path`, with this process's environment.
Checked read_config(const std::filesystem::path& path);

/// Checks `text`. `file_name` is what the problems show; relative `${file:PATH}`s are looked for in its folder.
Checked parse_config(std::string_view text, const std::string& file_name,
                     const std::function<std::optional<std::string>(const std::string& name)>& environment);

}  // namespace sluice::gateway
