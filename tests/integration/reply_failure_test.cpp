// What a client gets when calls fail, and that headers, metrics and the access log say the same of it.
#include "concurrency/random.hpp"
#include "tests/support/gateway_fixture.hpp"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace sluice::support {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

class Failures : public GatewayTest {};

TEST_F(Failures, OfARequiredCallDecideTheStatus) {
  serve(R"({"path": "/", "deadline": "100ms", "calls": [
    {"name": "x", "backend": "a", "path": "/users/1", "required": true, "pass_status": [404, 429]},
    {"name": "y", "backend": "b", "path": "/users/1"}]})");
  const std::pair<std::string, unsigned> cases[] = {
      {"status=404", 404}, {"status=429", 429},   {"status=401", 502}, {"status=500", 502}, {"status=503", 502},
      {"status=301", 502}, {"reset=header", 502}, {"not_json=1", 502}, {"hang=head", 504},  {"status=304", 502}};
  for (const auto& [faults, status] : cases) {
    ASSERT_EQ(a_.set_faults(faults), "");
    const RawResponse reply = get("/");
    EXPECT_EQ(reply.status, status) << faults;
    EXPECT_EQ(reply.header("Content-Type"), "application/problem+json");
    EXPECT_EQ(reply.header("Sluice-Result"), "failed");
    EXPECT_EQ(reply.header("Cache-Control"), "no-store");
    const json body = json::parse(reply.body);
    EXPECT_EQ(body["status"], status);
    EXPECT_EQ(body["calls"]["x"]["outcome"], "missing");
    EXPECT_THAT(reply.head + reply.body, Not(HasSubstr("127.0.0.1"))) << "addresses never reach a client";
  }
  a_.stop();
  time_.settle();
  EXPECT_EQ(get("/").status, 502U);
}

TEST_F(Failures, OfOptionalCallsLeaveAPartialReplyUntilAllHaveFailed) {
  serve(R"({"path": "/", "deadline": "100ms", "calls": [
    {"name": "x", "backend": "a", "path": "/users/1"}, {"name": "y", "backend": "b", "path": "/users/1"}]})");
  a_.set_faults("status=404");
  const RawResponse partial = get("/");
  EXPECT_EQ(partial.status, 200U);
  EXPECT_EQ(partial.header("Sluice-Result"), "partial");
  EXPECT_EQ(calls_of(partial), "x=missing;reason=status;status=404, y=fresh");
  EXPECT_EQ(json::parse(partial.body).size(), 1U);
  b_.set_faults("status=500");
  EXPECT_EQ(get("/").status, 502U) << "404 is passed on of a required call only";
  b_.set_faults("hang=header");
  EXPECT_EQ(get("/").status, 504U);
}

TEST_F(Failures, OfAllCallsAreCoveredByAFallback) {
  serve(R"({"path": "/", "calls": [
    {"name": "x", "backend": "a", "path": "/users/1", "required": true, "fallback": {"n": 1.50, "u": "\u00e9"}}]})");
  a_.set_faults("status=404");
  const RawResponse reply = get("/");
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(reply.body, R"({"x":{"n":1.50,"u":"\u00e9"}})");
  EXPECT_EQ(reply.header("Sluice-Result"), "degraded");
}

TEST_F(Failures, OfWhatTheClientSentAreItsOwnWhateverWasCancelledForThem) {
  serve(R"({"path": "/", "calls": [
    {"name": "x", "backend": "a", "path": "/users/1", "required": true},
    {"name": "y", "backend": "b", "path": "/users/{query.y}", "required": true}]})");
  a_.set_faults("hang=header");
  const RawResponse reply = get("/");
  EXPECT_EQ(calls_of(reply), "x=missing;reason=cancelled, y=missing;reason=dependency");
  EXPECT_EQ(reply.status, 400U);
  EXPECT_EQ(reply.header("Sluice-Result"), "rejected");
}

TEST_F(Failures, CanBeAcceptedStatuses) {
  serve(R"({"path": "/", "calls": [{"name": "x", "backend": "a", "path": "/none", "accept": ["2xx", 404]}]})");
  const RawResponse reply = get("/");
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(calls_of(reply), "x=fresh");
  EXPECT_EQ(json::parse(reply.body)["x"]["status"], 404);
}

/// Every way in which a stand-in can fail, and none.
const std::vector<std::string> kFaults{"",
                                       "",
                                       "latency_ms=20..150",
                                       "status=404",
                                       "status=503",
                                       "hang=header",
                                       "hang=head",
                                       "hang=body",
                                       "reset=body",
                                       "reset=header",
                                       "close=body",
                                       "garbage=head",
                                       "garbage=body",
                                       "not_json=1",
                                       "chunked=1",
                                       "endless=1",
                                       "drip_ms=7",
                                       "wrong_length=-10",
                                       "wrong_length=+10",
                                       "no_keepalive=1",
                                       "error_rate=0.5",
                                       "bytes=70000"};

