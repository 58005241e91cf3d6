// The expectations of a reply, one after the other.
#include "loadtest/checks.hpp"

#include "loadtest/json.hpp"
#include "loadtest/sluice_calls.hpp"

#include <algorithm>
#include <unistd.h>

namespace sluice::loadtest {
namespace {

template <class List, class Value>
bool contains(const List& list, const Value& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

bool has_call(const std::string& name, const std::vector<std::string>& outcomes, const std::vector<SluiceCall>& calls) {
  return std::any_of(calls.begin(), calls.end(),
                     [&](const SluiceCall& call) { return call.name == name && contains(outcomes, call.outcome); });
}

}  // namespace

std::string request_id(std::uint64_t n) {
  return "load-" + std::to_string(getpid()) + '-' + std::to_string(n);
}

std::optional<Fault> find_fault(const Expectations& expect, const ReplyReader& reply, std::uint64_t n) {
  if (!expect.statuses.empty() && !contains(expect.statuses, reply.status()))
    return Fault{Kind::status, "status " + std::to_string(reply.status())};
  if (expect.request_id && reply.request_id() != request_id(n))
    return Fault{Kind::request_id, "X-Request-Id: " + reply.request_id() + " in the reply to " + request_id(n)};
  if (!expect.results.empty() && !contains(expect.results, reply.result()))
    return Fault{Kind::result, "Sluice-Result: " + reply.result()};
  if (!expect.calls.empty()) {
    const auto calls = parse_sluice_calls(reply.calls());
    for (const auto& [name, outcomes] : expect.calls)
      if (!has_call(name, outcomes, calls)) return Fault{Kind::call, "Sluice-Calls: " + reply.calls()};
  }
  if (expect.json) {
    if (const auto problem = find_json_problem(reply.body()))
      return Fault{Kind::json, "the body is not JSON: at byte " + std::to_string(problem->offset) + " expected " +
                                   std::string(problem->expected)};
  }
  for (const Template& text : expect.texts)
    if (reply.body().find(text.with(n)) == std::string::npos)
      return Fault{Kind::text, "a body without " + text.with(n)};
  return std::nullopt;
}

}  // namespace sluice::loadtest
