// Work on large bodies stops for others, and at the end of its context.
#include "gateway/turns.hpp"

#include "concurrency/virtual_time.hpp"
#include "gateway/config.hpp"
#include "gateway/json_shape.hpp"
#include "gateway/json_walk.hpp"
#include "gateway/reply_writer.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

using concurrency::Context;
using concurrency::Task;
using concurrency::VirtualTime;

constexpr std::size_t kLarge = std::size_t{8} << 20;

/// `[{"id":0,"x":"..."},...]`
std::string list_of_objects() {
  std::string text = "[";
  for (int i = 0; text.size() < kLarge; ++i) {
    text.append(text.size() == 1 ? "" : ",").append(R"({"id":)").append(std::to_string(i));
    text.append(R"(,"x":"abcdefghijklmnop"})");
  }
  return text += "]";
}

std::string object_of_many() {
  std::string text = "{";
  for (int i = 0; text.size() < kLarge; ++i) {
    text.append(text.size() == 1 ? "\"m" : ",\"m").append(std::to_string(i)).append("\":1");
  }
  return text += "}";
}

CallConfig allowing(std::string path) {
  CallConfig call;
  call.name = "a";
  call.allow.emplace().push_back(std::move(path));
  return call;
}

/// Counts how often others come on.
Task<> count(const bool* is_over, std::size_t* turns) {
  for (; !*is_over; ++*turns) co_await pause();
}

template <class Work>
Task<bool> work_in_turns(Context ctx, Work* work, bool* is_over) {
  const bool result = co_await in_turns(std::move(ctx), *work);
  *is_over = true;
  co_return result;
}

/// How often others came on while `work` was done.
template <class Work>
std::size_t turns_of(Work& work) {
  VirtualTime time;
  std::size_t turns = 0;
  bool is_over = false;
  const auto counting = time.spawn(count(&is_over, &turns));
  EXPECT_TRUE(time.run(work_in_turns(Context(), &work, &is_over)));
  return turns;
}

TEST(Turns, AreGivenToOthersWhileALargeBodyIsShaped) {
  const std::string large = list_of_objects();
  for (const char* path : {"id", "y", "x.y"}) {
    Shaped out;
    const JsonShape shape(allowing(path));
    Shaping shaping(shape, large, &out);
    EXPECT_GE(turns_of(shaping), kLarge / Quantum::kBytes - 1) << path;
    EXPECT_TRUE(shaping.fits());
  }
}

TEST(Turns, AreGivenToOthersWhileAValueIsPassedOver) {
  for (const std::string& value : {"\"" + std::string(kLarge, 'a') + "\"", std::string(kLarge, '1'),
                                   "[" + std::string(kLarge - 1, ' ') + "1]", list_of_objects()}) {
    const std::string large = R"({"a":)" + value + R"(,"b":7})";
    const JsonPointer pointer = *JsonPointer::parse("/b");
    JsonSearch search(pointer, large);
    EXPECT_GE(turns_of(search), kLarge / Quantum::kBytes - 1) << value.substr(0, 10);
    EXPECT_EQ(search.found(), "7");
  }
}

TEST(Turns, AreGivenToOthersWhileManyMembersAreMerged) {
  const std::string large = object_of_many();
  std::vector<CallConfig> calls(2);
  for (CallConfig& call : calls) call.into = "";
  const ReplyLayout layout(calls);
  std::vector<Shaped> shaped(2);
  const JsonShape shape(calls[0]);
  ASSERT_TRUE(shape.apply(large, shaped[0]));
  ASSERT_TRUE(shape.apply(R"({"m1":2,"z":3})", shaped[1]));
  std::vector<ReplyLayout::Part> parts(2);
  for (std::size_t i = 0; i < 2; ++i) {
    parts[i].has_data = true;
    parts[i].shaped = &shaped[i];
  }
  Slices body;
  ReplyLayout::Writer writer(layout, parts, body);
  EXPECT_GE(turns_of(writer), kLarge / Quantum::kBytes);
  std::string text;
  for (const std::string_view slice : body) text += slice;
  EXPECT_EQ(text, R"({"m0":1)" +
                      large.substr(std::string_view(R"({"m0":1,"m1":1)").size(),
                                   large.size() - std::string_view(R"({"m0":1,"m1":1)").size() - 1) +
                      R"(,"m1":2,"z":3})");
  EXPECT_LT(body.size(), 20U) << "what follows each other is one slice";
}

TEST(Turns, AreGivenToOthersWhileWhatWasShapedIsFreed) {
  struct Release {
    [[nodiscard]] bool run(Quantum& quantum) { return shaped.release(quantum); }
    Shaped shaped;
  };
  CallConfig call;
  call.into = "";
  const std::string large = object_of_many();
  Release release;
  const JsonShape shape(call);
  ASSERT_TRUE(shape.apply(large, release.shaped));
  ASSERT_GE(release.shaped.members.size(), 500'000U);
  EXPECT_GE(turns_of(release), 10U);
  EXPECT_TRUE(release.shaped.slices.empty());
}

struct Endless {
  [[nodiscard]] bool run(Quantum&) {
    ++runs;
    return false;
  }
  int runs = 0;
};

Task<> cancel_after(int turns, const concurrency::Cancel* cancel) {
  for (int i = 0; i < turns; ++i) co_await pause();
  (*cancel)();
}

TEST(Turns, EndWithTheContext) {
  VirtualTime time;
  const auto bounded = concurrency::with_cancel(Context());
  Endless work;
  bool is_over = false;
  const auto cancelling = time.spawn(cancel_after(5, &bounded.cancel));
  EXPECT_FALSE(time.run(work_in_turns(bounded.ctx, &work, &is_over)));
  EXPECT_LE(work.runs, 7);
}

}  // namespace
}  // namespace sluice::gateway
