// Channel: Go's semantics, and the two cancel races.
#include "concurrency/channel.hpp"

#include "concurrency/virtual_time.hpp"

#include <memory>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::concurrency {
namespace {

using namespace std::chrono_literals;
using boost::system::error_code;

template <class T>
error_code code(const Result<T>& result) {
  return result.has_error() ? result.error() : error_code();
}

Task<Result<>> send(Context ctx, Channel<int> channel, int value) {
  co_return co_await channel.send(ctx, value);
}
Task<Result<int>> receive(Context ctx, Channel<int> channel) {
  co_return co_await channel.receive(ctx);
}

TEST(Channel, UnbufferedIsARendezvous) {
  VirtualTime time;
  Channel<int> channel(0);
  EXPECT_EQ(channel.capacity(), 0U);
  EXPECT_FALSE(channel.try_send(1).value()) << "nobody receives";
  EXPECT_FALSE(channel.try_receive().value().has_value());
  auto sender = time.spawn(send({}, channel, 1));
  time.settle();
  EXPECT_FALSE(sender.done()) << "a send ends when the value was taken";
  EXPECT_EQ(channel.size(), 0U);
  EXPECT_EQ(time.run(receive({}, channel)).value(), 1);
  EXPECT_TRUE(sender.done());
  auto receiver = time.spawn(receive({}, channel));
  time.settle();
  EXPECT_FALSE(receiver.done());
  EXPECT_TRUE(channel.try_send(2).value());
  time.settle();
  EXPECT_EQ(receiver.get().value(), 2);
}

TEST(Channel, BufferedBlocksOnlyWhenFullOrEmpty) {
  for (int capacity = 1; capacity <= 10; ++capacity) {
    VirtualTime time;
    Channel<int> channel(static_cast<std::size_t>(capacity));
    auto early = time.spawn(receive({}, channel));
    time.settle();
    EXPECT_FALSE(early.done());
    EXPECT_TRUE(channel.try_send(-1).value());
    time.settle();
    EXPECT_EQ(early.get().value(), -1);
    for (int i = 0; i < capacity; ++i) {
      EXPECT_EQ(channel.size(), static_cast<std::size_t>(i));
      EXPECT_TRUE(time.run(send({}, channel, i)).has_value());
    }
    EXPECT_FALSE(channel.try_send(99).value()) << "full";
    auto late = time.spawn(send({}, channel, capacity));
    time.settle();
    EXPECT_FALSE(late.done());
    for (int i = 0; i <= capacity; ++i) EXPECT_EQ(time.run(receive({}, channel)).value(), i) << "in order";
    EXPECT_TRUE(late.done());
    EXPECT_EQ(channel.size(), 0U);
  }
}

TEST(Channel, ServesBothSidesInOrderOfArrival) {
  VirtualTime time;
  Channel<int> channel(0);
  std::vector<Spawned<Result<int>>> receivers;
  for (int i = 0; i < 5; ++i) receivers.push_back(time.spawn(receive({}, channel)));
  time.settle();
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(channel.try_send(i).value());
  time.settle();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(receivers[static_cast<std::size_t>(i)].get().value(), i);
  std::vector<Spawned<Result<>>> senders;
  for (int i = 0; i < 5; ++i) senders.push_back(time.spawn(send({}, channel, i)));
  time.settle();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(*channel.try_receive().value(), i);
  time.settle();
}

TEST(Channel, CloseLetsReceiversDrainAndThenTellsThem) {
  VirtualTime time;
  Channel<int> channel(3);
  for (int i = 1; i <= 3; ++i) EXPECT_TRUE(channel.try_send(i).value());
  EXPECT_TRUE(channel.close().has_value());
  EXPECT_EQ(time.run(receive({}, channel)).value(), 1);
  EXPECT_EQ(*channel.try_receive().value(), 2);
  EXPECT_EQ(time.run(receive({}, channel)).value(), 3);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(code(time.run(receive({}, channel))), Error::closed);
    EXPECT_EQ(code(channel.try_receive()), Error::closed);
  }
}

TEST(Channel, CloseWakesAllWhoWait) {
  VirtualTime time;
  Channel<int> channel(0);
  auto a = time.spawn(receive({}, channel));
  auto b = time.spawn(receive({}, channel));
  time.settle();
  EXPECT_TRUE(channel.close().has_value());
  time.settle();
  EXPECT_EQ(code(a.get()), Error::closed);
  EXPECT_EQ(code(b.get()), Error::closed);

  Channel<int> full(1);
  EXPECT_TRUE(full.try_send(0).value());
  auto c = time.spawn(send({}, full, 1));
  time.settle();
  EXPECT_TRUE(full.close().has_value());
  time.settle();
  EXPECT_EQ(code(c.get()), Error::closed) << "a sender that waits learns of it, too";
  EXPECT_EQ(*full.try_receive().value(), 0) << "what was buffered stays";
  EXPECT_EQ(code(full.try_receive()), Error::closed) << "and what was not is not";
}

