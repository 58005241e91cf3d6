#include "gateway/forwarding.hpp"

#include "backends/head_writer.hpp"
#include "gateway/field_syntax.hpp"
#include "gateway/incoming.hpp"
#include "gateway/text_rules.hpp"

#include <algorithm>

namespace sluice::gateway {
namespace {

using concurrency::detail::RecycledString;

constexpr std::array<Forwarding::Field, Forwarding::kFields> kAll = {
    Forwarding::forwarded_for, Forwarding::proto, Forwarding::host, Forwarding::forwarded, Forwarding::via};

/// All values of the header, as one list.
std::string list_of(const backends::Headers& headers, std::string_view name) {
  std::string list;
  headers.find_all(name, [&](std::string_view value) {
    if (value.empty()) return;
    if (!list.empty()) list += ", ";
    list += value;
  });
  return list;
}

/// What a proxy that is believed sent, as far as it is well-formed.
std::string_view believed(Forwarding::Field field, std::string_view list) {
  switch (field) {
    case Forwarding::forwarded_for:
      return believable_addresses(list);
    case Forwarding::proto:
      return is_schemes(list) ? list : std::string_view();
    case Forwarding::host:
      return is_authorities(list) ? list : std::string_view();
    case Forwarding::forwarded:
      return is_forwarded(list) ? list : std::string_view();
    case Forwarding::via:
      break;
  }
  return list;
}

void append_to(RecycledString& list, std::string_view element) {
  if (!list.empty()) list += ", ";
  list += element;
}

/// RFC 7239 §4; `host` was accepted as a Host.
std::string element_of_forwarded(const std::string& client, std::string_view host) {
  const bool is_ipv6 = client.find(':') != std::string::npos;
  if (client.empty()) return "for=unknown";
  std::string element = is_ipv6 ? "for=\"[" + client + "]\"" : "for=" + client;
  if (kHeaderName.accepts(host)) {  // a token
    element.append(";host=").append(host);
  } else if (!host.empty()) {
    element.append(";host=\"").append(host).append(1, '"');
  }
  return element += ";proto=http";
}

bool names_it(const std::vector<std::string>& names, std::string_view name) {
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& n) { return n == "*" || backends::iequals(n, name); });
}

}  // namespace

const std::optional<std::string>& name_of(Forwarding::Field field, const AddedHeaders& names) {
  switch (field) {
    case Forwarding::forwarded_for:
      return names.forwarded_for;
    case Forwarding::proto:
      return names.forwarded_proto;
    case Forwarding::host:
      return names.forwarded_host;
    case Forwarding::forwarded:
      return names.forwarded;
    case Forwarding::via:
      break;
  }
  return names.via;
}

namespace {

std::shared_ptr<const Forwarding> forwarding_of(const RequestParser& request, const std::string& client,
                                                bool is_trusted, const AddedHeaders& names, std::string& scratch) {
  auto made = concurrency::detail::make_recycled<Forwarding>();
  made->is_trusted = is_trusted;
  const backends::Headers& asked = request.headers();
  const std::string_view host = asked.find("Host").value_or("");
  scratch.clear();
  backends::HeadWriter writer(scratch);
  for (const Forwarding::Field field : kAll) {
    const auto& name = name_of(field, names);
    if (!name) continue;
    RecycledString& value = made->values[field];
    if (is_trusted || field == Forwarding::via) value = believed(field, list_of(asked, *name));
    switch (field) {
      case Forwarding::forwarded_for:
        if (!client.empty()) append_to(value, client);
        break;
      case Forwarding::proto:
        if (value.empty()) value = "http";
        break;
      case Forwarding::host:
        if (value.empty()) value = host;
        break;
      case Forwarding::forwarded:
        append_to(value, element_of_forwarded(client, host));
        break;
      case Forwarding::via:
        append_to(value, request.version() == 10 ? "1.0 sluice" : "1.1 sluice");
        break;
    }
    if (!value.empty()) writer.add(*name, value);
  }
  made->lines = scratch;
  return made;
}

}  // namespace

