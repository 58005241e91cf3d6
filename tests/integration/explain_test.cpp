// What `explain` says of an endpoint is what a client of the gateway gets, in every cell of its table.
#include "gateway/explain.hpp"

#include "gateway/config_reader.hpp"
#include "gateway/problem.hpp"
#include "tests/support/gateway_fixture.hpp"
#include "tests/support/leak_check.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/basic_socket_acceptor.hpp>

namespace sluice::gateway {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using support::GatewayTest;
using support::RawResponse;
using support::ScriptedBackend;

struct Situation {
  std::string what;
  std::string endpoint;
  std::string target;
  std::chrono::seconds until_stale{0};               // stored bodies are neither fresh nor revalidated then
  std::string fields = {};                           // of the request
  std::map<std::string, std::string> settings = {};  // of backends: further members
};

void PrintTo(const Situation& situation, std::ostream* out) {
  *out << situation.what;
}

// Has what every reference of the situations leads to.
constexpr std::string_view kBody =
    R"({"id": 7, "segment": "x", "list": [{"id": 1}, {"id": 2}], "data": {"items": [{"id": 3}, {"id": 4}]}})";

ScriptedBackend::Said ok(const std::string&) {
  return ScriptedBackend::Said("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
                                   std::to_string(kBody.size()) + "\r\n\r\n" + std::string(kBody),
                               ScriptedBackend::After::keep, 1ms);
}

// In the form of support::calls_of(), without ages.
std::string calls_of(const Rehearsed& reply) {
  std::string calls;
  for (const RehearsedCall& call : reply.calls) {
    calls += (calls.empty() ? "" : ", ") + call.name + "=" + call.outcome;
    for (const auto& [name, value] : call.details) {
      if (name != "ms" && name != "age") calls += ";" + name + (value.empty() ? "" : "=" + value);
    }
  }
  return calls;
}

std::string without_ages(std::string calls) {
  for (auto at = calls.find(";age="); at != std::string::npos; at = calls.find(";age=", at)) {
    calls.erase(at, calls.find_first_of(";,", at + 1) - at);
  }
  return calls;
}

class Explain : public GatewayTest, public ::testing::WithParamInterface<Situation> {
 protected:
  Explain() {
    well_.answer_by(ok);
    slow_.answer_by([](const std::string&) { return ScriptedBackend::Said(""); });
    nobody_.bind({boost::asio::ip::address_v4::loopback(), 0});
  }

  std::string backends(const std::map<std::string, BackendState>& states) const {
    std::string text;
    for (const char* name : {"a", "b", "c"}) {
      const auto found = states.find(name);
      const BackendState state = found == states.end() ? BackendState::well : found->second;
      const auto port = state == BackendState::well   ? well_.where().port()
                        : state == BackendState::slow ? slow_.where().port()
                                                      : nobody_.local_endpoint().port();
      const auto settings = GetParam().settings.find(name);
      text += std::string(text.empty() ? "" : ", ") + "\"" + name +
              "\": {\"servers\": [\"http://127.0.0.1:" + std::to_string(port) + "\"]" +
              (settings == GetParam().settings.end() ? "" : ", " + settings->second) + "}";
    }
    return "\"backends\": {" + text + "}";
  }

  RawResponse real(const std::map<std::string, BackendState>& states, Stored stored) {
    (void)store_.erase_prefix("");
    client_.close();
    if (stored == Stored::stale) {
      serve(GetParam().endpoint, backends({}));
      (void)get(GetParam().target, GetParam().fields);
      client_.close();
      time_.advance(GetParam().until_stale);
      reload(GetParam().endpoint, backends(states));
    } else {
      serve(GetParam().endpoint, backends(states));
    }
    return get(GetParam().target, GetParam().fields);
  }

  Config config() const {
    const std::string text = R"({"version": 1, "endpoints": [)" + GetParam().endpoint + "], " + backends({}) + "}";
    auto checked = parse_config(text, "test.json", [](const std::string&) { return std::nullopt; });
    for (const Problem& problem : checked.problems) {
      EXPECT_NE(problem.severity, Problem::Severity::error) << format(problem);
    }
    return std::move(checked.config).value();
  }

  /// Rehearsals end with their loops.
  static Explanation explained(const Config& plan) {
    const test::AllowLeftovers on_purpose;
    return explain(plan, 0);
  }

