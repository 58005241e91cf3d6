// What sluice-load is to do, and what it expects of each reply.
#pragma once

#include "loadtest/socket.hpp"
#include "loadtest/template.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::loadtest {

struct Expectations {
  std::vector<unsigned> statuses = {200};  // one of these; none: any
  bool json = false;                       // the body is valid JSON
  bool request_id = false;                 // the reply carries the X-Request-Id that its request was given
  std::vector<std::string> results;        // Sluice-Result is one of these; none: any
  /// Name of a call, and the outcomes of which Sluice-Calls must give it one.
  std::vector<std::pair<std::string, std::vector<std::string>>> calls;
  std::vector<Template> texts;  // the body must contain each
};

/// One of the requests that a scenario mixes.
struct RequestKind {
  std::string name;
  unsigned weight = 1;
  std::string method = "GET";
  Template path{"/"};
  std::string host;  // what the Host header says
  std::vector<std::pair<std::string, Template>> headers;
  std::optional<Template> body;
  Expectations expect;
};

/// A stretch of time at one rate, or from one to another (open loop), or with so many connections (closed loop).
struct Phase {
  std::string name;
  std::chrono::nanoseconds duration = std::chrono::seconds(10);
  double rate = 0;              // requests per second at its start; 0: closed loop
  double rate_to = 0;           // and at its end, which it goes to in a straight line
  std::size_t connections = 0;  // closed loop: how many are used; 0: all
  bool is_warm_up = false;      // left out of the totals and limits
};

/// What a run must keep for exit status 0, besides its expectations.
struct Limits {
  std::vector<std::pair<double, std::chrono::nanoseconds>> latencies;  // percentile (100: the longest), at most
  std::uint64_t errors = 0;                                            // at most so many,
  double error_percent = 0;                                            // or at most this share of what was to be sent
  double rate = 0;                                                     // at least so many replies per second
};

struct Scenario {
  std::string name;
  std::string url;  // what was asked for, as in the report
  Address target{"127.0.0.1:80"};
  std::vector<RequestKind> requests;
  std::vector<Phase> phases;  // open loop all, or closed loop all
  std::size_t connections = 64;
  std::uint64_t max_requests = 0;  // 0: no limit
  std::chrono::nanoseconds timeout = std::chrono::seconds(5);
  Limits limits;
};

struct Target {
  std::string host_port, path;
};

/// From `http://HOST[:PORT][/PATH]`; the path is `/` without one. Errors: std::invalid_argument.
[[nodiscard]] Target parse_url(std::string_view url);
/// `A|B` as its parts.
[[nodiscard]] std::vector<std::string> split(std::string_view text, char separator);

}  // namespace sluice::loadtest
