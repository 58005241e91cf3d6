// Channels and select on one thread.
#include "concurrency/bench/bench.hpp"
#include "concurrency/channel.hpp"
#include "concurrency/errgroup.hpp"
#include "concurrency/select.hpp"

#include <cstdlib>

#include <boost/asio/detached.hpp>

namespace sluice::bench {
namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

void spawn(Task<> task) {
  boost::asio::co_spawn(Loop::current().executor(), std::move(task), boost::asio::detached);
}

Task<> echo(Channel<int> from, Channel<int> to) {
  for (;;) {
    const auto value = co_await from.receive({});
    if (!value) co_return;
    (void)co_await to.send({}, *value);
  }
}

Task<> channel_ping_pong(benchmark::State& state) {
  Channel<int> ping(0);
  Channel<int> pong(0);
  spawn(echo(ping, pong));
  {
    const Counted counted(state);
    for (int i = 0; state.KeepRunning(); ++i) {
      (void)co_await ping.send({}, i);
      must((co_await pong.receive({})).has_value());
    }
  }
  (void)ping.close();
}
BENCHMARK(measure<channel_ping_pong>)->Name("ChannelPingPong");

Task<> drain(Channel<int> from, Channel<int> ended) {
  for (;;) {
    const auto value = co_await from.receive({});
    if (!value) break;
  }
  (void)ended.close();
}

Task<> channel_stream(benchmark::State& state) {
  Channel<int> stream(64);
  Channel<int> ended(0);
  spawn(drain(stream, ended));
  {
    const Counted counted(state);
    for (int i = 0; state.KeepRunning(); ++i) (void)co_await stream.send({}, i);
  }
  (void)stream.close();
  (void)co_await ended.receive({});
}
BENCHMARK(measure<channel_stream>)->Name("ChannelStream");

Task<> channel_send_receive(benchmark::State& state) {
  Channel<int> channel(1);
  const Counted counted(state);
  for (int i = 0; state.KeepRunning(); ++i) {
    (void)co_await channel.send({}, i);
    must((co_await channel.receive({})).has_value());
  }
}
BENCHMARK(measure<channel_send_receive>)->Name("ChannelSendReceive");

Task<> channel_send_receive_context(benchmark::State& state) {
  Channel<int> channel(1);
  auto [ctx, cancel] = with_cancel(Context());
  const Counted counted(state);
  for (int i = 0; state.KeepRunning(); ++i) {
    (void)co_await channel.send(ctx, i);
    must((co_await channel.receive(ctx)).has_value());
  }
}
BENCHMARK(measure<channel_send_receive_context>)->Name("ChannelSendReceiveContext");

Task<> channel_try(benchmark::State& state) {
  Channel<int> channel(1);
  const Counted counted(state);
  for (int i = 0; state.KeepRunning(); ++i) {
    must(channel.try_send(i).value());
    must(channel.try_receive().value().has_value());
  }
  co_return;
}
BENCHMARK(measure<channel_try>)->Name("ChannelTry");

Task<> select_ready(benchmark::State& state) {
  Channel<int> one(1);
  Channel<int> other(1);
  (void)one.try_send(1);
  (void)other.try_send(1);
  const Counted counted(state);
  while (state.KeepRunning()) {
    std::optional<int> a;
    std::optional<int> b;
    if (co_await select(when_received(one, a), when_received(other, b)) == 0) {
      (void)co_await one.send({}, *a);
    } else {
      (void)co_await other.send({}, *b);
    }
  }
}
BENCHMARK(measure<select_ready>)->Name("SelectReady");

Task<> select_echo(Channel<int> one, Channel<int> other, Context ctx, Channel<int> to) {
  for (;;) {
    std::optional<int> a;
    std::optional<int> b;
    switch (co_await select(when_received(one, a), when_received(other, b), when_done(ctx))) {
      case 0:
        (void)co_await to.send({}, *a);
        break;
      case 1:
        (void)co_await to.send({}, *b);
        break;
      default:
        co_return;
    }
  }
}

Task<> select_parking(benchmark::State& state) {
  Channel<int> one(0);
  Channel<int> other(0);
  Channel<int> pong(0);
  auto [ctx, cancel] = with_cancel(Context());
  spawn(select_echo(one, other, ctx, pong));
  {
    const Counted counted(state);
    for (int i = 0; state.KeepRunning(); ++i) {
      if (i % 2 == 0) {
        (void)co_await one.send({}, i);
      } else {
        (void)co_await other.send({}, i);
      }
      must((co_await pong.receive({})).has_value());
    }
  }
}
BENCHMARK(measure<select_parking>)->Name("SelectParking");

Task<> select_default(benchmark::State& state) {
  Channel<int> one(0);
  Channel<int> other(0);
  const Counted counted(state);
  while (state.KeepRunning()) {
    std::optional<int> a;
    std::optional<int> b;
    must(co_await select(when_received(one, a), when_received(other, b), otherwise()) == 2);
  }
}
BENCHMARK(measure<select_default>)->Name("SelectDefault");

// --- between threads ------------------------------------------------------------------------------------------------

Task<> threads_ping_pong(benchmark::State& state) {
  Channel<int> ping(0);
  Channel<int> pong(0);
  Elsewhere elsewhere;
  boost::asio::co_spawn(elsewhere.loop().executor(), echo(ping, pong), boost::asio::detached);
  (void)co_await ping.send({}, 0);
  must((co_await pong.receive({})).has_value());
  {
    const Counted counted(state);
    for (int i = 0; state.KeepRunning(); ++i) {
      (void)co_await ping.send({}, i);
      must((co_await pong.receive({})).has_value());
    }
  }
  (void)ping.close();
}
BENCHMARK(measure<threads_ping_pong>)->Name("ThreadsPingPong")->UseRealTime();

Task<> threads_stream(benchmark::State& state) {
  Channel<int> stream(64);
  Channel<int> ended(0);
  Elsewhere elsewhere;
  boost::asio::co_spawn(elsewhere.loop().executor(), drain(stream, ended), boost::asio::detached);
  {
    const Counted counted(state);
    for (int i = 0; state.KeepRunning(); ++i) (void)co_await stream.send({}, i);
  }
  (void)stream.close();
  (void)co_await ended.receive({});
}
BENCHMARK(measure<threads_stream>)->Name("ThreadsStream")->UseRealTime();

}  // namespace
}  // namespace sluice::bench
