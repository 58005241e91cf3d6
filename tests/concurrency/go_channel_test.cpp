// What Go's tests of channels and select insist on: runtime/chan_test.go, test/chan, in our own words.
#include "concurrency/channel.hpp"
#include "concurrency/select.hpp"
#include "concurrency/sleep.hpp"
#include "concurrency/virtual_time.hpp"
#include "support/leak_check.hpp"
#include "support/loop_threads.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::concurrency {
namespace {

using namespace std::chrono_literals;
using sluice::test::AllowLeftovers;
using sluice::test::LoopThreads;

// --------------------------------- which operations block (test/chan/select3.go)

enum class State : std::uint8_t { nil, empty, full, unbuffered, closed, closed_with_a_value };
enum class Does : std::uint8_t { blocks, succeeds, finds_it_closed };

Channel<int> channel_in(State state) {
  if (state == State::nil) return {};
  const bool buffered = state != State::unbuffered;
  Channel<int> channel(buffered ? 1 : 0);
  if (state == State::full || state == State::closed_with_a_value) (void)channel.try_send(7);
  if (state == State::closed || state == State::closed_with_a_value) (void)channel.close();
  return channel;
}

Task<Does> send_plainly(Channel<int> channel) {
  const Result<> sent = co_await channel.send({}, 1);
  co_return sent ? Does::succeeds : Does::finds_it_closed;
}
Task<Does> send_by_select(Channel<int> channel) {
  int value = 1;
  try {
    (void)co_await select(when_sent(channel, value));
  } catch (const boost::system::system_error& e) {
    EXPECT_EQ(e.code(), Error::closed);
    co_return Does::finds_it_closed;
  }
  co_return Does::succeeds;
}
Task<Does> receive_plainly(Channel<int> channel) {
  const Result<int> got = co_await channel.receive({});
  co_return got ? Does::succeeds : Does::finds_it_closed;
}
Task<Does> receive_by_select(Channel<int> channel) {
  std::optional<int> got;
  (void)co_await select(when_received(channel, got));
  co_return got ? Does::succeeds : Does::finds_it_closed;
}
Task<Does> send_or_not(Channel<int> channel) {
  int value = 1;
  try {
    const std::size_t fired = co_await select(when_sent(channel, value), otherwise());
    co_return fired == 0 ? Does::succeeds : Does::blocks;
  } catch (const boost::system::system_error&) {
    co_return Does::finds_it_closed;
  }
}
Task<Does> receive_or_not(Channel<int> channel) {
  std::optional<int> got;
  const std::size_t fired = co_await select(when_received(channel, got), otherwise());
  if (fired == 1) co_return Does::blocks;
  co_return got ? Does::succeeds : Does::finds_it_closed;
}
Task<Does> try_send(Channel<int> channel) {
  const Result<bool> tried = channel.try_send(1);
  if (!tried) co_return Does::finds_it_closed;
  co_return *tried ? Does::succeeds : Does::blocks;
}
Task<Does> try_receive(Channel<int> channel) {
  const Result<std::optional<int>> tried = channel.try_receive();
  if (!tried) co_return Does::finds_it_closed;
  co_return tried->has_value() ? Does::succeeds : Does::blocks;
}

TEST(GoChannel, BlocksExactlyWhereGosDoesInWhateverWayItIsAsked) {
  const AllowLeftovers blocked_on_purpose;
  struct Row {
    State state;
    Does sending;
    Does receiving;
  };
  const std::array<Row, 6> rows{{{State::nil, Does::blocks, Does::blocks},
                                 {State::empty, Does::succeeds, Does::blocks},
                                 {State::full, Does::blocks, Does::succeeds},
                                 {State::unbuffered, Does::blocks, Does::blocks},
                                 {State::closed, Does::finds_it_closed, Does::finds_it_closed},
                                 {State::closed_with_a_value, Does::finds_it_closed, Does::succeeds}}};
  using Way = Task<Does> (*)(Channel<int>);
  const std::array<Way, 4> sends{&send_plainly, &send_by_select, &send_or_not, &try_send};
  const std::array<Way, 4> receives{&receive_plainly, &receive_by_select, &receive_or_not, &try_receive};
  for (const Row& row : rows) {
    for (const bool is_send : {true, false}) {
      for (std::size_t way = 0; way < 4; ++way) {
        VirtualTime time;
        auto asked = time.spawn((is_send ? sends : receives)[way](channel_in(row.state)));
        time.advance(1h);
        EXPECT_EQ(asked.done() ? asked.get() : Does::blocks, is_send ? row.sending : row.receiving)
            << "state " << static_cast<int>(row.state) << (is_send ? " send " : " receive ") << way;
      }
    }
  }
}

Task<std::size_t> receive_or_default(Channel<int> a, std::optional<int>& out) {
  co_return co_await select(when_received(a, out), otherwise());
}
Task<std::size_t> receive_either(Channel<int> a, Channel<int> b, std::optional<int>& out_a, std::optional<int>& out_b) {
  co_return co_await select(when_received(a, out_a), when_received(b, out_b));
}

TEST(GoSelect, WhatACaseReceivesIntoIsLeftAloneUnlessItFires) {
  VirtualTime time;
  const Channel<int> never(0);
  std::optional<int> last = 3;
  EXPECT_EQ(time.run(receive_or_default(never, last)), 1U);
  EXPECT_EQ(last, 3) << "after a default";
  const Channel<int> ready(1);
  for (int i = 0; i < 20; ++i) {
    (void)ready.try_send(i);
    std::optional<int> got;
    EXPECT_EQ(time.run(receive_either(never, ready, last, got)), 1U);
    EXPECT_EQ(got, i);
    EXPECT_EQ(last, 3) << "after another that was ready";
  }
  std::optional<int> got;
  auto waiting = time.spawn(receive_either(never, ready, last, got));
  time.settle();
  (void)ready.try_send(9);
  time.settle();
  EXPECT_EQ(waiting.get(), 1U);
  EXPECT_EQ(last, 3) << "after another that was waited for";
}

/// Looks at the channel that it came through when it dies.
class Seat {
 public:
  explicit Seat(std::function<void()> look) : look_(std::move(look)) {}
  Seat(Seat&& other) noexcept : look_(std::exchange(other.look_, nullptr)) {}
  Seat& operator=(Seat&& other) noexcept {
    std::swap(look_, other.look_);
    return *this;
  }
  ~Seat() {
    if (look_) look_();
  }

