// select: how long the channels of its cases live.
#include "concurrency/select.hpp"
#include "concurrency/virtual_time.hpp"

#include <memory>
#include <optional>

#include <gtest/gtest.h>

namespace sluice::concurrency {
namespace {

Channel<int> made_with(int value) {
  Channel<int> made(1);
  (void)made.try_send(value);
  return made;
}

Task<std::size_t> receive_from_temporaries(std::optional<int>& out) {
  co_return co_await select(when_received(Channel<int>(0), out), when_received(made_with(4), out));
}

TEST(Select, KeepsTheChannelsThatAreTemporary) {
  VirtualTime time;
  std::optional<int> out;
  EXPECT_EQ(time.run(receive_from_temporaries(out)), 1U);
  EXPECT_EQ(out, 4);
}

// Not a coroutine: `mine` is gone when the task starts.
Task<std::size_t> receive_later(Channel<int> mine, std::optional<int>& out) {
  return select(when_received(mine, out));
}

TEST(Select, AsATaskOwnsItsChannels) {
  VirtualTime time;
  std::optional<int> out;
  EXPECT_EQ(time.run(receive_later(made_with(4), out)), 0U);
  EXPECT_EQ(out, 4);
}

TEST(Select, OwnsItsChannelsWhileItWaits) {
  VirtualTime time;
  auto channel = std::make_unique<Channel<int>>(0);
  const Channel<int> same = *channel;
  std::optional<int> out;
  const auto receive = [](Channel<int>& from, std::optional<int>& to) -> Task<std::size_t> {
    co_return co_await select(when_received(from, to));
  };
  auto selected = time.spawn(receive(*channel, out));
  time.settle();
  channel.reset();
  EXPECT_TRUE(same.try_send(4).value());
  time.settle();
  EXPECT_EQ(selected.get(), 0U);
  EXPECT_EQ(out, 4);
}

}  // namespace
}  // namespace sluice::concurrency
