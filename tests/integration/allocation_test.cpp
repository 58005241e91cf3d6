// In the steady state a request allocates nothing but the bodies of its calls and their targets. A program of its own,
// since it replaces operator new.
#include "concurrency/virtual_time.hpp"
#include "gateway/access_log.hpp"
#include "gateway/config_reader.hpp"
#include "gateway/instruments.hpp"
#include "gateway/listener.hpp"
#include "gateway/metrics.hpp"
#include "gateway/problem.hpp"
#include "gateway/runtime.hpp"
#include "gateway/stale_store.hpp"
#include "gateway/worker.hpp"
#include "support/allocations.hpp"

#include <array>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t kBackends = 3;
constexpr std::string_view kResponse =
    "HTTP/1.1 200 OK\r\nServer: test\r\nContent-Type: application/json\r\nContent-Length: 44\r\n\r\n"
    R"({"id": 17, "name": "a name of some length!"})";
constexpr std::string_view kBody = kResponse.substr(kResponse.find("\r\n\r\n") + 4);
constexpr std::string_view kRequest =
    "GET /a/path/that/is/not/short HTTP/1.1\r\nHost: a.host.that.is.not.short.example:8080\r\nAccept: */*\r\n"
    "User-Agent: a program that says at some length what it is\r\n\r\n";

/// Answers whatever comes on its one connection, when it is told to look, and allocates nothing for that.
class Backend {
 public:
  Backend() : acceptor_(io_, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0)), socket_(io_) {
    acceptor_.non_blocking(true);
  }

  [[nodiscard]] std::string url() const { return "http://" + to_text(acceptor_.local_endpoint()); }

  void look() {
    error_code ec;
    if (!socket_.is_open()) acceptor_.accept(socket_, ec);
    if (!socket_.is_open()) return;
    socket_.non_blocking(true, ec);
    std::array<char, 4096> received;
    const std::size_t size = socket_.read_some(boost::asio::buffer(received), ec);
    if (std::string_view(received.data(), size).ends_with("\r\n\r\n")) {
      boost::asio::write(socket_, boost::asio::buffer(kResponse), ec);
    }
  }

 private:
  boost::asio::io_context io_;
  tcp::acceptor acceptor_;
  tcp::socket socket_;
};

/// A gateway with an endpoint of this strategy, and a client, all on one thread.
class Gateway {
 public:
  Gateway(const std::string& strategy, std::size_t calls) {
    metrics_.enter(0);
    std::string text = R"({"version": 1, "backends": {)";
    for (std::size_t i = 0; i < calls; ++i) {
      text.append(i == 0 ? "" : ",").append("\"b").append(std::to_string(i)).append(R"(": {"servers": [")");
      text.append(backends_[i].url()).append("\"]}");
    }
    text.append(R"(}, "endpoints": [{"path": "/{path...}", "strategy": ")").append(strategy).append(R"(", "calls": [)");
    for (std::size_t i = 0; i < calls; ++i) {
      const std::string number = std::to_string(i);
      text.append(i == 0 ? "" : ",").append(R"({"name": "call)").append(number).append(R"(", "backend": "b)");
      text.append(number).append(R"(", "path": "/that/is/not/short/either/{path}"})");
    }
    auto checked = parse_config(text + "]}]}", "test.json", [](const std::string&) { return std::nullopt; });
    if (!checked.config) throw std::invalid_argument(format(checked.problems.front()));
    worker_ = std::make_unique<Worker>(time_.loop(), shared_, 0, 1,
                                       std::make_shared<const Runtime>(std::move(*checked.config), metrics_, nullptr));
    Address address;
    address.host = "127.0.0.1";
    auto acceptor = listen(address, Sharing::exclusive, time_.loop().executor());
    client_.connect(acceptor.local_endpoint());
    client_.non_blocking(true);
    worker_->serve(std::move(acceptor));
    time_.settle();
  }
  ~Gateway() {
    client_.close();
    worker_->drain();
    time_.settle();
    worker_.reset();
    time_.settle();
    ::close(log_fd_);
  }

  /// Whether the reply is good.
  bool exchange() {
    boost::asio::write(client_, boost::asio::buffer(kRequest));
    std::array<char, 4096> received;
    std::size_t size = 0;
    for (int turn = 0; turn < 100 && !std::string_view(received.data(), size).ends_with("}"); ++turn) {
      time_.settle();
      for (Backend& backend : backends_) backend.look();
      error_code ec;
      size += client_.read_some(boost::asio::buffer(received.data() + size, received.size() - size), ec);
    }
    const std::string_view reply(received.data(), size);
    return reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.find(kBody) != reply.npos;
  }

  /// For each request, once it has run for a while.
  std::size_t allocations_per_request() {
    constexpr std::size_t kRounds = 200;
    for (std::size_t i = 0; i < kRounds; ++i) EXPECT_TRUE(exchange());
    const std::size_t before = test::allocations();
    for (std::size_t i = 0; i < kRounds; ++i) EXPECT_TRUE(exchange());
    const std::size_t made = test::allocations() - before;
    EXPECT_EQ(made % kRounds, 0U) << made;
    return made / kRounds;
  }

 private:
  std::array<Backend, kBackends> backends_;
  Metrics metrics_;
  StaleStore store_{std::size_t{1} << 20U, 1};
  const int log_fd_ = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  AccessLogWriter log_{log_fd_, 1, access_log_dropped(metrics_)};
  Shared shared_{metrics_, store_, log_};
  concurrency::VirtualTime time_;
  std::unique_ptr<Worker> worker_;
  boost::asio::io_context io_;
  tcp::socket client_{io_};
};

// Of each call: a target of more than fifteen bytes and, if it is not passed on as it comes, the bytes of its body.
constexpr std::size_t kOfACall = 2;

TEST(Allocations, OfAMergedRequestAreBodiesAndTargets) {
  EXPECT_EQ(Gateway("merge", kBackends).allocations_per_request(), kBackends * kOfACall);
}

TEST(Allocations, OfAProxiedRequestIsItsTarget) {
  EXPECT_EQ(Gateway("proxy", 1).allocations_per_request(), 1U);
}

}  // namespace
}  // namespace sluice::gateway