TEST(Channel, MisuseIsAnError) {
  VirtualTime time;
  Channel<int> channel(1);
  EXPECT_TRUE(channel.close().has_value());
  EXPECT_EQ(code(channel.close()), Error::closed);
  EXPECT_EQ(code(channel.try_send(1)), Error::closed);
  EXPECT_EQ(code(time.run(send({}, channel, 1))), Error::closed);
  EXPECT_THROW((void)Channel<int>().close(), std::logic_error);
}

TEST(Channel, ANilChannelBlocksForEver) {
  VirtualTime time;
  const Channel<int> nil;
  EXPECT_TRUE(nil.is_nil());
  EXPECT_EQ(nil.size(), 0U);
  EXPECT_EQ(nil.capacity(), 0U);
  EXPECT_FALSE(Channel<int>().try_send(1).value());
  EXPECT_FALSE(Channel<int>().try_receive().value().has_value());
  auto [ctx, cancel] = with_timeout(Context(), 1h);
  auto a = time.spawn(send(ctx, nil, 1));
  auto b = time.spawn(receive(ctx, nil));
  time.advance(1h - 1ms);
  EXPECT_FALSE(a.done());
  time.advance(1ms);
  EXPECT_EQ(code(a.get()), Error::deadline_exceeded);
  EXPECT_EQ(code(b.get()), Error::deadline_exceeded);
}

TEST(Channel, HandlesShareOneChannel) {
  Channel<int> a(1);
  const Channel<int> b = a;
  EXPECT_EQ(a, b);
  EXPECT_TRUE(a.try_send(7).value());
  EXPECT_EQ(b.size(), 1U);
  EXPECT_FALSE(a == Channel<int>(1));
}

TEST(Channel, EndsWithItsContext) {
  VirtualTime time;
  Channel<int> channel(0);
  auto [ctx, cancel] = with_cancel(Context());
  auto a = time.spawn(send(ctx, channel, 1));
  auto b = time.spawn(receive(with_timeout(Context(), 0s).ctx, channel));
  time.settle();
  EXPECT_EQ(code(b.get()), Error::deadline_exceeded) << "a done context comes first, even if a value is there";
  EXPECT_FALSE(a.done());
  cancel();
  time.settle();
  EXPECT_EQ(code(a.get()), Error::canceled);
  EXPECT_FALSE(channel.try_receive().value().has_value()) << "its value left with it";
}

// The first cancel race: the value was handed over, then the context ended. The operation counts.
TEST(Channel, GrantedThenCancelledIsGranted) {
  VirtualTime time;
  Channel<int> channel(0);
  auto [ctx, cancel] = with_cancel(Context());
  auto receiver = time.spawn(receive(ctx, channel));
  time.settle();
  EXPECT_TRUE(channel.try_send(5).value());
  cancel();
  time.settle();
  EXPECT_EQ(receiver.get().value(), 5);

  auto [ctx2, cancel2] = with_cancel(Context());
  auto sender = time.spawn(send(ctx2, channel, 6));
  time.settle();
  EXPECT_EQ(*channel.try_receive().value(), 6);
  cancel2();
  time.settle();
  EXPECT_TRUE(sender.get().has_value());
}

// The second: the one at the front of the queue is cancelled and has not run yet. The next in line is served.
TEST(Channel, CancelledAtTheFrontDoesNotSwallowTheTurn) {
  VirtualTime time;
  Channel<int> channel(0);
  auto [ctx, cancel] = with_cancel(Context());
  auto first = time.spawn(receive(ctx, channel));
  auto second = time.spawn(receive({}, channel));
  time.settle();
  cancel();
  EXPECT_TRUE(channel.try_send(5).value());
  time.settle();
  EXPECT_EQ(code(first.get()), Error::canceled);
  EXPECT_EQ(second.get().value(), 5);

  auto [ctx2, cancel2] = with_cancel(Context());
  auto third = time.spawn(send(ctx2, channel, 1));
  auto fourth = time.spawn(send({}, channel, 2));
  time.settle();
  cancel2();
  EXPECT_EQ(*channel.try_receive().value(), 2);
  time.settle();
  EXPECT_EQ(code(third.get()), Error::canceled);
  EXPECT_TRUE(fourth.get().has_value());
}

