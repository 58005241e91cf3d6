// Checking the rules about headers: CORS, what replies take from calls.
#include "gateway/config_rules.hpp"
#include "gateway/text_rules.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace sluice::gateway {
namespace {

bool contains(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

// Headers that describe the body that they came with, which is not the reply's.
bool describes_body(std::string_view name) {
  return name.starts_with("content-") || name == "accept-ranges" || name == "sluice-result" || name == "sluice-calls";
}

class HeaderRules {
 public:
  HeaderRules(const Config& config, const ConfigNode& root, ConfigProblems& problems)
      : config_(config), root_(root), problems_(problems) {}

  void check() {
    for (std::size_t i = 0; i < config_.endpoints.size(); ++i) {
      const EndpointConfig& endpoint = config_.endpoints[i];
      const std::string pointer = "/endpoints/" + std::to_string(i);
      if (endpoint.cors) check_cors(*endpoint.cors, pointer + "/cors");
      check_changes(endpoint, pointer + "/response_headers");
    }
  }

 private:
  void error(const std::string& pointer, std::string message) {
    problems_.error(place_of(root_, pointer), std::move(message));
  }
  void warning(const std::string& pointer, std::string message) {
    problems_.warning(place_of(root_, pointer), std::move(message));
  }

  void check_cors(const CorsConfig& cors, const std::string& pointer) {
    if (cors.origins.empty() && is_good(root_, pointer + "/origins")) {
      error(pointer, "needs \"origins\": a list of them, or [\"*\"] for all");
    }
    if (!cors.credentials) return;
    if (contains(cors.origins, "*")) {
      error(pointer + "/credentials",
            "is not possible for the origin \"*\": any page could act for its visitor; list the origins");
    }
    if (contains(cors.expose, "*")) {
      error(pointer + "/expose", "must list names, as \"*\" is no wildcard for requests with credentials");
    }
  }

  void check_changes(const EndpointConfig& endpoint, const std::string& pointer) {
    const ResponseHeadersConfig& changes = endpoint.response_headers;
    for (const HeaderTemplate& header : changes.add) {
      refuse_managed(pointer_to(pointer + "/add", header.name), header.name);
    }
    for (const std::string& name : changes.remove) refuse_managed(pointer + "/remove", name);
    for (const TakenHeaders& taken : changes.from)
      check_taken(endpoint, taken, pointer_to(pointer + "/from", taken.call));
  }

  void check_taken(const EndpointConfig& endpoint, const TakenHeaders& taken, const std::string& pointer) {
    const auto call = std::find_if(endpoint.calls.begin(), endpoint.calls.end(),
                                   [&](const CallConfig& c) { return c.name == taken.call; });
    if (call == endpoint.calls.end()) {
      std::vector<std::string_view> known;
      for (const CallConfig& c : endpoint.calls) {
        if (!c.name.empty()) known.push_back(c.name);
      }
      std::string hint = did_you_mean(taken.call, known);
      if (hint.empty() && !known.empty()) hint = ", expected " + quoted_list(known);
      return error(pointer, "the endpoint has no call " + quote(taken.call) + hint);
    }
    for (const std::string& name : taken.names) {
      refuse_managed(pointer, name);
      if (describes_body(name)) error(pointer, quote(name) + " describes the body of the call, not that of the reply");
    }
    if (call->cache && contains(taken.names, "set-cookie")) {
      warning(pointer, "\"Set-Cookie\" comes with fresh answers of the call only, as cookies are never stored");
    }
  }

  void refuse_managed(const std::string& pointer, const std::string& name) {
    if (is_managed(name)) error(pointer, quote(name) + " is a header that the gateway makes itself");
  }

  const Config& config_;
  const ConfigNode& root_;
  ConfigProblems& problems_;
};

}  // namespace

bool is_managed(std::string_view name) {
  constexpr std::string_view kManaged[] = {"connection", "content-length",   "expect", "host",
                                           "keep-alive", "proxy-connection", "te",     "trailer",
                                           "upgrade",    "transfer-encoding"};
  return std::find(std::begin(kManaged), std::end(kManaged), lower_case(name)) != std::end(kManaged);
}

void check_header_rules(const Config& config, const ConfigNode& root, ConfigProblems& problems) {
  HeaderRules(config, root, problems).check();
}

}  // namespace sluice::gateway
