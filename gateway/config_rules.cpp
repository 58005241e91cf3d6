// Checking the rules between values of a configuration.
#include "gateway/config_rules.hpp"

#include "gateway/budget.hpp"
#include "gateway/call_graph.hpp"
#include "gateway/config_keys.hpp"
#include "gateway/router.hpp"
#include "gateway/shaping_rules.hpp"
#include "gateway/template.hpp"
#include "gateway/text_rules.hpp"
#include "gateway/units.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <system_error>
#include <unistd.h>
#include <unordered_map>
#include <utility>
#include <vector>

namespace sluice::gateway {
namespace {

bool contains(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
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

// The names between braces in a path that is none.
std::vector<std::string> in_braces(std::string_view path) {
  std::vector<std::string> names;
  for (std::size_t begin = path.find('{'); begin != std::string_view::npos; begin = path.find('{')) {
    path.remove_prefix(begin + 1);
    names.emplace_back(path.substr(0, path.find('}')));
  }
  return names;
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
      check_managed(config_.backends[i].headers, pointer_to("/backends", config_.backends[i].name), root_, problems_);
    }
    for (std::size_t i = 0; i < config_.endpoints.size(); ++i) check_endpoint(i);
    check_backend_times();
    check_hashes();
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

  void check_endpoint(std::size_t index) {
    const EndpointConfig& endpoint = config_.endpoints[index];
    const std::string pointer = "/endpoints/" + std::to_string(index);
    ConfigNode& node = root_.find("endpoints")->elements[index];
    if (!endpoint.name.empty()) {
      const auto [same, is_new] = endpoints_by_name_.try_emplace(endpoint.name, index);
      if (!is_new) {
        error(pointer + (node.find("name") != nullptr ? "/name" : "/path"),
              "the name " + quote(endpoint.name) + " is that of /endpoints/" + std::to_string(same->second) + " too");
      }
    }
    if (is_good(root_, pointer + "/strategy")) check_strategy(endpoint, pointer, node);

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
    std::optional<std::vector<std::string>> parameters;
    if (has_valid(node, "path")) {
      std::string problem;
      pattern = Pattern::parse(endpoint.path, problem);
      if (!pattern) error(pointer + "/path", problem);
      parameters = pattern ? pattern->parameters() : in_braces(endpoint.path);
    }
    if (pattern && (node.find("methods") == nullptr || has_valid(node, "methods"))) {
      routes_.push_back({*pattern, endpoint.methods});
      route_endpoints_.push_back(index);
    }
    std::vector<std::string> names;
    for (std::size_t i = 0; i < endpoint.calls.size(); ++i) {
      const ConfigNode* name = node.find("calls")->elements[i].find("name");
      const bool is_text = name != nullptr && name->kind == ConfigNode::Kind::string && !name->text.empty();
      names.push_back(is_text ? name->text : " ");  // which nothing can refer to
    }
    CallGraph graph(endpoint.calls.size());
    std::size_t first_fallback = endpoint.calls.size();
    for (std::size_t i = 0; i < endpoint.calls.size(); ++i) {
      const std::string child = pointer + "/calls/" + std::to_string(i);
      check_call_rules(config_, root_, problems_, {index, i, parameters ? &*parameters : nullptr, names}, graph);
      if (!endpoint.calls[i].fallback || endpoint.strategy != Strategy::first) continue;
      if (first_fallback < i) {
        warning(child + "/fallback", "is never used: when all calls have failed, the fallback of " +
                                         quote(endpoint.calls[first_fallback].name) + " is the reply");
      }
      first_fallback = std::min(first_fallback, i);
    }
    check_shapes(endpoint, pointer);
    check_times(endpoint, pointer);
    for (const std::vector<std::size_t>& cycle : graph.cycles()) {
      std::string way;
      for (std::size_t call : cycle) way += (way.empty() ? "" : " → ") + names[call];
      error(pointer + "/calls/" + std::to_string(cycle.front()), "waits for its own data: " + way);
    }
  }

  void check_strategy(const EndpointConfig& endpoint, const std::string& pointer, ConfigNode& node) {
    if (has_valid(node, "stagger") && endpoint.stagger && endpoint.strategy != Strategy::first) {
      error(pointer + "/stagger", "needs the strategy \"first\"");
    }
    const bool is_proxy = endpoint.strategy == Strategy::proxy;
    for (const char* key : {"stream_idle_timeout", "stream_timeout"}) {
      if (!is_proxy && has_valid(node, key)) error(pointer + "/" + key, "needs the strategy \"proxy\"");
    }
    if (is_proxy && endpoint.calls.size() > 1) {
      error(pointer + "/calls", "the strategy \"proxy\" has one call, got " + std::to_string(endpoint.calls.size()));
    }
    check_quorum(endpoint, pointer, node);
  }

  // Times of the endpoint that a shorter one makes pointless; those of its backends are looked at when all are known.
  void check_times(const EndpointConfig& endpoint, const std::string& pointer) {
    for (const CallConfig& call : endpoint.calls) ++uses_[call.backend];
    if (!is_good(root_, pointer + "/deadline")) return;
    for (const IdleTime& idle : idle_times(config_, endpoint)) {
      const std::string call = pointer + "/calls/" + std::to_string(idle.call);
      const std::string at = idle.which == IdleTime::Which::timeout       ? call + "/timeout"
                             : idle.which == IdleTime::Which::stale_after ? call + "/cache/stale_after"
                             : idle.which == IdleTime::Which::stagger     ? pointer + "/stagger"
                                                                          : "";
      if (at.empty()) {
        ++idle_uses_[{endpoint.calls[idle.call].backend, idle.which}];
      } else if (idle.shorter == "deadline") {
        warning(at, "is longer than the endpoint's deadline of " + format_duration(idle.limit));
      } else {
        warning(at, "is longer than the call's timeout of " + format_duration(idle.limit));
      }
    }
  }

  // Only those that stand in the file: the defaults are meant for any deadline.
  void check_backend_times() {
    for (const auto& [key, uses] : idle_uses_) {
      const auto& [backend, which] = key;
      if (uses < uses_[backend]) continue;
      const char* name = which == IdleTime::Which::connect_timeout ? "/connect_timeout" : "/timeout";
      const std::string at = pointer_to("/backends", config_.backends[backend].name) + name;
      if (place(at).pointer == at) {
        warning(at, "is never reached: a shorter timeout or deadline comes first in every call");
      }
    }
  }

  // The template of a backend must make sense in every call to it.
  void check_hashes() {
    std::vector<bool> is_told(config_.backends.size());
    for (const EndpointConfig& endpoint : config_.endpoints) {
      std::string problem;
      const auto pattern = Pattern::parse(endpoint.path, problem);
      if (!pattern) continue;
      const std::vector<std::string> parameters = pattern->parameters();
      for (const CallConfig& call : endpoint.calls) {
        if (call.backend == config_.backends.size() || is_told[call.backend]) continue;
        const BackendConfig& backend = config_.backends[call.backend];
        if (!backend.balance.hash) continue;
        const std::string at = pointer_to("/backends", backend.name) + "/balance/hash";
        const auto hash =
            Template::compile(*backend.balance.hash, Template::Place::header, ReferenceNames(parameters), problem);
        is_told[call.backend] = true;
        if (!hash) {
          error(at, problem + " (in " + quote(endpoint.path) + ")");
        } else if (!hash->reads_target() && hash->headers().empty()) {
          warning(at, "is the same for all requests, so that one server gets them all");
        } else {
          is_told[call.backend] = false;
        }
      }
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

  void check_shapes(const EndpointConfig& endpoint, const std::string& pointer) {
    std::vector<bool> is_valid;
    for (std::size_t i = 0; i < endpoint.calls.size(); ++i) {
      const std::string call = pointer + "/calls/" + std::to_string(i);
      is_valid.push_back(!endpoint.calls[i].name.empty() && is_good(root_, call + "/into"));
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

  const Config& config_;
  ConfigNode& root_;
  ConfigProblems& problems_;
  std::vector<Router::Route> routes_;
  std::vector<std::size_t> route_endpoints_;
  std::unordered_map<std::string, std::size_t> endpoints_by_name_;
  std::map<std::size_t, std::size_t> uses_;                                   // of a backend, by calls
  std::map<std::pair<std::size_t, IdleTime::Which>, std::size_t> idle_uses_;  // those that never reach its time
};

}  // namespace

void check_rules(const Config& config, ConfigNode& root, ConfigProblems& problems) {
  Rules(config, root, problems).check();
}

}  // namespace sluice::gateway