std::shared_ptr<const Forwarding> Forwarder::of(const RequestParser& request, const std::string& client,
                                                bool is_trusted, const std::shared_ptr<const Runtime>& runtime,
                                                std::string& scratch) {
  const AddedHeaders& names = runtime->config.headers;
  const backends::Headers& asked = request.headers();
  const std::string_view host = asked.find("Host").value_or("");
  const bool may_serve_again = !is_trusted && (!names.via || !asked.contains(*names.via));
  const bool is_same = may_serve_again && last_ != nullptr && !runtime_.owner_before(runtime) &&
                       !runtime.owner_before(runtime_) && host_ == host && version_ == request.version();
  if (is_same) return last_;
  auto made = forwarding_of(request, client, is_trusted, names, scratch);
  last_ = may_serve_again ? made : nullptr;
  runtime_ = runtime;
  host_ = host;
  version_ = request.version();
  return made;
}

void write_common_lines(Incoming& incoming, const AddedHeaders& names, std::string& scratch) {
  scratch.clear();
  backends::HeadWriter writer(scratch);
  if (names.request_id) writer.add(*names.request_id, incoming.request_id);
  if (names.traceparent) writer.add(*names.traceparent, incoming.traceparent);
  incoming.identity_size = scratch.size();
  if (names.traceparent && !incoming.tracestate.empty()) writer.add("tracestate", incoming.tracestate);
  writer.add_lines(incoming.forwarding->lines);
  incoming.common_lines = concurrency::detail::make_recycled<const RecycledString>(scratch);
}

bool names_common(const CallConfig& call, const BackendConfig& backend, const AddedHeaders& names) {
  const auto is_common = [&](const HeaderTemplate& header) {
    const auto is_it = [&](const std::optional<std::string>& name) {
      return name && backends::iequals(*name, header.name);
    };
    return is_it(names.request_id) || is_it(names.traceparent) || backends::iequals(header.name, "tracestate") ||
           std::any_of(kAll.begin(), kAll.end(), [&](Forwarding::Field field) { return is_it(name_of(field, names)); });
  };
  return std::any_of(call.headers.begin(), call.headers.end(), is_common) ||
         std::any_of(backend.headers.begin(), backend.headers.end(), is_common);
}

void add_common(const Incoming& incoming, const CallPlan& plan, bool is_stored, backends::Request& to) {
  const CallConfig& call = plan.config;
  const AddedHeaders& names = incoming.deployment->runtime->config.headers;
  const Forwarding& made = *incoming.forwarding;
  if (call.forward.headers.all || !call.forward.headers.list.empty()) {
    for (const Forwarding::Field field : kAll) {
      if (const auto& name = name_of(field, names)) to.headers.remove(*name);
    }
    if (names.request_id) to.headers.remove(*names.request_id);
    if (names.traceparent) to.headers.remove(*names.traceparent);
    if (names.traceparent) to.headers.remove("tracestate");
    if (!made.is_trusted) {
      for (const char* name : {"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded"}) {
        to.headers.remove(name);
      }
    }
  }
  if (!is_stored && !plan.names_common) {
    to.lines = incoming.common_lines;
    return;
  }
  if (names.request_id) to.headers.add(*names.request_id, incoming.request_id);
  if (names.traceparent) to.headers.add(*names.traceparent, incoming.traceparent);
  if (names.traceparent && !incoming.tracestate.empty()) to.headers.add("tracestate", incoming.tracestate);
  for (const Forwarding::Field field : kAll) {
    const auto& name = name_of(field, names);
    const RecycledString& value = made.values[field];
    if (!name || value.empty()) continue;
    const bool is_silent = is_stored && !names_it(call.cache->vary, *name) && !names_it(call.cache->vary_except, *name);
    if (!is_silent) {
      to.headers.add(*name, value);
    } else if (field == Forwarding::via) {
      to.headers.add(*name, "1.1 sluice");
    }
  }
}

std::optional<std::string_view> forwarded_value(const Incoming& incoming, std::string_view name) {
  const AddedHeaders& names = incoming.deployment->runtime->config.headers;
  for (const Forwarding::Field field : kAll) {
    const auto& known = name_of(field, names);
    if (known && backends::iequals(*known, name)) return incoming.forwarding->values[field];
  }
  return std::nullopt;
}

}  // namespace sluice::gateway
