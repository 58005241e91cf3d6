#include "gateway/budget.hpp"

#include <algorithm>
#include <functional>

namespace sluice::gateway {
namespace {

using std::chrono::nanoseconds;

struct Limit {
  nanoseconds time;
  std::string_view name;
};

void tighten(Limit& limit, const std::optional<nanoseconds>& time, std::string_view name) {
  if (time && *time < limit.time) limit = {*time, name};
}

/// Attempts that a call may make one after the other.
std::int64_t attempts_of(const CallConfig& call) {
  const auto each = static_cast<std::int64_t>(call.follow_redirects) + 1;
  if (!call.for_each) return each;
  const std::size_t rounds = (call.for_each->max + call.for_each->parallel - 1) / call.for_each->parallel;
  return each * static_cast<std::int64_t>(rounds);
}

}  // namespace

Budget budget_of(const Config& config, const EndpointConfig& endpoint, const Inputs& inputs) {
  Budget budget;
  budget.calls.resize(endpoint.calls.size());
  std::vector<bool> is_known(endpoint.calls.size(), false);
  const std::function<void(std::size_t)> find = [&](std::size_t index) {
    if (is_known[index]) return;
    is_known[index] = true;
    const CallConfig& call = endpoint.calls[index];
    CallBudget& own = budget.calls[index];
    for (std::size_t input : inputs[index]) {
      find(input);
      own.starts_by = std::max(own.starts_by, budget.calls[input].ends_by);
    }
    if (endpoint.strategy == Strategy::first && endpoint.stagger) {
      own.starts_by = std::min<nanoseconds>(endpoint.deadline, *endpoint.stagger * static_cast<std::int64_t>(index));
    }
    Limit limit{endpoint.deadline - own.starts_by, "deadline"};
    tighten(limit, call.timeout, "timeout");
    const auto& attempt = config.backends[call.backend].timeout;
    if (attempt && *attempt < limit.time / attempts_of(call)) {
      limit = {*attempt * attempts_of(call), "backend timeout"};
    }
    own.ends_by = own.starts_by + limit.time;
    own.limited_by = limit.name;
  };
  for (std::size_t i = 0; i < endpoint.calls.size(); ++i) find(i);

  const auto ends_before = [&](std::size_t a, std::size_t b) {
    const CallBudget& one = budget.calls[a];
    const CallBudget& other = budget.calls[b];
    return one.ends_by != other.ends_by ? one.ends_by < other.ends_by : one.starts_by < other.starts_by;
  };
  std::vector<std::size_t> candidates(endpoint.calls.size());
  for (std::size_t i = 0; i < candidates.size(); ++i) candidates[i] = i;
  while (!candidates.empty()) {
    const std::size_t last = *std::max_element(candidates.begin(), candidates.end(), ends_before);
    budget.critical_path.insert(budget.critical_path.begin(), last);
    candidates = inputs[last];
  }
  budget.idle = idle_times(config, endpoint);
  return budget;
}

std::vector<IdleTime> idle_times(const Config& config, const EndpointConfig& endpoint) {
  using Which = IdleTime::Which;
  std::vector<IdleTime> idle;
  const auto check = [&](Which which, std::size_t call, const std::optional<nanoseconds>& value, const Limit& limit) {
    if (value && *value > limit.time) idle.push_back({which, call, *value, limit.name, limit.time});
  };
  const Limit deadline{endpoint.deadline, "deadline"};
  if (endpoint.strategy == Strategy::first) check(Which::stagger, 0, endpoint.stagger, deadline);
  for (std::size_t i = 0; i < endpoint.calls.size(); ++i) {
    const CallConfig& call = endpoint.calls[i];
    Limit limit = deadline;
    check(Which::timeout, i, call.timeout, limit);
    tighten(limit, call.timeout, "timeout");
    if (call.cache && merges(endpoint.strategy)) check(Which::stale_after, i, call.cache->stale_after, limit);
    if (call.backend >= config.backends.size()) continue;
    const BackendConfig& backend = config.backends[call.backend];
    check(Which::backend_timeout, i, backend.timeout, limit);
    tighten(limit, backend.timeout, "backend timeout");
    check(Which::connect_timeout, i, backend.connect_timeout, limit);
  }
  return idle;
}

}  // namespace sluice::gateway
