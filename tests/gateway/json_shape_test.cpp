// JsonShape: what each key does, byte for byte.
#include "gateway/json_shape.hpp"

#include "gateway/config.hpp"
#include "tests/gateway/json_shape_results.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

using Paths = std::vector<std::string>;

CallConfig picking(std::string pointer) {
  CallConfig call;
  call.pick = std::move(pointer);
  return call;
}
CallConfig allowing(Paths paths) {
  CallConfig call;
  call.allow = std::move(paths);
  return call;
}
CallConfig denying(Paths paths) {
  CallConfig call;
  call.deny = std::move(paths);
  return call;
}
CallConfig renaming(std::vector<RenameConfig> renames) {
  CallConfig call;
  call.rename = std::move(renames);
  return call;
}

TEST(JsonShape, LeavesEverythingAsItIsWithoutAKey) {
  EXPECT_TRUE(JsonShape().is_identity());
  EXPECT_TRUE(JsonShape(CallConfig()).is_identity());
  CallConfig call;
  call.into = "/a/b";
  EXPECT_TRUE(JsonShape(call).is_identity()) << "where it goes is not what it is";
  EXPECT_EQ(shaped(call, R"({ "a" : 1 })"), R"({ "a" : 1 })");
}

TEST(JsonShape, PicksAPartOrFails) {
  const std::string_view document = R"({ "data": { "items": [ 1, { "a": [ ] } ] }, "a": null })";
  EXPECT_EQ(shaped(picking("/data/items"), document), R"([ 1, { "a": [ ] } ])");
  EXPECT_EQ(shaped(picking("/data/items/1/a"), document), "[ ]");
  EXPECT_EQ(shaped(picking(""), document), document);
  EXPECT_EQ(shaped(picking("/a"), document), "null");
  EXPECT_EQ(shaped(picking("/b"), document), "invalid");
  EXPECT_EQ(shaped(picking("/data/items/2"), document), "invalid");
  EXPECT_EQ(shaped(picking("/a/b"), document), "invalid");
}

TEST(JsonShape, AllowsTheNamedMembersWithAllThatIsInThem) {
  const std::string_view document = R"({"a":{"x":[1,{"y":2}]},"b":2,"c":{"d":{"e":1,"f":2},"g":3},"h":4})";
  EXPECT_EQ(shaped(allowing({"a"}), document), R"({"a":{"x":[1,{"y":2}]}})");
  EXPECT_EQ(shaped(allowing({"h", "b"}), document), R"({"b":2,"h":4})") << "the order is that of the body";
  EXPECT_EQ(shaped(allowing({"c.d.f", "b"}), document), R"({"b":2,"c":{"d":{"f":2}}})");
  EXPECT_EQ(shaped(allowing({"/c/g", "/c/d/e"}), document), R"({"c":{"d":{"e":1},"g":3}})");
  EXPECT_EQ(shaped(allowing({"c", "c.d.e"}), document), R"({"c":{"d":{"e":1,"f":2},"g":3}})");
  EXPECT_EQ(shaped(allowing({"a", "b", "c", "h"}), document), document);
}

TEST(JsonShape, LeavesOutWhatLeadsToNothingThatIsAllowed) {
  EXPECT_EQ(shaped(allowing({"x"}), R"({"a":1,"b":2})"), "{}");
  EXPECT_EQ(shaped(allowing({"a.x", "b"}), R"({"a":{"y":1},"b":2})"), R"({"b":2})");
  EXPECT_EQ(shaped(allowing({"a.x.y", "b"}), R"({"b":2, "a":{"x":{"z":1},"y":2} })"), R"({"b":2})"
                                                                                      "")
      << "nor an object of such objects";
  EXPECT_EQ(shaped(allowing({"a.x", "b"}), R"({"b":2,"a":7})"), R"({"b":2})");
  EXPECT_EQ(shaped(allowing({"/a/0/x", "b"}), R"({"a":[{"y":1}],"b":2})"), R"({"b":2})");
}

