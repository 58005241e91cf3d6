// Templates, mixes, schedules and scenario files.
#include "loadtest/scenario.hpp"

#include "loadtest/checks.hpp"
#include "loadtest/request_mix.hpp"
#include "loadtest/scenario_file.hpp"
#include "loadtest/schedule.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::loadtest {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

TEST(Template, PutsTheNumberInItsPlaces) {
  EXPECT_EQ(Template("/a/{n}?b={n%10}").with(123), "/a/123?b=3");
  EXPECT_EQ(Template("{n}").with(0), "0");
  EXPECT_EQ(Template("{\"n\": {\"x\": {nn}}}").with(1), "{\"n\": {\"x\": {nn}}}");
  EXPECT_TRUE(Template("{no}").is_constant());
  for (const char* text : {"{n%}", "{n%0}", "{n%-1}", "{n%5", "{n%5x}"})
    EXPECT_THROW(Template{text}, std::invalid_argument) << text;
}

TEST(RequestMix, MixesByWeightAndRendersAWholeRequest) {
  std::vector<RequestKind> kinds(2);
  kinds[0].weight = 3;
  kinds[1].method = "POST";
  kinds[1].path = Template("/x/{n}");
  kinds[1].host = "h:1";
  kinds[1].headers = {{"A", Template("v{n}")}};
  kinds[1].body = Template("[{n}]");
  const RequestMix mix(kinds);
  int second = 0;
  for (std::uint64_t n = 0; n < 4000; ++n) second += mix.choose(n) == 1 ? 1 : 0;
  EXPECT_NEAR(second, 1000, 100);
  std::string request;
  mix.render(request, 1, 42);
  EXPECT_EQ(request, "POST /x/42 HTTP/1.1\r\nHost: h:1\r\nA: v42\r\nContent-Length: 4\r\n\r\n[42]");
  kinds[1].expect.request_id = true;
  mix.render(request, 1, 7);
  EXPECT_NE(request.find("X-Request-Id: " + request_id(7) + "\r\n"), std::string::npos);
}

std::vector<long> due_ms(const std::vector<Phase>& phases, std::uint64_t most = 1000) {
  std::vector<long> times;
  for (Schedule schedule(phases, most); schedule.next(); schedule.advance())
    times.push_back(static_cast<long>(schedule.next()->when / 1ms));
  return times;
}

TEST(Schedule, SpacesRequestsEvenlyAndGoesFromPhaseToPhase) {
  const std::vector<Phase> phases = {{"a", 30ms, 100, 100, 0, false}, {"b", 10ms, 500, 500, 0, false}};
  EXPECT_THAT(due_ms(phases), ElementsAre(0, 10, 20, 30, 32, 34, 36, 38));
  EXPECT_THAT(due_ms(phases, 2), ElementsAre(0, 10));
  Schedule schedule(phases);
  for (int i = 0; i < 3; ++i) schedule.advance();
  EXPECT_EQ(schedule.next()->phase, 1u);
}

TEST(Schedule, SendsAsManyOnARampAsItsMeanRateSays) {
  const auto up = due_ms({{"up", 1s, 100, 300, 0, false}}), down = due_ms({{"down", 1s, 300, 100, 0, false}});
  EXPECT_EQ(up.size(), 200u);
  EXPECT_EQ(down.size(), 200u);
  EXPECT_EQ(up[75], 500);     // 100 * 0.5 s + 200 / s * (0.5 s)^2 / 2
  EXPECT_EQ(down[125], 500);  // the same from the other end
}

std::vector<std::string> problems(const std::string& text) {
  try {
    static_cast<void>(read_scenario("s.json", text));
  } catch (const ScenarioError& error) {
    return error.problems();
  }
  return {};
}

