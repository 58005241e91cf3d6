// ReplyLayout: where the parts of calls stand, and who wins when two give the same member.
#include "gateway/reply_layout.hpp"

#include "gateway/config.hpp"
#include "gateway/json_shape.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

constexpr std::string_view kNothing = "";  // of a call without data

/// The reply of calls that are named a, b, c ...
class Layout {
 public:
  explicit Layout(const std::vector<std::optional<std::string>>& intos) {
    for (const auto& into : intos) {
      calls_.emplace_back().into = into;
      calls_.back().name = std::string(1, static_cast<char>('a' + calls_.size() - 1));
    }
  }

  [[nodiscard]] std::string write(const std::vector<std::string_view>& bodies) const {
    std::vector<ReplyLayout::Part> parts;
    std::vector<std::unique_ptr<Shaped>> shaped;
    std::vector<JsonShape> shapes(calls_.begin(), calls_.end());
    for (std::size_t i = 0; i < bodies.size(); ++i) {
      const JsonShape& shape = shapes[i];
      ReplyLayout::Part& part = parts.emplace_back();
      part.has_data = bodies[i] != kNothing;
      part.bytes = bodies[i];
      if (!part.has_data || shape.is_identity()) continue;
      shaped.push_back(std::make_unique<Shaped>());
      EXPECT_TRUE(shape.apply(bodies[i], *shaped.back()));
      part.shaped = shaped.back().get();
    }
    const ReplyLayout layout(calls_);
    Slices body;
    layout.write(parts, body);
    std::string text;
    for (const auto slice : body) text += slice;
    return text;
  }

  [[nodiscard]] ReplyLayout layout() const { return ReplyLayout(calls_); }

 private:
  std::vector<CallConfig> calls_;
};

TEST(ReplyLayout, IsFlatWhereNoCallSaysWhereItGoes) {
  EXPECT_TRUE(Layout({std::nullopt, std::nullopt}).layout().is_flat());
  EXPECT_FALSE(Layout({std::nullopt, "/x"}).layout().is_flat());
  EXPECT_FALSE(Layout({""}).layout().is_flat());
  EXPECT_EQ(Layout({std::nullopt, std::nullopt}).write({"1", "[]"}), R"({"a":1,"b":[]})");
}

TEST(ReplyLayout, BuildsObjectsWhereTheFirstOfTheirCallsStands) {
  const Layout layout({"/x/y/a", std::nullopt, "/x/z", "/x/y/0", "/q\"~1~0/\xc3\xa9"});
  EXPECT_EQ(layout.write({"1", "2", "3", "4", "5"}),
            "{\"x\":{\"y\":{\"a\":1,\"0\":4},\"z\":3},\"b\":2,\"q\\\"/~\":{\"\xc3\xa9\":5}}");
  EXPECT_EQ(layout.write({kNothing, "2", "3", kNothing, kNothing}), R"({"x":{"z":3},"b":2})");
  EXPECT_EQ(layout.write({kNothing, "2", kNothing, kNothing, kNothing}), R"({"b":2})");
}

TEST(ReplyLayout, MergesTheMembersOfObjectsAtTheTop) {
  const Layout layout({std::nullopt, "", "/x"});
  EXPECT_EQ(layout.write({"1", R"({ "p" : 1.10 , "q":[ ] })", "3"}), R"({"a":1,"p" : 1.10,"q":[ ],"x":3})");
  EXPECT_EQ(layout.write({"1", "{}", "3"}), R"({"a":1,"x":3})");
  EXPECT_EQ(layout.write({kNothing, "null", kNothing}), "{}");
  EXPECT_EQ(layout.write({kNothing, kNothing, "3"}), R"({"x":3})");
  EXPECT_EQ(layout.write({kNothing, R"({"p":1,"p":2})", kNothing}), R"({"p":1,"p":2})") << "one body's own";
}

TEST(ReplyLayout, LetsTheLaterCallWin) {
  const Layout same({"/x", "/x", std::nullopt});
  EXPECT_EQ(same.write({"1", "2", "3"}), R"({"x":2,"c":3})");
  EXPECT_EQ(same.write({"1", kNothing, "3"}), R"({"x":1,"c":3})") << "of those that have data";

  const Layout spread({"", ""});
  EXPECT_EQ(spread.write({R"({"p":1,"q":2,"p":3})", R"({"r":4,"\u0070":5})"}), R"({"q":2,"r":4,"\u0070":5})");
  EXPECT_EQ(spread.write({R"({"p":1})", R"({"p":2,"p":3})"}), R"({"p":2,"p":3})");
  EXPECT_EQ(spread.write({R"({"\ud800":1})", R"({"\ud800":2,"\\ud800":3})"}), R"({"\ud800":2,"\\ud800":3})");
  EXPECT_EQ(spread.write({R"({"\\ud800":1})", R"({"\ud800":2})"}), R"({"\\ud800":1,"\ud800":2})");

  const Layout mixed({std::nullopt, "", "/c/x"});
  EXPECT_EQ(mixed.write({"1", R"({"a":2,"c":3,"d":4})", "5"}), R"({"a":2,"d":4,"c":{"x":5}})");
  EXPECT_EQ(mixed.write({"1", R"({"a":2,"c":3})", kNothing}), R"({"a":2,"c":3})");
}

TEST(ReplyLayout, DropsAllThatALaterBodyReplacesAndNothingThatComesAfterIt) {
  const Layout layout({"/m/x", "", "/m/y"});
  EXPECT_EQ(layout.write({"1", R"({"m":2})", "3"}), R"({"m":{"y":3}})");
  EXPECT_EQ(layout.write({"1", R"({"m":2})", kNothing}), R"({"m":2})");
  EXPECT_EQ(layout.write({"1", R"({"n":2})", "3"}), R"({"m":{"x":1,"y":3},"n":2})");
  const Layout three({"", "/m", ""});
  EXPECT_EQ(three.write({R"({"m":1})", "2", R"({"m":3})"}), R"({"m":3})");
  EXPECT_EQ(three.write({R"({"m":1})", "2", R"({"n":3})"}), R"({"m":2,"n":3})");
}

}  // namespace
}  // namespace sluice::gateway
