// JsonWalk and JsonPointer: RFC 6901, repeated names, agreement with a second library.
#include "gateway/json_walk.hpp"

#include "tests/gateway/json_documents.hpp"

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace sluice::gateway {
namespace {

/// What each pointer finds in a valid document; "" if it finds nothing.
std::vector<std::string> find(const std::vector<std::string>& pointers, std::string_view document) {
  const Verdict verdict = scan(document);
  EXPECT_TRUE(verdict.is_valid) << document;
  const std::string value(verdict.value.slice.of(document));
  std::vector<std::string> found;
  for (const auto& text : pointers) {
    const auto pointer = JsonPointer::parse(text).value();
    found.emplace_back(pointer.find(value).value_or(""));
    for (const std::size_t bytes : {1, 70, 1000}) {  // the same bit by bit
      JsonSearch search(pointer, value);
      for (bool is_over = false; !is_over;) {
        Quantum quantum(bytes);
        is_over = search.run(quantum);
      }
      EXPECT_EQ(search.found().value_or(""), found.back()) << text << " in " << value << " by " << bytes;
    }
  }
  return found;
}

std::string find(const std::string& pointer, std::string_view document) {
  return find(std::vector{pointer}, document)[0];
}

TEST(JsonPointer, IsToldFromOtherText) {
  for (const auto text : {"", "/", "//", "/a", "/a/b", "/~0", "/~1~01", "/a b", "/-", "/\xc3\xa9"})
    EXPECT_TRUE(JsonPointer::parse(text)) << text;
  for (const auto text : {"a", "a/b", "#/a", "/~", "/~2", "/a~", "/a~/b", " /a"})
    EXPECT_FALSE(JsonPointer::parse(text)) << text;
}

TEST(JsonPointer, FindsTheExamplesOfRfc6901) {
  const std::string document =
      R"({"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8})";
  EXPECT_EQ(
      find({"", "/foo", "/foo/0", "/", "/a~1b", "/c%d", "/e^f", "/g|h", "/i\\j", "/k\"l", "/ ", "/m~0n"}, document),
      (std::vector<std::string>{document, R"(["bar","baz"])", R"("bar")", "0", "1", "2", "3", "4", "5", "6", "7",
                                "8"}));
}

TEST(JsonPointer, FindsValuesOfEachKindWithoutTheWhiteSpaceAroundThem) {
  const std::string_view document =
      R"( { "s" : "x" , "n" : -1.5e3 , "t" : true , "z" : null , "o" : { } , "a" : [ 0 ] } )";
  EXPECT_EQ(find({"/s", "/n", "/t", "/z", "/o", "/a", "/a/0", "/x"}, document),
            (std::vector<std::string>{"\"x\"", "-1.5e3", "true", "null", "{ }", "[ 0 ]", "0", ""}));
  EXPECT_EQ(find("", " 12 "), "12");
  EXPECT_EQ(find("", "12"), "12");
}

TEST(JsonPointer, TakesTheLastOfMembersThatShareAName) {
  EXPECT_EQ(find("/a", R"({"a":1,"b":2,"a":3})"), "3");
  EXPECT_EQ(find("/a/b", R"({"a":{"b":1},"a":{"b":2}})"), "2");
  EXPECT_EQ(find("/a/b", R"({"a":{"b":1},"a":{"c":2}})"), "");
  EXPECT_EQ(find("/a/b", R"({"a":{"b":1},"a":2})"), "");
  EXPECT_EQ(find("/a/b", R"({"a":1,"a":{"b":2}})"), "2");
  EXPECT_EQ(find("/a/1", R"({"a":[1,2],"\u0061":[3]})"), "");
}