Task<Result<>> send_unique(Context ctx, Channel<std::unique_ptr<int>> channel, std::unique_ptr<int>& value) {
  co_return co_await channel.send_from(ctx, value);
}

TEST(Channel, CarriesMoveOnlyValuesAndKeepsThoseItCouldNotSend) {
  VirtualTime time;
  Channel<std::unique_ptr<int>> channel(1);
  EXPECT_TRUE(channel.try_send(std::make_unique<int>(1)).value());
  auto rejected = std::make_unique<int>(2);
  EXPECT_FALSE(channel.try_send(std::move(rejected)).value());
  ASSERT_NE(rejected, nullptr);
  auto [ctx, cancel] = with_timeout(Context(), 1ms);
  EXPECT_EQ(code(time.run(send_unique(ctx, channel, rejected))), Error::deadline_exceeded);
  ASSERT_NE(rejected, nullptr);
  EXPECT_EQ(**channel.try_receive().value(), 1);
  EXPECT_TRUE(time.run(send_unique({}, channel, rejected)).has_value());
  EXPECT_EQ(rejected, nullptr);
  (void)channel.close();
  auto more = std::make_unique<int>(3);
  EXPECT_EQ(code(time.run(send_unique({}, channel, more))), Error::closed);
  EXPECT_NE(more, nullptr);
}

TEST(Channel, DestroysWhatIsLeftInTheBuffer) {
  const auto tracked = std::make_shared<int>(0);
  {
    Channel<std::shared_ptr<int>> channel(4);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(channel.try_send(tracked).value());
    EXPECT_EQ(tracked.use_count(), 4);
    EXPECT_TRUE(channel.try_receive().has_value());
    EXPECT_EQ(tracked.use_count(), 3) << "a slot that was read keeps nothing alive";
  }
  EXPECT_EQ(tracked.use_count(), 1);
}

Task<int> sum_until_closed(Channel<int> channel) {
  int sum = 0;
  for (;;) {
    const auto value = co_await channel.receive({});
    if (!value) co_return sum;
    sum += *value;
  }
}
Task<> send_range(Channel<int> channel, int from, int to) {
  for (int i = from; i < to; ++i) (void)co_await channel.send({}, i);
}

TEST(Channel, IsReceivedFromUntilClosed) {
  for (const std::size_t capacity : {0U, 1U, 7U}) {
    VirtualTime time;
    Channel<int> channel(capacity);
    auto sum = time.spawn(sum_until_closed(channel));
    time.run(send_range(channel, 0, 100));
    (void)channel.close();
    time.settle();
    EXPECT_EQ(sum.get(), 4950);
  }
}

Task<int> send_and_receive_alone(Channel<int> channel, int rounds) {
  int last = 0;
  for (int i = 0; i < rounds; ++i) {
    (void)co_await channel.send({}, i);
    last = *(co_await channel.receive({}));
  }
  co_return last;
}

TEST(Channel, MillionsOfReadyOperationsNeedNoStack) {
  VirtualTime time;
  EXPECT_EQ(time.run(send_and_receive_alone(Channel<int>(1), 1'000'000)), 999'999);
}

// Prime sieve, as in Go's chan tests: a chain of channels that grows.
Task<> generate(Channel<int> out, Context ctx) {
  for (int i = 2; (co_await out.send(ctx, i)).has_value(); ++i) {
  }
}
Task<> filter(Channel<int> in, Channel<int> out, int prime, Context ctx) {
  for (;;) {
    const auto value = co_await in.receive(ctx);
    if (!value) co_return;
    if (*value % prime != 0 && !(co_await out.send(ctx, *value))) co_return;
  }
}
Task<std::vector<int>> primes(VirtualTime& time, int count) {
  auto [ctx, cancel] = with_cancel(Context());
  std::vector<int> found;
  Channel<int> channel(0);
  (void)time.spawn(generate(channel, ctx));
  for (int i = 0; i < count; ++i) {
    const int prime = *(co_await channel.receive(ctx));
    found.push_back(prime);
    Channel<int> next(0);
    (void)time.spawn(filter(channel, next, prime, ctx));
    channel = next;
  }
  co_return found;
}

TEST(Channel, SievesPrimes) {
  VirtualTime time;
  const auto found = time.run(primes(time, 100));
  EXPECT_EQ(found.back(), 541);
  time.settle();
}

}  // namespace
}  // namespace sluice::concurrency
