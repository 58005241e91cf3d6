// JsonPaths and the slices that a scan finds with them: RFC 6901, repeated names, cuts, agreement with a second
// library.
#include "gateway/json_paths.hpp"

#include "gateway/json_scanner.hpp"
#include "tests/gateway/json_documents.hpp"

#include <algorithm>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace sluice::gateway {
namespace {

/// What each pointer finds in a document fed in these chunks; "" if it finds nothing.
std::vector<std::string> find(const std::vector<std::string>& pointers, const std::vector<std::string_view>& chunks) {
  JsonScanner scanner(std::make_shared<const JsonPaths>(pointers));
  std::string document;
  for (const auto chunk : chunks) {
    EXPECT_TRUE(feed(scanner, chunk));
    document += chunk;
  }
  EXPECT_TRUE(scanner.finish()) << document;
  std::vector<std::string> found;
  for (std::size_t i = 0; i < pointers.size(); ++i) found.emplace_back(scanner.slice(i).of(document));
  return found;
}

/// Also demands the same of every cut in two and of single bytes.
std::vector<std::string> find(const std::vector<std::string>& pointers, std::string_view document) {
  const auto whole = find(pointers, std::vector{document});
  std::vector<std::string_view> bytes;
  for (std::size_t i = 0; i < document.size(); ++i) {
    bytes.push_back(document.substr(i, 1));
    EXPECT_EQ(find(pointers, std::vector{document.substr(0, i), document.substr(i)}), whole)
        << document << " cut at " << i;
  }
  EXPECT_EQ(find(pointers, bytes), whole) << document;
  return whole;
}

std::string find(const std::string& pointer, std::string_view document) {
  return find(std::vector{pointer}, document)[0];
}

TEST(JsonPaths, TellsAPointerFromOtherText) {
  for (const auto text : {"", "/", "//", "/a", "/a/b", "/~0", "/~1~01", "/a b", "/-", "/\xc3\xa9"})
    EXPECT_TRUE(JsonPaths::is_pointer(text)) << text;
  for (const auto text : {"a", "a/b", "#/a", "/~", "/~2", "/a~", "/a~/b", " /a"})
    EXPECT_FALSE(JsonPaths::is_pointer(text)) << text;
  EXPECT_THROW(JsonPaths({"/a", "b"}), std::invalid_argument);
}

TEST(JsonPaths, FindsTheExamplesOfRfc6901) {
  const std::string document =
      R"({"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8})";
  EXPECT_EQ(
      find({"", "/foo", "/foo/0", "/", "/a~1b", "/c%d", "/e^f", "/g|h", "/i\\j", "/k\"l", "/ ", "/m~0n"}, document),
      (std::vector<std::string>{document, R"(["bar","baz"])", R"("bar")", "0", "1", "2", "3", "4", "5", "6", "7",
                                "8"}));
}

TEST(JsonPaths, FindsValuesOfEachKindWithoutTheWhiteSpaceAroundThem) {
  const std::string_view document =
      R"( { "s" : "x" , "n" : -1.5e3 , "t" : true , "z" : null , "o" : { } , "a" : [ 0 ] } )";
  EXPECT_EQ(find({"/s", "/n", "/t", "/z", "/o", "/a", "/a/0", "/x"}, document),
            (std::vector<std::string>{"\"x\"", "-1.5e3", "true", "null", "{ }", "[ 0 ]", "0", ""}));
  EXPECT_EQ(find("", " 12 "), "12");
  EXPECT_EQ(find("", "12"), "12");
}

TEST(JsonPaths, TakesTheLastOfMembersThatShareAName) {
  EXPECT_EQ(find("/a", R"({"a":1,"b":2,"a":3})"), "3");
  EXPECT_EQ(find("/a/b", R"({"a":{"b":1},"a":{"b":2}})"), "2");
  EXPECT_EQ(find("/a/b", R"({"a":{"b":1},"a":{"c":2}})"), "");
  EXPECT_EQ(find("/a/b", R"({"a":{"b":1},"a":2})"), "");
  EXPECT_EQ(find("/a/b", R"({"a":1,"a":{"b":2}})"), "2");
  EXPECT_EQ(find("/a/1", R"({"a":[1,2],"\u0061":[3]})"), "");
}

TEST(JsonPaths, ComparesNamesAfterUnescaping) {
  EXPECT_EQ(find("/name", R"({"n\u0061m\u0065":1})"), "1");
  EXPECT_EQ(find("/\xf0\x9f\x98\x80", R"({"\ud83d\ude00":1})"), "1");
  EXPECT_EQ(find("/\xf0\x9f\x98\x80", "{\"\xf0\x9f\x98\x80\":1}"), "1");
  EXPECT_EQ(find("/\n", R"({"\n":1})"), "1");
  EXPECT_EQ(find("/a~1b", R"({"a\/b":1})"), "1");
  EXPECT_EQ(find("/\xef\xbf\xbd", R"({"\ud800":1})"), "");
  EXPECT_EQ(find("/\xed\xa0\x80", R"({"\ud800":1})"), "");
  EXPECT_EQ(find("/a", R"({"A":1,"ab":2,"":3,"\\u0061":4})"), "");
}