std::map<std::string, std::string> parse_calls(const RawResponse& reply) {
  std::map<std::string, std::string> calls;
  std::string rest = calls_of(reply);
  while (!rest.empty()) {
    const auto end = std::min(rest.find(", "), rest.size());
    const std::string member = rest.substr(0, end);
    calls[member.substr(0, member.find('='))] = member.substr(member.find('=') + 1);
    rest.erase(0, end + 2);
  }
  return calls;
}

std::string outcome_of(const std::string& call) {
  return call.substr(0, call.find(';'));
}

std::string parameter_of(const std::string& call, const std::string& name) {
  const auto at = call.find(";" + name + "=");
  if (at == std::string::npos) return {};
  const auto begin = at + name.size() + 2;
  return call.substr(begin, call.find(';', begin) - begin);
}

std::string expected_result(const std::map<std::string, std::string>& calls, unsigned status) {
  if (status != 200) return "failed";
  bool degraded = false;
  for (const auto& [name, call] : calls) {
    if (outcome_of(call) == "missing") return "partial";
    degraded = degraded || outcome_of(call) == "stale" || outcome_of(call) == "fallback";
  }
  return degraded ? "degraded" : "complete";
}

TEST_F(Failures, AreToldAlikeByHeadersBodyMetricsAndLog) {
  serve(R"({"path": "/{id}", "name": "all", "deadline": "100ms", "calls": [
    {"name": "user", "backend": "a", "path": "/users/{id}", "required": true,
     "cache": {"ttl": "50ms", "stale_if_error": "2s"}},
    {"name": "orders", "backend": "b", "path": "/orders?user={id}", "timeout": "80ms",
     "cache": {"ttl": "0s", "stale_if_error": "1s", "stale_after": "40ms"}},
    {"name": "recs", "backend": "c", "path": "/recs/{id}", "fallback": []}]})");
  concurrency::Random random(7);
  std::map<std::string, std::uint64_t> requests;
  std::map<std::string, std::uint64_t> outcomes;
  std::vector<RawResponse> replies;
  for (int i = 0; i < 120; ++i) {
    for (auto* backend : {&a_, &b_, &c_}) {
      ASSERT_EQ(backend->set_faults(kFaults[random.below(static_cast<std::uint32_t>(kFaults.size()))]), "");
    }
    const RawResponse reply = get("/" + std::to_string(random.below(4)));
    SCOPED_TRACE(reply.head);
    EXPECT_LE(took_, 101ms);
    const auto calls = parse_calls(reply);
    ASSERT_EQ(calls.size(), 3U);
    EXPECT_EQ(reply.header("Sluice-Result"), expected_result(calls, reply.status));
    const json body = json::parse(reply.body);
    for (const auto& [name, call] : calls) {
      const bool has_data = outcome_of(call) != "missing";
      const std::string reason = parameter_of(call, "reason");
      if (reply.status == 200) {
        EXPECT_EQ(body.contains(name), has_data);
      } else {
        EXPECT_EQ(body["calls"][name]["outcome"], outcome_of(call));
        EXPECT_EQ(body["calls"][name].value("reason", ""), reason);
      }
      EXPECT_EQ(parameter_of(call, "age").empty(), outcome_of(call) != "stale" && outcome_of(call) != "cached");
      EXPECT_EQ(reason.empty(), outcome_of(call) == "fresh" || outcome_of(call) == "cached");
      EXPECT_EQ(parameter_of(call, "status").empty(), reason != "status");
      ++outcomes[R"(sluice_calls_total{endpoint="all",call=")" + name + R"(",outcome=")" + outcome_of(call) +
                 R"(",reason=")" + reason + "\"}"];
    }
    EXPECT_EQ(outcome_of(calls.at("user")) == "missing", reply.status != 200);
    ++requests[R"(sluice_requests_total{endpoint="all",code=")" + std::to_string(reply.status) + R"(",result=")" +
               reply.header("Sluice-Result") + "\"}"];
    replies.push_back(reply);
    time_.advance(std::chrono::milliseconds(random.below(300)));
  }
  for (const auto& [series, count] : requests) EXPECT_EQ(metric(series), count) << series;
  for (const auto& [series, count] : outcomes) EXPECT_EQ(metric(series), count) << series;
  EXPECT_GE(outcomes.size(), 15U) << "the test has seen too little";

  const auto lines = log_lines();
  ASSERT_EQ(lines.size(), replies.size());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const json line = json::parse(lines[i]);
    EXPECT_EQ(line["status"], replies[i].status);
    EXPECT_EQ(line["result"], replies[i].header("Sluice-Result"));
    EXPECT_EQ(line["request_id"], replies[i].header("X-Request-Id"));
    EXPECT_EQ(line["bytes"], replies[i].head.size() + replies[i].body.size());
    const auto calls = parse_calls(replies[i]);
    EXPECT_EQ(line["calls"].size(), calls.size());
    for (const json& call : line["calls"]) {
      const std::string& told = calls.at(call["name"]);
      EXPECT_EQ(call["outcome"], outcome_of(told)) << lines[i];
      EXPECT_EQ(call.value("reason", ""), parameter_of(told, "reason")) << lines[i];
    }
  }
}

}  // namespace
}  // namespace sluice::support
