// `sluice explain`: the plan of each endpoint, and what a client gets when backends fail.
#pragma once

#include "gateway/budget.hpp"
#include "gateway/config.hpp"
#include "gateway/rehearsal.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::gateway {

/// What a client gets in one situation.
struct Scene {
  std::string backend;  // empty: all of the endpoint
  BackendState state = BackendState::well;
  std::optional<Stored> stored;  // none: it makes no difference, or nothing can be stored
  Rehearsed reply;
};

struct Explanation {
  std::size_t endpoint = 0;  // index in the configuration
  Inputs inputs;
  Budget budget;
  std::vector<Scene> scenes;  // that all is well first
};

/// What a running gateway says of what it stores.
struct LiveCache {
  std::map<std::string, std::map<std::string, std::uint64_t>> refused;  // backend, reason, how often
  std::map<std::pair<std::string, std::string>, std::string> runway;    // endpoint and call: seconds, or "+Inf"
};

/// `config` is checked. Throws what Rehearsal::run() throws.
[[nodiscard]] Explanation explain(const Config& config, std::size_t endpoint);

/// Reads the text of /metrics.
[[nodiscard]] LiveCache read_live_cache(std::string_view metrics);

/// For a terminal of 100 columns. `live`: may be null.
[[nodiscard]] std::string explain_text(const Config& config, const Explanation& explanation, const LiveCache* live);

/// A JSON document of all.
[[nodiscard]] std::string explain_json(const Config& config, const std::vector<Explanation>& explanations,
                                       const LiveCache* live);

[[nodiscard]] std::string_view to_string(Strategy strategy);
[[nodiscard]] std::string_view to_string(BackendState state);
[[nodiscard]] std::string_view to_string(IdleTime::Which which);  // the key

}  // namespace sluice::gateway
