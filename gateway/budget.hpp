// How an endpoint's deadline is shared out among its calls, when each takes as long as it may.
#pragma once

#include "gateway/config.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace sluice::gateway {

using Inputs = std::vector<std::vector<std::size_t>>;  // of each call, the calls whose data it needs

struct CallBudget {
  std::chrono::nanoseconds starts_by{0};  // at the latest, after the request came
  std::chrono::nanoseconds ends_by{0};
  std::string_view limited_by;  // "deadline", "timeout" (its own), "backend timeout", or "deadline" without either
};

/// A time that is never reached, because a shorter one comes first.
struct IdleTime {
  enum class Which { timeout, stale_after, backend_timeout, connect_timeout, stagger };

  Which which;
  std::size_t call = 0;  // not of `stagger`
  std::chrono::nanoseconds value{0};
  std::string_view shorter;  // which it is: "deadline", "timeout" or "backend timeout"
  std::chrono::nanoseconds limit{0};
};

struct Budget {
  std::vector<CallBudget> calls;           // as in the configuration
  std::vector<std::size_t> critical_path;  // the calls that end last: each needs the one before
  std::vector<IdleTime> idle;
};

/// `inputs` has no cycles; `config` is checked, but for what idle_times() needs.
[[nodiscard]] Budget budget_of(const Config& config, const EndpointConfig& endpoint, const Inputs& inputs);

/// Calls of unknown backends are passed over.
[[nodiscard]] std::vector<IdleTime> idle_times(const Config& config, const EndpointConfig& endpoint);

}  // namespace sluice::gateway
