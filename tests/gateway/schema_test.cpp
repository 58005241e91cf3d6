// The schema and the reference page agree with the checks, which come from the same table.
#include "gateway/schema.hpp"

#include "gateway/text_rules.hpp"

#include <fstream>
#include <iterator>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace sluice::gateway {
namespace {

TEST(Schema, DescribesTheKeysWithTypesRangesAndDefaults) {
  const auto schema = nlohmann::json::parse(schema_json());
  EXPECT_EQ(schema.at("required"), nlohmann::json({"version", "backends", "endpoints"}));
  EXPECT_EQ(schema.at("additionalProperties"), false);
  EXPECT_EQ(schema.at("/properties/listen/default"_json_pointer), "0.0.0.0:8080");
  EXPECT_EQ(schema.at("/properties/threads/maximum"_json_pointer), 1024);
  EXPECT_EQ(schema.at("/properties/endpoints/items/$ref"_json_pointer), "#/$defs/endpoint");
  EXPECT_EQ(schema.at("/$defs/endpoint/properties/deadline/default"_json_pointer), "2s");
  EXPECT_EQ(schema.at("/$defs/call/properties/accept/default"_json_pointer), nlohmann::json({"2xx"}));
  EXPECT_EQ(schema.at("/$defs/backend/properties/max_response/default"_json_pointer), "8MiB");
  EXPECT_EQ(schema.at("$defs").at("defaults.endpoint").at("properties").contains("path"), false);
  EXPECT_EQ(schema.at("$defs").at("defaults.call").at("properties").contains("fallback"), true);
}

TEST(Schema, HasPatternsThatSayTheSameAsTheChecks) {
  const std::string_view texts[] = {"",
                                    "a",
                                    "A",
                                    "a_b-1",
                                    "1a",
                                    "a b",
                                    " a",
                                    "a ",
                                    "a\nb",
                                    "X-Id",
                                    "a.b",
                                    "/",
                                    "/a b",
                                    "h:1",
                                    "[::]:80",
                                    "[]:1",
                                    ":80",
                                    "h:",
                                    "http://h",
                                    "http://h:1",
                                    "http://[::1]",
                                    "http://",
                                    "http://h/",
                                    "http://a@b",
                                    "https://h",
                                    "*",
                                    "a:b",
                                    "/a/b",
                                    "//",
                                    "/~",
                                    "/~01~1",
                                    "/a~2",
                                    "a..b",
                                    ".a",
                                    "a.",
                                    "a.b.c",
                                    "a./b",
                                    "~",
                                    "h:0",
                                    "h:65535",
                                    "h:65536",
                                    "h:99999",
                                    "h:00080",
                                    "http://h:0",
                                    "http://h:65536",
                                    "http://h:010",
                                    "https://*.a.b:65536",
                                    "1.2.3.4",
                                    "1.2.3.4/8",
                                    "1.2.3.4:80",
                                    "::1",
                                    "::ffff:1.2.3.4/96",
                                    "9999d"};
  for (const TextRule* rule : {&kAnyText, &kName, &kBackendName, &kHeaderName, &kHeaderValue, &kAddress, &kServer,
                               &kAuthority, &kOrigin, &kPath, &kJsonPointer, &kMemberPath, &kMemberName}) {
    const std::regex pattern{std::string(rule->pattern)};
    for (std::string_view text : texts) {
      EXPECT_EQ(rule->accepts(text), std::regex_search(std::string(text), pattern))
          << rule->pattern << " on \"" << text << '"';
    }
  }
}

TEST(Schema, HasTheSameBoundsOfTimesAndSizesAsTheChecks) {
  const auto schema = nlohmann::json::parse(schema_json());
  const auto accepts = [&](const std::string& name, std::string_view text) {
    const auto& definition = schema.at("$defs").at(name);
    return std::regex_search(std::string(text), std::regex(definition.at("pattern").get<std::string>()));
  };
  struct Row {
    const char* name;
    std::vector<std::string_view> good, bad;
  };
  const Row rows[] = {
      {"duration.1ms.10m",
       {"1ms", "1.5ms", "1000us", "1000000ns", "0.5s", "0001ms", "1.0ms", "999ms", "600s", "600.000s", "599.9s", "9m",
        "10m", "10.0m", "9.99m", "0.1h", "600000ms", "600000000000ns", "599999999999ns"},
       {"",
        "0ms",
        "0s",
        "999us",
        "999999ns",
        "0.0ms",
        "0.5ms",
        "601s",
        "600.1s",
        "600001ms",
        "600000000001ns",
        "10.5m",
        "11m",
        "1h",
        "1.5h",
        "1d",
        "1",
        "ms",
        "1 ms",
        "-1ms",
        "1.ms",
        ".5s",
        "1e3ms",
        "1.5.5s",
        "99999999999999999999ns"}},
      {"duration.100ms.1d",
       {"100ms", "100000us", "1.5s", "24h", "23.9h", "1d", "1440m", "86400s"},
       {"99ms", "99.5ms", "25h", "1.5d", "1441m", "86401s", "2d"}},
      {"duration.0s.365d", {"0s", "0ns", "0d", "365d", "8760h", "364.5d"}, {"366d", "365.5d", "8761h"}},
      {"size.1KiB.1MiB",
       {"1024B", "1KiB", "1.5KiB", "1MiB", "0.5MiB", "1024KiB", "2000B", "1048576B"},
       {"1023B", "0.5KiB", "1048577B", "1025KiB", "1.5MiB", "2MiB", "1GiB", "1kib", "1KB"}},
  };
  for (const Row& row : rows) {
    for (const std::string_view text : row.good) EXPECT_TRUE(accepts(row.name, text)) << row.name << " on " << text;
    for (const std::string_view text : row.bad) EXPECT_FALSE(accepts(row.name, text)) << row.name << " on " << text;
  }
  EXPECT_TRUE(accepts("duration.1ms.10m", "${TIMEOUT}"));
}

TEST(Schema, IsTheReferencePageInTheDocs) {
  std::ifstream file(SLUICE_SOURCE_DIR "/docs/configuration.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  EXPECT_TRUE(page == schema_markdown()) << "docs/configuration.md is not current: write schema_markdown() to it";
}

}  // namespace
}  // namespace sluice::gateway