TEST(JsonPointer, ComparesNamesAfterUnescaping) {
  EXPECT_EQ(find("/name", R"({"n\u0061m\u0065":1})"), "1");
  EXPECT_EQ(find("/\xf0\x9f\x98\x80", R"({"\ud83d\ude00":1})"), "1");
  EXPECT_EQ(find("/\xf0\x9f\x98\x80", "{\"\xf0\x9f\x98\x80\":1}"), "1");
  EXPECT_EQ(find("/\n", R"({"\n":1})"), "1");
  EXPECT_EQ(find("/a~1b", R"({"a\/b":1})"), "1");
  EXPECT_EQ(find("/\xef\xbf\xbd", R"({"\ud800":1})"), "");
  EXPECT_EQ(find("/\xed\xa0\x80", R"({"\ud800":1})"), "");
  EXPECT_EQ(find("/a", R"({"A":1,"ab":2,"":3,"\\u0061":4})"), "");
}

TEST(JsonPointer, CountsElementsOfArraysInDecimal) {
  EXPECT_EQ(find({"/0", "/1", "/2", "/3", "/-", "/01", "/+1", "/1e0"}, "[[],{},\"c\"]"),
            (std::vector<std::string>{"[]", "{}", "\"c\"", "", "", "", "", ""}));
  EXPECT_EQ(find("/10/1", "[0,1,2,3,4,5,6,7,8,9,[\"x\",\"y\"]]"), "\"y\"");
  EXPECT_EQ(find("/18446744073709551616", "[0]"), "");
  EXPECT_EQ(find({"/1", "/01", "/-"}, R"({"1":"a","01":"b","-":"c"})"),
            (std::vector<std::string>{"\"a\"", "\"b\"", "\"c\""}));
}

TEST(JsonPointer, LooksOnlyWhereThePointerLeads) {
  EXPECT_EQ(find("/a/b", R"({"b":1,"x":{"a":{"b":2}},"a":[{"b":3}],"y":[{"b":4}]})"), "");
  EXPECT_EQ(find("/a/b/c", R"({"a":{"x":{"c":1},"b":{"x":{"c":2},"c":3,"d":{"c":4}},"c":5},"c":6})"), "3");
}

TEST(JsonPointer, GivesOverlappingAndRepeatedPointersTheirOwnSlices) {
  EXPECT_EQ(find({"/a/b", "/a", "", "/a/b", "/a/c"}, R"({"a":{"b":[1],"c":2}})"),
            (std::vector<std::string>{"[1]", R"({"b":[1],"c":2})", R"({"a":{"b":[1],"c":2}})", "[1]", "2"}));
}

TEST(JsonPointer, FindsALongNameThatIsCutAndPassesOverLongerOnes) {
  const std::string name(1000, 'n');
  EXPECT_EQ(find("/" + name, "{\"" + name + "n\":1,\"" + name + "\":2,\"" + std::string(7000, 'n') + "\":3}"), "2");
  std::string escaped;
  for (std::size_t i = 0; i < 100; ++i) escaped += "\\u006e";
  EXPECT_EQ(find("/" + std::string(100, 'n'), "{\"" + escaped + "\\u006e\":1,\"" + escaped + "\":2}"), "2");
}

TEST(JsonWalk, GoesThroughMembersAndElementsInOrder) {
  const std::string object = R"({ "a" : 1 , "a\u0062":[2,"}"] ,"a":{"x":"\"{"} })";
  JsonWalk members(object);
  std::vector<std::string> seen;
  while (members.next()) {
    seen.emplace_back(members.name());
    seen.emplace_back(members.value());
    seen.emplace_back(members.whole());
    EXPECT_EQ(members.is_named("ab"), seen.size() == 6);
  }
  EXPECT_EQ(seen, (std::vector<std::string>{"a", "1", R"("a" : 1)", R"(a\u0062)", R"([2,"}"])", R"("a\u0062":[2,"}"])",
                                            "a", R"({"x":"\"{"})", R"("a":{"x":"\"{"})"}));
  seen.clear();
  JsonWalk elements("[ -1e5 ,\"]\", [ [ ] ] , {}, null]");
  while (elements.next()) seen.emplace_back(elements.whole());
  EXPECT_EQ(seen, (std::vector<std::string>{"-1e5", "\"]\"", "[ [ ] ]", "{}", "null"}));
}