  ScriptedBackend well_{time_.loop()};
  ScriptedBackend slow_{time_.loop()};
  Acceptor nobody_{time_.loop().executor(), boost::asio::ip::tcp::v4()};
};

TEST_P(Explain, SaysWhatAClientGets) {
  const Config plan = config();
  const Explanation explanation = explained(plan);
  std::size_t cells = 0;
  for (const Scene& scene : explanation.scenes) {
    std::map<std::string, BackendState> states;
    for (const char* name : {"a", "b", "c"}) {
      if (scene.backend.empty() || scene.backend == name) states[name] = scene.state;
    }
    for (const Stored stored : {Stored::nothing, Stored::stale}) {
      if (scene.stored && scene.stored != stored) continue;
      if (scene.state == BackendState::well && stored == Stored::stale) continue;
      SCOPED_TRACE(scene.backend + " " + std::string(to_string(scene.state)) +
                   (stored == Stored::stale ? ", stored" : ", nothing stored"));
      const RawResponse response = real(states, stored);
      EXPECT_EQ(scene.reply.status, response.status);
      EXPECT_EQ(scene.reply.result, response.header("Sluice-Result"));
      EXPECT_EQ(calls_of(scene.reply), without_ages(support::calls_of(response)));
      EXPECT_EQ(scene.reply.after, took_);
      for (const RehearsedCall& call : scene.reply.calls) {
        const std::string ms = call.detail("ms");
        EXPECT_EQ(ms.empty() ? -1 : std::stoi(ms), support::milliseconds_of(response, call.name)) << call.name;
      }
      ++cells;
    }
  }
  EXPECT_GE(cells, 3U);
}

TEST_P(Explain, GivesEachCallTheTimeThatItHas) {
  const Config plan = config();
  const EndpointConfig& endpoint = plan.endpoints.front();
  const Explanation explanation = explained(plan);
  for (const Scene& scene : explanation.scenes) {
    for (std::size_t i = 0; i < scene.reply.calls.size(); ++i) {
      const RehearsedCall& call = scene.reply.calls[i];
      const CallBudget& budget = explanation.budget.calls[i];
      const bool is_slow = scene.state == BackendState::slow &&
                           (scene.backend.empty() || scene.backend == plan.backends[endpoint.calls[i].backend].name);
      bool is_started_late = explanation.inputs[i].empty();
      for (std::size_t input : explanation.inputs[i]) {
        is_started_late = is_started_late || (scene.reply.calls[input].detail("reason") == "timeout" &&
                                              explanation.budget.calls[input].ends_by == budget.starts_by);
      }
      if (!is_slow || !is_started_late || call.detail("reason") != "timeout") continue;
      const auto has = std::chrono::duration_cast<milliseconds>(budget.ends_by - budget.starts_by);
      EXPECT_EQ(call.detail("ms"), std::to_string(has.count()))
          << scene.backend << " is slow, " << call.name << " has until " << budget.ends_by.count();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Situations, Explain,
    ::testing::Values(
        Situation{"merge", R"({"path": "/p/{id}", "deadline": "500ms", "calls": [
            {"name": "one", "backend": "a", "path": "/one/{id}?x={query.x}", "timeout": "200ms"},
            {"name": "two", "backend": "b", "path": "/two"}, {"name": "three", "backend": "b", "path": "/three"}]})",
                  "/p/5"},
        Situation{"one call", R"({"path": "/p", "calls": [{"name": "one", "backend": "a", "path": "/"}]})", "/p"},
        Situation{"required", R"({"path": "/p", "deadline": "500ms", "calls": [
            {"name": "one", "backend": "a", "path": "/one", "required": true, "timeout": "150ms"},
            {"name": "two", "backend": "b", "path": "/two"},
            {"name": "three", "backend": "c", "path": "/three", "fallback": {"id": 1}}]})",
                  "/p"},
        Situation{"the timeout of a backend",
                  R"({"path": "/p", "deadline": "500ms", "calls": [
            {"name": "one", "backend": "a", "path": "/one", "required": true, "timeout": "300ms"},
            {"name": "two", "backend": "a", "path": "/two", "timeout": "50ms"}]})",
                  "/p",
                  0s,
                  "",
                  {{"a", R"("timeout": "120ms")"}}},
        Situation{"dependencies", R"({"path": "/p/{id}", "deadline": "500ms", "calls": [
            {"name": "recs", "backend": "b", "path": "/recs/{user.segment}", "fallback": []},
            {"name": "user", "backend": "a", "path": "/users/{id}", "timeout": "200ms"},
            {"name": "more", "backend": "c", "path": "/more/{recs.id}",
             "headers": {"X-User": "{user:/list/0/id}"}}]})",
                  "/p/5"},
        Situation{"a required dependency", R"({"path": "/p/{id}", "deadline": "500ms", "calls": [
            {"name": "user", "backend": "a", "path": "/users/{id}"},
            {"name": "recs", "backend": "b", "path": "/recs/{user.segment}", "required": true}]})",
                  "/p/5"},
        Situation{"a dependency on a fallback", R"({"path": "/p/{id}", "deadline": "500ms", "calls": [
            {"name": "user", "backend": "a", "path": "/users/{id}", "timeout": "120ms", "fallback": {"id": 1}},
            {"name": "recs", "backend": "b", "path": "/recs/{user.id}"}]})",
                  "/p/5"},
        Situation{"for_each", R"({"path": "/p", "deadline": "500ms", "calls": [
            {"name": "list", "backend": "a", "path": "/list", "pick": "/data"},
            {"name": "items", "backend": "b", "path": "/items/{item.id}", "for_each": {"in": "list.list"},
             "fallback": 0},
            {"name": "required", "backend": "c", "path": "/x/{item.id}", "for_each": {"in": "list.data.items"},
             "required": true}]})",
                  "/p"},
        Situation{"caches", R"({"path": "/p/{id}", "deadline": "500ms", "calls": [
            {"name": "user", "backend": "a", "path": "/users/{id}", "required": true,
             "cache": {"ttl": "2s", "stale_if_error": "10m"}},
            {"name": "orders", "backend": "b", "path": "/orders?user={id}", "timeout": "200ms",
             "cache": {"ttl": "1s", "stale_while_revalidate": "1s", "stale_if_error": "1h", "stale_after": "80ms"}},
            {"name": "recs", "backend": "c", "path": "/recs/{user.segment}", "fallback": [],
             "cache": {"ttl": "2s"}}]})",
                  "/p/5", 2s},
        Situation{"stale_on", R"({"path": "/p", "deadline": "500ms", "calls": [
            {"name": "one", "backend": "a", "path": "/one", "fallback": {"id": 1},
             "cache": {"stale_if_error": "1h", "stale_on": ["timeout"]}},
            {"name": "two", "backend": "b", "path": "/two", "cache": {"stale_if_error": "1h", "stale_on": [503]}}]})",
                  "/p"},
        Situation{"headers of clients in a cached call", R"({"path": "/p", "deadline": "500ms", "calls": [
            {"name": "one", "backend": "a", "path": "/one", "headers": {"X-Tenant": "{header.x-tenant}"},
             "cache": {"stale_if_error": "1h", "vary": ["X-Tenant"]}, "fallback": null}]})",
                  "/p", 0s, "X-Tenant: 5\r\n"},
        Situation{"first", R"({"path": "/p", "deadline": "500ms", "strategy": "first", "calls": [
            {"name": "one", "backend": "a", "path": "/one", "timeout": "200ms"},
            {"name": "two", "backend": "b", "path": "/two", "fallback": 2,
             "cache": {"ttl": "1s", "stale_if_error": "1h"}}]})",
                  "/p", 1s},
        Situation{"first with stagger", R"({"path": "/p", "deadline": "500ms", "strategy": "first",
            "stagger": "50ms", "calls": [
            {"name": "one", "backend": "a", "path": "/one"}, {"name": "two", "backend": "b", "path": "/two"},
            {"name": "three", "backend": "b", "path": "/three", "timeout": "30ms"}]})",
                  "/p"},
        Situation{"quorum", R"({"path": "/p", "deadline": "500ms", "strategy": "quorum", "quorum": 2, "calls": [
            {"name": "one", "backend": "a", "path": "/one"}, {"name": "two", "backend": "b", "path": "/two"},
            {"name": "three", "backend": "c", "path": "/three", "timeout": "100ms"}]})",
                  "/p"},
        Situation{"quorum with a required call", R"({"path": "/p", "deadline": "500ms", "strategy": "quorum",
            "quorum": 1, "calls": [
            {"name": "one", "backend": "a", "path": "/one", "required": true,
             "cache": {"stale_if_error": "1h", "stale_after": "60ms"}},
            {"name": "two", "backend": "b", "path": "/two"}]})",
                  "/p"},
        Situation{"proxy", R"({"path": "/p/{rest...}", "deadline": "500ms", "strategy": "proxy", "calls": [
            {"name": "all", "backend": "a", "path": "/all/{rest}"}]})",
                  "/p/x/y"},
        Situation{"proxy with a fallback", R"({"path": "/p", "deadline": "500ms", "strategy": "proxy", "calls": [
            {"name": "all", "backend": "a", "path": "/all", "timeout": "100ms", "fallback": {"down": true}}]})",
                  "/p"},
        Situation{"pass_status and accept", R"({"path": "/p", "deadline": "500ms", "calls": [
            {"name": "one", "backend": "a", "path": "/one", "required": true, "accept": ["2xx", 404],
             "pass_status": [502, 503]},
            {"name": "two", "backend": "b", "path": "/two", "into": "", "rename": {"id": "number"}}]})",
                  "/p"}),
    [](const auto& tested) {
      std::string name;
      for (char c : tested.param.what) name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
      return name;
    });

}  // namespace
}  // namespace sluice::gateway
