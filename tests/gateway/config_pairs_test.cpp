// No mistake hides another one, wherever in an endpoint the two are.
#include "tests/gateway/config_fixture.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

using ::testing::IsSupersetOf;

// `at` names the object: the call or its endpoint.
struct Wrong {
  enum class At { call, endpoint } at;
  std::string key;
  std::string value;
};

const std::vector<Wrong> kWrong = {
    {Wrong::At::call, "name", R"("Bad Name")"},
    {Wrong::At::call, "name", R"("query")"},
    {Wrong::At::call, "name", "1"},
    {Wrong::At::call, "backend", R"("usres")"},
    {Wrong::At::call, "backend", "1"},
    {Wrong::At::call, "path", R"("/{ix}")"},
    {Wrong::At::call, "path", R"("none")"},
    {Wrong::At::call, "timeout", "5"},
    {Wrong::At::call, "headers", R"({"A": "{iy}"})"},
    {Wrong::At::call, "headers", R"({"a b": "x", "Host": "x", "B": "{iz}"})"},
    {Wrong::At::call, "cache", R"({"ttl": 1, "vary": ["*"]})"},
    {Wrong::At::call, "cache", R"({"stale_on": ["x"]})"},
    {Wrong::At::call, "rename", R"({".a": "b", "a": "", "b": "c", "/b": "d"})"},
    {Wrong::At::call, "allow", R"([])"},
    {Wrong::At::call, "into", R"("x")"},
    {Wrong::At::call, "for_each", R"({"in": "nope", "max": 0})"},
    {Wrong::At::call, "forward", R"({"headers": ["Host"], "body": 1})"},
    {Wrong::At::call, "accept", "[1]"},
    {Wrong::At::call, "acept", "[1]"},
    {Wrong::At::endpoint, "path", R"("/u//{id}")"},
    {Wrong::At::endpoint, "path", "5"},
    {Wrong::At::endpoint, "name", R"("")"},
    {Wrong::At::endpoint, "deadline", "1"},
    {Wrong::At::endpoint, "strategy", R"("frist")"},
    {Wrong::At::endpoint, "methods", R"(["GET", "GET"])"},
    {Wrong::At::endpoint, "methods", R"(["get"])"},
    {Wrong::At::endpoint, "max_body", R"("1MB")"},
    {Wrong::At::endpoint, "cors", R"({"max_age": 1})"},
    {Wrong::At::endpoint, "response_headers", R"({"add": {"Host": "x"}, "from": {"nobody": ["a"]}})"},
    {Wrong::At::endpoint, "nmae", "1"},
};

std::string object(std::map<std::string, std::string> members, const std::vector<const Wrong*>& wrong, Wrong::At at) {
  for (const Wrong* one : wrong) {
    if (one->at == at) members[one->key] = one->value;
  }
  std::string text;
  for (const auto& [key, value] : members) text += (text.empty() ? "{ \"" : ", \"") + key + "\": " + value;
  return text + " }";
}

// The errors without what differs with the other mistake: lines, columns, and the names that they offer.
std::vector<std::string> errors(const std::vector<const Wrong*>& wrong) {
  const std::string call =
      object({{"name", R"("user")"}, {"backend", R"("users")"}, {"path", R"("/u/{id}")"}}, wrong, Wrong::At::call);
  const std::string text = R"({ "version": 1, "backends": { "users": { "servers": ["http://h:1"] } }, "endpoints": [)" +
                           object({{"path", R"("/u/{id}")"}, {"calls", "[" + call + "]"}}, wrong, Wrong::At::endpoint) +
                           "] }";
  std::vector<std::string> lines;
  for (const Problem& problem : parse_config(text, "f", environment).problems) {
    if (problem.severity != Problem::Severity::error) continue;
    std::string message = problem.message;
    for (const char* offer : {"; did you mean", ", expected"})
      message.resize(std::min(message.size(), message.find(offer)));
    lines.push_back(problem.pointer + ": " + message);
  }
  return lines;
}

TEST(ConfigPairs, NeitherMistakeHidesTheOther) {
  for (const Wrong& one : kWrong) {
    const auto of_one = errors({&one});
    ASSERT_FALSE(of_one.empty()) << one.key << ": " << one.value;
    for (const Wrong& other : kWrong) {
      if (&other <= &one || (other.key == one.key && other.at == one.at)) continue;
      // Without a path nobody knows its parameters.
      if (other.key == "path" && other.value == "5" && one.value.find("{i") != std::string::npos) continue;
      const auto both = errors({&one, &other});
      EXPECT_THAT(both, IsSupersetOf(of_one))
          << one.key << ": " << one.value << ", " << other.key << ": " << other.value;
      EXPECT_THAT(both, IsSupersetOf(errors({&other})))
          << one.key << ": " << one.value << ", " << other.key << ": " << other.value;
    }
  }
}

TEST(ConfigPairs, AMistakeInOneCallHidesNoneInAnother) {
  const auto found =
      problems(with(R"("timeout": 1 }, { "name": "b", "backend": "x", "path": "/{c.x}", "into": "/user")"));
  EXPECT_THAT(found, ::testing::SizeIs(4)) << ::testing::PrintToString(found);
}

TEST(ConfigPairs, AListInPlaceOfAnObjectIsAMistakeOnly) {
  const auto found = problems(with(R"("cache": [], "forward": [1])", "", R"("defaults": {"call": [2]},)"));
  EXPECT_THAT(found, ::testing::SizeIs(3)) << ::testing::PrintToString(found);
}

TEST(ConfigPairs, AThousandProblemsAreShownAndTheOthersCounted) {
  std::string unknown;
  for (int i = 0; i < 20'000; ++i) unknown += "\"unknown_key_" + std::to_string(i) + "\": 1, ";
  const auto found = problems(with("", "", unknown));
  ASSERT_EQ(found.size(), 1001U);
  EXPECT_THAT(found.back(), ::testing::HasSubstr("and 19000 more problems"));
}

}  // namespace
}  // namespace sluice::gateway
