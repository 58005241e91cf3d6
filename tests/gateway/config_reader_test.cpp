// Reading configurations: values, defaults and substitutions, and how problems are reported.
#include "gateway/config_reader.hpp"

#include "tests/gateway/config_fixture.hpp"

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

using namespace std::chrono_literals;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Config good(const std::string& text) {
  Checked checked = parse_config(text, "f", environment);
  for (const Problem& problem : checked.problems) ADD_FAILURE() << format(problem);
  return checked.config.value_or(Config());
}

TEST(ConfigReader, FillsInTheDefaults) {
  const Config config = good(with(""));
  EXPECT_THAT(config.listen, ElementsAre(Address{"0.0.0.0", 8080}));
  EXPECT_EQ(config.admin, std::nullopt);
  EXPECT_EQ(config.cache_file, std::nullopt);
  EXPECT_EQ(config.limits.max_connections, 10'000U);
  EXPECT_EQ(config.deadline_header.send, "X-Request-Timeout-Ms");
  ASSERT_EQ(config.backends.size(), 1U);
  EXPECT_EQ(config.backends[0].name, "users");
  EXPECT_THAT(config.backends[0].servers, ElementsAre(Address{"h", 1}));
  EXPECT_EQ(config.backends[0].connect_timeout, 1s);
  ASSERT_EQ(config.endpoints.size(), 1U);
  EXPECT_EQ(config.endpoints[0].name, "/u/{id}");
  EXPECT_EQ(config.endpoints[0].deadline, 2s);
  ASSERT_EQ(config.endpoints[0].calls.size(), 1U);
  const CallConfig& call = config.endpoints[0].calls[0];
  EXPECT_EQ(call.backend, 0U);
  EXPECT_EQ(call.accept.count(), 100U);
  EXPECT_TRUE(call.pass_status[404]);
  EXPECT_EQ(call.cache.has_value(), false);
}

TEST(ConfigReader, ReadsEveryKindOfValue) {
  const Config config = good(R"({
    "version": 1, "listen": ["[::]:80", "127.0.0.1:0"], "admin": "localhost:9901", "threads": 3, "cache_size": 1000,
    "cache_file": "cache", "cache_flush": "5s",
    "drain_delay": "1s", "drain_timeout": "2s", "access_log": "off", "limits": { "max_header": "8KiB" },
    "deadline_header": { "accept": null, "send": "X-Left" }, "headers": { "Sluice-Calls": null, "X-Request-Id": "X-Id" },
    "backends": {
      "_off": 1,
      "a": { "servers": ["http://[::1]:81", "http://h"], "headers": { "X-Key": "k{1}" }, "host_header": "a.example",
             "balance": "round_robin", "timeout": "1s", "max_response": "1MiB" },
      "b": { "servers": ["http://b:1"], "balance": { "hash": "{id}" }, "max_connections": 7.0, "max_response": 1e3 }
    },
    "endpoints": [{ "path": "/{id}", "half_close": true, "name": "e", "methods": ["GET", "POST"], "strategy": "first", "stagger": "5ms",
      "max_body": 7, "calls": [{ "name": "c", "backend": "b", "path": "/", "method": "GET", "idempotent": false, "headers": { "A": "{id}" },
        "accept": [200, "3xx"], "forward": { "headers": ["Accept"], "query": ["*"], "body": false },
        "cache": { "ttl": "1s", "stale_if_error": "1h", "stale_after": "80ms", "stale_on": ["timeout", 503], "vary": ["ACCEPT"] }
      }] }]
  })");
  EXPECT_THAT(config.listen, ElementsAre(Address{"::", 80}, Address{"127.0.0.1", 0}));
  EXPECT_EQ(config.admin, (Address{"localhost", 9901}));
  EXPECT_EQ(config.threads, 3U);
  EXPECT_EQ(config.cache_size, 1000U);
  EXPECT_EQ(config.cache_file, "cache");
  EXPECT_EQ(config.cache_flush, 5s);
  EXPECT_EQ(config.drain_timeout, 2s);
  EXPECT_EQ(config.access_log, AccessLog::off);
  EXPECT_EQ(config.limits.max_header, 8192U);
  EXPECT_EQ(config.deadline_header.accept, std::nullopt);
  EXPECT_EQ(config.deadline_header.send, "X-Left");
  EXPECT_EQ(config.headers.calls, std::nullopt);
  EXPECT_EQ(config.headers.request_id, "X-Id");
  EXPECT_EQ(config.headers.result, "Sluice-Result");
  ASSERT_EQ(config.backends.size(), 2U);
  const BackendConfig& backend = config.backends[0];
  EXPECT_THAT(backend.servers, ElementsAre(Address{"::1", 81}, Address{"h", 80}));
  EXPECT_THAT(backend.headers, ElementsAre(HeaderTemplate{"X-Key", "k{1}"}));
  EXPECT_EQ(backend.balance.kind, Balance::round_robin);
  EXPECT_EQ(backend.timeout, 1s);
  EXPECT_EQ(backend.max_response, std::size_t{1} << 20);
  EXPECT_EQ(config.backends[1].balance.kind, Balance::hash);
  EXPECT_EQ(config.backends[1].balance.hash, "{id}");
  EXPECT_EQ(config.backends[1].max_connections, 7U);
  EXPECT_EQ(config.backends[1].max_response, 1000U);
  const EndpointConfig& endpoint = config.endpoints.at(0);
  EXPECT_EQ(endpoint.name, "e");
  EXPECT_TRUE(endpoint.half_close);
  EXPECT_EQ(endpoint.strategy, Strategy::first);
  EXPECT_EQ(endpoint.stagger, 5ms);
  EXPECT_EQ(endpoint.max_body, 7U);
  const CallConfig& call = endpoint.calls.at(0);
  EXPECT_EQ(call.backend, 1U);
  EXPECT_EQ(call.method, "GET");
  EXPECT_EQ(call.idempotent, false);
  EXPECT_EQ(call.accept.count(), 101U);
  EXPECT_EQ(call.forward.headers, (Names{false, {"accept"}}));
  EXPECT_EQ(call.forward.query, (Names{true, {}}));
  EXPECT_FALSE(call.forward.body);
  ASSERT_TRUE(call.cache);
  EXPECT_EQ(call.cache->stale_after, 80ms);
  EXPECT_THAT(call.cache->stale_on_reasons, ElementsAre("timeout"));
  EXPECT_EQ(call.cache->stale_on_statuses, statuses({503}));
  EXPECT_THAT(call.cache->vary, ElementsAre("accept"));
}

