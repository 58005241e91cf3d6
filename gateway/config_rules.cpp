// Checking the rules between values of a configuration.
#include "gateway/config_rules.hpp"

#include "gateway/call_graph.hpp"
#include "gateway/config_keys.hpp"
#include "gateway/router.hpp"
#include "gateway/shaping_rules.hpp"
#include "gateway/template.hpp"
#include "gateway/text_rules.hpp"
#include "gateway/units.hpp"

#include <algorithm>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

namespace sluice::gateway {
namespace {

bool contains(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

std::string quote(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

bool is_any(const std::string& host) {
  return host == "0.0.0.0" || host == "::";
}

// Whether both cannot be listened on. A socket of "::" takes IPv4 too.
bool overlap(const Address& a, const Address& b) {
  if (a.port != b.port || a.port == 0) return false;
  const auto is_ipv6 = [](const Address& address) { return address.host.find(':') != std::string::npos; };
  if (a.host == b.host || a.host == "::" || b.host == "::") return true;
  return (is_any(a.host) || is_any(b.host)) && !is_ipv6(a) && !is_ipv6(b);
}

class Rules {
 public:
  Rules(const Config& config, ConfigNode& root, ConfigProblems& problems)
      : config_(config), root_(root), problems_(problems) {}

  void check() {
    check_addresses();
    check_servers();
    check_added_headers();
    check_cache_file();
    for (std::size_t i = 0; i < config_.backends.size(); ++i) {
      check_managed(config_.backends[i].headers, pointer_to("/backends", config_.backends[i].name));
    }
    for (std::size_t i = 0; i < config_.endpoints.size(); ++i) check_endpoint(i);
    check_routes();
    check_header_rules(config_, root_, problems_);
  }

 private:
  Place place(const std::string& pointer) const { return place_of(root_, pointer); }
  void error(const std::string& pointer, std::string message) { problems_.error(place(pointer), std::move(message)); }
  void warning(const std::string& pointer, std::string message) {
    problems_.warning(place(pointer), std::move(message));
  }

  static bool has_valid(ConfigNode& object, std::string_view key) {
    const ConfigNode* value = object.find(key);
    return value != nullptr && value->is_valid;
  }

  void check_addresses() {
    for (std::size_t i = 0; i < config_.listen.size(); ++i) {
      for (std::size_t other = 0; other < i; ++other) {
        if (!overlap(config_.listen[i], config_.listen[other])) continue;
        const bool is_same = config_.listen[i] == config_.listen[other];
        error("/listen/" + std::to_string(i),
              is_same ? "the address is there twice"
                      : "the address and /listen/" + std::to_string(other) + " include each other");
        break;
      }
    }
    for (const Address& address : config_.listen) {
      if (!config_.admin || !overlap(*config_.admin, address)) continue;
      error("/admin", *config_.admin == address ? "the address is in \"listen\" too"
                                                : "the address and one in \"listen\" include each other");
      break;
    }
  }

  void check_servers() {
    for (const BackendConfig& backend : config_.backends) {
      const std::string pointer = pointer_to("/backends", backend.name) + "/servers";
      for (std::size_t i = 0; i < backend.servers.size(); ++i) {
        const auto end = backend.servers.begin() + static_cast<std::ptrdiff_t>(i);
        if (std::find(backend.servers.begin(), end, backend.servers[i]) == end) continue;
        error(pointer + "/" + std::to_string(i), "the server is there twice");
      }
    }
  }

  void check_added_headers() {
    std::vector<std::string> seen;
    const auto check = [&](const std::string& pointer, const std::optional<std::string>& name) {
      if (!name) return;
      if (is_managed(*name)) error(pointer, quote(*name) + " is a header that the gateway makes itself");
      if (contains(seen, lower_case(*name))) error(pointer, "two headers have the name " + quote(*name));
      seen.push_back(lower_case(*name));
    };
    check("/headers/Sluice-Result", config_.headers.result);
    check("/headers/Sluice-Calls", config_.headers.calls);
    check("/headers/X-Request-Id", config_.headers.request_id);
    check("/headers/traceparent", config_.headers.traceparent);
    check("/headers/Server-Timing", config_.headers.server_timing);
    check("/headers/X-Forwarded-For", config_.headers.forwarded_for);
    check("/headers/X-Forwarded-Proto", config_.headers.forwarded_proto);
    check("/headers/X-Forwarded-Host", config_.headers.forwarded_host);
    check("/headers/Forwarded", config_.headers.forwarded);
    check("/headers/Via", config_.headers.via);
    if (config_.deadline_header.send && is_managed(*config_.deadline_header.send)) {
      error("/deadline_header/send",
            quote(*config_.deadline_header.send) + " is a header that the gateway makes itself");
    }
  }

  // Only warnings: the configuration may be checked on another machine, and serves without the file.
  void check_cache_file() {
    if (!config_.cache_file) return;
    const std::filesystem::path path(*config_.cache_file);
    const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
    std::error_code failed;
    if (!path.has_filename() || std::filesystem::is_directory(path, failed)) {
      error("/cache_file", "must name a file, got the folder " + quote(*config_.cache_file));
    } else if (!std::filesystem::is_directory(folder, failed)) {
      warning("/cache_file", "there is no folder " + quote(folder.string()));
    } else if (::access(folder.c_str(), W_OK | X_OK) != 0) {
      warning("/cache_file", "the folder " + quote(folder.string()) + " cannot be written to");
    }
  }

  void check_managed(const std::vector<HeaderTemplate>& headers, const std::string& owner) {
    for (const HeaderTemplate& header : headers) {
      if (!is_managed(header.name)) continue;
      const std::string hint = lower_case(header.name) == "host" ? "; \"host_header\" of the backend sets it" : "";
      error(pointer_to(owner + "/headers", header.name),
            quote(header.name) + " is a header that the gateway makes itself" + hint);
    }
  }

  void check_endpoint(std::size_t index) {
    const EndpointConfig& endpoint = config_.endpoints[index];
    const std::string pointer = "/endpoints/" + std::to_string(index);
    ConfigNode& node = root_.find("endpoints")->elements[index];
    for (std::size_t other = 0; other < index && !endpoint.name.empty(); ++other) {
      if (config_.endpoints[other].name != endpoint.name) continue;
      error(pointer + (node.find("name") != nullptr ? "/name" : "/path"),
            "the name " + quote(endpoint.name) + " is that of /endpoints/" + std::to_string(other) + " too");
      break;
    }
    if (has_valid(node, "stagger") && endpoint.stagger && endpoint.strategy != Strategy::first) {
      error(pointer + "/stagger", "needs the strategy \"first\"");
    }
    check_quorum(endpoint, pointer, node);

    if (has_valid(node, "methods")) {
      const auto& methods = endpoint.methods;
      for (std::size_t i = 0; i < methods.size(); ++i) {
        const auto end = methods.begin() + static_cast<std::ptrdiff_t>(i);
        if (std::find(methods.begin(), end, methods[i]) != end) {
          error(pointer + "/methods/" + std::to_string(i), "the method is there twice");
        }
      }
    }

    std::optional<Pattern> pattern;
    if (has_valid(node, "path")) {
      std::string problem;
      pattern = Pattern::parse(endpoint.path, problem);
      if (!pattern) error(pointer + "/path", problem);
    }
    if (pattern && (node.find("methods") == nullptr || has_valid(node, "methods"))) {
      routes_.push_back({*pattern, endpoint.methods});
      route_endpoints_.push_back(index);
    }
    std::vector<std::string> names;
    for (const CallConfig& call : endpoint.calls) names.push_back(call.name);
    CallGraph graph(endpoint.calls.size());
    std::size_t first_fallback = endpoint.calls.size();
    for (std::size_t i = 0; i < endpoint.calls.size(); ++i) {
      const std::string child = pointer + "/calls/" + std::to_string(i);
      ConfigNode& call_node = node.find("calls")->elements[i];
      if (!call_node.is_valid) continue;
      check_call(endpoint, i, child, pattern);
      if (pattern) check_templates(endpoint, i, child, pattern->parameters(), names, graph);
      check_backend(endpoint.calls[i], call_node.find("backend")->text, child);
      if (!endpoint.calls[i].fallback || endpoint.strategy != Strategy::first) continue;
      if (first_fallback < i) {
        warning(child + "/fallback", "is never used: when all calls have failed, the fallback of " +
                                         quote(endpoint.calls[first_fallback].name) + " is the reply");
      }
      first_fallback = std::min(first_fallback, i);
    }
    check_shapes(endpoint, node, pointer);
    for (const std::vector<std::size_t>& cycle : graph.cycles()) {
      std::string way;
      for (std::size_t call : cycle) way += (way.empty() ? "" : " → ") + names[call];
      error(pointer + "/calls/" + std::to_string(cycle.front()), "waits for its own data: " + way);
    }
  }

  void check_quorum(const EndpointConfig& endpoint, const std::string& pointer, ConfigNode& node) {
    if (endpoint.strategy != Strategy::quorum) {
      if (has_valid(node, "quorum")) error(pointer + "/quorum", "needs the strategy \"quorum\"");
    } else if (node.find("quorum") == nullptr) {
      error(pointer + "/strategy", "needs the key \"quorum\": how many calls must succeed");
    } else if (has_valid(node, "quorum") && node.find("calls") != nullptr && *endpoint.quorum > endpoint.calls.size()) {
      error(pointer + "/quorum", "must be at most the number of calls, " + std::to_string(endpoint.calls.size()) +
                                     ", got " + std::to_string(*endpoint.quorum));
    }
  }

  void check_shapes(const EndpointConfig& endpoint, ConfigNode& node, const std::string& pointer) {
    std::vector<bool> is_valid;
    for (std::size_t i = 0; i < endpoint.calls.size(); ++i) {
      is_valid.push_back(node.find("calls")->elements[i].is_valid);
    }
    for (ShapingProblem& problem : check_shaping(endpoint, is_valid)) {
      const std::string at = pointer + "/calls/" + std::to_string(problem.call) + "/" + problem.key;
      problem.is_error ? error(at, std::move(problem.message)) : warning(at, std::move(problem.message));
    }
  }

  void check_routes() {
    const Router router(routes_);
    for (const Router::Conflict& conflict : router.conflicts()) {
      const std::size_t first = route_endpoints_[conflict.first];
      std::vector<std::string_view> methods;
      for (std::size_t i = 0; i < kMethods.size(); ++i) {
        if ((conflict.methods >> i & 1U) != 0) methods.push_back(kMethods[i]);
      }
      error("/endpoints/" + std::to_string(route_endpoints_[conflict.second]) + "/path",
            "matches the same " + quoted_list(methods) + " requests as /endpoints/" + std::to_string(first) + ", " +
                quote(config_.endpoints[first].path));
    }
  }

  void check_call(const EndpointConfig& endpoint, std::size_t index, const std::string& pointer,
                  const std::optional<Pattern>& pattern) {
    const CallConfig& call = endpoint.calls[index];
    check_call_name(endpoint, index, pointer, pattern);
    check_managed(call.headers, pointer);
    for (const std::string& name : call.forward.headers.list) {
      if (is_managed(name))
        error(pointer + "/forward/headers", quote(name) + " belongs to the client's connection and is never forwarded");
    }
    if (call.for_each && call.into == "")
      error(pointer + "/into", "cannot be \"\" with \"for_each\", which gives an array");
    check_uses(endpoint, call, pointer);
  }

  void check_backend(const CallConfig& call, const std::string& name, const std::string& pointer) {
    if (call.backend < config_.backends.size() || root_.find("backends") == nullptr) return;
    std::vector<std::string_view> known;
    for (const BackendConfig& backend : config_.backends) known.push_back(backend.name);
    std::string hint = did_you_mean(name, known);
    if (hint.empty() && !known.empty()) hint = ", expected " + quoted_list(known);
    error(pointer + "/backend", "unknown backend " + quote(name) + hint);
  }

  void check_call_name(const EndpointConfig& endpoint, std::size_t index, const std::string& pointer,
                       const std::optional<Pattern>& pattern) {
    const std::string& name = endpoint.calls[index].name;
    if (name == "query" || name == "header")
      error(pointer + "/name", quote(name) + " has a meaning of its own in templates");
    for (std::size_t other = 0; other < index; ++other) {
      if (endpoint.calls[other].name != name) continue;
      error(pointer + "/name", "another call of the endpoint has the name " + quote(name));
      break;
    }
    if (!pattern) return;
    for (const Pattern::Segment& segment : pattern->segments) {
      if (segment.kind != Pattern::Kind::literal && segment.text == name) {
        error(pointer + "/name", quote(name) + " is a path parameter of the endpoint");
      }
    }
  }

  void check_templates(const EndpointConfig& endpoint, std::size_t index, const std::string& pointer,
                       const std::vector<std::string>& parameters, const std::vector<std::string>& call_names,
                       CallGraph& graph) {
    const CallConfig& call = endpoint.calls[index];
    ReferenceNames names(parameters);
    names.calls = call_names;
    const auto needs = [&](std::span<const std::size_t> inputs, const std::string& at) {
      if (inputs.empty()) return;
      if (!merges(endpoint.strategy)) {
        error(at, "refers to another call, which needs the strategy \"merge\" or \"quorum\"");
      } else {
        graph.add(index, inputs);
      }
    };
    if (call.for_each) check_for_each(call, pointer, names, needs);
    names.has_item = call.for_each.has_value();
    bool reads_item = false;
    std::vector<std::pair<std::string, std::string>> sent;  // client header, where it is used
    const auto compile = [&](const std::string& source, Template::Place where, const std::string& at,
                             const std::string& what) {
      std::string problem;
      const auto compiled = Template::compile(source, where, names, problem);
      if (!compiled && node_at(root_, at)->has_reference) {
        problem = "has, with the values of its ${...}, a \"{\" or \"}\" that begins or ends no reference";  // perhaps a
                                                                                                            // secret
      }
      reads_item = reads_item || !compiled || compiled->reads_item();
      if (!compiled) return error(at, problem);
      needs(compiled->calls(), at);
      for (const std::string& header : compiled->headers()) sent.emplace_back(header, what);
    };
    compile(call.path, Template::Place::target, pointer + "/path", "in its path");
    for (const HeaderTemplate& header : call.headers) {
      compile(header.value, Template::Place::header, pointer_to(pointer + "/headers", header.name),
              "in " + quote(header.name));
    }
    if (call.for_each && !reads_item) {
      warning(pointer + "/for_each", "all its requests are the same: no template of the call has \"{item}\"");
    }
    if (!call.cache) return;

    // Who asks first decides what the others get, so all that the backend saw of a client must be part of the key.
    const CacheConfig& cache = *call.cache;
    if (contains(cache.vary_except, "*")) return;
    if (contains(cache.vary, "*")) error(pointer + "/cache/vary", "must list names, got \"*\"");
    for (const std::string& name : call.forward.headers.list) sent.emplace_back(name, "forwarded");
    for (const auto& [name, how] : sent) {
      if (contains(cache.vary, name) || contains(cache.vary_except, name)) continue;
      error(pointer + "/cache", "the call sends the client header " + quote(name) + " (" + how +
                                    "): name it in \"vary\", or one client is served what another was sent; or in "
                                    "\"vary_except\" if it cannot change the answer");
    }
    if (call.forward.headers.all) {
      error(pointer + "/cache",
            "the call forwards all client headers: list those it needs in \"forward\", and name them in \"vary\"");
    }
  }

  template <class Needs>
  void check_for_each(const CallConfig& call, const std::string& pointer, const ReferenceNames& names,
                      const Needs& needs) {
    for (std::string_view parameter : names.parameters) {
      if (parameter != "item" && parameter != "item...") continue;
      error(pointer + "/for_each", "\"{item}\" is the element, but also a path parameter of the endpoint");
    }
    if (std::find(names.calls.begin(), names.calls.end(), "item") != names.calls.end()) {
      error(pointer + "/for_each", "\"{item}\" is the element, but also the name of a call of the endpoint");
    }
    std::string problem;
    const auto array = JsonReference::parse(call.for_each->in, names, problem);
    const std::string at = pointer + "/for_each/in";
    if (array) {
      needs(std::span(&array->call, 1), at);
    } else if (!problem.empty()) {
      error(at, problem);
    } else {
      const std::string& in = call.for_each->in;
      std::vector<std::string_view> known(names.calls.begin(), names.calls.end());
      std::string hint = did_you_mean(std::string_view(in).substr(0, in.find_first_of(".:")), known);
      if (hint.empty()) hint = ", expected a call of the endpoint, such as " + quote(known.front());
      error(at, "refers to " + quote(in) + hint);
    }
  }

  // Settings that have no effect.
  void check_uses(const EndpointConfig& endpoint, const CallConfig& call, const std::string& pointer) {
    if (call.timeout && *call.timeout > endpoint.deadline) {
      warning(pointer + "/timeout", "is longer than the endpoint's deadline of " + format_duration(endpoint.deadline));
    }
    if (!call.required && has(pointer + "/pass_status")) {
      warning(pointer + "/pass_status", "has no effect: the call is not required");
    }
    if (call.required && endpoint.strategy == Strategy::first && has(pointer + "/required")) {
      warning(pointer + "/required", "has no effect with the strategy \"first\"");
    }
    if (call.cache && call.cache->stale_after && call.cache->stale_if_error == std::chrono::nanoseconds(0) &&
        has(pointer + "/cache/stale_after")) {
      warning(pointer + "/cache/stale_after", "has no effect without \"stale_if_error\"");
    }
    if (call.follow_redirects > 0 && has(pointer + "/follow_redirects") &&
        (call.method ? *call.method != "GET" : !contains(endpoint.methods, "GET"))) {
      warning(pointer + "/follow_redirects", "has no effect: only redirects of GET calls are followed");
    }
    for (const std::string key : {"/pick", "/allow", "/deny", "/rename", "/into"}) {
      if (!merges(endpoint.strategy) && has(pointer + key)) error(pointer + key, "needs the strategy \"merge\"");
    }
    if (call.cache && (call.method ? *call.method != "GET" : !contains(endpoint.methods, "GET")) &&
        has(pointer + "/cache")) {
      warning(pointer + "/cache", "has no effect: only GET calls are stored");
    }
  }

  bool has(const std::string& pointer) const { return place(pointer).pointer == pointer; }

  const Config& config_;
  ConfigNode& root_;
  ConfigProblems& problems_;
  std::vector<Router::Route> routes_;
  std::vector<std::size_t> route_endpoints_;
};

}  // namespace

void check_rules(const Config& config, ConfigNode& root, ConfigProblems& problems) {
  Rules(config, root, problems).check();
}

}  // namespace sluice::gateway
