// The load generator before servers that answer, lie and hang up, on loopback.
#include "loadtest/runner.hpp"

#include "loadtest/head.hpp"
#include "loadtest/socket.hpp"

#include <atomic>
#include <chrono>
#include <csignal>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::loadtest {
namespace {

/// Answers each request on each connection with the same bytes, from a thread of its own; hangs up after `uses` of one.
class FixedServer {
 public:
  explicit FixedServer(std::string reply, int uses = 1'000'000) : reply_(std::move(reply)), uses_(uses) {}
  ~FixedServer() {
    stop_ = true;
    thread_.join();
  }

  [[nodiscard]] Address address() const { return Address::local(listener_.get()); }

 private:
  struct Peer {
    Fd fd;
    std::string input;
    int uses = 0;
  };

  void run() {
    std::vector<Peer> peers;
    while (!stop_) {
      std::vector<pollfd> waits{{listener_.get(), POLLIN, 0}};
      for (const Peer& peer : peers) waits.push_back({peer.fd.get(), POLLIN, 0});
      poll(waits.data(), waits.size(), 10);
      for (std::size_t i = peers.size(); i > 0; --i)
        if (waits[i].revents != 0 && !serve(peers[i - 1])) peers.erase(peers.begin() + static_cast<long>(i) - 1);
      if (waits[0].revents != 0)
        if (Fd fd = accept_from(listener_); fd.is_open()) peers.push_back({std::move(fd), "", 0});
    }
  }

  bool serve(Peer& peer) {
    char buffer[4096];
    const ssize_t got = recv(peer.fd.get(), buffer, sizeof buffer, 0);
    if (got <= 0) return false;
    peer.input.append(buffer, static_cast<std::size_t>(got));
    while (const std::size_t size = scan_head(peer.input).size) {
      peer.input.erase(0, size);
      send(peer.fd.get(), reply_.data(), reply_.size(), MSG_NOSIGNAL);
      if (++peer.uses == uses_) return false;
    }
    return true;
  }