TEST(ConfigReader, AcceptsAnyStatusOfAProxyUnlessToldOtherwise) {
  const auto accepted = [](const std::string& call, const std::string& top = {}) {
    const Config config = good(with(call, R"("strategy": "proxy", "stream_timeout": "1h", )", top));
    EXPECT_EQ(config.endpoints.at(0).stream_idle_timeout, 60s);
    EXPECT_EQ(config.endpoints.at(0).stream_timeout, 1h);
    return config.endpoints.at(0).calls.at(0).accept;
  };
  EXPECT_TRUE(accepted("").all());
  EXPECT_EQ(accepted(R"("accept": [404])"), statuses({404}));
  EXPECT_EQ(accepted("", R"("defaults": { "call": { "accept": [200] } },)"), statuses({200}));
}

TEST(ConfigReader, KeepsTheBytesOfAFallback) {
  EXPECT_EQ(good(with(R"("fallback": { "a" : 1.0e+2, /* why */ "_b": [ "x // y", "\u00e9${HOME}" ] } )"))
                .endpoints[0]
                .calls[0]
                .fallback,
            R"({"a":1.0e+2,"_b":["x // y","\u00e9${HOME}"]})");
  EXPECT_EQ(good(with(R"("fallback": null)")).endpoints[0].calls[0].fallback, "null");
}

TEST(ConfigReader, TakesDefaultsWhereAnObjectHasNoValue) {
  const Config config = good(with(R"("cache": { "ttl": "1s" }, "headers": { "a": "own" }, "timeout": null)", "",
                                  R"("limits": { "max_body": 5 }, "defaults": {
      "endpoint": { "deadline": "3s" }, "backend": { "connect_timeout": "7ms" },
      "call": { "cache": { "stale_if_error": "1h" }, "timeout": "1s", "headers": { "A": "1", "B": "2" } } },)"));
  const EndpointConfig& endpoint = config.endpoints.at(0);
  EXPECT_EQ(endpoint.deadline, 3s);
  EXPECT_EQ(endpoint.max_body, 5U);
  EXPECT_EQ(config.backends[0].connect_timeout, 7ms);
  const CallConfig& call = endpoint.calls.at(0);
  EXPECT_EQ(call.timeout, std::nullopt);
  EXPECT_THAT(call.headers, ElementsAre(HeaderTemplate{"B", "2"}, HeaderTemplate{"a", "own"}));
  ASSERT_TRUE(call.cache);
  EXPECT_EQ(call.cache->ttl, 1s);
  EXPECT_EQ(call.cache->stale_if_error, 1h);
}

TEST(ConfigReader, ReadsHowACallIsShaped) {
  const auto read = [](const std::string& call) {
    return good(with(call, "", R"("defaults": { "call": {
      "deny": ["x.y"], "into": "/d", "rename": { "a": "A", "/b/0": "B", "_": "a comment" } } },)"))
        .endpoints.at(0)
        .calls.at(0);
  };
  const CallConfig plain = read("");
  EXPECT_EQ(plain.pick, std::nullopt);
  EXPECT_EQ(plain.allow, std::nullopt);
  EXPECT_EQ(plain.deny, (std::vector<std::string>{"x.y"}));
  EXPECT_EQ(plain.into, "/d");
  EXPECT_THAT(plain.rename, ElementsAre(RenameConfig{"a", "A"}, RenameConfig{"/b/0", "B"}));
  const CallConfig own = read(
      R"("pick": "", "deny": null, "allow": ["/_id", "b c"], "into": "", "rename": { "a": "${HOST}", "/_id": "id" })");
  EXPECT_EQ(own.pick, "");
  EXPECT_EQ(own.allow, (std::vector<std::string>{"/_id", "b c"}));
  EXPECT_EQ(own.deny, std::nullopt);
  EXPECT_EQ(own.into, "");
  EXPECT_THAT(own.rename,
              ElementsAre(RenameConfig{"/b/0", "B"}, RenameConfig{"a", "10.0.0.7"}, RenameConfig{"/_id", "id"}));
  EXPECT_EQ(read(R"("into": null)").into, std::nullopt);
}

TEST(ConfigReader, PutsTheEnvironmentAndFilesIntoStrings) {
  const auto folder = std::filesystem::path(testing::TempDir()) / ("config_reader_test." + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "key") << "s3cret\n";
  const auto text =
      R"({ "version": 1, "listen": "${HOST}:${PORT:-8081}", "backends": { "a": { "servers": ["http://${EMPTY:-h}:1"],
    "headers": { "Authorization": "Bearer ${file:key}" } } }, "endpoints": [{ "path": "/", "calls": [
    { "name": "c", "backend": "a", "path": "/" }] }] })";
  const Checked checked = parse_config(text, (folder / "sluice.json").string(), environment);
  ASSERT_TRUE(checked.config) << format(checked.problems.at(0));
  EXPECT_THAT(checked.config->listen, ElementsAre(Address{"10.0.0.7", 8081}));
  EXPECT_THAT(checked.config->backends[0].servers, ElementsAre(Address{"h", 1}));
  EXPECT_EQ(checked.config->backends[0].headers.at(0).value, "Bearer s3cret");

  std::ofstream(folder / "braces") << "s3cret{2}";
  for (const std::string bad :
       {R"({ "version": 1, "listen": "${file:key}", "backends": {}, "endpoints": [] })",
        R"({ "version": 1, "listen": "${HOST}", "backends": {}, "endpoints": [] })",
        R"({ "version": 1, "backends": { "a": { "servers": ["http://h:1"] } }, "endpoints": [{ "path": "/", "calls": [
             { "name": "c", "backend": "a", "path": "/", "headers": { "X-Key": "${file:braces}" } }] }] })"}) {
    const Checked refused = parse_config(bad, (folder / "sluice.json").string(), environment);
    EXPECT_FALSE(refused.config);
    for (const Problem& problem : refused.problems) {
      EXPECT_THAT(format(problem), Not(AnyOf(HasSubstr("s3cret"), HasSubstr("{2}"), HasSubstr("10.0.0.7"))))
          << "a message must not show a secret";
    }
  }
  std::filesystem::remove_all(folder);
}