TEST(JsonWalk, HasNothingInEmptyContainersAndScalars) {
  for (const auto value : {"{}", "{ }", "[]", "[ \n]", "1", "\"{\"", "null"}) {
    JsonWalk walk(value);
    EXPECT_FALSE(walk.next()) << value;
  }
}

TEST(JsonWalk, UnescapesStrings) {
  EXPECT_EQ(unescape_json(""), "");
  EXPECT_EQ(unescape_json("plain \xc3\xa9"), "plain \xc3\xa9");
  EXPECT_EQ(unescape_json(R"(\"\\\/\b\f\n\r\t)"), "\"\\/\b\f\n\r\t");
  EXPECT_EQ(unescape_json(R"(a\u0000b)"), "a\0b"s);
  EXPECT_EQ(unescape_json(R"(\u007f\u0080\u07ff\u0800\uFFFF)"), "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf");
  EXPECT_EQ(unescape_json(R"(\uD800\uDC00\udbff\udfff)"), "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
  for (const auto lone : {R"(\ud800)", R"(\udc00)", R"(\ud800x)", R"(\ud800\n)", R"(\ud800\u0041)",
                          R"(\ud800\ud800\udc00)", R"(\udc00\udc00)"}) {
    EXPECT_EQ(unescape_json(lone), std::nullopt) << lone;
  }
}

/// Random documents and pointers over few names, so that they meet often.
class Generator {
 public:
  explicit Generator(unsigned seed) : random_(seed) {}

  std::string value(int levels) {
    const auto kind = below(levels == 0 ? 2 : 6);
    if (kind == 0) return std::to_string(below(1000));
    if (kind == 1) return "\"" + std::to_string(below(1000)) + "\\n\"";
    const bool is_object = kind < 4;
    std::string text(1, is_object ? '{' : '[');
    for (auto n = below(5); n > 0; --n) {
      if (is_object) text += "\"" + (below(2) ? name().plain : name().escaped) + "\" : ";
      text += value(levels - 1);
      if (n > 1) text += " ,";
    }
    return text + (is_object ? '}' : ']');
  }

  std::string pointer() {
    std::string text;
    for (auto n = below(4); n > 0; --n) text += "/" + name().token;
    return text;
  }

 private:
  struct Name {
    std::string token, plain, escaped;
  };

  const Name& name() {
    static const std::vector<Name> names = {{"0", "0", R"(\u0030)"},
                                            {"1", "1", R"(\u0031)"},
                                            {"a", "a", R"(\u0061)"},
                                            {"~1~0", "/~", R"(\/\u007e)"},
                                            {"\xc3\xa9", "\xc3\xa9", R"(\u00e9)"}};
    return names[below(names.size())];
  }

  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }

  std::mt19937 random_;
};

TEST(JsonPointer, AgreesWithAnotherLibraryOnRandomDocuments) {
  Generator generator(6901);
  int found = 0, absent = 0;
  for (int round = 0; round < 1'500; ++round) {
    const std::string document = generator.value(4);
    std::vector<std::string> pointers(8);
    std::generate(pointers.begin(), pointers.end(), [&] { return generator.pointer(); });
    const auto tree = nlohmann::json::parse(document);
    const auto slices = find(pointers, document);
    for (std::size_t i = 0; i < pointers.size(); ++i) {
      const nlohmann::json::json_pointer pointer(pointers[i]);
      ASSERT_EQ(!slices[i].empty(), tree.contains(pointer)) << document << "\n" << pointers[i];
      ++(slices[i].empty() ? absent : found);
      if (!slices[i].empty()) {
        ASSERT_EQ(nlohmann::json::parse(slices[i]), tree.at(pointer)) << document << "\n" << pointers[i];
      }
    }
  }
  EXPECT_GT(found, 2'000);
  EXPECT_GT(absent, 2'000);
}

}  // namespace
}  // namespace sluice::gateway
