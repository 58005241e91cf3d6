#include "gateway/explain.hpp"

#include "gateway/call_graph.hpp"
#include "gateway/instruments.hpp"
#include "gateway/metrics.hpp"
#include "gateway/runtime.hpp"

#include <algorithm>
#include <charconv>

#include <nlohmann/json.hpp>

namespace sluice::gateway {
namespace {

using Json = nlohmann::ordered_json;

Inputs inputs_of(const EndpointConfig& endpoint) {
  Metrics metrics;
  Inputs inputs;
  const EndpointPlan plan(endpoint, metrics);
  for (const CallPlan& call : plan.calls) inputs.push_back(call.inputs);
  return inputs;
}

std::int64_t milliseconds(std::chrono::nanoseconds time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
}

bool is_same_to_client(const Rehearsed& a, const Rehearsed& b) {
  return a.status == b.status && a.result == b.result && a.after == b.after && a.calls == b.calls;
}

/// The value of the label `name` in the labels of a series; escapes are left as they are.
std::string label(std::string_view series, std::string_view name) {
  const std::string mark = std::string(name) + "=\"";
  std::size_t at = series.find("{" + mark);
  if (at == std::string_view::npos) at = series.find("," + mark);
  if (at == std::string_view::npos) return {};
  series.remove_prefix(at + 1 + mark.size());
  return std::string(series.substr(0, series.find('"')));
}

Json json_of(const Config& config, const EndpointConfig& endpoint, const CallConfig& call, const CallBudget& budget,
             const std::vector<std::size_t>& inputs, const LiveCache* live) {
  const std::string& backend = config.backends[call.backend].name;
  Json result = {{"name", call.name}, {"backend", backend}, {"required", call.required}};
  result["needs"] = Json::array();
  for (std::size_t input : inputs) result["needs"].push_back(endpoint.calls[input].name);
  if (call.for_each) {
    result["for_each"] = {
        {"in", call.for_each->in}, {"max", call.for_each->max}, {"parallel", call.for_each->parallel}};
  }
  result["starts_by_ms"] = milliseconds(budget.starts_by);
  result["left_ms"] = milliseconds(endpoint.deadline - budget.starts_by);
  result["ends_by_ms"] = milliseconds(budget.ends_by);
  result["limited_by"] = budget.limited_by;
  if (!call.cache) return result;
  Json& cache = result["cache"];
  cache = {{"ttl_ms", milliseconds(call.cache->ttl)},
           {"stale_while_revalidate_ms", milliseconds(call.cache->stale_while_revalidate)},
           {"stale_if_error_ms", milliseconds(call.cache->stale_if_error)},
           {"ignore_origin", call.cache->ignore_origin}};
  if (live == nullptr) return result;
  cache["refused"] = Json::object();
  if (const auto found = live->refused.find(backend); found != live->refused.end()) {
    for (const auto& [reason, count] : found->second) cache["refused"][reason] = count;
  }
  const auto runway = live->runway.find({endpoint.name, call.name});
  if (runway != live->runway.end()) cache["runway_seconds"] = runway->second;
  return result;
}

Json json_of(const Scene& scene) {
  Json result = {{"backend", nullptr}, {"state", to_string(scene.state)}, {"stored", nullptr}};
  if (!scene.backend.empty()) result["backend"] = scene.backend;
  if (scene.stored) result["stored"] = scene.stored == Stored::stale;
  result["status"] = scene.reply.status;
  result["result"] = scene.reply.result;
  result["after_ms"] = milliseconds(scene.reply.after);
  Json& calls = result["calls"] = Json::object();
  for (const RehearsedCall& call : scene.reply.calls) {
    Json& one = calls[call.name] = {{"outcome", call.outcome}};
    for (const char* name : {"reason", "status"}) {
      if (const std::string value = call.detail(name); !value.empty()) one[name] = value;
    }
  }
  return result;
}

}  // namespace

Explanation explain(const Config& config, std::size_t endpoint) {
  const EndpointConfig& played = config.endpoints[endpoint];
  Explanation explanation;
  explanation.endpoint = endpoint;
  explanation.inputs = inputs_of(played);
  explanation.budget = budget_of(config, played, explanation.inputs);

  const Rehearsal rehearsal(config, endpoint);
  const std::vector<BackendState> all_well(config.backends.size(), BackendState::well);
  explanation.scenes.push_back({"", BackendState::well, std::nullopt, rehearsal.run(all_well, Stored::nothing)});
  std::vector<std::size_t> used;
  for (const CallConfig& call : played.calls) {
    if (std::find(used.begin(), used.end(), call.backend) == used.end()) used.push_back(call.backend);
  }
  const bool may_store =
      std::any_of(played.calls.begin(), played.calls.end(), [](const CallConfig& call) { return call.cache; });
  const auto add = [&](const std::string& name, const std::vector<BackendState>& states, BackendState state) {
    Rehearsed cold = rehearsal.run(states, Stored::nothing);
    std::optional<Rehearsed> warm;
    if (may_store) warm = rehearsal.run(states, Stored::stale);
    if (warm && (!warm->has_stored || is_same_to_client(cold, *warm))) warm.reset();
    explanation.scenes.push_back({name, state, std::nullopt, std::move(cold)});
    if (!warm) return;
    explanation.scenes.back().stored = Stored::nothing;
    explanation.scenes.push_back({name, state, Stored::stale, std::move(*warm)});
  };
  for (std::size_t backend : used) {
    for (const BackendState state : {BackendState::down, BackendState::slow}) {
      std::vector<BackendState> states = all_well;
      states[backend] = state;
      add(config.backends[backend].name, states, state);
    }
  }
  for (const BackendState state : {BackendState::down, BackendState::slow}) {
    if (used.size() > 1) add("", std::vector<BackendState>(config.backends.size(), state), state);
  }
  return explanation;
}

LiveCache read_live_cache(std::string_view metrics) {
  LiveCache live;
  while (!metrics.empty()) {
    const std::string_view line = metrics.substr(0, metrics.find('\n'));
    metrics.remove_prefix(std::min(metrics.size(), line.size() + 1));
    const std::size_t space = line.rfind(' ');
    if (space == std::string_view::npos) continue;
    const std::string_view value = line.substr(space + 1);
    if (line.starts_with("sluice_cache_refused_total{")) {
      std::uint64_t count = 0;
      std::from_chars(value.data(), value.data() + value.size(), count);
      if (count > 0) live.refused[label(line, "backend")][label(line, "reason")] += count;
    } else if (line.starts_with("sluice_stale_runway_seconds{")) {
      live.runway[{label(line, "endpoint"), label(line, "call")}] = value;
    }
  }
  return live;
}

std::string explain_json(const Config& config, const std::vector<Explanation>& explanations, const LiveCache* live) {
  Json list = Json::array();
  for (const Explanation& explanation : explanations) {
    const EndpointConfig& endpoint = config.endpoints[explanation.endpoint];
    Json& one = list.emplace_back(Json{{"name", endpoint.name},
                                       {"path", endpoint.path},
                                       {"methods", endpoint.methods},
                                       {"strategy", to_string(endpoint.strategy)},
                                       {"deadline_ms", milliseconds(endpoint.deadline)}});
    one["calls"] = Json::array();
    for (std::size_t i = 0; i < endpoint.calls.size(); ++i) {
      one["calls"].push_back(
          json_of(config, endpoint, endpoint.calls[i], explanation.budget.calls[i], explanation.inputs[i], live));
    }
    one["critical_path"] = Json::array();
    for (std::size_t call : explanation.budget.critical_path) one["critical_path"].push_back(endpoint.calls[call].name);
    one["never_reached"] = Json::array();
    for (const IdleTime& idle : explanation.budget.idle) {
      Json entry = {{"key", to_string(idle.which)}, {"ms", milliseconds(idle.value)}};
      if (idle.which != IdleTime::Which::stagger) entry["call"] = endpoint.calls[idle.call].name;
      entry["shorter"] = idle.shorter;
      entry["shorter_ms"] = milliseconds(idle.limit);
      one["never_reached"].push_back(std::move(entry));
    }
    one["scenes"] = Json::array();
    for (const Scene& scene : explanation.scenes) one["scenes"].push_back(json_of(scene));
  }
  return Json{{"endpoints", std::move(list)}}.dump(2) + "\n";
}

std::string_view to_string(Strategy strategy) {
  constexpr std::string_view kWords[] = {"merge", "first", "quorum", "proxy"};
  return kWords[static_cast<std::size_t>(strategy)];
}

std::string_view to_string(BackendState state) {
  switch (state) {
    case BackendState::well:
      return "well";
    case BackendState::down:
      return "down";
    case BackendState::slow:
      return "slow";
  }
  return "";
}

std::string_view to_string(IdleTime::Which which) {
  switch (which) {
    case IdleTime::Which::timeout:
      return "timeout";
    case IdleTime::Which::stale_after:
      return "stale_after";
    case IdleTime::Which::backend_timeout:
      return "backend timeout";
    case IdleTime::Which::connect_timeout:
      return "connect_timeout";
    case IdleTime::Which::stagger:
      return "stagger";
  }
  return "";
}

}  // namespace sluice::gateway
