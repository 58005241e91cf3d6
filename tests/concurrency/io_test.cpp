// io(): Asio operations on loopback sockets that end with their context.
#include "concurrency/io.hpp"

#include "concurrency/channel.hpp"
#include "concurrency/virtual_time.hpp"
#include "support/loop_threads.hpp"

#include <array>
#include <string>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

namespace sluice::concurrency {
namespace {

using namespace std::chrono_literals;
using boost::asio::deferred;
using boost::system::error_code;
using sluice::test::LoopThreads;
using Tcp = boost::asio::ip::tcp;
using Socket = boost::asio::basic_stream_socket<Tcp, Executor>;
using Acceptor = boost::asio::basic_socket_acceptor<Tcp, Executor>;

/// Two ends of a connection on loopback.
struct Pair {
  explicit Pair(Loop& loop) : a(loop.executor()), b(loop.executor()) {
    Acceptor acceptor(loop.executor(), Tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
    a.connect(acceptor.local_endpoint());
    acceptor.accept(b);
  }
  Socket a;
  Socket b;
};

Task<Result<std::string>> read_some(Context ctx, Socket& socket) {
  std::array<char, 64> buffer{};
  const auto size = co_await io(ctx, socket.async_read_some(boost::asio::buffer(buffer), deferred));
  if (!size) co_return size.error();
  co_return std::string(buffer.data(), *size);
}
Task<Result<std::size_t>> write_all(Context ctx, Socket& socket, std::string text) {
  co_return co_await io(ctx, boost::asio::async_write(socket, boost::asio::buffer(text), deferred));
}
Task<Result<std::string>> read_exactly(Context ctx, Socket& socket, std::size_t size) {
  std::string text(size, '\0');
  const auto read = co_await io(ctx, boost::asio::async_read(socket, boost::asio::buffer(text), deferred));
  if (!read) co_return read.error();
  co_return text;
}

TEST(Io, ReadsAndWrites) {
  VirtualTime time;
  Pair pair(time.loop());
  EXPECT_EQ(time.run(write_all({}, pair.a, "hello")).value(), 5U);
  EXPECT_EQ(time.run(read_some({}, pair.b)).value(), "hello");
}

TEST(Io, EndsAtTheDeadlineAndLeavesTheSocketUsable) {
  VirtualTime time;
  Pair pair(time.loop());
  auto [ctx, cancel] = with_timeout(Context(), 250ms);
  const TimePoint start = time.now();
  EXPECT_EQ(time.run(read_some(ctx, pair.b)).error(), Error::deadline_exceeded);
  EXPECT_EQ(time.now() - start, 250ms);
  EXPECT_EQ(time.run(read_some(ctx, pair.b)).error(), Error::deadline_exceeded) << "not even started";
  (void)time.run(write_all({}, pair.a, "later"));
  EXPECT_EQ(time.run(read_some({}, pair.b)).value(), "later");
}

TEST(Io, CancelsComposedOperations) {
  VirtualTime time;
  Pair pair(time.loop());
  auto [ctx, cancel] = with_cancel(Context());
  auto reading = time.spawn(read_exactly(ctx, pair.b, 10));
  (void)time.run(write_all({}, pair.a, "half"));
  time.settle();
  EXPECT_FALSE(reading.done());
  cancel();
  time.settle();
  EXPECT_EQ(reading.get().error(), Error::canceled);
  // A write that the peer never reads.
  auto [ctx2, cancel2] = with_timeout(Context(), 10ms);
  EXPECT_EQ(time.run(write_all(ctx2, pair.a, std::string(64U << 20U, 'x'))).error(), Error::deadline_exceeded);
}

TEST(Io, WhatArrivedCountsEvenIfTheContextEndsBeforeTheCoroutineRuns) {
  VirtualTime time;
  Pair pair(time.loop());
  auto [ctx, cancel] = with_cancel(Context());
  auto reading = time.spawn(read_some(ctx, pair.b));
  time.settle();
  // Completed, queued, and then cancelled in the same turn.
  boost::asio::post(time.loop().executor(), [&, &c = cancel] {
    pair.a.write_some(boost::asio::buffer("now", 3));
    time.loop().io().poll_one();  // lets the reactor complete the read
    c();
  });
  time.settle();
  ASSERT_TRUE(reading.done());
  const auto result = reading.get();
  if (result.has_error()) {
    EXPECT_EQ(result.error(), Error::canceled);
    EXPECT_EQ(time.run(read_some({}, pair.b)).value(), "now") << "cancelled: then the bytes are still there";
  } else {
    EXPECT_EQ(*result, "now");
  }
}

TEST(Io, PassesOnTheErrorsOfTheOperation) {
  VirtualTime time;
  Pair pair(time.loop());
  pair.a.close();
  EXPECT_EQ(time.run(read_some({}, pair.b)).error(), boost::asio::error::eof);
  auto reading = time.spawn(read_some({}, pair.b));
  pair.b.close();
  time.settle();
  EXPECT_TRUE(reading.get().has_error());
  EXPECT_NE(reading.get().error(), Error::canceled) << "no context ended";
}

Task<Result<>> accept_then_greet(Context ctx, Acceptor& acceptor) {
  auto socket = co_await io(ctx, acceptor.async_accept(deferred));
  if (!socket) co_return socket.error();
  Socket peer(std::move(*socket));
  const std::string text = "hi";
  const auto written = co_await io(ctx, boost::asio::async_write(peer, boost::asio::buffer(text), deferred));
  if (!written) co_return written.error();
  co_return Result<>();
}
Task<Result<std::string>> connect_and_read(Context ctx, Tcp::endpoint where) {
  Socket socket(Loop::current().executor());
  const auto connected = co_await io(ctx, socket.async_connect(where, deferred));
  if (!connected) co_return connected.error();
  co_return co_await read_some(ctx, socket);
}

TEST(Io, AcceptsAndConnects) {
  VirtualTime time;
  Acceptor acceptor(time.loop().executor(), Tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
  auto server = time.spawn(accept_then_greet({}, acceptor));
  EXPECT_EQ(time.run(connect_and_read({}, acceptor.local_endpoint())).value(), "hi");
  EXPECT_TRUE(server.get().has_value());
  auto [ctx, cancel] = with_cancel(Context());
  auto again = time.spawn(accept_then_greet(ctx, acceptor));
  time.settle();
  cancel();
  time.settle();
  EXPECT_EQ(again.get().error(), Error::canceled);
}

Task<int> read_until_cancelled(Context ctx, Channel<int> started) {
  Pair pair(Loop::current());
  (void)co_await started.send({}, 1);
  int reads = 0;
  for (;;) {
    const auto read = co_await read_some(ctx, pair.b);
    ++reads;
    if (!read) {
      EXPECT_EQ(read.error(), Error::canceled);
      co_return reads;
    }
  }
}

TEST(IoThreads, AnotherThreadMayCancel) {
  LoopThreads loops(2);
  for (int round = 0; round < 100; ++round) {
    auto [ctx, cancel] = with_cancel(Context());
    Channel<int> started(1);
    auto reading = loops.spawn(static_cast<std::size_t>(round), read_until_cancelled(ctx, started));
    if (round % 2 == 0) {
      while (!started.try_receive().value()) std::this_thread::yield();
    }
    cancel();
    EXPECT_EQ(reading.get(), 1);
  }
}

Task<> pump(Context ctx, Channel<int> started, int& reads) {
  // Data arrives all the time while another thread cancels: each read ends one way or the other.
  Pair pair(Loop::current());
  (void)co_await started.send({}, 1);
  for (;;) {
    auto [child, cancel] = with_cancel(ctx);
    pair.a.write_some(boost::asio::buffer("x", 1));
    const auto read = co_await read_some(child, pair.b);
    if (!read) co_return;
    ++reads;
  }
}

TEST(IoThreads, ACancelRacingWithDataEndsTheReadOnce) {
  LoopThreads loops(2);
  int reads = 0;
  for (int round = 0; round < 50; ++round) {
    auto [ctx, cancel] = with_cancel(Context());
    Channel<int> started(1);
    auto pumping = loops.spawn(0, pump(ctx, started, reads));
    while (!started.try_receive().value()) std::this_thread::yield();
    cancel();
    pumping.get();
  }
}

}  // namespace
}  // namespace sluice::concurrency
