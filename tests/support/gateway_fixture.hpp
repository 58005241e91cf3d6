// A gateway with one worker, three stand-in backends and a client, all on one loop in virtual time.
#pragma once

#include "backends/demo/stand_in.hpp"
#include "concurrency/virtual_time.hpp"
#include "gateway/access_log.hpp"
#include "gateway/deployment.hpp"
#include "gateway/metrics.hpp"
#include "gateway/stale_store.hpp"
#include "gateway/worker.hpp"
#include "tests/support/raw_client.hpp"
#include "tests/support/scripted_backend.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::support {

/// An anonymous file that exists as long as this does.
class MemoryFile {
 public:
  MemoryFile();
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] std::string content() const;

 private:
  int fd_;
};

/// What stands in a configuration for addresses: `@a`, `@b`, `@c` for the stand-ins, `@s` for the scripted backend.
class GatewayTest : public ::testing::Test {
 protected:
  GatewayTest();
  ~GatewayTest() override;

  /// Starts a gateway with this list of endpoints. `top` are further members of the configuration; without a
  /// `backends` among them these are a, b, c and s, one server each. Refuses nothing but errors.
  void serve(std::string_view endpoints, std::string_view top = {});
  /// Reads a new configuration into the gateway that runs.
  void reload(std::string_view endpoints, std::string_view top = {});

  /// One request on client_, whose connection is kept. A test in which nothing answers fails after a virtual hour.
  RawResponse get(const std::string& target, const std::string& fields = {});
  RawResponse request(const std::string& method, const std::string& target, const std::string& fields = {},
                      const std::string& body = {});
  /// Connects client_ and sends these bytes.
  void send(const std::string& bytes);
  RawResponse receive(bool to_head = false);
  /// Everything up to the end of the connection.
  RawEnd receive_all();
  /// What has arrived at client_ and was not read.
  const std::string& arrived();

  /// The value of a line of the metrics, 0 if it is not there.
  std::uint64_t metric(const std::string& series) const;
  /// Ends the access log and gives its lines.
  std::vector<std::string> log_lines();

  // What outlives the loop, whose coroutines use it.
  gateway::Metrics metrics_;
  gateway::StaleStore store_{std::size_t{64} << 20, 1};
  MemoryFile log_file_;
  gateway::AccessLogWriter log_;
  gateway::Shared shared_;

  concurrency::VirtualTime time_;
  backends::demo::StandIn a_{time_.loop()};
  backends::demo::StandIn b_{time_.loop()};
  backends::demo::StandIn c_{time_.loop()};
  ScriptedBackend s_{time_.loop()};
  const RawClient::Endpoint at_a_;
  const RawClient::Endpoint at_b_;
  const RawClient::Endpoint at_c_;
  std::shared_ptr<const gateway::Runtime> runtime_;
  std::unique_ptr<gateway::Worker> worker_;
  bool notes_arrivals_ = false;  // as the program does; by the real clock, so that time passes here, too
  RawClient::Endpoint where_;    // the gateway
  RawClient client_{time_.loop()};
  concurrency::Duration took_{0};  // the last request

 private:
  std::shared_ptr<const gateway::Runtime> read(std::string_view endpoints, std::string_view top);
};

/// Sluice-Calls without the durations: `user=fresh, orders=stale;age=3;reason=timeout`.
std::string calls_of(const RawResponse& response);
/// How long the call took, as Sluice-Calls says; -1 if it does not.
int milliseconds_of(const RawResponse& response, const std::string& call);

}  // namespace sluice::support