TEST(ConfigReader, AcceptsACacheThatVariesByEveryHeaderItSends) {
  good(with(
      R"("cache": { "vary": ["Accept"], "vary_except": ["X-Trace"] }, "forward": { "headers": ["accept", "x-trace"] })"));
  good(with(R"("cache": { "vary_except": ["*"] }, "forward": { "headers": ["*"] })"));
}

TEST(ConfigReader, GivesAConfigurationWithWarningsAndNoneWithErrors) {
  EXPECT_TRUE(parse_config(with("\"timeout\": \"3s\""), "f", environment).config);
  EXPECT_FALSE(parse_config(with("\"timeout\": \"x\""), "f", environment).config);
}

TEST(ConfigReader, ReportsAllProblemsInTheOrderOfTheFile) {
  EXPECT_THAT(
      problems("{ \"version\": \"1\",\n\"listen\": 1,\n\"endpoints\": [ 1, { \"calls\": [ { \"name\": \"B\" } ] } "
               "],\n\"bakends\": {} }"),
      ElementsAre("f:1:1: the key \"backends\" is missing", "f:1:14: /version: must be 1, got \"1\"",
                  "f:2:11: /listen: must be a string or a list, got 1",
                  "f:3:16: /endpoints/0: must be an object, got 1", "f:3:19: /endpoints/1: the key \"path\" is missing",
                  "f:3:32: /endpoints/1/calls/0: the key \"backend\" is missing",
                  "f:3:32: /endpoints/1/calls/0: the key \"path\" is missing",
                  "f:3:42: /endpoints/1/calls/0/name: must be a name of lower-case letters, digits, \"_\" and \"-\" "
                  "that begins with a letter, got \"B\"",
                  "f:4:1: /bakends: unknown key \"bakends\"; did you mean \"backends\"?"));
}