 private:
  std::function<void()> look_;
};

Task<std::size_t> take_seat(Channel<Seat> seats, std::optional<Seat>& seat) {
  co_return co_await select(when_received(seats, seat));
}

TEST(GoSelect, TheValueThatIsReplacedMayUseTheChannelWhenItDies) {
  VirtualTime time;
  const Channel<Seat> seats(2);
  int looked = 0;
  const auto look = [&] {
    ++looked;
    EXPECT_EQ(seats.size(), 0U);
  };
  std::optional<Seat> seat(std::in_place, look);
  (void)seats.try_send(Seat(look));
  EXPECT_EQ(time.run(take_seat(seats, seat)), 0U);
  auto waiting = time.spawn(take_seat(seats, seat));
  time.settle();
  (void)seats.try_send(Seat(look));
  time.settle();
  EXPECT_TRUE(waiting.done());
  EXPECT_EQ(looked, 2);
}

// --------------------------------- order (test/chan/fifo.go), chains (test/chan/goroutines.go)

Task<> pass_on(Channel<int> in, Channel<int> out) {
  const Result<int> got = co_await in.receive({});
  if (got) (void)co_await out.send({}, *got + 1);
}

TEST(GoChannel, AValueGoesThroughAChainOfTenThousand) {
  VirtualTime time;
  const Channel<int> first(0);
  Channel<int> last = first;
  for (int i = 0; i < 10'000; ++i) {
    const Channel<int> next(0);
    (void)time.spawn(pass_on(last, next));
    last = next;
  }
  time.settle();
  EXPECT_TRUE(first.try_send(0).value());
  EXPECT_EQ(time.run(last.receive({})).value(), 10'000);
}

// --------------------------------- select with waiters of several selects (test/chan/select6.go)

TEST(GoSelect, ALoserLeavesTheMiddleOfALineAndTheOthersStayInIt) {
  VirtualTime time;
  const Channel<int> line(0);
  const Channel<int> other(0);
  std::optional<int> from_line;
  std::optional<int> from_other;
  auto first = time.spawn(line.receive({}));
  time.settle();
  auto middle = time.spawn(receive_either(line, other, from_line, from_other));
  time.settle();
  auto last = time.spawn(line.receive({}));
  time.settle();
  EXPECT_TRUE(other.try_send(5).value());
  time.settle();
  EXPECT_EQ(middle.get(), 1U);
  EXPECT_TRUE(line.try_send(1).value());
  EXPECT_TRUE(line.try_send(2).value());
  EXPECT_FALSE(line.try_send(3).value());
  time.settle();
  EXPECT_EQ(first.get().value(), 1);
  EXPECT_EQ(last.get().value(), 2);
}

// --------------------------------- on threads: trying beside close and send (TestNonblockRecvRace and its kin)

Task<> close_it(Channel<int> channel) {
  (void)channel.close();
  co_return;
}
Task<bool> finds_a_value(Channel<int> channel) {
  std::optional<int> got;
  const std::size_t fired = co_await select(when_received(channel, got), otherwise());
  co_return fired == 0 && got.has_value();
}
Task<bool> finds_either(Channel<int> a, Channel<int> b) {
  std::optional<int> got;
  const std::size_t fired = co_await select(when_received(a, got), when_received(b, got), otherwise());
  co_return fired != 2;
}
Task<> fill_and_take(Channel<int> fill, Channel<int> take, bool close) {
  if (close) {
    (void)fill.close();
  } else {
    (void)fill.try_send(1);
  }
  std::optional<int> got;
  (void)co_await select(when_received(take, got), otherwise());
}

TEST(GoSelectThreads, ADefaultNeverFiresWhileSomethingIsReadyAllTheTime) {
  LoopThreads loops(2);
  for (int i = 0; i < 2000; ++i) {
    {
      const Channel<int> channel(1);
      (void)channel.try_send(1);
      auto found = loops.spawn(0, finds_a_value(channel));
      auto closed = loops.spawn(1, close_it(channel));
      closed.get();
      EXPECT_TRUE(found.get()) << "buffered before the close";
    }
    {
      const Channel<int> a(1);
      const Channel<int> b(1);
      (void)a.try_send(1);
      auto found = loops.spawn(0, finds_either(a, b));
      auto filled = loops.spawn(1, fill_and_take(b, a, i % 2 == 0));
      filled.get();
      EXPECT_TRUE(found.get()) << "one of the two was ready at every moment";
    }
  }
}

// --------------------------------- on threads: the storm of TestSelectStress

constexpr int kEach = 2000;
using Four = std::array<Channel<int>, 4>;

Task<> send_all(Channel<int> channel) {
  for (int i = 0; i < kEach; ++i) (void)co_await channel.send({}, i);
}
Task<> receive_all(Channel<int> channel) {
  for (int i = 0; i < kEach; ++i) EXPECT_TRUE((co_await channel.receive({})).has_value());
}
Task<> send_to_all_by_select(Four channels) {
  std::array<int, 4> sent{};
  for (int i = 0; i < 4 * kEach; ++i) {
    int value = i;
    const std::size_t fired = co_await select(when_sent(channels[0], value), when_sent(channels[1], value),
                                              when_sent(channels[2], value), when_sent(channels[3], value));
    if (++sent[fired] == kEach) channels[fired] = {};
  }
}
Task<> receive_from_all_by_select(Four channels) {
  std::array<int, 4> received{};
  for (int i = 0; i < 4 * kEach; ++i) {
    std::optional<int> got;
    const std::size_t fired = co_await select(when_received(channels[0], got), when_received(channels[1], got),
                                              when_received(channels[2], got), when_received(channels[3], got));
    EXPECT_TRUE(got.has_value());
    if (++received[fired] == kEach) channels[fired] = {};
  }
}

TEST(GoSelectThreads, PlainAndSelectedOperationsOnFourChannelsAllComeToTheirEnd) {
  LoopThreads loops(4);
  const Four channels{Channel<int>(0), Channel<int>(0), Channel<int>(2), Channel<int>(3)};
  std::vector<std::future<void>> tasks;
  for (std::size_t i = 0; i < 4; ++i) {
    tasks.push_back(loops.spawn(i, send_all(channels[i])));
    tasks.push_back(loops.spawn(i + 1, receive_all(channels[i])));
  }
  tasks.push_back(loops.spawn(2, send_to_all_by_select(channels)));
  tasks.push_back(loops.spawn(3, receive_from_all_by_select(channels)));
  for (auto& task : tasks) task.get();
  for (const Channel<int>& channel : channels) EXPECT_EQ(channel.size(), 0U);
}

// --------------------------------- on threads: test/chan/doubleselect.go

Task<> send_once_each(Four channels, int count) {
  for (int i = 0; i < count; ++i) {
    int value = i;
    (void)co_await select(when_sent(channels[0], value), when_sent(channels[1], value), when_sent(channels[2], value),
                          when_sent(channels[3], value));
  }
  for (Channel<int>& channel : channels) (void)channel.close();
}
Task<> forward(Channel<int> in, Channel<int> out) {
  for (;;) {
    const Result<int> got = co_await in.receive({});
    if (!got) break;
    (void)co_await out.send({}, *got);
  }
  (void)co_await out.send({}, -1);
}
Task<std::vector<int>> count_values(Channel<int> in, int count) {
  std::vector<int> seen(static_cast<std::size_t>(count));
  for (int open = 4; open != 0;) {
    const Result<int> got = co_await in.receive({});
    if (*got < 0) {
      --open;
    } else {
      ++seen[static_cast<std::size_t>(*got)];
    }
  }
  co_return seen;
}

TEST(GoSelectThreads, AValueOfferedToFourGoesToOne) {
  constexpr int kCount = 10'000;
  LoopThreads loops(4);
  const Four channels{Channel<int>(0), Channel<int>(0), Channel<int>(0), Channel<int>(0)};
  const Channel<int> merged(0);
  std::vector<std::future<void>> tasks;
  tasks.push_back(loops.spawn(0, send_once_each(channels, kCount)));
  for (std::size_t i = 0; i < 4; ++i) tasks.push_back(loops.spawn(i, forward(channels[i], merged)));
  auto seen = loops.spawn(3, count_values(merged, kCount));
  EXPECT_EQ(seen.get(), std::vector<int>(kCount, 1));
  for (auto& task : tasks) task.get();
}

}  // namespace
}  // namespace sluice::concurrency
