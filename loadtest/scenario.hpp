// What sluice-load is to do, and what it expects of each reply.
#pragma once

#include "loadtest/socket.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace sluice::loadtest {

struct Expectations {
  unsigned status = 200;  // 0: any
  std::string result;     // of Sluice-Result; empty: any
  /// Name of a call, and the outcomes of which Sluice-Calls must give it one.
  std::vector<std::pair<std::string, std::vector<std::string>>> calls;
  std::vector<std::string> texts;  // the body must contain each
};

struct Scenario {
  Address target{"127.0.0.1:80"};
  std::string url;
  std::string request;  // its bytes, the same each time
  bool is_head_request = false;
  double rate = 0;  // requests per second, open loop; 0: closed loop
  std::size_t connections = 64;
  std::chrono::nanoseconds duration = std::chrono::seconds(10);
  std::uint64_t max_requests = 0;  // 0: no limit
  std::chrono::nanoseconds timeout = std::chrono::seconds(5);
  Expectations expect;
};

}  // namespace sluice::loadtest
