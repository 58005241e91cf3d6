// The rules between values of a configuration: names, references, routes, templates, what may be stored for whom.
#pragma once

#include "gateway/config.hpp"
#include "gateway/config_problems.hpp"
#include "gateway/config_text.hpp"

#include <string_view>

namespace sluice::gateway {

/// Reports what in `config` contradicts itself. `root` is the checked text that it was built from: parts of it that are
/// not valid are passed over, as their mistakes were reported.
void check_rules(const Config& config, ConfigNode& root, ConfigProblems& problems);

/// Those about headers of replies and calls; part of check_rules().
void check_header_rules(const Config& config, const ConfigNode& root, ConfigProblems& problems);

/// Headers that belong to a connection or a message, which the gateway makes itself.
[[nodiscard]] bool is_managed(std::string_view name);

}  // namespace sluice::gateway
