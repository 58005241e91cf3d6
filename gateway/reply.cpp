#include "gateway/reply.hpp"

#include "gateway/header_lines.hpp"
#include "gateway/reply_writer.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>

namespace sluice::gateway {
namespace {

using backends::Reason;
using concurrency::Duration;

void append_number(std::string& out, std::int64_t value) {
  char digits[24];
  const auto end = std::to_chars(std::begin(digits), std::end(digits), value).ptr;
  out.append(digits, end);
}

std::int64_t whole_seconds(Duration duration) {
  return std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::seconds>(duration).count());
}

/// `;items=8;missing=2;cut`
void append_elements(std::string& out, const Elements& elements) {
  out += ";items=";
  append_number(out, static_cast<std::int64_t>(elements.count));
  if (elements.missing > 0) {
    out += ";missing=";
    append_number(out, static_cast<std::int64_t>(elements.missing));
  }
  if (elements.is_cut) out += ";cut";
}

/// `"calls":{"user":{"outcome":"missing","reason":"timeout"}}`: names and words are plain ASCII.
std::string calls_member(const Calls& calls) {
  std::string out = "\"calls\":{";
  for (const Call& call : calls) {
    const Fragment& fragment = call.fragment();
    if (out.back() != '{') out += ',';
    out.append(call.plan().member).append("{\"outcome\":\"").append(to_string(fragment.outcome)).append(1, '"');
    if (fragment.reason) out.append(",\"reason\":\"").append(to_string(*fragment.reason)).append(1, '"');
    if (fragment.reason == Reason::status) {
      out += ",\"status\":";
      append_number(out, fragment.status);
    }
    out += '}';
  }
  return out += '}';
}

/// The one place where calls without data become a status (the worst cause counts).
unsigned failure_status(const EndpointPlan& endpoint, const Calls& calls) {
  bool timed_out = false;
  bool unavailable = false;
  bool has_failed = false;
  bool is_unanswerable = false;  // because of what the client sent
  for (const Call& call : calls) {
    const Fragment& fragment = call.fragment();
    if (fragment.has_data() || (endpoint.any_required && !call.plan().config.required)) continue;
    const StatusSet& passed = call.plan().config.pass_status;
    const auto cause = fragment.root_cause();
    if (!cause) {
      is_unanswerable = true;
      continue;
    }
    if (cause->reason == Reason::cancelled) continue;  // because of another
    if (cause->reason == Reason::status && cause->status < passed.size() && passed[cause->status] &&
        call.plan().config.required) {
      return cause->status;
    }
    has_failed = true;
    timed_out = timed_out || cause->reason == Reason::timeout;
    unavailable = unavailable || cause->reason == Reason::open || cause->reason == Reason::shed;
  }
  if (is_unanswerable && !has_failed) return 400;
  if (timed_out) return 504;
  return unavailable ? 503 : 502;
}

std::string_view failure_detail(unsigned status) {
  switch (status) {
    case 504:
      return "A backend did not answer in time.";
    case 503:
      return "A backend is not available for now.";
    case 502:
      return "A backend gave no usable answer.";
    case 400:
      return "The request lacks a value that a call needs, or has one that cannot be put into a path.";
    default:
      return "A backend refused the request.";
  }
}

bool is_degraded(const Fragment& fragment) {
  return fragment.outcome == Outcome::stale || fragment.outcome == Outcome::fallback;
}

Reply failed(const EndpointPlan& endpoint, Calls calls) {
  const unsigned status = failure_status(endpoint, calls);
  const bool is_shed =
      std::any_of(calls.begin(), calls.end(), [](const Call& call) { return call.fragment().reason == Reason::shed; });
  const std::string_view detail =
      status == 503 && is_shed ? "More has come than can be answered in time." : failure_detail(status);
  Reply reply = problem(status, detail, calls_member(calls));
  reply.result = status == 400 ? ResultKind::rejected : ResultKind::failed;
  reply.endpoint = &endpoint;
  reply.calls = std::move(calls);
  return reply;
}

/// How good the outcomes are, when there is something to reply with.
ResultKind result_of(const Calls& calls) {
  ResultKind result = ResultKind::complete;
  for (const Call& call : calls) {
    const auto& elements = call.fragment().elements;
    if (call.fragment().outcome == Outcome::missing) return ResultKind::partial;
    if (elements && (elements->missing > 0 || elements->is_cut)) return ResultKind::partial;
    if (is_degraded(call.fragment())) result = ResultKind::degraded;
  }
  return result;
}

bool passes_a_cookie_on(const Call& call) {
  bool found = false;
  for_each_line(call.fragment().headers,
                [&](std::string_view name, std::string_view) { found |= backends::iequals(name, "Set-Cookie"); });
  return found;
}

std::vector<ReplyLayout::Part> parts_of(const Calls& calls) {
  std::vector<ReplyLayout::Part> parts;
  parts.reserve(calls.size());
  for (const Call& call : calls) {
    const Fragment& fragment = call.fragment();
    parts.push_back({fragment.has_data(), fragment.bytes, fragment.shaped.get()});
  }
  return parts;
}

/// Whether calls without data leave no reply but a failure.
bool lacks_data(const EndpointPlan& endpoint, const Calls& calls) {
  const auto has_data = [](const Call& call) { return call.fragment().has_data(); };
  if (!endpoint.any_required) return std::none_of(calls.begin(), calls.end(), has_data);
  return std::any_of(calls.begin(), calls.end(),
                     [&](const Call& call) { return call.plan().config.required && !has_data(call); });
}

/// Calls whose members are too many to be merged now.
void leave_out_large(Calls& calls) {
  constexpr std::size_t kMany = Quantum::kBytes / Quantum::kStep / 4;
  for (Call& call : calls) {
    const Fragment& fragment = call.fragment();
    if (fragment.shaped && fragment.shaped->members.size() > kMany) call.fail(Reason::timeout);
  }
}

/// Cache-Control and Age over the calls that gave data; RFC 9111 §5.2.2, with the shortest lifetime of all parts.
void write_freshness(ResponseWriter& writer, const Reply& reply, std::string& scratch) {
  Duration oldest{0};
  bool any_stored = false;
  bool has_lifetime = reply.result == ResultKind::complete;
  Duration left = Duration::max();
  for (const Call& call : reply.calls) {
    const Fragment& fragment = call.fragment();
    if (fragment.age) {
      any_stored = true;
      oldest = std::max(oldest, *fragment.age);
    }
    if (!fragment.has_data()) continue;
    has_lifetime = has_lifetime && fragment.fresh_for && *fragment.fresh_for > Duration(0);
    if (fragment.fresh_for) left = std::min(left, *fragment.fresh_for);
  }
  const bool is_usable = reply.result != ResultKind::failed && reply.result != ResultKind::rejected;
  if (any_stored && is_usable) writer.add("Age", static_cast<std::uint64_t>(whole_seconds(oldest)));
  const bool is_personal = (reply.endpoint != nullptr && !reply.endpoint->influential_headers.empty()) ||
                           std::any_of(reply.calls.begin(), reply.calls.end(), passes_a_cookie_on);
  if (!has_lifetime) {
    writer.add("Cache-Control", "no-store");
  } else {
    scratch.assign(is_personal ? "private, max-age=" : "max-age=");
    append_number(scratch, whole_seconds(oldest + left));
    writer.add("Cache-Control", scratch);
  }
}

}  // namespace

