// The configuration as it runs: everything that can be worked out once is, and nothing changes afterwards.
#pragma once

#include "backends/servers.hpp"
#include "gateway/config.hpp"
#include "gateway/cors.hpp"
#include "gateway/instruments.hpp"
#include "gateway/json_shape.hpp"
#include "gateway/networks.hpp"
#include "gateway/reply_layout.hpp"
#include "gateway/router.hpp"
#include "gateway/template.hpp"

#include <atomic>
#include <bitset>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sluice::gateway {

/// One call of an endpoint.
struct CallPlan {
  CallPlan(const CallConfig& call, const EndpointConfig& endpoint, ReferenceNames names, Metrics& metrics);

  [[nodiscard]] bool serves_stale_on(backends::Reason reason, unsigned status) const;

  CallConfig config;
  Template path;
  std::vector<std::string> query_names;  // of parameters in `path`, decoded: those of the client give way
  std::vector<std::pair<std::string, Template>> headers;
  std::optional<JsonReference> array;   // of `for_each`
  std::optional<Template> hash;         // of its backend's `balance`
  std::vector<std::size_t> inputs;      // calls of the endpoint whose data it needs, each once
  std::vector<std::size_t> dependants;  // calls that need its data
  bool names_common = false;            // see forwarding.hpp
  bool is_json;                         // spliced into a merge, so its body must be JSON
  bool is_proxy;                        // passed on in both directions as it comes
  JsonShape shape;                      // of what backends answer, if is_json
  JsonShape fallback_shape;             // of the constant, of which only the members are looked up
  std::chrono::nanoseconds longest;     // that the call may take: its timeout, else its endpoint's deadline
  std::string member;                   // `"name":`, as it stands in the reply
  std::string endpoint_name;
  std::string sent_of_vary;  // part of the key: which headers are made of those in `vary`, and how
  std::size_t alike = 0;     // the same number for calls that send the same, and take the same, for the same key
  std::bitset<backends::kReasonCount> stale_on;
  StatusSet accept_for_stored;             // of `config.accept` those after which what is stored does not stand in
  std::vector<std::string> taken_headers;  // names of those that the reply takes from the response, in lower case
  std::unique_ptr<std::atomic_flag> has_warned;  // that an answer was not stored
  std::unique_ptr<CallMetrics> metrics;
};

/// One endpoint.
struct EndpointPlan {
  EndpointPlan(const EndpointConfig& endpoint, Metrics& metrics);

  EndpointConfig config;
  std::vector<CallPlan> calls;
  ReplyLayout layout;
  bool any_required = false;
  std::optional<Cors> cors;
  std::vector<std::string> influential_headers;  // client headers that calls depend on, in lower case, sorted
  std::unique_ptr<EndpointMetrics> metrics;
};

/// What workers run: replaced as a whole by a reload, while requests in flight keep the one they began with.
/// Thread: any; immutable, but for what `servers` learn from name resolution and the metrics count.
class Runtime {
 public:
  /// `before`: the runtime that this one replaces, whose servers are taken over where they are the same; may be null.
  Runtime(Config config, Metrics& metrics, const Runtime* before);

  /// Brings metrics up to date that change with time.
  void update_metrics(concurrency::TimePoint now) const;

  const Config config;
  std::vector<EndpointPlan> endpoints;
  std::vector<std::shared_ptr<backends::Servers>> servers;       // of each backend
  std::vector<std::shared_ptr<BackendMetrics>> backend_metrics;  // likewise
  std::unique_ptr<EndpointMetrics> unmatched;                    // of requests without an endpoint
  std::optional<Router> router;
  // Of each backend: headers to keep with a stored response, over all calls, which share it.
  std::vector<std::vector<std::string>> kept_headers;
  Networks trusted_proxies;
};

}  // namespace sluice::gateway