TEST(JsonPaths, CountsElementsOfArraysInDecimal) {
  EXPECT_EQ(find({"/0", "/1", "/2", "/3", "/-", "/01", "/+1", "/1e0"}, "[[],{},\"c\"]"),
            (std::vector<std::string>{"[]", "{}", "\"c\"", "", "", "", "", ""}));
  EXPECT_EQ(find("/10/1", "[0,1,2,3,4,5,6,7,8,9,[\"x\",\"y\"]]"), "\"y\"");
  EXPECT_EQ(find("/18446744073709551616", "[0]"), "");
  EXPECT_EQ(find({"/1", "/01", "/-"}, R"({"1":"a","01":"b","-":"c"})"),
            (std::vector<std::string>{"\"a\"", "\"b\"", "\"c\""}));
}

TEST(JsonPaths, LooksOnlyWhereThePointerLeads) {
  EXPECT_EQ(find("/a/b", R"({"b":1,"x":{"a":{"b":2}},"a":[{"b":3}],"y":[{"b":4}]})"), "");
  EXPECT_EQ(find("/a/b/c", R"({"a":{"x":{"c":1},"b":{"x":{"c":2},"c":3,"d":{"c":4}},"c":5},"c":6})"), "3");
}

TEST(JsonPaths, GivesOverlappingAndRepeatedPointersTheirOwnSlices) {
  EXPECT_EQ(find({"/a/b", "/a", "", "/a/b", "/a/c"}, R"({"a":{"b":[1],"c":2}})"),
            (std::vector<std::string>{"[1]", R"({"b":[1],"c":2})", R"({"a":{"b":[1],"c":2}})", "[1]", "2"}));
}

TEST(JsonPaths, FindsALongNameThatIsCutAndPassesOverLongerOnes) {
  const std::string name(1000, 'n');
  EXPECT_EQ(find("/" + name, "{\"" + name + "n\":1,\"" + name + "\":2,\"" + std::string(7000, 'n') + "\":3}"), "2");
  std::string escaped;
  for (std::size_t i = 0; i < 100; ++i) escaped += "\\u006e";
  EXPECT_EQ(find("/" + std::string(100, 'n'), "{\"" + escaped + "\\u006e\":1,\"" + escaped + "\":2}"), "2");
}

TEST(JsonPaths, FindsNothingAndChangesNoVerdictWhenEmpty) {
  for (const auto& paths :
       {std::shared_ptr<const JsonPaths>(), std::make_shared<const JsonPaths>(std::vector<std::string>())}) {
    JsonScanner scanner(paths);
    EXPECT_TRUE(scanner.feed("[1]"));
    EXPECT_TRUE(scanner.finish());
  }
}

TEST(JsonPaths, LeavesEachVerdictAsItIs) {
  const auto paths = std::make_shared<const JsonPaths>(std::vector{""s, "/a"s, "/a/0/c"s, "/0/0"s, "/id"s});
  const auto expect_same = [&](const std::string& document) {
    const Verdict expected = scan(document);
    JsonScanner scanner(paths);
    const bool is_valid = feed(scanner, document) && scanner.finish();
    EXPECT_EQ((Verdict{is_valid, scanner.value(), scanner.problem()}), expected) << document;
    if (is_valid) {
      EXPECT_EQ(scanner.slice(0), expected.value.slice) << document;
    }
  };
  for (const auto& document : valid_documents()) expect_same(document);
  for (const auto& refused : refused_documents()) expect_same(refused.document);
  expect_same(std::string(512, '[') + std::string(512, ']'));
  expect_same(std::string(513, '[') + std::string(513, ']'));
}

TEST(JsonPaths, UnescapesStrings) {
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

TEST(JsonPaths, AgreesWithAnotherLibraryOnRandomDocuments) {
  Generator generator(6901);
  int found = 0, absent = 0;
  for (int round = 0; round < 1'500; ++round) {
    const std::string document = generator.value(4);
    std::vector<std::string> pointers(8);
    std::generate(pointers.begin(), pointers.end(), [&] { return generator.pointer(); });
    const auto tree = nlohmann::json::parse(document);
    const auto cut = static_cast<std::size_t>(round) % document.size();
    const auto slices =
        find(pointers, std::vector{std::string_view(document).substr(0, cut), std::string_view(document).substr(cut)});
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
