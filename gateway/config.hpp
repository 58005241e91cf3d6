// The gateway's configuration as plain values: what a checked file means, with every default filled in.
#pragma once

#include <bitset>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

namespace sluice::gateway {

/// Where something listens or is reached. `host` is a name or an address, IPv6 without its brackets.
struct Address {
  std::string host;
  std::uint16_t port = 0;  // 0 only in `listen` and `admin`: any free port

  bool operator==(const Address&) const = default;
};

/// HTTP statuses, by number: `statuses[404]`.
using StatusSet = std::bitset<600>;

/// The set of the listed statuses.
inline StatusSet statuses(std::initializer_list<unsigned> list) {
  StatusSet set;
  for (unsigned status : list) set.set(status);
  return set;
}

/// A constant or template to send as a header.
struct HeaderTemplate {
  std::string name;   // as written
  std::string value;  // template source in a call (template.hpp), a constant in a backend

  bool operator==(const HeaderTemplate&) const = default;
};

/// Names that are passed on: all of them (`["*"]`) or the listed ones.
struct Names {
  bool all = false;
  std::vector<std::string> list;  // header names in lower case

  bool operator==(const Names&) const = default;
};

/// A member that is given another name.
struct RenameConfig {
  std::string path;  // a MemberPath (json_shape.hpp)
  std::string to;    // takes the place of its last token

  bool operator==(const RenameConfig&) const = default;
};

enum class Strategy { merge, first, quorum, proxy };

/// Whether the reply is one JSON object of all calls' data.
constexpr bool merges(Strategy strategy) {
  return strategy == Strategy::merge || strategy == Strategy::quorum;
}

enum class Balance { least_loaded, round_robin, hash };
enum class AccessLog { json, text, off };

/// What a call stores and when it serves it. The windows count from the end of freshness.
struct CacheConfig {
  std::chrono::nanoseconds ttl{0};
  std::chrono::nanoseconds stale_while_revalidate{0};
  std::chrono::nanoseconds stale_if_error{0};
  std::optional<std::chrono::nanoseconds> stale_after;
  std::vector<std::string> stale_on_reasons = {"timeout",   "connect", "reset", "invalid",
                                               "too_large", "open",    "shed",  "no_server"};
  StatusSet stale_on_statuses = statuses({500, 502, 503, 504});
  std::vector<std::string> vary;         // lower case
  std::vector<std::string> vary_except;  // lower case
  bool coalesce = true;
  bool ignore_origin = false;
  bool origin_decides = false;
  bool honor_request = false;
  std::vector<std::string> targeted;  // lower case
};

/// What of the client's request goes along with a call.
struct ForwardConfig {
  Names headers;
  Names query;
  bool body = true;  // of methods that have one
};

/// Which pages of other origins may use an endpoint from a browser.
struct CorsConfig {
  std::vector<std::string> origins;  // "*", or lower case, perhaps with "*." before the host
  std::vector<std::string> methods;  // empty: the endpoint's
  Names headers;                     // that a page may send
  std::vector<std::string> expose;   // that a page may read
  bool credentials = false;
  std::optional<std::chrono::nanoseconds> max_age;  // none: the browser's own
};

/// Names of headers taken from the response of the call `call`, in lower case.
struct TakenHeaders {
  std::string call;
  std::vector<std::string> names;
};

/// What is changed about the headers of an endpoint's replies: first `remove`, then `from`, then `add`.
struct ResponseHeadersConfig {
  std::vector<HeaderTemplate> add;  // constants
  std::vector<std::string> remove;  // lower case
  std::vector<TakenHeaders> from;
};

/// When a reply is compressed for a client that accepts it.
struct CompressionConfig {
  std::size_t min_size = 1024;
};

/// One request for each element of an array.
struct ForEachConfig {
  std::string in;            // where the array is: source of a JsonReference
  std::size_t max = 100;     // elements
  std::size_t parallel = 8;  // requests at a time
};

/// One request that an endpoint makes to a backend.
struct CallConfig {
  std::string name;
  std::size_t backend = 0;            // index into Config::backends
  std::string path;                   // template source
  std::optional<std::string> method;  // none: the request's, GET for HEAD
  std::vector<HeaderTemplate> headers;
  std::optional<ForEachConfig> for_each;
  std::optional<std::chrono::nanoseconds> timeout;  // none: what is left of the deadline
  bool required = false;
  std::optional<bool> idempotent;       // whether it may be sent twice; none: if its method may
  std::optional<std::string> fallback;  // JSON text, its values byte for byte as written
  StatusSet accept;                     // default 200 to 299, of `proxy` all
  StatusSet pass_status = statuses({401, 403, 404, 409, 410, 422, 429});
  ForwardConfig forward;
  std::optional<std::string> pick;                // JSON Pointer into the body
  std::optional<std::vector<std::string>> allow;  // MemberPaths, like those of `deny`
  std::optional<std::vector<std::string>> deny;
  std::vector<RenameConfig> rename;
  std::optional<std::string> into;  // JSON Pointer in the reply; none: /NAME; "": the members go to the top level
  std::optional<CacheConfig> cache;
  unsigned follow_redirects = 0;  // at most so many, one after the other

