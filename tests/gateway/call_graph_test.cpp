// The graph of calls: inputs, dependants, cycles.
#include "gateway/call_graph.hpp"

#include <cstddef>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

using Calls = std::vector<std::size_t>;
using Cycles = std::vector<Calls>;

/// `needs`: a call and one of its inputs.
CallGraph graph(std::size_t calls, const std::vector<std::pair<std::size_t, std::size_t>>& needs) {
  CallGraph result(calls);
  for (const auto& [call, input] : needs) result.add(call, Calls{input});
  return result;
}

TEST(CallGraph, KnowsInputsAndDependantsOnce) {
  CallGraph diamond = graph(4, {{3, 1}, {3, 2}, {1, 0}, {2, 0}});
  diamond.add(3, Calls{2, 1, 2});
  EXPECT_EQ(diamond.inputs(0), Calls{});
  EXPECT_EQ(diamond.inputs(3), (Calls{1, 2}));
  EXPECT_EQ(diamond.dependants(0), (Calls{1, 2}));
  EXPECT_EQ(diamond.dependants(3), Calls{});
}

TEST(CallGraph, HasNoCycleWhereCallsCanBeMade) {
  EXPECT_EQ(graph(0, {}).cycles(), Cycles{});
  EXPECT_EQ(graph(4, {{3, 1}, {3, 2}, {1, 0}, {2, 0}}).cycles(), Cycles{});
  CallGraph chain(100'000);
  for (std::size_t i = 0; i + 1 < 100'000; ++i) chain.add(i, Calls{i + 1});
  EXPECT_EQ(chain.cycles(), Cycles{});
}

TEST(CallGraph, FindsTheWaysOnWhichCallsWaitForThemselves) {
  EXPECT_EQ(graph(1, {{0, 0}}).cycles(), (Cycles{{0, 0}}));
  EXPECT_EQ(graph(2, {{0, 1}, {1, 0}}).cycles(), (Cycles{{0, 1, 0}}));
  EXPECT_EQ(graph(4, {{0, 1}, {1, 2}, {2, 3}, {3, 1}}).cycles(), (Cycles{{1, 2, 3, 1}}));
  EXPECT_EQ(graph(5, {{0, 1}, {1, 0}, {2, 0}, {3, 4}, {4, 3}}).cycles(), (Cycles{{0, 1, 0}, {3, 4, 3}}));
  EXPECT_EQ(graph(3, {{0, 1}, {0, 2}, {1, 0}, {2, 0}}).cycles(), (Cycles{{0, 1, 0}, {0, 2, 0}}));
}

}  // namespace
}  // namespace sluice::gateway