std::uint64_t Reply::content_length() const {
  std::uint64_t size = body.empty() ? text.size() : 0;
  for (const std::string_view part : body) size += part.size();
  return size;
}

Reply problem(unsigned status, std::string_view detail, std::string_view members) {
  Reply reply;
  reply.status = status;
  reply.result = status < 500 ? ResultKind::rejected : ResultKind::failed;
  reply.media_type = "application/problem+json";
  append_problem(reply.text, status, detail, members);
  return reply;
}

Reply merged_flat(const EndpointPlan& endpoint, Calls calls) {
  if (lacks_data(endpoint, calls)) return failed(endpoint, std::move(calls));
  Reply reply;
  reply.endpoint = &endpoint;
  reply.result = result_of(calls);
  reply.body.reserve(calls.size() * 3 + 1);
  for (const Call& call : calls) {
    const Fragment& fragment = call.fragment();
    if (!fragment.has_data()) continue;
    reply.body.emplace_back(reply.body.empty() ? "{" : ",");
    reply.body.emplace_back(call.plan().member);
    if (fragment.shaped) {
      const auto& slices = fragment.shaped->slices;
      reply.body.insert(reply.body.end(), slices.begin(), slices.end());
    } else {
      reply.body.emplace_back(fragment.bytes);
    }
  }
  reply.body.emplace_back("}");
  reply.calls = std::move(calls);
  return reply;
}