TEST(ConfigReader, WritesProblemsAsJsonToo) {
  const auto checked = parse_config("{ \"a\\n\": 1,", "f", environment);
  EXPECT_EQ(format_json(checked.problems), R"([
  {
    "severity": "error",
    "file": "f",
    "line": 1,
    "column": 12,
    "pointer": "",
    "message": "expected a key in quotes, found the end of the file"
  }
]
)");
}

TEST(ConfigReader, SurvivesDeepNestingAndCutText) {
  EXPECT_THAT(problems(std::string(100'000, '[')), ElementsAre(testing::EndsWith("values nest more than 64 deep")));
  const std::string whole = with(R"("fallback": { "a": [1, "\u00e9"] /* x */ }, "cache": { "vary": ["a"] })");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(problems(std::string_view(whole).substr(0, size)).empty()) << size;
    std::string changed = whole;
    changed[size] = static_cast<char>(size * 37);
    (void)problems(changed);
  }
}

TEST(ConfigReader, SaysWhyAFileCannotBeRead) {
  const auto first = [](const char* path) { return format(read_config(path).problems.at(0)); };
  EXPECT_EQ(first("/none.json"), "/none.json:1:1: cannot read the configuration: No such file or directory");
  EXPECT_EQ(first("/"), "/:1:1: cannot read the configuration: is a directory");
}

TEST(ConfigReader, AcceptsTheExample) {
  const Checked checked = read_config(SLUICE_SOURCE_DIR "/examples/profile.json");
  const Checked cache = read_config(SLUICE_SOURCE_DIR "/examples/http_cache.json");
  EXPECT_TRUE(cache.config);
  for (const Problem& problem : checked.problems) ADD_FAILURE() << format(problem);
  ASSERT_TRUE(checked.config);
  EXPECT_EQ(checked.config->backends.size(), 3U);
  ASSERT_EQ(checked.config->endpoints.size(), 2U);
  EXPECT_EQ(checked.config->endpoints[0].calls[2].fallback, "[]");
  EXPECT_EQ(checked.config->endpoints[1].strategy, Strategy::first);
}

TEST(ConfigReader, AcceptsTheImagesConfiguration) {
  const Checked checked = read_config(SLUICE_SOURCE_DIR "/docker/sluice.json");
  for (const Problem& problem : checked.problems) {
    if (problem.pointer != "/cache_file") ADD_FAILURE() << format(problem);  // the image has its folder
  }
  ASSERT_TRUE(checked.config);
  EXPECT_EQ(checked.config->admin, (Address{"0.0.0.0", 9901}));
}

}  // namespace
}  // namespace sluice::gateway
