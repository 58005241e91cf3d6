// The table of the configuration's keys.
#include "gateway/config_keys.hpp"

#include "gateway/config.hpp"
#include "gateway/detail/key_shapes.hpp"

#include <algorithm>

namespace sluice::gateway {
namespace {

using namespace std::chrono_literals;
using namespace detail;
using Kind = Shape::Kind;

Key fallback() {
  return {
      .name = "fallback",
      .description =
          "A constant JSON value, used when the call failed and nothing stored may be used. Copied as it is "
          "written, without comments and white space.",
      .shape = {.kind = Kind::json},
      .store = [](const ConfigNode& value, void* owner) { static_cast<CallConfig*>(owner)->fallback = value.text; }};
}

Section without_own_keys(const Section& section, std::string_view name, std::string_view description) {
  Section result{name, description, section.keys};
  std::erase_if(result.keys, [](const Key& key) { return !key.has_default; });
  return result;
}

Key stale_on() {
  Shape element = status(300, 599);
  element.choices = {"timeout", "connect", "reset", "invalid", "too_large", "open", "shed", "no_server"};
  Key result{.name = "stale_on",
             .description = "Failures for which a stored body within `stale_if_error` is served: reasons and statuses.",
             .shape = list(element)};
  const CacheConfig defaults;
  std::vector<std::string> items;
  for (const std::string& reason : defaults.stale_on_reasons) items.push_back(in_quotes(reason));
  for (std::string& item : shown_statuses(defaults.stale_on_statuses)) items.push_back(std::move(item));
  result.default_value = joined(items);
  result.store = [choices = element.choices](const ConfigNode& value, void* owner) {
    auto& cache = *static_cast<CacheConfig*>(owner);
    cache.stale_on_reasons.clear();
    cache.stale_on_statuses.reset();
    for (const ConfigNode& item : value.elements) {
      if (std::find(choices.begin(), choices.end(), item.text) != choices.end()) {
        cache.stale_on_reasons.push_back(item.text);
      } else {
        add_status(item.text, cache.stale_on_statuses);
      }
    }
  };
  return result;
}

const Section& cache_section() {
  using C = CacheConfig;
  static const Section result{
      "cache",
      "What a call stores, and when it serves that instead of a new answer. The windows count from the end of "
      "freshness. "
      "Bodies of successful GET calls are stored.",
      {
          key("ttl", &C::ttl, duration(0s, kYear), "How long a stored body is fresh: served without a call."),
          key("stale_while_revalidate", &C::stale_while_revalidate, duration(0s, kYear),
              "After `ttl`: served at once, and refreshed in the background."),
          key("stale_if_error", &C::stale_if_error, duration(0s, kYear),
              "After `ttl`: served when the call fails for a reason in `stale_on`."),
          key("stale_after", &C::stale_after, duration(0s, kLong),
              "When the call has not answered after this long, a body within `stale_if_error` is served, and the call "
              "goes "
              "on to refresh the store."),
          stale_on(),
          key("vary", &C::vary, list(text(kHeaderName)), "Client headers whose values are part of the key."),
          key("vary_except", &C::vary_except, list(text(kHeaderName)),
              "Client headers that the call sends although they are not part of the key. Only for headers that cannot "
              "change "
              "the answer: whoever asks gets what the first asker was sent. `\"*\"` names all."),
          key("coalesce", &C::coalesce, boolean(),
              "Whether calls that ask the same at the same time share one attempt, on each worker."),
          key("ignore_origin", &C::ignore_origin, boolean(),
              "Whether the backend's `Cache-Control`, `Expires` and `Vary` are ignored."),
          key("origin_decides", &C::origin_decides, boolean(),
              "Whether `ttl` and `stale_while_revalidate` apply only to answers for which the backend names such a "
              "lifetime itself, as its upper bounds. By default they also count where it says nothing."),
          key("targeted", &C::targeted, list(text(kHeaderName)),
              "Headers that replace `Cache-Control` and `Expires` of the backend for the gateway (RFC 9213), the first "
              "that "
              "is there and well-formed: such as `CDN-Cache-Control`."),
          key("honor_request", &C::honor_request, boolean(),
              "Whether a client's `Cache-Control` counts: `no-cache`, `no-store`, `max-age`, `min-fresh`, `max-stale`, "
              "`only-if-cached`. By default clients cannot make the gateway ask a backend."),
      }};
  return result;
}

const Section& forward_section() {
  using F = ForwardConfig;
  static const Section result{
      "forward",
      "What of the client's request goes along with a call.",
      {
          key("headers", &F::headers, list(text(kHeaderName)), "Names of headers, or `[\"*\"]` for all."),
          key("query", &F::query, list(text(kAnyText)), "Names of query parameters, or `[\"*\"]` for all."),
          key("body", &F::body, boolean(), "Whether the body is sent, for methods that have one."),
      }};
  return result;
}

const Section& for_each_section() {
  using F = ForEachConfig;
  static const Section result{
      "for_each",
      "Makes the call once for each element of an array in another call's JSON; `{item}` and `{item.member}` in its "
      "templates are the element. The fragment is the array of what they gave, in order.",
      {
          required(key("in", &F::in, text(kAnyText), "The array: `CALL`, `CALL.member` or `CALL:/json/pointer`.")),
          key("max", &F::max, integer(1, 1000), "Elements for which a call is made; the others are left out."),
          key("parallel", &F::parallel, integer(1, 256), "Calls at a time."),
      }};
  return result;
}

const Section& balance_section() {
  using B = BalanceConfig;
  static const Section result{
      "balance",
      "Requests with the same value go to the same server; when servers come or go, only those move that have to.",
      {
          required(key("hash", &B::hash, text(kAnyText),
                       "Template of the value, such as `{id}`, `{query.user}` or `{header.x-tenant}`. A request "
                       "without it goes to the least loaded server.")),
      }};
  return result;
}

const Section& limits_section() {
  using L = LimitsConfig;
  static const Section result{
      "limits",
      "What a client may send, and for how long.",
      {
          key("max_header", &L::max_header, size(kKiB, kMiB), "Header block of a request; above it 431."),
          key("max_target", &L::max_target, size(64, kMiB), "Target of a request; above it 414."),
          key("max_body", &L::max_body, size(0, kGiB),
              "Body of a request, for endpoints without their own; above it 413."),
          key("header_timeout", &L::header_timeout, duration(1ms, kLong),
              "In all, for the header of a request; then 408."),
          key("send_timeout", &L::send_timeout, duration(1ms, 1h), "In all, for a client to take a reply."),
          key("keepalive_timeout", &L::keepalive_timeout, duration(1ms, kDay), "How long a connection may be idle."),
          key("max_connections", &L::max_connections, integer(1, 1'000'000),
              "Open connections of clients; more wait in the accept queue."),
      }};
  return result;
}

const Section& deadline_header_section() {
  using D = DeadlineHeader;
  static const Section result{
      "deadline_header",
      "Headers that carry the remaining time, an integer in milliseconds; `null` turns one off.",
      {
          key("accept", &D::accept, text(kHeaderName),
              "Read from clients, which can shorten the deadline, never lengthen it."),
          key("send", &D::send, text(kHeaderName), "Sent to backends, with what is left."),
      }};
  return result;
}

const Section& defaults_section() {
  static const Section endpoint = without_own_keys(endpoint_section(), "defaults.endpoint", "Defaults of endpoints.");
  static const Section call = without_own_keys(call_section(), "defaults.call", "Defaults of calls.");
  static const Section backend = without_own_keys(backend_section(), "defaults.backend", "Defaults of backends.");
  static const Section result{
      "defaults",
      "Values for every endpoint, call and backend that does not set its own. Objects are merged member by member, "
      "everything else is replaced; `null` takes an optional value away again.",
      {
          read_apart("endpoint", section(endpoint), "For endpoints."),
          read_apart("call", section(call), "For calls."),
          read_apart("backend", section(backend), "For backends."),
      }};
  return result;
}

}  // namespace

const Key* Section::find(std::string_view key) const {
  const auto found = std::find_if(keys.begin(), keys.end(), [&](const Key& k) { return k.name == key; });
  return found == keys.end() ? nullptr : &*found;
}

void Section::store(const ConfigNode& object, void* owner) const {
  for (const ConfigNode::Member& member : object.members) {
    const Key* key = find(member.key);
    if (key == nullptr || !key->store) continue;
    const bool is_of_members = key->shape.kind == Kind::section || key->shape.kind == Kind::map;
    const bool is_stored = member.value.is_valid || (is_of_members && member.value.kind == ConfigNode::Kind::object);
    if (is_stored) key->store(member.value, owner);
  }
}

bool is_comment(std::string_view key) {
  return key.starts_with('_') || key.starts_with('$');
}

const Section& call_section() {
  using C = CallConfig;
  static const Section result{
      "call",
      "One request that an endpoint makes to a backend; its result is one fragment of the reply.",
      {
          required(key("name", &C::name, text(kName),
                       "Name of the fragment in the reply and of the call in headers, metrics and logs. Not `query`, "
                       "`header`, nor a path parameter of the endpoint.")),
          required(read_apart("backend", text(kAnyText), "Name of a backend.")),
          required(key("path", &C::path, text(kPath), "Template of the path and query.")),
          key("method", &C::method, methods(), "Default: the request's, GET for HEAD."),
          key("headers", &C::headers, map(kHeaderName, text(kHeaderValue)), "Headers to send: constants or templates."),
          own(key("for_each", &C::for_each, section(for_each_section()),
                  "One call for each element of an array. Default: a single call.")),
          key("timeout", &C::timeout, duration(1ms, kLong),
              "For the whole call, all attempts. Default: what is left of the deadline."),
          key("required", &C::required, boolean(), "Whether the request fails when this call has no data."),
          key("idempotent", &C::idempotent, boolean(),
              "Whether it may be sent twice: once more on a new connection when a kept one turns out to have been "
              "closed. "
              "Default: for GET, HEAD, PUT and DELETE."),
          fallback(),
          key("accept", &C::accept, list(status(200, 599), 1),
              "Statuses that count as success; `\"2xx\"` names a whole class. With the strategy `proxy` the default is "
              "all of them."),
          key("pass_status", &C::pass_status, list(status(400, 599)),
              "Of a required call: statuses that become the reply's own."),
          key("forward", &C::forward, section(forward_section()), "What of the client's request goes along."),
          key("pick", &C::pick, text(kJsonPointer),
              "JSON Pointer to the part of the body that is taken; a body without it is `invalid`."),
          key("allow", &C::allow, list(text(kMemberPath), 1),
              "The members that are kept: dotted paths or JSON Pointers. Not beside `deny`."),
          key("deny", &C::deny, list(text(kMemberPath), 1), "The members that are left out, in the same form."),
          key("rename", &C::rename, map(kMemberPath, text(kMemberName)),
              "New names of members, by their path. Of a name that begins with `_` or `$` write the JSON Pointer."),
          key("into", &C::into, text(kJsonPointer),
              "JSON Pointer to where the reply has it; `\"\"` merges the members of an object into the reply's own. "
              "Default: `/NAME`."),
          key("cache", &C::cache, section(cache_section()), "What is stored. Default: nothing."),
          key("follow_redirects", &C::follow_redirects, integer(0, 10),
              "How many redirects of a GET are followed, one after the other, to servers of the same backend only. "
              "Others "
              "fail the call with their status."),
      }};
  return result;
}

const Section& endpoint_section() {
  using E = EndpointConfig;
  static const Section result{
      "endpoint",
      "One public route, with a deadline and a strategy.",
      {
          required(key("path", &E::path, text(kPath), "`{name}` is one segment, `{name...}` the rest.")),
          own(key("name", &E::name, text(kAnyText), "Label in metrics and logs, unique. Default: the path.")),
          key("methods", &E::methods, list(methods(), 1), "HEAD is answered wherever GET is, OPTIONS everywhere."),
          key("deadline", &E::deadline, duration(1ms, kLong), "When the reply is made from what is there."),
          key("strategy", &E::strategy, choice({"merge", "first", "quorum", "proxy"}),
              "`merge`: the fragments of all calls in one object. `first`: the first call that succeeds is the reply. "
              "`quorum`: as `merge`, but no longer than until enough calls have succeeded. `proxy`: one call, "
              "whose request and response are passed on as they come, whatever they are."),
          key("stagger", &E::stagger, duration(1ms, kLong),
              "Of `first`: the next call starts when the one before failed or after this long. Default: all at once."),
          own(key("quorum", &E::quorum, integer(1, 10'000),
                  "Of `quorum`, which needs it: the calls that must succeed, at most all.")),
          key("stream_idle_timeout", &E::stream_idle_timeout, duration(1ms, kDay),
              "Of `proxy`: from the head of the response on, how long no byte may pass in either direction. The "
              "deadline bounds the time to the head."),
          key("stream_timeout", &E::stream_timeout, duration(1ms, kYear),
              "Of `proxy`: in all, from the head of the response on. Default: no limit."),
          required(read_apart("calls", list(section(call_section()), 1), "The calls, in the order of the reply.")),
          key("max_body", &E::max_body, size(0, kGiB), "Body of a request; above it 413. Default: that of `limits`."),
          key("half_close", &E::half_close, boolean(),
              "Whether a client that has sent its request may close its side and still gets the reply. By default it "
              "counts as gone, and its calls are cancelled."),
          key("cors", &E::cors, section(cors_section()), "Pages of other origins that may use it. Default: none."),
          key("response_headers", &E::response_headers, section(response_headers_section()),
              "What is changed about the headers of its replies."),
          key("compression", &E::compression, section(compression_section()),
              "Compresses replies for clients that accept gzip. Default: never."),
      }};
  return result;
}

const Section& backend_section() {
  using B = BackendConfig;
  static const Section result{
      "backend",
      "A named group of interchangeable servers.",
      {
          required(key("servers", &B::servers, list(text(kServer), 1),
                       "`http://host:port`, `http://[::1]:port`; the port's default is 80.")),
          key("headers", &B::headers, map(kHeaderName, text(kHeaderValue)), "Constant headers to send."),
          key("host_header", &B::host_header, text(kAuthority),
              "The Host to send. Default: the server's host and port."),
          key("connect_timeout", &B::connect_timeout, duration(1ms, kLong), "For opening a connection."),
          key("timeout", &B::timeout, duration(1ms, kLong), "For one attempt. Default: what is left of the call."),
          key("max_connections", &B::max_connections, integer(1, 1'000'000), "In all, shared out over the threads."),
          key("idle_timeout", &B::idle_timeout, duration(1ms, kDay), "How long an unused connection is kept."),
          key("refresh", &B::refresh, duration(100ms, kDay), "How often the servers' names are resolved again."),
          key("max_response", &B::max_response, size(1, kGiB),
              "Body of a response; above it the call fails. Not of `proxy`."),
          key("max_header", &B::max_header, size(kKiB, kMiB), "Header block of a response; above it the call fails."),
          key("balance", &B::balance, choice_or_section({"least_loaded", "round_robin"}, balance_section()),
              "`least_loaded`: the better of two servers chosen at random, by latency and requests in flight."),
          key("compression", &B::compression, boolean(),
              "Whether gzip is asked for. A response that comes in gzip is decoded either way."),
      }};
  return result;
}

const Section& config_section() {
  using C = Config;
  static const Section result{
      "configuration",
      "The whole file.",
      {
          required(read_apart("version", integer(1, 1), "Version of this format.")),
          key("listen", &C::listen, one_or_list(text(kAddress)), "Where clients connect: an address or a list."),
          key("admin", &C::admin, text(kAddress), "Where metrics and health are served. Default: nowhere."),
          key("threads", &C::threads, integer(0, 1024), "Workers; 0 is one for each core."),
          required(read_apart("backends", map(kBackendName, section(backend_section())), "The backends by name.")),
          required(read_apart("endpoints", list(section(endpoint_section()), 1), "The endpoints.")),
          read_apart("defaults", section(defaults_section()), "Defaults of endpoints, calls and backends."),
          key("deadline_header", &C::deadline_header, section(deadline_header_section()),
              "Headers for the remaining time."),
          key("cache_size", &C::cache_size, size(0, 1024 * kGiB), "Memory for stored bodies."),
          key("cache_file", &C::cache_file, text(kAnyText),
              "File in which stored bodies outlive a restart: read at the start, written every `cache_flush` and at "
              "the "
              "end. Relative to the working directory. Default: none."),
          key("cache_flush", &C::cache_flush, duration(100ms, kDay),
              "How often `cache_file` is written; so much may be lost when the process is killed."),
          key("drain_delay", &C::drain_delay, duration(0s, 1h),
              "Between SIGTERM and the end of accepting connections."),
          key("drain_timeout", &C::drain_timeout, duration(0s, 1h), "For requests in flight after SIGTERM."),
          key("limits", &C::limits, section(limits_section()), "What a client may send, and for how long."),
          key("access_log", &C::access_log, choice({"json", "text", "off"}), "Form of the access log."),
          key("headers", &C::headers, section(headers_section()), "Names of the headers that the gateway adds."),
          key("trusted_proxies", &C::trusted_proxies, list(text(kNetwork)),
              "Addresses and networks (`10.0.0.0/8`) of proxies before the gateway, whose `X-Forwarded-` headers and "
              "`Forwarded` are believed."),
      }};
  return result;
}

}  // namespace sluice::gateway
