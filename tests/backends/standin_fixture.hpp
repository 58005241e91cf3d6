// A stand-in service and a raw client on one loop in virtual time.
#pragma once

#include "backends/demo/stand_in.hpp"
#include "concurrency/virtual_time.hpp"
#include "tests/support/raw_client.hpp"

#include <string>

#include <gtest/gtest.h>

namespace sluice::backends::demo {

using concurrency::Duration;
using concurrency::VirtualTime;
using support::RawClient;
using support::RawEnd;
using support::RawResponse;

class StandInTest : public ::testing::Test {
 protected:
  ~StandInTest() override {
    client_.close();
    stand_in_.stop();
    time_.settle();  // nothing waits any more
  }

  RawResponse get(const std::string& target, const std::string& fields = {}) {
    return time_.run(client_.get(where_, target, fields)).value();
  }
  RawResponse request(const std::string& method, const std::string& target, const std::string& body = {}) {
    return time_.run(client_.request(where_, method, target, {}, body)).value();
  }
  void send(const std::string& bytes) {
    if (!client_.is_open()) time_.run(client_.connect(where_)).value();
    time_.run(client_.send(bytes)).value();
    time_.settle();
  }
  /// All that comes for a GET, up to the end of the connection.
  RawEnd get_all(const std::string& target) {
    send(RawClient::text("GET", target));
    return time_.run(client_.read_all());
  }
  /// What has arrived of the answer to a GET after so much time.
  std::string arrived_after(const std::string& target, Duration duration) {
    send(RawClient::text("GET", target));
    time_.advance(duration);
    client_.poll();
    return client_.buffered();
  }
  Duration time_of(const std::string& target) {
    const auto start = time_.now();
    get(target);
    return time_.now() - start;
  }

  VirtualTime time_;
  StandIn stand_in_{time_.loop()};
  const RawClient::Endpoint where_ = stand_in_.listen();
  RawClient client_{time_.loop()};
};

}  // namespace sluice::backends::demo
