// The rules between values of a configuration: names, references, routes, templates, what may be stored for whom.
#pragma once

#include "gateway/call_graph.hpp"
#include "gateway/config.hpp"
#include "gateway/config_problems.hpp"
#include "gateway/config_text.hpp"
#include "gateway/router.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::gateway {

/// Reports what in `config` contradicts itself. `root` is the checked text that it was built from: parts of it that are
/// not valid are passed over, as their mistakes were reported.
void check_rules(const Config& config, ConfigNode& root, ConfigProblems& problems);

/// Those about headers of replies and calls; part of check_rules().
void check_header_rules(const Config& config, const ConfigNode& root, ConfigProblems& problems);

/// Which call is checked, and what its templates may refer to.
struct CallPlace {
  std::size_t endpoint;
  std::size_t call;
  const std::vector<std::string>* parameters;  // of the endpoint's path; null: it has none that could be read
  const std::vector<std::string>& names;       // of all its calls
};

/// Those about one call; part of check_rules(). What it needs of other calls goes into `graph`.
void check_call_rules(const Config& config, const ConfigNode& root, ConfigProblems& problems, const CallPlace& place,
                      CallGraph& graph);

/// Constant or template headers that the gateway makes itself; `owner` points to whose they are.
void check_managed(const std::vector<HeaderTemplate>& headers, const std::string& owner, const ConfigNode& root,
                   ConfigProblems& problems);

/// Headers that belong to a connection or a message, which the gateway makes itself.
[[nodiscard]] bool is_managed(std::string_view name);

}  // namespace sluice::gateway
