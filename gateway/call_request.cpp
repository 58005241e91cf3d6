#include "gateway/call_request.hpp"

#include "backends/backend.hpp"
#include "concurrency/detail/recycled.hpp"
#include "gateway/json_check.hpp"
#include "gateway/percent.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace sluice::gateway {
namespace {

bool is_accepted(const void* set, unsigned status) {
  const auto& statuses = *static_cast<const StatusSet*>(set);
  return status < statuses.size() && statuses[status];
}

/// A part, which nobody asked for, is never taken for the whole.
bool is_accepted_whole(const void* set, unsigned status) {
  return status != 206 && is_accepted(set, status);
}

std::optional<std::string_view> find_header(const void* headers, std::string_view name) {
  return static_cast<const backends::Headers*>(headers)->find(name);
}

bool contains(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

/// What the template names is its own, whether it has a value or not.
void forward_query(const Names& names, const std::vector<std::string>& own, std::string_view query,
                   std::string& target) {
  if (!names.all && names.list.empty()) return;
  char separator = target.find('?') == std::string::npos ? '?' : '&';
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair.empty()) continue;
    const std::string name = decoded_query(pair.substr(0, pair.find('=')));
    if ((!names.all && !contains(names.list, name)) || contains(own, name)) continue;
    target.append(1, separator).append(pair);
    separator = '&';
  }
}

/// Many frameworks take `X_Forwarded_For` for X-Forwarded-For. `kept` are meant.
void remove_underscored(backends::Headers& headers, const std::vector<std::string>& kept) {
  for (std::size_t i = 0; i < headers.size();) {
    const std::string_view name = headers.at(i).name;
    const bool stays = name.find('_') == name.npos ||
                       std::any_of(kept.begin(), kept.end(), [&](const auto& k) { return backends::iequals(k, name); });
    if (stays) {
      ++i;
    } else {
      headers.remove(std::string(name));
    }
  }
}

void forward_headers(const Names& names, bool is_proxy, const backends::Headers& from, backends::Headers& to) {
  if (!names.all && names.list.empty()) return;
  if (names.all) {
    to = from;
    to.remove_hop_by_hop();
    remove_underscored(to, names.list);
  } else {
    for (const std::string& name : names.list) {
      from.find_all(name, [&](std::string_view value) { to.add(name, value); });
    }
  }
  // What describes this connection or this message, and what asks for a body that could not be merged or stored.
  for (const char* own : {"Host", "Content-Length", "Expect"}) to.remove(own);
  if (is_proxy) return;
  for (const char* own : {"Accept-Encoding", "Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since",
                          "If-Unmodified-Since"}) {
    to.remove(own);
  }
}

/// What the body of a proxied request is like; it follows piece by piece.
void describe_body(const RequestParser& client, backends::Request& request) {
  request.is_streamed = client.state() == RequestParser::State::head;
  request.body_size = client.content_length();
  if (!request.is_streamed) return;
  for (const char* name : {"Content-Type", "Content-Encoding", "Content-Language"}) {
    if (request.headers.contains(name)) continue;
    client.headers().find_all(name, [&](std::string_view value) { request.headers.add(name, value); });
  }
}

/// Whether a template takes the header as the client sent it.
bool is_in_a_template(const CallPlan& plan, const std::string& name) {
  const auto reads = [&](const Template& source) { return contains(source.headers(), name); };
  return std::any_of(plan.headers.begin(), plan.headers.end(),
                     [&](const auto& header) { return reads(header.second); });
}

void add_vary(const CallPlan& plan, const Incoming& incoming, std::string& key) {
  // A line break cannot be in a value, nor a tab in a name, so they separate unambiguously.
  for (const std::string& name : plan.config.cache->vary) {
    key.append(1, '\n').append(name);
    const bool is_of_template = is_in_a_template(plan, name);
    if (const auto own = forwarded_value(incoming, name)) {
      key.append("\n\t").append(*own);
      if (!is_of_template) continue;  // what the client claims is not sent
    }
    // Several lines are one list (RFC 9110 §5.3), of which a template takes the first only.
    std::string_view separator = "\n\t";
    incoming.parser.headers().find_all(name, [&](std::string_view value) {
      key.append(separator).append(value);
      if (!is_of_template) separator = ", ";
    });
  }
  key += plan.sent_of_vary;
}

}  // namespace

