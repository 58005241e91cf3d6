// Connection: what comes at the last moment: by the deadline, or before a reset.
#include "backends/connection.hpp"

#include "concurrency/sleep.hpp"
#include "concurrency/virtual_time.hpp"
#include "tests/support/gzip.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

namespace sluice::backends {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using concurrency::Context;

constexpr std::chrono::milliseconds kLater(10);

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i / 7 % 26);
  return text;
}

using Peer = asio::basic_stream_socket<tcp, concurrency::Executor>;

/// A connection whose server is `peer`.
std::shared_ptr<Connection> connect(concurrency::Loop& loop, Peer& peer) {
  asio::basic_socket_acceptor<tcp, concurrency::Executor> acceptor(loop.executor(),
                                                                   tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  Socket socket(loop.executor());
  socket.open(tcp::v4());
  socket.set_option(asio::socket_base::receive_buffer_size(1 << 20));  // for all that is said before it is read
  socket.connect(acceptor.local_endpoint());
  socket.non_blocking(true);
  acceptor.accept(peer);
  auto connection = std::make_shared<Connection>(std::move(socket), "server", ResponseLimits());
  connection->open();
  return connection;
}

class ConnectionTest : public ::testing::Test {
 protected:
  ConnectionTest() {
    upload_.method = "POST";
    upload_.is_streamed = true;
  }

  void say(const std::string& bytes) { asio::write(peer_, asio::buffer(bytes)); }
  void reset() {
    peer_.set_option(asio::socket_base::linger(true, 0));
    peer_.close();
  }
  std::string get_until_it_says(const std::string& bytes);
  static concurrency::Task<bool> news_of(Connection* connection, const Context& ctx) {
    co_return co_await connection->news(ctx);
  }
  /// Takes the body to its end.
  std::string take_all() { return time_.run(take_all_of(connection_.get())); }
  static concurrency::Task<std::string> take_all_of(Connection* connection) {
    const Context nobody;
    std::string all;
    for (;;) {
      while (!connection->has_news()) (void)co_await connection->news(nobody);
      std::string_view piece;
      const auto is_last = connection->receive(piece);
      if (is_last.has_error()) co_return all + ", then " + is_last.error().detail;
      all += piece;
      if (*is_last) co_return all;
    }
  }

  /// Though writing fails.
  void expect_all_of(const std::string& body) {
    EXPECT_FALSE(time_.run(connection_->send(nobody_, "x", false)));
    time_.settle();
    const std::string all = take_all();
    EXPECT_TRUE(all == body) << all.size() << all.substr(all.size() - std::min<std::size_t>(all.size(), 60));
    connection_->finish_stream();
    EXPECT_FALSE(connection_->is_reusable());
  }

  concurrency::VirtualTime time_;
  const Context nobody_;
  Peer peer_{time_.loop().executor()};
  const std::shared_ptr<Connection> connection_ = connect(time_.loop(), peer_);
  Request upload_;
};

concurrency::Task<> say_later(Peer* peer, std::string bytes, const concurrency::Cancel* cancel = nullptr) {
  (void)co_await concurrency::sleep({}, kLater);
  asio::write(*peer, asio::buffer(bytes));
  if (cancel != nullptr) (*cancel)(concurrency::Error::deadline_exceeded);
}

/// What a GET comes to that ends when `bytes` are said, before the loop could learn of them.
std::string ConnectionTest::get_until_it_says(const std::string& bytes) {
  (void)time_.spawn(say_later(&peer_, bytes));
  time_.settle();
  const auto bounded = concurrency::with_timeout(nobody_, kLater);
  Request get;
  get.method = "GET";
  const CallResult result = time_.run(connection_->exchange(bounded.ctx, get));
  if (result.has_error()) return result.error().detail;
  return result->body->bytes;
}

TEST_F(ConnectionTest, CountsWhatHasComeByTheDeadlineThoughItWasNotReadYet) {
  EXPECT_EQ(get_until_it_says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), "hello");
  EXPECT_TRUE(connection_->is_reusable());
  EXPECT_EQ(get_until_it_says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nagain"), "again");
  const std::string large = pattern(500'000);
  EXPECT_EQ(get_until_it_says("HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n" + large), large);
  EXPECT_TRUE(connection_->is_reusable());
}

/// Says `bytes`, and lets the deadline pass as soon as the loop has read the first of them.
struct Rush {
  explicit Rush(std::string bytes) : bytes_(std::move(bytes)) {
    get_.method = "GET";
    get_.decodes = true;
  }

  std::string outcome() {
    const auto bounded = concurrency::with_timeout(Context(), kLater);
    std::string outcome;
    asio::co_spawn(loop_.executor(), ask(bounded.ctx, outcome), asio::detached);
    (void)loop_.poll();
    asio::write(peer_, asio::buffer(bytes_));
    // In the first turn the system tells of what has come, in the second that is read, behind what ends the wait.
    asio::post(loop_.executor(), [this] {
      asio::post(loop_.executor(), [this] {
        clock_.move_to(clock_.now() + kLater);
        loop_.advance_timers();
      });
    });
    (void)loop_.poll();
    return outcome;
  }

 private:
  concurrency::Task<> ask(Context ctx, std::string& outcome) {
    const CallResult result = co_await connection_->exchange(ctx, get_);
    outcome = result.has_error() ? result.error().detail : result->body->bytes;
  }

  const std::string bytes_;
  concurrency::VirtualClock clock_;
  concurrency::Loop loop_{clock_};
  const concurrency::Loop::Entered entered_{loop_};
  Peer peer_{loop_.executor()};
  const std::shared_ptr<Connection> connection_ = connect(loop_, peer_);
  Request get_;
};

TEST(ConnectionInARush, CountsWhatHasBeenReadByTheDeadlineThoughItsTurnIsStillToCome) {
  const std::string body = pattern(200'000);
  Rush rush("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + body);
  EXPECT_TRUE(rush.outcome() == body);
}

/// Of which no byte can be foreseen.
std::string noise(std::size_t size) {
  std::string text(size, '\0');
  std::uint32_t state = 1;
  for (char& c : text) c = static_cast<char>((state = state * 1664525U + 1013904223U) >> 24U);
  return text;
}

TEST(ConnectionInARush, CountsWhatIsStillToBeDecoded) {
  const std::string body = noise(30'000);
  const std::string packed = support::gzip(body);
  ASSERT_GT(packed.size(), 20'000U);
  Rush rush("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: " + std::to_string(packed.size()) +
            "\r\n\r\n" + packed);
  EXPECT_TRUE(rush.outcome() == body);
}

TEST_F(ConnectionTest, CountsItTooWhenTheDeadlineIsThatOfTheLastWhoWaits) {
  const auto shared = concurrency::with_cancel(nobody_);
  (void)time_.spawn(say_later(&peer_, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", &shared.cancel));
  Request get;
  get.method = "GET";
  const CallResult result = time_.run(connection_->exchange(shared.ctx, get));
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->body->bytes, "hello");
}

TEST_F(ConnectionTest, IsLateWhenOnlyHalfHasComeByTheDeadline) {
  EXPECT_EQ(get_until_it_says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"), "server: deadline exceeded");
  EXPECT_FALSE(connection_->is_reusable());
}

TEST_F(ConnectionTest, CountsTheHeadOfAStreamThatHasComeByTheDeadlineAndReadsOnAfterIt) {
  (void)time_.spawn(say_later(&peer_, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst"));
  time_.settle();
  Request get;
  get.method = "GET";
  ASSERT_TRUE(connection_->begin(nobody_, get, nullptr));
  const auto bounded = concurrency::with_timeout(nobody_, kLater);
  ASSERT_TRUE(connection_->send_head(bounded.ctx));
  EXPECT_TRUE(time_.run(news_of(connection_.get(), bounded.ctx)));
  ASSERT_TRUE(connection_->has_head());
  say("later");
  time_.settle();
  std::string_view piece;
  ASSERT_TRUE(connection_->receive(piece).has_value());
  EXPECT_EQ(piece, "first");
  EXPECT_EQ(take_all(), "later");
  connection_->finish_stream();
  EXPECT_TRUE(connection_->is_reusable());
}

// The first write that fails comes before the loop has told of the reset.
TEST_F(ConnectionTest, GivesAllOfTheAnswerOfAServerThatResetBeforeAllWasSent) {
  const std::string body = pattern(150'000);
  ASSERT_TRUE(connection_->begin(nobody_, upload_, nullptr));
  ASSERT_TRUE(connection_->send_head(nobody_));
  say("HTTP/1.1 413 X\r\nContent-Length: 150000\r\n\r\n");
  time_.settle();
  ASSERT_TRUE(connection_->has_head());
  say(body);
  reset();
  expect_all_of(body);
}

TEST_F(ConnectionTest, GivesAllOfItAlsoInChunksAndLate) {
  const std::string body = pattern(150'000);
  ASSERT_TRUE(connection_->begin(nobody_, upload_, nullptr));
  ASSERT_TRUE(connection_->send_head(nobody_));
  say("HTTP/1.1 413 X\r\nTransfer-Encoding: chunked\r\n\r\n249f0\r\n" + body.substr(0, 1000));
  time_.settle();
  say(body.substr(1000) + "\r\n0\r\n\r\n");
  reset();
  expect_all_of(body);
}

}  // namespace
}  // namespace sluice::backends
