// Connection: a server that resets it while a request is still being sent.
#include "backends/connection.hpp"

#include "concurrency/virtual_time.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

namespace sluice::backends {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using concurrency::Context;

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i / 7 % 26);
  return text;
}

class ConnectionTest : public ::testing::Test {
 protected:
  ConnectionTest() {
    asio::basic_socket_acceptor<tcp, concurrency::Executor> acceptor(
        time_.loop().executor(), tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    Socket socket(time_.loop().executor());
    socket.open(tcp::v4());
    socket.set_option(asio::socket_base::receive_buffer_size(1 << 20));  // for all that is said before the reset
    socket.connect(acceptor.local_endpoint());
    socket.non_blocking(true);
    acceptor.accept(peer_);
    connection_ = std::make_shared<Connection>(std::move(socket), "server", ResponseLimits());
    connection_->open();
    upload_.method = "POST";
    upload_.is_streamed = true;
  }

  void say(const std::string& bytes) { asio::write(peer_, asio::buffer(bytes)); }
  void reset() {
    peer_.set_option(asio::socket_base::linger(true, 0));
    peer_.close();
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
  tcp::socket::rebind_executor<concurrency::Executor>::other peer_{time_.loop().executor()};
  std::shared_ptr<Connection> connection_;
  Request upload_;
};

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
