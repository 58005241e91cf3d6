// Checking the rules about one call: its name, its backend, its templates, what may be stored for whom.
#include "gateway/config_keys.hpp"
#include "gateway/config_rules.hpp"
#include "gateway/template.hpp"
#include "gateway/text_rules.hpp"
#include "gateway/units.hpp"

#include <algorithm>
#include <chrono>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace sluice::gateway {
namespace {

bool contains(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

class CallRules {
 public:
  CallRules(const Config& config, const ConfigNode& root, ConfigProblems& problems)
      : config_(config), root_(root), problems_(problems) {}

  void check(const CallPlace& place, CallGraph& graph) {
    const EndpointConfig& endpoint = config_.endpoints[place.endpoint];
    const std::string pointer = "/endpoints/" + std::to_string(place.endpoint) + "/calls/" + std::to_string(place.call);
    const bool has_parameters = place.parameters != nullptr;
    const std::vector<std::string> parameters =
        has_parameters ? *place.parameters : assumed_parameters(endpoint.calls[place.call], place.names);
    check_call(endpoint, place.call, pointer, has_parameters ? parameters : std::vector<std::string>());
    check_templates(endpoint, place.call, pointer, parameters, place.names, graph);
    check_vary(endpoint.calls[place.call], pointer);
    check_backend(endpoint.calls[place.call], pointer);
  }

 private:
  void error(const std::string& pointer, std::string message) {
    problems_.error(place_of(root_, pointer), std::move(message));
  }
  void warning(const std::string& pointer, std::string message) {
    problems_.warning(place_of(root_, pointer), std::move(message));
  }
  bool has(const std::string& pointer) const { return place_of(root_, pointer).pointer == pointer; }

  // Whatever the templates of `call` may take for path parameters of an endpoint without a path.
  static std::vector<std::string> assumed_parameters(const CallConfig& call, const std::vector<std::string>& calls) {
    std::vector<std::string> names;
    const auto add = [&](std::string_view text) {
      for (std::size_t begin = text.find('{'); begin != std::string_view::npos; begin = text.find('{')) {
        text.remove_prefix(begin + 1);
        const std::string name(text.substr(0, text.find('}')));
        if (name.find_first_of(".:") == std::string::npos && !contains(calls, name)) names.push_back(name);
      }
    };
    add(call.path);
    for (const HeaderTemplate& header : call.headers) add(header.value);
    if (call.for_each) std::erase(names, "item");
    return names;
  }

  void check_call(const EndpointConfig& endpoint, std::size_t index, const std::string& pointer,
                  const std::vector<std::string>& parameters) {
    const CallConfig& call = endpoint.calls[index];
    if (!call.name.empty()) check_call_name(endpoint, index, pointer, parameters);
    check_managed(call.headers, pointer, root_, problems_);
    for (const std::string& name : call.forward.headers.list) {
      if (is_managed(name))
        error(pointer + "/forward/headers", quote(name) + " belongs to the client's connection and is never forwarded");
    }
    if (call.for_each && call.into == "")
      error(pointer + "/into", "cannot be \"\" with \"for_each\", which gives an array");
    check_uses(endpoint, call, pointer);
  }

  void check_backend(const CallConfig& call, const std::string& pointer) {
    const std::string at = pointer + "/backend";
    if (call.backend < config_.backends.size() || !has(at) || !is_good(root_, at) || !has("/backends")) return;
    const std::string& name = node_at(root_, at)->text;
    std::vector<std::string_view> known;
    for (const BackendConfig& backend : config_.backends) known.push_back(backend.name);
    std::string hint = did_you_mean(name, known);
    if (hint.empty() && !known.empty()) hint = ", expected " + quoted_list(known);
    error(pointer + "/backend", "unknown backend " + quote(name) + hint);
  }

  void check_call_name(const EndpointConfig& endpoint, std::size_t index, const std::string& pointer,
                       const std::vector<std::string>& parameters) {
    const std::string& name = endpoint.calls[index].name;
    if (name == "query" || name == "header")
      error(pointer + "/name", quote(name) + " has a meaning of its own in templates");
    for (std::size_t other = 0; other < index; ++other) {
      if (endpoint.calls[other].name != name) continue;
      error(pointer + "/name", "another call of the endpoint has the name " + quote(name));
      break;
    }
    if (contains(parameters, name) || contains(parameters, name + "...")) {
      error(pointer + "/name", quote(name) + " is a path parameter of the endpoint");
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
    if (call.for_each && !call.for_each->in.empty()) check_for_each(call, pointer, names, needs);
    names.has_item = call.for_each.has_value();
    bool reads_item = false;
    sent_.clear();
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
      for (const std::string& header : compiled->headers()) sent_.emplace_back(header, what);
    };
    if (call.path.empty()) {
      reads_item = true;  // perhaps
    } else {
      compile(call.path, Template::Place::target, pointer + "/path", "in its path");
    }
    for (const HeaderTemplate& header : call.headers) {
      compile(header.value, Template::Place::header, pointer_to(pointer + "/headers", header.name),
              "in " + quote(header.name));
    }
    if (call.for_each && !reads_item && is_good(root_, pointer + "/headers")) {
      warning(pointer + "/for_each", "all its requests are the same: no template of the call has \"{item}\"");
    }
  }

  // Who asks first decides what the others get, so all that the backend saw of a client must be part of the key.
  void check_vary(const CallConfig& call, const std::string& pointer) {
    const bool is_known = is_good(root_, pointer + "/cache/vary") && is_good(root_, pointer + "/cache/vary_except") &&
                          is_good(root_, "/defaults/call/cache");
    if (!call.cache || !is_known) return;
    const CacheConfig& cache = *call.cache;
    if (contains(cache.vary_except, "*")) return;
    if (contains(cache.vary, "*")) error(pointer + "/cache/vary", "must list names, got \"*\"");
    for (const std::string& name : call.forward.headers.list) sent_.emplace_back(name, "forwarded");
    for (const auto& [name, how] : sent_) {
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
    if (!call.required && has(pointer + "/pass_status") && is_good(root_, pointer + "/required")) {
      warning(pointer + "/pass_status", "has no effect: the call is not required");
    }
    if (call.required && call.fallback && !call.for_each && has(pointer + "/pass_status")) {
      warning(pointer + "/pass_status", "has no effect: the fallback takes the place of every failure");
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
    if (call.follow_redirects > 0 && endpoint.strategy == Strategy::proxy && has(pointer + "/follow_redirects")) {
      error(pointer + "/follow_redirects", "is not available with the strategy \"proxy\"");
    }
    if (call.cache && call.cache->ignore_origin && call.cache->origin_decides && has(pointer + "/cache")) {
      error(pointer + "/cache", "has both \"ignore_origin\" and \"origin_decides\"");
    }
    if (call.cache && (call.method ? *call.method != "GET" : !contains(endpoint.methods, "GET")) &&
        has(pointer + "/cache")) {
      warning(pointer + "/cache", "has no effect: only GET calls are stored");
    }
  }

  const Config& config_;
  const ConfigNode& root_;
  ConfigProblems& problems_;
  std::vector<std::pair<std::string, std::string>> sent_;  // client header, where the call uses it
};

}  // namespace

void check_managed(const std::vector<HeaderTemplate>& headers, const std::string& owner, const ConfigNode& root,
                   ConfigProblems& problems) {
  for (const HeaderTemplate& header : headers) {
    if (!is_managed(header.name)) continue;
    const std::string hint = lower_case(header.name) == "host" ? "; \"host_header\" of the backend sets it" : "";
    problems.error(place_of(root, pointer_to(owner + "/headers", header.name)),
                   quote(header.name) + " is a header that the gateway makes itself" + hint);
  }
}

void check_call_rules(const Config& config, const ConfigNode& root, ConfigProblems& problems, const CallPlace& place,
                      CallGraph& graph) {
  CallRules(config, root, problems).check(place, graph);
}

}  // namespace sluice::gateway