TEST(ScenarioFile, IsReadWhole) {
  const Scenario scenario = read_scenario("s.json", R"({
    "name": "all", "target": "http://127.0.0.1:81", "connections": 7, "timeout": "2s", "_note": 1,
    "headers": {"Accept": "a", "X": "y"}, "expect": {"json": true, "result": "complete|degraded"},
    "requests": [
      {"path": "/a/{n}", "headers": {"accept": "b"}, "expect": {"status": [200, 404], "text": "{n%3}"}},
      {"name": "post", "weight": 4, "method": "POST", "path": "/", "body": {"n": "{n}"}, "expect": {"status": "any"}},
      {"path": "/c", "body": "n={n}", "expect": {"calls": {"user": "fresh|cached", "recs": ["stale"]}}}
    ],
    "phases": [{"duration": "1s", "rate": 5, "warm_up": true}, {"name": "p", "duration": "2s", "rate": 5, "rate_to": 9}],
    "limits": {"p99": "50ms", "max": "1s", "errors": "0.5%", "rate": 3}
  })");
  EXPECT_EQ(scenario.connections, 7u);
  EXPECT_EQ(scenario.timeout, 2s);
  ASSERT_EQ(scenario.requests.size(), 3u);
  const RequestKind& first = scenario.requests[0];
  EXPECT_EQ(first.name, "/a/{n}");
  EXPECT_EQ(first.host, "127.0.0.1:81");
  ASSERT_EQ(first.headers.size(), 2u);
  EXPECT_EQ(first.headers[1].first, "accept");
  EXPECT_THAT(first.expect.statuses, ElementsAre(200u, 404u));
  EXPECT_THAT(first.expect.results, ElementsAre("complete", "degraded"));
  EXPECT_TRUE(first.expect.json);
  EXPECT_EQ(first.expect.texts.at(0).with(5), "2");
  EXPECT_EQ(scenario.requests[1].body->with(6), "{\"n\": \"6\"}");
  EXPECT_TRUE(scenario.requests[1].expect.statuses.empty());
  EXPECT_EQ(scenario.requests[2].expect.calls.at(0).second, (std::vector<std::string>{"fresh", "cached"}));
  EXPECT_TRUE(scenario.phases[0].is_warm_up);
  EXPECT_EQ(scenario.phases[0].rate_to, 5);
  EXPECT_EQ(scenario.phases[1].rate_to, 9);
  EXPECT_EQ(scenario.limits.error_percent, 0.5);
  EXPECT_EQ(scenario.limits.latencies.size(), 2u);
  EXPECT_EQ(read_scenario("s", R"({"requests":[{"path":"/"}],"phases":[{"duration":"1s"}]})", "http://[::1]:9")
                .requests[0]
                .host,
            "[::1]:9");
}

TEST(ScenarioFile, TheExamplesAreValid) {
  int read = 0;
  for (const auto& entry : std::filesystem::directory_iterator(SLUICE_SCENARIOS)) {
    std::ifstream stream(entry.path());
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    EXPECT_FALSE(read_scenario(entry.path().string(), text).phases.empty()) << entry.path();
    ++read;
  }
  EXPECT_GE(read, 4);
}

TEST(ScenarioFile, NamesEveryMistakeItsPlaceAndWhatWasExpected) {
  EXPECT_THAT(problems("{\n  \"target\" \"x\""), ElementsAre("s.json:2:12: expected ':', found \"\"\""));
  EXPECT_THAT(
      problems("{\n \"target\": \"http://x/path\",\n \"conections\": 3,\n \"requests\": [{\"path\": 5}, {}],\n"
               " \"phases\": [{\"duration\": \"5\"}, {\"duration\": \"1s\", \"rate\": -1}, {\"duration\": \"1s\", "
               "\"rate\": 2}],\n"
               " \"limits\": {\"errors\": 0.5}\n}"),
      ElementsAre(
          "s.json:2:12: /target: expected http://HOST:PORT without a path, got \"http://x/path\"",
          "s.json:3:16: /conections: unknown key; did you mean \"connections\"?",
          testing::StartsWith("s.json:5:26: /phases/0/duration: expected a duration with its unit"),
          "s.json:5:59: /phases/1/rate: expected a number of requests per second above 0, got -1",
          "s.json:5:64: /phases/2: expected a \"rate\" in every phase (open loop) or in none (closed loop), got "
          "{\"duration\": \"1s\", \"rate\": 2}",
          "s.json:6:23: /limits/errors: expected a whole number, or a share (\"0.1%\"), got 0.5",
          "s.json:4:24: /requests/0/path: expected a string, got 5",
          "s.json:4:28: /requests/1: expected the key \"path\", found none"));
  EXPECT_THAT(problems("[]"), ElementsAre("s.json:1:1: expected an object, got []"));
  EXPECT_THAT(problems("{}"), testing::SizeIs(3));
}

}  // namespace
}  // namespace sluice::loadtest