TEST(JsonShape, LeadsDottedPathsThroughEachElementOfAnArray) {
  const std::string_view list = R"([{"id":1,"x":2}, {"x":3}, 4, [ {"id":5,"x":6} ], {"id":7}])";
  EXPECT_EQ(shaped(allowing({"id"}), list), R"([{"id":1}, {}, [ {"id":5} ], {"id":7}])");
  EXPECT_EQ(shaped(denying({"id"}), list), R"([{"x":2}, {"x":3}, 4, [ {"x":6} ], {}])");
  const std::string_view nested = R"({"items":[{"id":1,"tags":["t"]},{"id":2}],"none":[],"n":1})";
  EXPECT_EQ(shaped(allowing({"items.id", "none.id"}), nested), R"({"items":[{"id":1},{"id":2}],"none":[]})");
  EXPECT_EQ(shaped(denying({"items.id", "none.id"}), nested), R"({"items":[{"tags":["t"]},{}],"none":[],"n":1})");
  EXPECT_EQ(shaped(allowing({"items.0"}), R"({"items":[{"0":1,"1":2},{"0":3}]})"), R"({"items":[{"0":1},{"0":3}]})");
}

TEST(JsonShape, LeadsAPointerToOneElement) {
  const std::string_view document = R"({"a":[{"x":1},{"x":2,"y":3},{"x":4}],"0":5})";
  EXPECT_EQ(shaped(allowing({"/a/1"}), document), R"({"a":[{"x":2,"y":3}]})");
  EXPECT_EQ(shaped(allowing({"/a/1/y", "/0"}), document), R"({"a":[{"y":3}],"0":5})");
  EXPECT_EQ(shaped(denying({"/a/0", "/a/1/x"}), document), R"({"a":[{"y":3},{"x":4}],"0":5})")
      << "indexes are those of the body";
  EXPECT_EQ(shaped(denying({"/a/2", "/a/01", "/a/-"}), document), R"({"a":[{"x":1},{"x":2,"y":3}],"0":5})");
  EXPECT_EQ(shaped(allowing({"/a/x"}), document), "{}") << "a pointer goes through no array";
  EXPECT_EQ(shaped(allowing({"/a/2", "a.y"}), document), R"({"a":[{},{"y":3},{"x":4}]})") << "both forms together";
  EXPECT_EQ(shaped(denying({"/a/2", "a.y"}), document), R"({"a":[{"x":1},{"x":2}],"0":5})");
}

TEST(JsonShape, DeniesTheNamedMembersAndKeepsAllOthers) {
  const std::string_view document = R"({"a":1,"b":{"c":[1,2],"d":null},"e":"x"})";
  EXPECT_EQ(shaped(denying({"a"}), document), R"({"b":{"c":[1,2],"d":null},"e":"x"})");
  EXPECT_EQ(shaped(denying({"e"}), document), R"({"a":1,"b":{"c":[1,2],"d":null}})");
  EXPECT_EQ(shaped(denying({"b"}), document), R"({"a":1,"e":"x"})");
  EXPECT_EQ(shaped(denying({"b.c", "b.d"}), document), R"({"a":1,"b":{},"e":"x"})");
  EXPECT_EQ(shaped(denying({"a", "b", "e"}), document), "{}");
  EXPECT_EQ(shaped(denying({"b.c.d", "a.b", "x.y.z", "/x"}), document), document);
}

TEST(JsonShape, TakesAScalarForNothingThatIsAllowed) {
  for (const auto scalar : {"1", "\"a\"", "true", "null"}) {
    EXPECT_EQ(shaped(allowing({"a"}), scalar), "null");
    EXPECT_EQ(shaped(denying({"a"}), scalar), scalar);
    EXPECT_EQ(shaped(renaming({{"a", "b"}}), scalar), scalar);
  }
  EXPECT_EQ(shaped(allowing({"a"}), "[]"), "[]");
  EXPECT_EQ(shaped(allowing({"a"}), "[1,\"a\",[2]]"), "[[]]");
}