  CallConfig();
};

/// One public route.
struct EndpointConfig {
  std::string path;  // pattern of the router
  std::string name;  // default: the path
  std::vector<std::string> methods = {"GET"};
  std::chrono::nanoseconds deadline = std::chrono::seconds(2);
  Strategy strategy = Strategy::merge;
  std::optional<std::chrono::nanoseconds> stagger;                          // of `first`; none: all calls start at once
  std::optional<std::size_t> quorum;                                        // of `quorum`: calls that must succeed
  std::chrono::nanoseconds stream_idle_timeout = std::chrono::seconds(60);  // of `proxy`, once there is a head
  std::optional<std::chrono::nanoseconds> stream_timeout;                   // likewise, in all
  std::vector<CallConfig> calls;
  std::size_t max_body = std::size_t{1} << 20;
  bool half_close = false;  // whether a client may end what it sends, and still gets its reply
  std::optional<CorsConfig> cors;
  ResponseHeadersConfig response_headers;
  std::optional<CompressionConfig> compression;
};

/// How a server is chosen.
struct BalanceConfig {
  Balance kind = Balance::least_loaded;
  std::optional<std::string> hash;  // of the kind `hash`: template source, without references to calls

  bool operator==(const BalanceConfig&) const = default;
};

/// A named group of interchangeable servers.
struct BackendConfig {
  std::string name;
  std::vector<Address> servers;
  std::vector<HeaderTemplate> headers;     // constants
  std::optional<std::string> host_header;  // none: the server's own host:port
  std::chrono::nanoseconds connect_timeout = std::chrono::seconds(1);
  std::optional<std::chrono::nanoseconds> timeout;  // of one attempt
  std::size_t max_connections = 1024;               // over all workers
  std::chrono::nanoseconds idle_timeout = std::chrono::seconds(60);
  std::chrono::nanoseconds refresh = std::chrono::seconds(5);
  std::size_t max_response = std::size_t{8} << 20;
  std::size_t max_header = std::size_t{16} << 10;
  BalanceConfig balance;
  bool compression = false;  // whether gzip is asked for

  bool operator==(const BackendConfig&) const = default;
};

/// What a client may send, and for how long. Sizes in bytes.
struct LimitsConfig {
  std::size_t max_header = std::size_t{16} << 10;
  std::size_t max_target = std::size_t{8} << 10;
  std::size_t max_body = std::size_t{1} << 20;  // of endpoints that set none
  std::chrono::nanoseconds header_timeout = std::chrono::seconds(5);
  std::chrono::nanoseconds send_timeout = std::chrono::seconds(30);
  std::chrono::nanoseconds keepalive_timeout = std::chrono::seconds(60);
  std::size_t max_connections = 10'000;
};

/// The header that carries the remaining time, in milliseconds; none: not read, not sent.
struct DeadlineHeader {
  std::optional<std::string> accept = "X-Request-Timeout-Ms";
  std::optional<std::string> send = "X-Request-Timeout-Ms";
};

/// The names of the headers that the gateway adds to replies and to calls; none: not added.
struct AddedHeaders {
  std::optional<std::string> result = "Sluice-Result";
  std::optional<std::string> calls = "Sluice-Calls";
  std::optional<std::string> request_id = "X-Request-Id";
  std::optional<std::string> traceparent = "traceparent";
  std::optional<std::string> cache_status = "Cache-Status";
  std::optional<std::string> server_timing;
  std::optional<std::string> forwarded_for = "X-Forwarded-For";
  std::optional<std::string> forwarded_proto = "X-Forwarded-Proto";
  std::optional<std::string> forwarded_host = "X-Forwarded-Host";
  std::optional<std::string> forwarded;
  std::optional<std::string> via = "Via";
};

/// One whole configuration. Backends and endpoints are in the order of the file.
struct Config {
  std::vector<Address> listen = {Address{"0.0.0.0", 8080}};
  std::optional<Address> admin;  // none: no admin port
  unsigned threads = 0;          // 0: one per core
  std::vector<BackendConfig> backends;
  std::vector<EndpointConfig> endpoints;
  DeadlineHeader deadline_header;
  std::size_t cache_size = std::size_t{64} << 20;
  std::optional<std::string> cache_file;  // none: stored bodies end with the process
  std::chrono::nanoseconds cache_flush = std::chrono::seconds(60);
  std::chrono::nanoseconds drain_delay{0};
  std::chrono::nanoseconds drain_timeout = std::chrono::seconds(30);
  LimitsConfig limits;
  AccessLog access_log = AccessLog::json;
  AddedHeaders headers;
  std::vector<std::string> trusted_proxies;  // addresses and networks (networks.hpp)
};

inline CallConfig::CallConfig() {
  for (unsigned status = 200; status < 300; ++status) accept.set(status);
}

}  // namespace sluice::gateway
