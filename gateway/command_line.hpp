// The commands of `sluice`.
#pragma once

#include <string>
#include <vector>

namespace sluice::gateway {

/// Runs `sluice ARGUMENTS`; returns the exit code: 0 success, 1 a failed check or run, 2 bad usage.
int run_command(const std::vector<std::string>& arguments);

}  // namespace sluice::gateway
