// The whole server with its threads, for ThreadSanitizer: load, reloads and scrapes at the same time, then the drain.
#include "backends/demo/stand_in.hpp"
#include "gateway/config_reader.hpp"
#include "gateway/listener.hpp"
#include "gateway/log.hpp"
#include "gateway/server.hpp"
#include "tests/support/leak_check.hpp"

#include <filesystem>
#include <fstream>
#include <future>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

using boost::asio::ip::tcp;
using ::testing::HasSubstr;

/// A loop on a thread of its own with one stand-in.
class Backend {
 public:
  Backend() {
    std::promise<tcp::endpoint> listening;
    auto where = listening.get_future();
    thread_ = std::thread([this, &listening] {
      const concurrency::Loop::Entered entered(loop_);
      backends::demo::StandIn stand_in(loop_);
      stand_in.set_faults("latency_ms=0..2;error_rate=0.1");
      listening.set_value(stand_in.listen());
      loop_.run();
    });
    where_ = where.get();
  }
  ~Backend() {
    loop_.stop();
    thread_.join();
  }

  [[nodiscard]] const tcp::endpoint& where() const { return where_; }

 private:
  concurrency::Loop loop_;
  tcp::endpoint where_;
  std::thread thread_;
};

/// A client that blocks.
class Client {
 public:
  explicit Client(const tcp::endpoint& where) : socket_(io_) { socket_.connect(where); }

  std::string exchange(const std::string& method, const std::string& target) {
    boost::asio::write(socket_, boost::asio::buffer(method + " " + target + " HTTP/1.1\r\nHost: x\r\n\r\n"));
    const auto size = boost::asio::read_until(socket_, boost::asio::dynamic_buffer(unread_), "\r\n\r\n");
    const std::string head = unread_.substr(0, size);
    const std::size_t length = std::stoul(head.substr(head.find("Content-Length: ") + 16));
    if (unread_.size() < size + length) {
      boost::asio::read(socket_, boost::asio::dynamic_buffer(unread_),
                        boost::asio::transfer_exactly(size + length - unread_.size()));
    }
    std::string reply = unread_.substr(0, size + length);
    unread_.erase(0, size + length);
    return reply;
  }

 private:
  boost::asio::io_context io_;
  tcp::socket socket_;
  std::string unread_;
};

/// A file in the temporary folder.
class File {
 public:
  explicit File(const std::string& content)
      : path_(std::filesystem::temp_directory_path() / ("sluice_threads_test_" + std::to_string(getpid()) + ".json")) {
    std::ofstream(path_) << content;
  }
  ~File() { std::filesystem::remove(path_); }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  const std::filesystem::path path_;
};

std::string config(const Backend& a, const Backend& b) {
  return R"({"version": 1, "listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "threads": 2, "access_log": "off",
    "backends": {"a": {"servers": ["http://)" +
         to_text(a.where()) + R"("]}, "b": {"servers": ["http://)" + to_text(b.where()) + R"(", "http://)" +
         to_text(a.where()) + R"("]}},
    "endpoints": [{"path": "/{id}", "name": "all", "deadline": "5s", "calls": [
      {"name": "user", "backend": "a", "path": "/users/{id}",
       "cache": {"ttl": "1ms", "stale_while_revalidate": "2ms", "stale_if_error": "1h", "stale_after": "1ms"}},
      {"name": "recs", "backend": "b", "path": "/recs/{id}", "cache": {"stale_if_error": "1h"}, "fallback": 0}]},
      {"path": "/first/{id}", "strategy": "first", "calls": [
      {"name": "user", "backend": "a", "path": "/users/{id}"},
      {"name": "other", "backend": "b", "path": "/users/{id}"}]}]})";
}

TEST(Server, ServesReloadsAndDrainsUnderLoadFromManyThreads) {
  const test::AllowLeftovers idle_connections;
  set_log_level(LogLevel::error);
  const Backend a;
  const Backend b;
  const File file(config(a, b));
  std::promise<std::pair<tcp::endpoint, tcp::endpoint>> ready;
  std::promise<Server*> made;
  auto started = std::async(std::launch::async, [&] {
    Checked checked = read_config(file.path());
    Server server(file.path(), std::move(*checked.config), Overrides());
    made.set_value(&server);
    server.on_ready([&] { ready.set_value({server.listening().front(), *server.admin_listening()}); });
    return server.run();
  });
  Server* const server = made.get_future().get();
  const auto [where, admin] = ready.get_future().get();

  constexpr int kRequests = 300;
  std::vector<std::future<int>> clients;
  for (int i = 0; i < 6; ++i) {
    clients.push_back(std::async(std::launch::async, [i, to = where] {
      Client client(to);
      int answered = 0;
      for (int n = 0; n < kRequests; ++n) {
        const std::string target = (n % 10 == 9 ? "/first/" : "/") + std::to_string((n + i) % 5);
        answered += client.exchange("GET", target).starts_with("HTTP/1.1 ") ? 1 : 0;
      }
      return answered;
    }));
  }
  Client operators(admin);
  for (int i = 0; i < 10; ++i) {
    EXPECT_THAT(operators.exchange("POST", "/-/reload"), HasSubstr("HTTP/1.1 2"));
    EXPECT_THAT(operators.exchange("GET", "/metrics"), HasSubstr("sluice_requests_total"));
  }
  for (auto& client : clients) EXPECT_EQ(client.get(), kRequests);
  EXPECT_THAT(operators.exchange("GET", "/metrics"), HasSubstr("sluice_requests_in_flight{endpoint=\"all\"} 0\n"));
  server->stop();
  EXPECT_EQ(started.get(), 0);
}

}  // namespace
}  // namespace sluice::gateway
