#include "gateway/reply_headers.hpp"

#include "gateway/header_lines.hpp"

#include <charconv>
#include <chrono>

namespace sluice::gateway {
namespace {

/// Whether a second field of this name adds to the first; any other takes its place.
bool is_added_to(std::string_view name) {
  return backends::iequals(name, "Set-Cookie") || backends::iequals(name, "Vary");
}

void put(ResponseWriter& writer, std::string_view name, std::string_view value) {
  if (!is_added_to(name)) writer.remove(name);
  writer.add(name, value);
}

void write_taken(ResponseWriter& writer, const Reply& reply) {
  for (const Call& call : reply.calls) {
    const std::string& lines = call.fragment().headers;
    if (lines.empty() || !call.fragment().has_data()) continue;
    // A header may have several values, which stand together: all of them take the place of what was there.
    for_each_line(lines, [&](std::string_view name, std::string_view) {
      if (!is_added_to(name)) writer.remove(name);
    });
    for_each_line(lines, [&](std::string_view name, std::string_view value) { writer.add(name, value); });
  }
}

void write_timing(ResponseWriter& writer, const std::string& name, const Reply& reply, std::string& scratch) {
  scratch.clear();
  for (const Call& call : reply.calls) {
    const Fragment& fragment = call.fragment();
    if (fragment.outcome == Outcome::skipped) continue;
    if (!scratch.empty()) scratch += ", ";
    const double ms = std::chrono::duration<double, std::milli>(fragment.took).count();
    char digits[32];
    const auto end = std::to_chars(std::begin(digits), std::end(digits), ms, std::chars_format::fixed, 1).ptr;
    scratch.append(call.plan().config.name).append(";dur=").append(digits, end);
    if (fragment.outcome != Outcome::fresh) scratch.append(";desc=").append(to_string(fragment.outcome));
  }
  if (!scratch.empty()) writer.add(name, scratch);
}

void append_name(std::string& list, std::string_view name) {
  if (!list.empty()) list += ", ";
  list += name;
}

void write_vary(ResponseWriter& writer, const Reply& reply, const Incoming& incoming, std::string& scratch) {
  scratch.clear();
  // What a proxied response depends on its backend says.
  const bool is_proxy = reply.endpoint != nullptr && reply.endpoint->config.strategy == Strategy::proxy;
  if (!reply.calls.empty() && reply.endpoint != nullptr && !is_proxy) {
    for (const std::string& name : reply.endpoint->influential_headers) append_name(scratch, name);
  }
  if (incoming.cors != nullptr) {
    if (incoming.cors->depends_on_origin()) append_name(scratch, "Origin");
    if (is_preflight(incoming.parser)) {
      append_name(scratch, "Access-Control-Request-Method, Access-Control-Request-Headers");
    }
  }
  if (reply.depends_on_coding) append_name(scratch, "Accept-Encoding");
  if (!scratch.empty()) writer.add("Vary", scratch);
}

/// A strong ETag says which bytes there are, so it is not that of others.
void write_coding(ResponseWriter& writer, std::string_view coding, std::string& scratch) {
  writer.remove("Content-Encoding");
  writer.add("Content-Encoding", coding);
  const auto etag = writer.find("ETag");
  if (!etag || !etag->starts_with('"')) return;
  scratch.assign("W/").append(*etag);
  writer.remove("ETag");
  writer.add("ETag", scratch);
}

}  // namespace

const Cors* cors_of(const Runtime& runtime, const RouteMatch& match, const RequestParser& request) {
  const auto of = [&](const RouteMatch& found) -> const Cors* {
    const auto& cors = runtime.endpoints[found.endpoint].cors;
    return cors ? &*cors : nullptr;
  };
  if (match.status == RouteMatch::Status::found) return of(match);
  if (match.status == RouteMatch::Status::no_path) return nullptr;
  const Cors* cors = nullptr;
  if (is_preflight(request)) {
    const RouteMatch wanted =
        runtime.router->find(*request.headers().find("Access-Control-Request-Method"), request.path());
    if (wanted.status == RouteMatch::Status::found) return of(wanted);
  }
  for (const std::string_view method : kMethods) {
    if (cors != nullptr) break;
    if ((match.allowed & method_set(method)) != 0) cors = of(runtime.router->find(method, request.path()));
  }
  return cors;
}

void write_configured(ResponseWriter& writer, const Reply& reply, const Incoming& incoming, std::string& scratch) {
  const AddedHeaders& names = incoming.deployment->runtime->config.headers;
  if (names.server_timing) write_timing(writer, *names.server_timing, reply, scratch);
  write_vary(writer, reply, incoming, scratch);
  if (incoming.endpoint != nullptr) {
    const ResponseHeadersConfig& changes = incoming.endpoint->config.response_headers;
    for (const std::string& name : changes.remove) writer.remove(name);
    if (!changes.from.empty()) write_taken(writer, reply);
    for (const HeaderTemplate& constant : changes.add) put(writer, constant.name, constant.value);
  }
  if (incoming.cors != nullptr) incoming.cors->write(writer, incoming.parser);
  if (!reply.coding.empty()) write_coding(writer, reply.coding, scratch);
}

}  // namespace sluice::gateway