concurrency::Task<Reply> merged(const concurrency::Context& ctx, const EndpointPlan& endpoint, Calls calls) {
  if (lacks_data(endpoint, calls)) co_return failed(endpoint, std::move(calls));
  Reply reply;
  reply.endpoint = &endpoint;
  std::vector<ReplyLayout::Part> parts = parts_of(calls);
  ReplyLayout::Writer writer(endpoint.layout, parts, reply.body);
  Quantum at_once;
  bool is_written = writer.run(at_once);
  if (!is_written) is_written = co_await in_turns(ctx, writer);
  if (!is_written) {
    reply.body.clear();
    leave_out_large(calls);
    if (lacks_data(endpoint, calls)) co_return failed(endpoint, std::move(calls));
    endpoint.layout.write(parts_of(calls), reply.body);
  }
  reply.result = result_of(calls);
  reply.calls = std::move(calls);
  co_return reply;
}

Reply chosen(const EndpointPlan& endpoint, Calls calls, std::optional<std::size_t> winner) {
  if (!winner) return failed(endpoint, std::move(calls));
  Reply reply;
  reply.endpoint = &endpoint;
  reply.calls = std::move(calls);
  const Fragment& fragment = reply.calls[*winner].fragment();
  reply.result = result_of(reply.calls);
  const bool is_from_backend = fragment.outcome == Outcome::fresh || fragment.outcome == Outcome::cached;
  reply.status = is_from_backend && fragment.status != 0 ? fragment.status : 200;
  reply.media_type = fragment.media_type;
  reply.body.emplace_back(fragment.bytes);
  return reply;
}

void write_result(ResponseWriter& writer, const Reply& reply, const AddedHeaders& names, std::string& scratch) {
  if (names.result) writer.add(*names.result, to_string(reply.result));
  if (!names.calls || reply.calls.empty()) return;
  scratch.clear();
  for (const Call& call : reply.calls) {
    const Fragment& fragment = call.fragment();
    if (!scratch.empty()) scratch += ", ";
    scratch.append(call.plan().config.name).append(1, '=').append(to_string(fragment.outcome));
    if (fragment.outcome == Outcome::skipped) continue;
    scratch += ";ms=";
    append_number(scratch, std::chrono::duration_cast<std::chrono::milliseconds>(fragment.took).count());
    if (fragment.age) {
      scratch += ";age=";
      append_number(scratch, whole_seconds(*fragment.age));
    }
    if (fragment.reason) scratch.append(";reason=").append(to_string(*fragment.reason));
    if (fragment.reason == Reason::status) {
      scratch += ";status=";
      append_number(scratch, fragment.status);
    }
    if (fragment.elements) append_elements(scratch, *fragment.elements);
  }
  writer.add(*names.calls, scratch);
}

void write_outcome(ResponseWriter& writer, const Reply& reply, const AddedHeaders& names, std::string& scratch) {
  write_result(writer, reply, names, scratch);
  if (names.cache_status && !reply.cache_status.empty()) writer.add(*names.cache_status, reply.cache_status);
  if (reply.passed) return;
  if (!reply.allow.empty()) writer.add("Allow", reply.allow);
  if (reply.status == 503) writer.add("Retry-After", "1");
  if (!reply.calls.empty()) {
    write_freshness(writer, reply, scratch);
  } else if (reply.status >= 400) {
    writer.add("Cache-Control", "no-store");
  }
}

}  // namespace sluice::gateway