TEST(JsonShape, GivesMembersNewNames) {
  EXPECT_EQ(shaped(renaming({{"a", "b"}}), R"({ "a" : 1 , "c" : 2 })"), R"({ "b":1 , "c" : 2 })");
  EXPECT_EQ(shaped(renaming({{"a.b", "c"}}), R"({"b":1,"a":{"b":2,"x":3}})"), R"({"b":1,"a":{"c":2,"x":3}})");
  EXPECT_EQ(shaped(renaming({{"a", "y"}, {"a.b", "c"}}), R"({"a":{"b":2}})"), R"({"y":{"c":2}})");
  EXPECT_EQ(shaped(renaming({{"a", "b"}, {"b", "a"}}), R"({"a":1,"b":2})"), R"({"b":1,"a":2})");
  EXPECT_EQ(shaped(renaming({{"id", "k"}}), R"([{"id":1},[{"id":2}],3])"), R"([{"k":1},[{"k":2}],3])");
  EXPECT_EQ(shaped(renaming({{"/0/id", "k"}}), R"([{"id":1},{"id":2}])"), R"([{"k":1},{"id":2}])");
  EXPECT_EQ(shaped(renaming({{"/_id", "id"}}), R"({"_id":1})"), R"({"id":1})");
  EXPECT_EQ(shaped(renaming({{"a", "q\"\\\xc3\xa9"}}), R"({"a":1})"), "{\"q\\\"\\\\\xc3\xa9\":1}");
  EXPECT_EQ(shaped(renaming({{"a", "a"}, {"x", "y"}}), R"({"a":1})"), R"({"a":1})");
}

TEST(JsonShape, ReplacesTheMemberThatHadTheNewName) {
  EXPECT_EQ(shaped(renaming({{"user_id", "id"}}), R"({"id":1,"user_id":2,"x":3})"), R"({"id":2,"x":3})");
  EXPECT_EQ(shaped(renaming({{"user_id", "id"}}), R"({"user_id":2,"x":3,"i\u0064":1})"), R"({"id":2,"x":3})");
  EXPECT_EQ(shaped(renaming({{"user_id", "id"}}), R"({"id":1,"x":3})"), R"({"id":1,"x":3})");
  EXPECT_EQ(shaped(renaming({{"/0/b", "x"}, {"a", "x"}}), R"([{"a":1,"b":2},{"a":3,"b":4}])"),
            R"([{"x":1},{"x":3,"b":4}])")
      << "the later of two that meet";
}

TEST(JsonShape, RenamesWhatIsLeftAfterAllowAndDeny) {
  CallConfig call = allowing({"a.b", "c"});
  call.rename = {{"a", "c"}};
  EXPECT_EQ(shaped(call, R"({"a":{"b":1,"x":2},"c":3})"), R"({"c":{"b":1}})");
  EXPECT_EQ(shaped(call, R"({"a":{"x":2},"c":3})"), R"({"c":3})") << "there is no member a";
  EXPECT_EQ(shaped(call, R"({"c":3,"a":4})"), R"({"c":3})");
  call = denying({"a", "/l/0"});
  call.rename = {{"a", "b"}, {"/l/0/x", "y"}};
  EXPECT_EQ(shaped(call, R"({"a":1,"b":2,"l":[{"x":1},{"x":2},{"x":3}]})"), R"({"b":2,"l":[{"y":2},{"x":3}]})");
  call.pick = "/p";
  EXPECT_EQ(shaped(call, R"({"p":{"a":1,"b":2},"b":3})"), R"({"b":2})");
  EXPECT_EQ(shaped(call, R"({"a":1})"), "invalid");
}

TEST(JsonShape, CopiesWhatItKeepsByteForByte) {
  const std::string odd =
      R"({"n":123456789012345678901234567890 , "e":1e400,"f":1.10,"g":-0,"s":"\u00e9\/\ud83d\ude00\ud800",)"
      R"("s":[ ], "\u0073":{"s":1, "s" :2}})";
  EXPECT_EQ(shaped(denying({"absent"}), odd), odd);
  EXPECT_EQ(shaped(allowing({"n", "e", "f", "g", "s"}), odd), odd);
  EXPECT_EQ(shaped(renaming({{"absent", "x"}}), odd), odd);
  EXPECT_EQ(shaped(allowing({"f", "e"}), odd), R"({"e":1e400,"f":1.10})");
  EXPECT_EQ(shaped(allowing({"s.s"}), odd), R"({"s":[ ], "\u0073":{"s":1, "s" :2}})") << "repeated names stay";
  EXPECT_EQ(shaped(denying({"s"}), odd), R"({"n":123456789012345678901234567890 , "e":1e400,"f":1.10,"g":-0})");
  EXPECT_EQ(shaped(renaming({{"s", "t"}}), R"({"s":1,"s":2})"), R"({"t":1,"t":2})");
}

