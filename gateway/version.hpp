// The program's version, as `--version` and `sluice_build_info` show it.
#pragma once

#include <string_view>

namespace sluice::gateway {

/// "MAJOR.MINOR.PATCH", from CMakeLists.txt.
std::string_view version();

}  // namespace sluice::gateway
