// The schema and the reference page agree with the checks, which come from the same table.
#include "gateway/schema.hpp"

#include "gateway/text_rules.hpp"

#include <fstream>
#include <iterator>
#include <regex>
#include <string>
#include <string_view>

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

TEST(Schema, IsTheReferencePageInTheDocs) {
  std::ifstream file(SLUICE_SOURCE_DIR "/docs/configuration.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  EXPECT_TRUE(page == schema_markdown()) << "docs/configuration.md is not current: write schema_markdown() to it";
}

}  // namespace
}  // namespace sluice::gateway