TEST(JsonShape, ComparesNamesAfterUnescaping) {
  EXPECT_EQ(shaped(allowing({"\xc3\xa9.a b"}), R"({"\u00e9":{"a\u0020b":1,"c":2},"\ud800":3})"),
            R"({"\u00e9":{"a\u0020b":1}})");
  EXPECT_EQ(shaped(denying({"/a~1b", "/m~0n"}), R"({"a\/b":1,"m~n":2,"x":"\"}"})"), R"({"x":"\"}"})");
  EXPECT_EQ(shaped(denying({"/"}), R"({"":1,"a":{"":2}})"), R"({"a":{"":2}})");
}

TEST(JsonShape, TakesTheMembersOfAnObjectOneByOneWhenTheyAreToBeMerged) {
  EXPECT_EQ(members({}, R"({ "a" : 1 , "b":[ 2 ], "a":{} })"), "a = \"a\" : 1\nb = \"b\":[ 2 ]\na = \"a\":{}\n");
  EXPECT_EQ(members(denying({"a", "b.x"}), R"({"a":1,"b":{"x":1,"y":2},"c":3})"), "b = \"b\":{\"y\":2}\nc = \"c\":3\n");
  EXPECT_EQ(members(renaming({{"a", "\"b"}}), R"({"a":1,"c":3})"), "\\\"b = \"\\\"b\":1\nc = \"c\":3\n");
  EXPECT_EQ(members(allowing({"b.y", "c"}), R"({"b":{"x":1},"c":3})"), "c = \"c\":3\n");
  EXPECT_EQ(members(picking("/p"), R"({"p":{"a":1}})"), "a = \"a\":1\n");
  EXPECT_EQ(members({}, "{}"), "");
  EXPECT_EQ(members({}, "null"), "") << "what a response without a body counts as";
  for (const auto other : {"[]", "[{}]", "1", "\"a\"", "true"}) {
    EXPECT_EQ(members({}, other), "invalid");
    EXPECT_EQ(members(allowing({"a"}), other), "invalid");
  }
  EXPECT_EQ(members(picking("/p"), R"({"p":[]})"), "invalid");
}

TEST(JsonShape, CopiesManySmallSlicesIntoOne) {
  std::string document = "[", expected = "[", object = "{", lines;
  for (int i = 0; i < 1000; ++i) {
    const std::string n = std::to_string(i);
    document += (i == 0 ? "" : ",") + ("{\"a\":" + n) + ",\"b\":" + n + "}";
    expected += (i == 0 ? "" : ",") + ("{\"b\":" + n) + "}";
    object += (i == 0 ? "" : ",") + ("\"m" + n) + "\":{\"a\":0,\"b\":" + n + "}";
    lines += "m" + n + " = \"m" + n + "\":{\"b\":" + n + "}\n";
  }
  document += "]";
  expected += "]";
  object += "}";
  EXPECT_EQ(shaped(denying({"a"}), document), expected);
  CallConfig call = denying({"m0.a"});
  for (int i = 1; i < 1000; ++i) call.deny->push_back("m" + std::to_string(i) + ".a");
  EXPECT_EQ(members(call, object), lines);
  const JsonShape shape(denying({"a"}));
  Shaped out;
  ASSERT_TRUE(shape.apply(document, out));
  EXPECT_EQ(out.slices.size(), 1U);
}

TEST(JsonShape, SurvivesTheDeepestDocument) {
  std::string document = "{\"x\":1,\"id\":2}";
  for (std::size_t i = 1; i < JsonScanner::kMaxDepth; ++i) document = "[" + document + "]";
  const std::string brackets(JsonScanner::kMaxDepth - 1, '[');
  EXPECT_EQ(shaped(allowing({"id"}), document), brackets + "{\"id\":2}" + std::string(brackets.size(), ']'));
  CallConfig call = denying({"x"});
  call.rename = {{"id", "k"}};
  EXPECT_EQ(shaped(call, document), brackets + "{\"k\":2}" + std::string(brackets.size(), ']'));
}

}  // namespace
}  // namespace sluice::gateway
