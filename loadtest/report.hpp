// What a run of sluice-load found, and how it is told.
#pragma once

#include "loadtest/histogram.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace sluice::loadtest {

/// Why a request counts as an error, one reason each, the first that holds.
enum class Kind {
  connect,    // no connection (counted for each try, not for a request)
  unsent,     // open loop: no connection became free in time
  timeout,    // no whole reply within the timeout
  closed,     // the connection ended before the reply did
  malformed,  // the reply breaks HTTP
  status,     // the reply is not what was expected: its status,
  result,     // its Sluice-Result,
  call,       // an outcome in its Sluice-Calls,
  text,       // its body
};
inline constexpr std::array<std::string_view, 9> kKindNames = {"connect", "unsent", "timeout", "closed", "malformed",
                                                               "status",  "result", "call",    "text"};

/// Counts by a name; after 100 names all others are counted as one, so a wild peer cannot fill the memory.
class Tally {
 public:
  void count(std::string_view name);
  [[nodiscard]] const std::map<std::string, std::uint64_t, std::less<>>& counts() const { return counts_; }

 private:
  std::map<std::string, std::uint64_t, std::less<>> counts_;
};

struct Report {
  std::string url;
  double wanted_rate = 0;  // requests per second; 0: closed loop
  std::size_t connections = 0;
  std::chrono::nanoseconds elapsed{};  // from the first intended send to the last reply
  std::uint64_t sent = 0;
  std::uint64_t replies = 0;     // whole and well-framed
  std::uint64_t good = 0;        // and as expected
  std::uint64_t body_bytes = 0;  // of all replies
  std::uint64_t reconnects = 0;  // connections opened after the first ones
  std::array<std::uint64_t, kKindNames.size()> errors{};
  std::string first_problem;  // details of the first error
  Tally statuses, results, calls;
  Histogram latency;  // of all replies; open loop: from the intended send
  Histogram lag;      // open loop: from the intended to the real send

  void count_error(Kind kind, std::string_view problem);
  [[nodiscard]] std::uint64_t error_count() const;
};

/// For people, several lines.
[[nodiscard]] std::string to_table(const Report& report);
/// For programs, one object; durations in microseconds, `elapsed_s` in seconds.
[[nodiscard]] std::string to_json(const Report& report);

}  // namespace sluice::loadtest