  const std::string reply_;
  const int uses_;
  const Fd listener_ = listen_on(Address("127.0.0.1:0"));
  std::atomic<bool> stop_ = false;
  std::thread thread_{[this] { run(); }};
};

constexpr std::string_view kReply =
    "HTTP/1.1 200 OK\r\nSluice-Result: partial\r\nSluice-Calls: user=fresh;ms=1, recs=missing;ms=2\r\n"
    "Content-Length: 5\r\n\r\nhello";

Scenario scenario_for(const FixedServer& server) {
  Scenario scenario;
  scenario.target = server.address();
  scenario.requests.resize(1);
  scenario.requests[0].host = "x";
  scenario.phases.resize(1);
  scenario.connections = 3;
  scenario.max_requests = 50;
  return scenario;
}

Report run(const Scenario& scenario) {
  static volatile std::sig_atomic_t interrupted = 0;
  return Runner(scenario).run(interrupted);
}

std::uint64_t errors(const Report& report, Kind kind) {
  return report.errors[static_cast<std::size_t>(kind)];
}

TEST(Runner, SendsExactlyTheRequestsAskedForAndCountsTheRepliesByTheirHeaders) {
  const FixedServer server{std::string(kReply)};
  const Report report = run(scenario_for(server));
  EXPECT_EQ(report.sent, 50u);
  EXPECT_EQ(report.good, 50u);
  EXPECT_EQ(report.error_count(), 0u);
  EXPECT_EQ(report.latency.count(), 50u);
  EXPECT_EQ(report.body_bytes, 250u);
  EXPECT_EQ(report.statuses.counts().at("200"), 50u);
  EXPECT_EQ(report.results.counts().at("partial"), 50u);
  EXPECT_EQ(report.calls.counts().at("recs=missing"), 50u);
}

TEST(Runner, SendsAtTheRateInAnOpenLoop) {
  const FixedServer server{std::string(kReply)};
  Scenario scenario = scenario_for(server);
  scenario.phases[0].rate = scenario.phases[0].rate_to = 1000;
  const Report report = run(scenario);
  EXPECT_EQ(report.good, 50u);
  EXPECT_GE(report.elapsed, std::chrono::milliseconds(49));  // the last one is meant for then
  EXPECT_EQ(report.lag.count(), 50u);
  EXPECT_EQ(report.since_sent.count(), 50u);
}

TEST(Runner, ChargesAStalledServerForEveryRequestOfAnOpenLoopThatItDelayed) {
  const FixedServer silent("");
  Scenario scenario = scenario_for(silent);
  scenario.phases[0].rate = scenario.phases[0].rate_to = 1000;
  scenario.connections = 1;
  scenario.phases[0].duration = std::chrono::milliseconds(50);
  scenario.timeout = std::chrono::milliseconds(30);
  const Report report = run(scenario);
  EXPECT_EQ(report.replies, 0u);
  EXPECT_EQ(errors(report, Kind::timeout), report.sent);
  EXPECT_EQ(errors(report, Kind::timeout) + errors(report, Kind::unsent), 50u);
  EXPECT_GT(errors(report, Kind::unsent), 0u);
  EXPECT_GE(report.run_elapsed, scenario.phases[0].duration);  // though nothing came back
}

TEST(Runner, ChecksWhatIsExpectedOfAReply) {
  const FixedServer server{std::string(kReply)};
  const auto kind_of_error = [&](auto change) {
    Scenario scenario = scenario_for(server);
    change(scenario.requests[0].expect);
    const Report report = run(scenario);
    for (std::size_t i = 0; i < report.errors.size(); ++i)
      if (report.errors[i] == 50) return kKindNames[i];
    return report.good == 50 ? std::string_view("good") : std::string_view("mixed");
  };
  EXPECT_EQ(kind_of_error([](Expectations& expect) { expect.statuses = {404, 503}; }), "status");
  EXPECT_EQ(kind_of_error([](Expectations& expect) { expect.statuses.clear(); }), "good");
  EXPECT_EQ(kind_of_error([](Expectations& expect) { expect.results = {"complete"}; }), "result");
  EXPECT_EQ(kind_of_error([](Expectations& expect) { expect.results = {"complete", "partial"}; }), "good");
  EXPECT_EQ(kind_of_error([](Expectations& expect) { expect.calls = {{"recs", {"stale", "fallback"}}}; }), "call");
  EXPECT_EQ(kind_of_error([](Expectations& expect) { expect.calls = {{"recs", {"stale", "missing"}}}; }), "good");
  EXPECT_EQ(kind_of_error([](Expectations& expect) { expect.calls = {{"absent", {"fresh"}}}; }), "call");
  EXPECT_EQ(kind_of_error([](Expectations& expect) { expect.json = true; }), "json");
  EXPECT_EQ(kind_of_error([](Expectations& expect) { expect.request_id = true; }), "request_id");
  EXPECT_EQ(kind_of_error([](Expectations& expect) { expect.texts = {Template("bye")}; }), "text");
  EXPECT_EQ(kind_of_error([](Expectations& expect) { expect.texts = {Template("ell"), Template("h")}; }), "good");
}

TEST(Runner, CountsRepliesThatBreakOff) {
  const FixedServer server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", 1);
  const Report report = run(scenario_for(server));
  EXPECT_EQ(report.replies, 0u);
  EXPECT_EQ(errors(report, Kind::closed), 50u);
}

TEST(Runner, CountsBytesBeyondTheReply) {
  const FixedServer server(std::string(kReply) + "more");
  const Report report = run(scenario_for(server));
  EXPECT_EQ(report.good, 0u);
  EXPECT_EQ(errors(report, Kind::malformed), 50u);
}

TEST(Runner, OpensANewConnectionWhereTheServerEndsOne) {
  const FixedServer server("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 1);
  const Report report = run(scenario_for(server));
  EXPECT_EQ(report.good, 50u);
  EXPECT_EQ(report.error_count(), 0u);
  EXPECT_GE(report.reconnects, 47u);
}

TEST(Runner, CountsByPhaseAndLeavesTheWarmUpOutOfTheTotals) {
  const FixedServer server{std::string(kReply)};
  Scenario scenario = scenario_for(server);
  scenario.max_requests = 0;
  scenario.phases = {{"warm", std::chrono::milliseconds(20), 1000, 1000, 0, true},
                     {"slow", std::chrono::milliseconds(30), 1000, 1000, 0, false},
                     {"fast", std::chrono::milliseconds(20), 2000, 2000, 0, false}};
  const Report report = run(scenario);
  ASSERT_EQ(report.phases.size(), 3u);
  EXPECT_EQ(report.phases[0].stats.good, 20u);
  EXPECT_EQ(report.phases[1].stats.good, 30u);
  EXPECT_EQ(report.phases[2].stats.good, 40u);
  EXPECT_EQ(report.good, 70u);
  EXPECT_EQ(report.latency.count(), 70u);
  EXPECT_EQ(report.statuses.counts().at("200"), 70u);
  EXPECT_EQ(report.requests[0].second.good, 70u);
}

TEST(Runner, UsesNoMoreConnectionsThanAPhaseOfAClosedLoopSays) {
  const FixedServer silent("");
  Scenario scenario = scenario_for(silent);
  scenario.max_requests = 0;
  scenario.timeout = std::chrono::milliseconds(200);
  scenario.phases[0].duration = std::chrono::milliseconds(20);
  scenario.phases[0].connections = 2;
  EXPECT_EQ(run(scenario).sent, 2u);
}

TEST(Runner, ShowsHowItGoes) {
  const FixedServer server{std::string(kReply)};
  Scenario scenario = scenario_for(server);
  scenario.max_requests = 0;
  scenario.phases[0].duration = std::chrono::milliseconds(1100);
  scenario.phases[0].rate = scenario.phases[0].rate_to = 100;
  std::uint64_t replies = 0;
  static volatile std::sig_atomic_t interrupted = 0;
  const Report report =
      Runner(scenario).run(interrupted, [&](const Progress& progress) { replies += progress.replies; });
  EXPECT_GE(replies, 90u);
  EXPECT_EQ(report.good, 110u);
  EXPECT_GT(report.cpu.count(), 0);
}

TEST(Runner, SaysWhenNobodyListens) {
  const Fd nobody(socket(AF_INET, SOCK_STREAM, 0));  // bound, so that nobody else gets the port, but not listening
  const Address any_port("127.0.0.1:0");
  ASSERT_EQ(bind(nobody.get(), any_port.data(), any_port.size()), 0);
  Scenario scenario;
  scenario.requests.resize(1);
  scenario.phases.resize(1);
  scenario.target = Address::local(nobody.get());
  EXPECT_THROW(static_cast<void>(run(scenario)), std::system_error);
}

TEST(Address, KnowsLoopback) {
  EXPECT_TRUE(Address("127.0.0.1:80").is_loopback());
  EXPECT_TRUE(Address("127.9.9.9:80").is_loopback());
  EXPECT_TRUE(Address("[::1]:80").is_loopback());
  EXPECT_TRUE(Address("[::ffff:127.0.0.1]:80").is_loopback());
  EXPECT_FALSE(Address("10.0.0.1:80").is_loopback());
  EXPECT_FALSE(Address("0.0.0.0:80").is_loopback());
  EXPECT_FALSE(Address("[::ffff:10.0.0.1]:80").is_loopback());
  EXPECT_THROW(Address("127.0.0.1"), std::invalid_argument);
}

}  // namespace
}  // namespace sluice::loadtest
