#include "gateway/call_request.hpp"

#include "gateway/json_check.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace sluice::gateway {
namespace {

bool is_accepted(const void* set, unsigned status) {
  const auto& statuses = *static_cast<const StatusSet*>(set);
  return status < statuses.size() && statuses[status];
}

std::optional<std::string_view> find_header(const void* headers, std::string_view name) {
  return static_cast<const backends::Headers*>(headers)->find(name);
}

void forward_query(const Names& names, std::string_view query, std::string& target) {
  if (!names.all && names.list.empty()) return;
  char separator = target.find('?') == std::string::npos ? '?' : '&';
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const std::string_view name = pair.substr(0, pair.find('='));
    const bool is_listed = std::find(names.list.begin(), names.list.end(), name) != names.list.end();
    if (pair.empty() || (!names.all && !is_listed)) continue;
    target.append(1, separator).append(pair);
    separator = '&';
  }
}

void forward_headers(const Names& names, const backends::Headers& from, backends::Headers& to) {
  if (!names.all && names.list.empty()) return;
  if (names.all) {
    to = from;
    to.remove_hop_by_hop();
  } else {
    for (const std::string& name : names.list) {
      from.find_all(name, [&](std::string_view value) { to.add(name, value); });
    }
  }
  // What describes this connection or this message, and what asks for a body that could not be merged or stored.
  for (const char* own : {"Host", "Content-Length", "Expect", "Accept-Encoding", "Range", "If-Range", "If-Match",
                          "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"}) {
    to.remove(own);
  }
}

void add_vary(const CacheConfig& cache, const backends::Headers& headers, std::string& key) {
  for (const std::string& name : cache.vary) {
    // Control characters cannot be in a value, so they separate unambiguously.
    key.append(1, '\n').append(name);
    headers.find_all(name, [&](std::string_view value) { key.append(1, '\t').append(value); });
  }
}

}  // namespace

std::optional<CallRequest> make_request(const CallPlan& plan, const Incoming& incoming) {
  const CallConfig& config = plan.config;
  const Runtime& runtime = *incoming.deployment->runtime;
  const BackendConfig& backend = runtime.config.backends[config.backend];
  const backends::Headers& asked_with = incoming.parser.headers();
  auto request = std::make_shared<backends::Request>();

  TemplateValues values;
  values.path = incoming.parameters;
  values.query = incoming.parser.query();
  values.headers = &asked_with;
  values.find_header = &find_header;
  request->target.clear();
  if (!plan.path.expand(values, request->target)) return std::nullopt;
  forward_query(config.forward.query, incoming.parser.query(), request->target);

  forward_headers(config.forward.headers, asked_with, request->headers);
  std::string value;
  std::string asked_for;  // in headers, by the client's path or query: part of the key
  for (const auto& [name, source] : plan.headers) {
    value.clear();
    if (!source.expand(values, value)) return std::nullopt;
    request->headers.set(name, value);
    if (source.reads_target()) asked_for.append(1, '\n').append(name).append(1, ':').append(value);
  }
  for (const HeaderTemplate& constant : backend.headers) request->headers.set(constant.name, constant.value);
  const AddedHeaders& added = runtime.config.headers;
  if (added.request_id) request->headers.set(*added.request_id, incoming.request_id);
  if (added.traceparent) request->headers.set(*added.traceparent, incoming.traceparent);

  const std::string_view method = incoming.parser.method_text();
  request->method = config.method ? *config.method : std::string(method == "HEAD" ? "GET" : method);
  if (config.forward.body && request->method != "GET" && request->method != "HEAD") request->body = incoming.body;
  if (request->body) {
    if (const auto type = asked_with.find("Content-Type")) request->headers.set("Content-Type", *type);
  }
  const DeadlineHeader& deadline = runtime.config.deadline_header;
  if (deadline.accept) request->headers.remove(*deadline.accept);  // a wish of the client, not what is left of it
  if (deadline.send) request->headers.remove(*deadline.send);
  request->deadline_header = deadline.send.value_or("");
  request->accepts = &is_accepted;
  request->accepted = &config.accept;
  request->make_check = plan.is_json ? &JsonCheck::make : &JsonCheck::make_by_type;
  request->keep_headers = !plan.is_json || config.cache.has_value();

  CallRequest made;
  if (config.cache && request->method == "GET") {
    made.key.append(backend.name).append(1, ' ').append(request->target);
    add_vary(*config.cache, asked_with, made.key);
    made.key += asked_for;
    if (!plan.is_json) made.key += kPassedOnKey;
  }
  made.request = std::move(request);
  return made;
}

}  // namespace sluice::gateway
