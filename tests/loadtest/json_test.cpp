// The check of JSON beside another parser's, and the places of values.
#include "loadtest/json.hpp"

#include <algorithm>
#include <random>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace sluice::loadtest {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kTexts[] = {
    "null", "true", "false", "0", "-0", "1.5e-3", "12E+5", "\"\"", R"("\u00e9\ud83d\ude00\ud800 \"\\\/\b\f\n\r\t")",
    "[]", "{}", " [1, {\"a\": [null]} ] \n", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
    // not JSON
    "", " ", "nul", "tru", "truee", "01", "-", "1.", ".5", "1e", "+1", "'a'", "\"", "\"\\x\"", "\"\\u12g4\"", "\"\n\"",
    "\"\x01\"", "[", "[1", "[1,", "[1,]", "[,1]", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,}", "{a:1}",
    "{\"a\" 1}", "1 2", "[] x", "// a\n1", "\"\xc3\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"",
    "\"\xe0\x80\x80\"", "\"\xff\"", "\"\xe2\x82\"", "NaN", "Infinity", "\"a\0b\""sv};

TEST(Json, AgreesWithAnotherParserOnWhatIsValid) {
  for (const std::string_view text : kTexts) {
    if (text.find("\\ud800 ") != std::string_view::npos) continue;  // which refuses a lone surrogate, and RFC 8259 not
    EXPECT_EQ(!find_json_problem(text), nlohmann::json::accept(text)) << text;
  }
  EXPECT_FALSE(find_json_problem(R"("\ud800 ")"));
}

TEST(Json, AgreesWithAnotherParserOnDamagedTexts) {
  const std::string text = R"({"id":1,"name":"Gr\u00f6\u00dfe é","list":[1.5e3,-0,true,null,{"x":"\\"}]})";
  std::mt19937 random(11);
  for (int i = 0; i < 20'000; ++i) {
    std::string damaged = text;
    for (unsigned changes = 1 + random() % 2; changes > 0; --changes) {
      const std::size_t at = random() % damaged.size();
      if (random() % 3 == 0) {
        damaged.erase(at, 1);
      } else {
        damaged[at] = static_cast<char>(random());
      }
    }
    EXPECT_EQ(!find_json_problem(damaged), nlohmann::json::accept(damaged)) << damaged;
  }
}

TEST(Json, RefusesWhatIsNestedTooDeep) {
  EXPECT_FALSE(find_json_problem(std::string(512, '[') + std::string(512, ']')));
  const auto problem = find_json_problem(std::string(100'000, '['));
  ASSERT_TRUE(problem);
  EXPECT_EQ(problem->offset, 512u);
}

TEST(Json, KnowsWhereEachValueStands) {
  JsonProblem problem{};
  const std::string_view text = "{ // note\n \"a\" : [ 1.5, \"x\\u00e9\" ] /* end */ }";
  const auto json = parse_json(text, problem);
  ASSERT_TRUE(json) << problem.expected;
  const Json& list = json->members.at(0).value;
  EXPECT_EQ(json->members.at(0).name, "a");
  EXPECT_EQ(text.substr(list.begin, list.end - list.begin), "[ 1.5, \"x\\u00e9\" ]");
  EXPECT_EQ(list.items.at(0).number, 1.5);
  EXPECT_EQ(list.items.at(1).string, "x\xc3\xa9");
  EXPECT_FALSE(parse_json("{ /* no end", problem));
  EXPECT_EQ(problem.offset, 2u);
}

}  // namespace
}  // namespace sluice::loadtest
