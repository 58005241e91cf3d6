#include "gateway/runtime.hpp"

#include "gateway/call_graph.hpp"
#include "gateway/forwarding.hpp"
#include "gateway/percent.hpp"

#include <algorithm>
#include <map>
#include <span>
#include <stdexcept>

namespace sluice::gateway {
namespace {

// The configuration was checked, so a template that does not compile here is a defect of ours.
Template compile(const std::string& source, Template::Place place, const ReferenceNames& names) {
  std::string problem;
  auto compiled = Template::compile(source, place, names, problem);
  if (!compiled) throw std::logic_error(source + ": " + problem);
  return std::move(*compiled);
}

std::optional<JsonReference> array_of(const std::optional<ForEachConfig>& for_each, const ReferenceNames& names) {
  if (!for_each) return std::nullopt;
  std::string problem;
  auto array = JsonReference::parse(for_each->in, names, problem);
  if (!array) throw std::logic_error(for_each->in + ": " + problem);
  return array;
}

ReferenceNames with_item(ReferenceNames names, bool has_item) {
  names.has_item = has_item;
  return names;
}

std::shared_ptr<backends::Servers> make_servers(const BackendConfig& backend) {
  std::vector<backends::ServerName> names;
  for (const Address& server : backend.servers) names.emplace_back(server.host, server.port);
  return std::make_shared<backends::Servers>(std::move(names), backend.host_header.value_or(""));
}

/// Names of the query parameters in a template, decoded.
std::vector<std::string> query_names_of(std::string_view source) {
  std::vector<std::string> names;
  const std::size_t mark = source.find('?');
  source.remove_prefix(mark == std::string_view::npos ? source.size() : mark + 1);
  while (!source.empty()) {
    const std::string_view pair = source.substr(0, source.find('&'));
    source.remove_prefix(std::min(source.size(), pair.size() + 1));
    names.push_back(decoded_query(pair.substr(0, pair.find('='))));
  }
  return names;
}

Pattern parse_pattern(const std::string& path) {
  std::string problem;
  auto pattern = Pattern::parse(path, problem);
  if (!pattern) throw std::logic_error(path + ": " + problem);
  return std::move(*pattern);
}

/// All that shapes an attempt apart from the key of the store, as text.
std::string attempt_settings(const CallPlan& plan) {
  std::string text = std::to_string(plan.longest.count());
  for (unsigned status = 0; status < plan.config.accept.size(); ++status) {
    const bool changes = status == 0 || plan.config.accept[status] != plan.config.accept[status - 1];
    if (changes) text.append(1, plan.config.accept[status] ? '+' : '-').append(std::to_string(status));
  }
  text += plan.config.cache && plan.config.cache->ignore_origin ? " ignore_origin" : "";
  text += plan.config.cache && plan.config.cache->origin_decides ? " origin_decides" : "";
  if (plan.config.cache) {
    for (const std::string& name : plan.config.cache->targeted) text.append(" ").append(name);
  }
  for (const HeaderTemplate& header : plan.config.headers) text.append("\n").append(header.name + ":" + header.value);
  text += " " + std::to_string(plan.config.follow_redirects);
  text += plan.config.forward.headers.all ? "\n*" : "";
  for (const std::string& name : plan.config.forward.headers.list) text.append("\n").append(name);
  return text;
}

/// Calls with the same `vary` may send different requests for the same values: a header as it is, made into another,
/// or none.
std::string sent_of_vary_by(const CallPlan& plan) {
  const std::vector<std::string>& vary = plan.config.cache->vary;
  const auto is_in_vary = [&](const std::string& name) {
    return std::find(vary.begin(), vary.end(), name) != vary.end();
  };
  std::string text;
  for (const std::string& name : plan.config.forward.headers.list) {
    if (is_in_vary(name)) text.append("\n>").append(name);
  }
  for (std::size_t i = 0; i < plan.headers.size(); ++i) {
    const auto& [name, source] = plan.headers[i];
    const bool is_made_of_vary = std::any_of(source.headers().begin(), source.headers().end(), is_in_vary);
    if (is_made_of_vary) text.append(1, '\n').append(name).append(1, '=').append(plan.config.headers[i].value);
  }
  return text;
}

}  // namespace

CallPlan::CallPlan(const CallConfig& call, const EndpointConfig& endpoint, ReferenceNames names, Metrics& registry)
    : config(call),
      path(compile(call.path, Template::Place::target, with_item(names, call.for_each.has_value()))),
      query_names(query_names_of(call.path)),
      array(array_of(call.for_each, names)),
      is_json(merges(endpoint.strategy)),
      is_proxy(endpoint.strategy == Strategy::proxy),
      longest(call.timeout.value_or(endpoint.deadline)),
      member("\"" + call.name + "\":"),  // names are plain ASCII: nothing to escape
      endpoint_name(endpoint.name),
      has_warned(std::make_unique<std::atomic_flag>()),
      metrics(std::make_unique<CallMetrics>(registry, endpoint.name, call.name)) {
  names.has_item = call.for_each.has_value();
  for (const HeaderTemplate& header : call.headers) {
    headers.emplace_back(header.name, compile(header.value, Template::Place::header, names));
  }
  for (const TakenHeaders& taken : endpoint.response_headers.from) {
    if (taken.call == call.name) taken_headers = taken.names;
  }
  if (is_json) {
    shape = JsonShape(call);
    CallConfig bare;
    bare.into = call.into;
    fallback_shape = JsonShape(bare);
  }
  accept_for_stored = call.accept;
  if (!call.cache) return;
  sent_of_vary = sent_of_vary_by(*this);
  if (std::max(call.cache->stale_if_error, call.cache->stale_while_revalidate) > std::chrono::nanoseconds(0)) {
    metrics->export_runway();
  }
  accept_for_stored &= ~call.cache->stale_on_statuses;
  for (std::size_t i = 0; i < backends::kReasonCount; ++i) {
    const auto word = to_string(static_cast<backends::Reason>(i));
    const auto& words = call.cache->stale_on_reasons;
    stale_on[i] = std::find(words.begin(), words.end(), word) != words.end();
  }
}

bool CallPlan::serves_stale_on(backends::Reason reason, unsigned status) const {
  if (!config.cache) return false;
  if (reason == backends::Reason::status) {
    return status < config.cache->stale_on_statuses.size() && config.cache->stale_on_statuses[status];
  }
  return stale_on[static_cast<std::size_t>(reason)];
}

EndpointPlan::EndpointPlan(const EndpointConfig& endpoint, Metrics& registry)
    : config(endpoint), layout(endpoint.calls), metrics(std::make_unique<EndpointMetrics>(registry, endpoint.name)) {
  const std::vector<std::string> parameters = parse_pattern(endpoint.path).parameters();
  if (endpoint.cors) cors.emplace(*endpoint.cors, endpoint.methods);
  std::vector<std::string> call_names;
  for (const CallConfig& call : endpoint.calls) call_names.push_back(call.name);
  ReferenceNames known(parameters);
  known.calls = call_names;
  CallGraph graph(endpoint.calls.size());
  calls.reserve(endpoint.calls.size());
  for (const CallConfig& call : endpoint.calls) {
    const std::size_t index = calls.size();
    const CallPlan& plan = calls.emplace_back(call, endpoint, known, registry);
    graph.add(index, plan.path.calls());
    for (const auto& [name, value] : plan.headers) graph.add(index, value.calls());
    if (plan.array) graph.add(index, std::span(&plan.array->call, 1));
    any_required = any_required || call.required;
    auto& names = influential_headers;
    names.insert(names.end(), plan.path.headers().begin(), plan.path.headers().end());
    for (const auto& [name, value] : plan.headers) {
      names.insert(names.end(), value.headers().begin(), value.headers().end());
    }
    names.insert(names.end(), call.forward.headers.list.begin(), call.forward.headers.list.end());
    if (call.forward.headers.all) names.emplace_back("*");
  }
  for (std::size_t i = 0; i < calls.size(); ++i) {
    calls[i].inputs = graph.inputs(i);
    calls[i].dependants = graph.dependants(i);
  }
  std::sort(influential_headers.begin(), influential_headers.end());
  influential_headers.erase(std::unique(influential_headers.begin(), influential_headers.end()),
                            influential_headers.end());
}

Runtime::Runtime(Config c, Metrics& metrics, const Runtime* before) : config(std::move(c)) {
  for (const BackendConfig& backend : config.backends) {
    std::shared_ptr<backends::Servers> same;
    if (before != nullptr) {
      for (std::size_t i = 0; i < before->config.backends.size() && !same; ++i) {
        const BackendConfig& old = before->config.backends[i];
        if (old.name == backend.name && old.servers == backend.servers && old.host_header == backend.host_header) {
          same = before->servers[i];
        }
      }
    }
    servers.push_back(same ? same : make_servers(backend));
    backend_metrics.push_back(std::make_shared<BackendMetrics>(metrics, backend.name));
  }
  trusted_proxies = Networks(config.trusted_proxies);
  kept_headers.resize(config.backends.size());
  unmatched = std::make_unique<EndpointMetrics>(metrics, "");
  std::vector<Router::Route> routes;
  endpoints.reserve(config.endpoints.size());
  for (const EndpointConfig& endpoint : config.endpoints) {
    EndpointPlan& plan = endpoints.emplace_back(endpoint, metrics);
    const Pattern pattern = parse_pattern(endpoint.path);
    const std::vector<std::string> parameters = pattern.parameters();
    for (CallPlan& call : plan.calls) {
      const auto& hash = config.backends[call.config.backend].balance.hash;
      if (hash) call.hash = compile(*hash, Template::Place::header, ReferenceNames(parameters));
      call.names_common = names_common(call.config, config.backends[call.config.backend], config.headers);
      for (const std::string& name : call.taken_headers) {
        auto& kept = kept_headers[call.config.backend];
        // A cookie is one client's: it is passed on once, never stored.
        if (name != "set-cookie" && std::find(kept.begin(), kept.end(), name) == kept.end()) kept.push_back(name);
      }
    }
    Router::Route route;
    route.pattern = pattern;
    route.methods = endpoint.methods;
    routes.push_back(std::move(route));
  }
  std::map<std::string, std::size_t> alike;
  for (EndpointPlan& endpoint : endpoints) {
    for (CallPlan& call : endpoint.calls)
      call.alike = alike.try_emplace(attempt_settings(call), alike.size()).first->second;
  }
  router.emplace(routes);
}

void Runtime::update_metrics(concurrency::TimePoint now) const {
  for (const EndpointPlan& endpoint : endpoints) {
    for (const CallPlan& call : endpoint.calls) call.metrics->update_runway(now);
  }
}

}  // namespace sluice::gateway