std::optional<CallRequest> make_request(const CallPlan& plan, const Incoming& incoming, TemplateValues values,
                                        std::optional<std::size_t>& culprit) {
  const CallConfig& config = plan.config;
  const Runtime& runtime = *incoming.deployment->runtime;
  const BackendConfig& backend = runtime.config.backends[config.backend];
  const backends::Headers& asked_with = incoming.parser.headers();
  auto request = concurrency::detail::make_recycled<backends::Request>();

  values.path = incoming.parameters;
  values.query = incoming.parser.query();
  values.headers = &asked_with;
  values.find_header = &find_header;
  thread_local std::string target;  // so that the request's own is allocated once, whole, and only if it is long
  target.clear();
  if (!plan.path.expand(values, target, &culprit)) return std::nullopt;
  forward_query(config.forward.query, plan.query_names, incoming.parser.query(), target);
  request->target = target;

  std::string value;
  if (plan.hash && plan.hash->expand(values, value)) request->server_hash = backends::hash_of(value);
  request->idempotent = config.idempotent;
  const std::string_view method = incoming.parser.method_text();
  request->method = config.method ? *config.method : std::string(method == "HEAD" && !plan.is_proxy ? "GET" : method);
  const bool is_stored = config.cache && (request->method == "GET" || (plan.is_proxy && request->method == "HEAD"));
  forward_headers(config.forward.headers, plan.is_proxy, asked_with, request->headers);
  add_common(incoming, plan, is_stored, *request);
  std::string
      asked_for;  // in headers, by the configuration, the client's path or query, or other calls' data: in the key
  for (const auto& [name, source] : plan.headers) {
    value.clear();
    if (!source.expand(values, value, &culprit)) return std::nullopt;
    request->headers.set(name, value);
    if (source.reads_target() || source.headers().empty())
      asked_for.append(1, '\n').append(name).append(1, ':').append(value);
  }
  for (const HeaderTemplate& constant : backend.headers) request->headers.set(constant.name, constant.value);
  const bool may_have_body = config.forward.body && request->method != "GET" && request->method != "HEAD";
  if (may_have_body && plan.is_proxy) describe_body(incoming.parser, *request);
  if (may_have_body && !plan.is_proxy) request->body = incoming.body;
  if (request->body) {
    if (const auto type = asked_with.find("Content-Type")) request->headers.set("Content-Type", *type);
  }
  const DeadlineHeader& deadline = runtime.config.deadline_header;
  if (deadline.accept) request->headers.remove(*deadline.accept);  // a wish of the client, not what is left of it
  if (deadline.send) request->headers.remove(*deadline.send);
  if (deadline.send) request->deadline_header = *deadline.send;
  request->decodes = !plan.is_proxy;
  if (backend.compression && !plan.is_proxy) request->headers.set("Accept-Encoding", "gzip");
  request->accepts = plan.is_proxy ? &is_accepted : &is_accepted_whole;
  request->accepted = &config.accept;
  if (!plan.is_proxy) request->make_check = plan.is_json ? &JsonCheck::make : &JsonCheck::make_by_type;
  request->keep_headers = !plan.is_json || config.cache.has_value() || !plan.taken_headers.empty();

  CallRequest made;
  if (is_stored) {
    made.key.append(backend.name).append(1, ' ').append(request->target);
    add_vary(plan, incoming, made.key);
    made.key += asked_for;
    if (!plan.is_json) made.key += plan.is_proxy ? kWholeKey : kPassedOnKey;
  }
  made.request = std::move(request);
  return made;
}

}  // namespace sluice::gateway
