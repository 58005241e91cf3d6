// Context: what Go's own tests of package context insist on, and the races of cancelling.
#include "concurrency/context.hpp"

#include "concurrency/virtual_time.hpp"
#include "support/leak_check.hpp"

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::concurrency {
namespace {

using namespace std::chrono_literals;
using boost::system::error_code;

const error_code kParentCause = make_error_code(boost::system::errc::host_unreachable);
const error_code kChildCause = make_error_code(boost::system::errc::broken_pipe);

TEST(Context, BackgroundIsNeverDoneAndEmpty) {
  const Context ctx = Context::background();
  EXPECT_FALSE(ctx.is_done());
  EXPECT_FALSE(ctx.err());
  EXPECT_FALSE(ctx.cause());
  EXPECT_FALSE(ctx.deadline().has_value());
  EXPECT_EQ(ctx, Context());
}

TEST(Context, CancelIsIdempotentAndTheFirstCauseCounts) {
  auto [ctx, cancel] = with_cancel(Context());
  EXPECT_FALSE(ctx.is_done());
  EXPECT_FALSE(ctx.err());
  cancel(kChildCause);
  cancel(kParentCause);
  cancel();
  EXPECT_EQ(ctx.err(), Error::canceled);
  EXPECT_EQ(ctx.cause(), kChildCause);
}

TEST(Context, WithoutACauseTheCauseIsTheError) {
  auto [ctx, cancel] = with_cancel(Context());
  cancel();
  EXPECT_EQ(ctx.cause(), Error::canceled);
}

TEST(Context, DestroyingTheCancelCancels) {
  Context kept;
  {
    auto [ctx, cancel] = with_cancel(Context());
    kept = ctx;
  }
  EXPECT_EQ(kept.err(), Error::canceled);
}

TEST(Context, AssigningToACancelCancelsTheOldOne) {
  auto a = with_cancel(Context());
  auto b = with_cancel(Context());
  a.cancel = std::move(b.cancel);
  EXPECT_TRUE(a.ctx.is_done());
  EXPECT_FALSE(b.ctx.is_done());
  a.cancel();
  EXPECT_TRUE(b.ctx.is_done());
}

TEST(Context, ParentFinishesAllDescendantsThroughValuesAndOnlyThem) {
  struct Key {
    using value_type = int;
  };
  auto [other, cancel_other] = with_cancel(Context());
  auto [parent, cancel] = with_cancel(Context());
  auto [child, cancel_child] = with_cancel(parent);
  const Context value = with_value<Key>(parent, 1);
  auto [grandchild, cancel_grandchild] = with_cancel(value);
  const Context free = without_cancel(grandchild);
  auto [below_free, cancel_below_free] = with_cancel(free);
  cancel(kParentCause);
  for (const Context& ctx : {parent, child, value, grandchild}) {
    EXPECT_EQ(ctx.err(), Error::canceled);
    EXPECT_EQ(ctx.cause(), kParentCause);
  }
  for (const Context& ctx : {other, free, below_free}) EXPECT_FALSE(ctx.is_done());
  EXPECT_EQ(*free.value<Key>(), 1);
  auto [late, cancel_late] = with_cancel(value);
  EXPECT_EQ(late.err(), Error::canceled) << "a child of a done parent is done at once";
  EXPECT_EQ(late.cause(), kParentCause);
}

TEST(Context, ChildFinishesFirstWithoutTouchingItsParentOrSiblings) {
  auto [parent, cancel] = with_cancel(Context());
  auto [child, cancel_child] = with_cancel(parent);
  auto [sibling, cancel_sibling] = with_cancel(parent);
  cancel_child(kChildCause);
  EXPECT_TRUE(child.is_done());
  EXPECT_FALSE(parent.is_done());
  EXPECT_FALSE(sibling.is_done());
  cancel(kParentCause);
  EXPECT_EQ(child.cause(), kChildCause) << "its own end came first";
  EXPECT_EQ(sibling.cause(), kParentCause);
}

TEST(Context, AChildsDeadlineIsNeverLaterThanItsParents) {
  VirtualTime time;
  auto [parent, cancel] = with_timeout(Context(), 50ms);
  auto [longer, cancel_longer] = with_timeout(parent, 1h);
  auto [shorter, cancel_shorter] = with_timeout(parent, 20ms);
  auto [plain, cancel_plain] = with_cancel(shorter);
  EXPECT_EQ(longer.deadline(), parent.deadline());
  EXPECT_EQ(shorter.deadline(), time.now() + 20ms);
  EXPECT_EQ(plain.deadline(), shorter.deadline());
  EXPECT_EQ(parent.remaining(), 50ms);
  time.advance(20ms);
  EXPECT_EQ(plain.err(), Error::deadline_exceeded);
  EXPECT_FALSE(longer.is_done());
  time.advance(29ms);
  EXPECT_FALSE(longer.is_done());
  time.advance(1ms);
  EXPECT_EQ(longer.err(), Error::deadline_exceeded);
  EXPECT_EQ(parent.remaining(), 0ms);
}

TEST(Context, DeadlineCauseIsToldOnlyIfTheDeadlineEndedIt) {
  VirtualTime time;
  auto [late, cancel_late] = with_timeout(Context(), 10ms, kChildCause);
  auto [early, cancel_early] = with_timeout(Context(), 10ms, kChildCause);
  cancel_early();
  time.advance(10ms);
  EXPECT_EQ(late.err(), Error::deadline_exceeded);
  EXPECT_EQ(late.cause(), kChildCause);
  EXPECT_EQ(early.err(), Error::canceled);
  EXPECT_EQ(early.cause(), Error::canceled);
}

TEST(Context, GosNamesForCausesWork) {
  VirtualTime time;
  auto [a, cancel_a] = with_cancel_cause(Context());
  auto [b, cancel_b] = with_timeout_cause(a, 1ms, kChildCause);
  auto [c, cancel_c] = with_deadline_cause(a, time.now() + 1h, kParentCause);
  auto [d, cancel_d] = with_timeout_cause(b, 1h, kParentCause);
  time.advance(1ms);
  EXPECT_EQ(b.cause(), kChildCause);
  EXPECT_EQ(d.cause(), kChildCause) << "the parent's deadline came first";
  cancel_a(kParentCause);
  EXPECT_EQ(b.cause(), kChildCause);
  EXPECT_EQ(c.cause(), kParentCause);
  EXPECT_EQ(c.err(), Error::canceled);
}

TEST(Context, APastDeadlineIsOverAtOnce) {
  VirtualTime time;
  auto [past, cancel_past] = with_deadline(Context(), time.now() - 1h);
  auto [none, cancel_none] = with_timeout(Context(), 0s);
  auto [negative, cancel_negative] = with_timeout(Context(), -1s);
  auto [furthest, cancel_furthest] = with_deadline(Context(), TimePoint::min());
  for (const Context& ctx : {past, none, negative, furthest}) EXPECT_EQ(ctx.err(), Error::deadline_exceeded);
}

TEST(Context, ADeadlineWithoutALoopThrowsAndLeaksNothing) {
  auto [ctx, cancel] = with_cancel(Context());
  EXPECT_THROW((void)with_deadline(ctx, TimePoint()), std::logic_error);
}

TEST(Context, AnEndlessTimeoutNeitherOverflowsNorEnds) {
  VirtualTime time;
  auto [ctx, cancel] = with_timeout(Context(), Duration::max());
  time.advance(1h);
  EXPECT_FALSE(ctx.is_done());
}

struct Name {
  using value_type = std::string;
};
struct Number {
  using value_type = int;
};
struct OtherNumber {
  using value_type = int;
};

TEST(Context, ValuesAreFoundByKeyTypeAndShadowed) {
  const Context root;
  EXPECT_EQ(root.value<Name>(), nullptr);
  const Context one = with_value<Name>(root, "one");
  const Context two = with_value<Number>(one, 2);
  const Context three = with_value<Name>(two, "three");
  EXPECT_EQ(*one.value<Name>(), "one");
  EXPECT_EQ(*two.value<Name>(), "one");
  EXPECT_EQ(*three.value<Name>(), "three");
  EXPECT_EQ(*three.value<Number>(), 2);
  EXPECT_EQ(three.value<OtherNumber>(), nullptr) << "keys are types, not the types of their values";
}

Task<error_code> wait_done(Context ctx) {
  co_await ctx.done();
  co_return ctx.err();
}

TEST(Context, DoneWakesAllWhoWait) {
  VirtualTime time;
  auto [ctx, cancel] = with_cancel(Context());
  auto a = time.spawn(wait_done(ctx));
  auto b = time.spawn(wait_done(ctx));
  time.settle();
  EXPECT_FALSE(a.done());
  cancel();
  time.settle();
  EXPECT_EQ(a.get(), Error::canceled);
  EXPECT_EQ(b.get(), Error::canceled);
  EXPECT_EQ(time.run(wait_done(ctx)), Error::canceled) << "and those who come later";
}

TEST(Context, LayersOfCancelsAndTimeoutsKeepTheirValuesAndEndTogether) {
  VirtualTime time;
  for (const bool by_timeout : {false, true}) {
    Random random(by_timeout ? 1 : 2);
    std::vector<Cancel> cancels;
    Context ctx = with_value<Number>(Context(), 0);
    auto [root, cancel_root] = with_timeout(ctx, 200ms);
    ctx = root;
    int value = 0;
    for (int i = 0; i < 30; ++i) {
      switch (random.below(3)) {
        case 0: {
          auto made = with_cancel(ctx);
          ctx = made.ctx;
          cancels.push_back(std::move(made.cancel));
          break;
        }
        case 1: {
          auto made = with_timeout(ctx, 1h + random.below(100) * 1ms);
          ctx = made.ctx;
          cancels.push_back(std::move(made.cancel));
          break;
        }
        default:
          ctx = with_value<Number>(ctx, ++value);
      }
    }
    EXPECT_EQ(*ctx.value<Number>(), value);
    EXPECT_FALSE(ctx.is_done());
    if (by_timeout) {
      time.advance(200ms);
    } else {
      cancel_root();
    }
    EXPECT_EQ(ctx.err(), by_timeout ? Error::deadline_exceeded : Error::canceled);
    EXPECT_EQ(*ctx.value<Number>(), value);
  }
}

TEST(Context, AMillionChildrenLeaveALongLivedParent) {
  VirtualTime time;
  auto [parent, cancel] = with_timeout(Context(), 1h);
  for (int i = 0; i < 1'000'000; ++i) {
    auto [child, cancel_child] = with_timeout(parent, 1min);
    ASSERT_FALSE(child.is_done());
  }
  EXPECT_EQ(time.loop().next_timer().has_value(), true) << "the parent's own";
  auto [last, cancel_last] = with_cancel(parent);
  cancel();
  EXPECT_TRUE(last.is_done());
  EXPECT_FALSE(time.loop().next_timer().has_value()) << "no timer of a child is left";
}

TEST(Context, AMillionLivingChildrenAllEnd) {
  auto [parent, cancel] = with_cancel(Context());
  std::vector<Cancellable> children;
  for (int i = 0; i < 1'000'000; ++i) children.push_back(with_cancel(parent));
  cancel(kParentCause);
  for (const Cancellable& child : children) ASSERT_EQ(child.ctx.cause(), kParentCause);
}

TEST(Context, AVeryDeepTreeNeedsNoStack) {
  std::vector<Cancel> cancels;
  auto [root, cancel] = with_cancel(Context());
  Context ctx = root;
  for (int i = 0; i < 300'000; ++i) {
    auto made = with_cancel(with_value<Number>(ctx, i));
    ctx = made.ctx;
    cancels.push_back(std::move(made.cancel));
  }
  cancel();
  EXPECT_TRUE(ctx.is_done());
  // Destroyed from the leaf upwards by the last handle.
  while (!cancels.empty()) cancels.erase(cancels.begin(), cancels.end());
}

TEST(Context, OutlivesTheLoopThatKeptItsDeadline) {
  const sluice::test::AllowLeftovers its_timer;
  Context kept;
  Cancel cancel_kept;
  {
    VirtualTime time;
    auto made = with_timeout(Context(), 1h);
    kept = made.ctx;
    cancel_kept = std::move(made.cancel);
  }
  EXPECT_FALSE(kept.is_done());
  {
    VirtualTime another;  // perhaps at the same address
    cancel_kept();
    another.advance(2h);
  }
  EXPECT_EQ(kept.err(), Error::canceled);
}

// --- after_func -----------------------------------------------------------------------------------------------------

TEST(AfterFunc, RunsOnceTheContextIsDoneInATurnOfItsOwn) {
  VirtualTime time;
  auto [ctx, cancel] = with_cancel(Context());
  int ran = 0;
  const Stop stop = after_func(ctx, [&ran, held = std::make_unique<int>(1)] { ran += *held; });
  time.settle();
  EXPECT_EQ(ran, 0);
  cancel();
  EXPECT_EQ(ran, 0) << "never on the stack of whoever cancels";
  time.settle();
  EXPECT_EQ(ran, 1);
  EXPECT_FALSE(stop()) << "it has run";
  (void)after_func(ctx, [&ran] { ++ran; });
  EXPECT_EQ(ran, 1);
  time.settle();
  EXPECT_EQ(ran, 2) << "a done context counts at once";
}

TEST(AfterFunc, RunsAtADeadlineOfAnAncestor) {
  VirtualTime time;
  auto [parent, cancel_parent] = with_timeout(Context(), 10ms);
  auto [ctx, cancel] = with_cancel(parent);
  bool ran = false;
  (void)after_func(ctx, [&ran] { ran = true; });
  time.advance(9ms);
  EXPECT_FALSE(ran);
  time.advance(1ms);
  EXPECT_TRUE(ran);
}

TEST(AfterFunc, IsStoppedOnceAndThenNeverRuns) {
  VirtualTime time;
  auto [ctx, cancel] = with_cancel(Context());
  bool ran = false;
  const auto held = std::make_shared<int>(0);
  const Stop stop = after_func(ctx, [&ran, held] { ran = true; });
  EXPECT_TRUE(stop());
  EXPECT_FALSE(stop());
  cancel();
  time.settle();
  EXPECT_FALSE(ran);
  const Stop never = after_func(Context(), [&ran] { ran = true; });
  EXPECT_TRUE(never());
  EXPECT_FALSE(never());
}

TEST(AfterFunc, LetsGoOfWhatItHolds) {
  const auto held = std::make_shared<int>(0);
  {
    VirtualTime time;
    auto [ctx, cancel] = with_cancel(Context());
    (void)after_func(ctx, [held] {});
    (void)after_func(Context(), [held] {});
    (void)after_func(without_cancel(ctx), [held] {})();
    EXPECT_EQ(held.use_count(), 2) << "of three only the first can ever run";
    cancel();
  }
  EXPECT_EQ(held.use_count(), 1) << "even if its loop died before it ran";
}

}  // namespace
}  // namespace sluice::concurrency
