// What a run of sluice-load found, and how it is told.
#pragma once

#include "loadtest/histogram.hpp"
#include "loadtest/scenario.hpp"
#include "loadtest/timeline.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::loadtest {

/// Counts by a name; after 100 names all others are counted as one, so a wild peer cannot fill the memory.
class Tally {
 public:
  void count(std::string_view name);
  [[nodiscard]] const std::map<std::string, std::uint64_t, std::less<>>& counts() const { return counts_; }

 private:
  std::map<std::string, std::uint64_t, std::less<>> counts_;
};

struct Stats {
  std::uint64_t sent = 0;
  std::uint64_t replies = 0;     // whole and well-framed
  std::uint64_t good = 0;        // and as expected
  std::uint64_t body_bytes = 0;  // of all replies
  std::array<std::uint64_t, kKindNames.size()> errors{};
  Histogram latency;  // of all replies; open loop: from the intended send

  void add(const Stats& other);
  [[nodiscard]] std::uint64_t error_count() const;
};

struct PhaseReport {
  Phase phase;
  std::chrono::nanoseconds begin{};  // since the start
  Stats stats;
};

/// The totals leave out the warm-up phases, as do `requests`, the tallies and what is said of late sends.
struct Report : Stats {
  std::string name, url;
  std::string began;  // date and time
  bool is_open_loop = false;
  std::size_t connections = 0;
  std::chrono::nanoseconds elapsed{};      // from the first intended send after the warm-up to the last reply
  std::chrono::nanoseconds run_elapsed{};  // to the last reply or error, warm-up included
  std::vector<PhaseReport> phases;
  std::vector<std::pair<std::string, Stats>> requests;  // by the name of the request
  std::uint64_t reconnects = 0;                         // connections opened after the first ones
  std::string first_problem;                            // details of the first error
  Tally statuses, results, calls;
  Timeline timeline;

  // What the generator itself did.
  Histogram lag;                   // open loop: from the intended to the real send
  Histogram since_sent;            // and from there to the end of the reply
  std::uint64_t late = 0;          // sent more than 1 ms late although a connection was free
  std::uint64_t queued = 0;        // sent late because all connections were busy
  std::chrono::nanoseconds cpu{};  // user and system time of the whole run
  bool is_interrupted = false;

  /// Sums up `phases` into the totals.
  void sum_up();
};

/// What a run missed of its limits, and what its reader should know of the measurement itself; a line each.
[[nodiscard]] std::vector<std::string> broken_limits(const Report& report, const Limits& limits);
[[nodiscard]] std::vector<std::string> remarks(const Report& report);

/// `812.4us`, `12.30ms`, `1.204s`.
[[nodiscard]] std::string readable(std::chrono::nanoseconds duration);
/// For people, several lines.
[[nodiscard]] std::string to_table(const Report& report, const Limits& limits);
/// For programs, one object; durations in microseconds, `..._s` in seconds. The format is in loadtest/README.md.
[[nodiscard]] std::string to_json(const Report& report, const Limits& limits);
/// One page with plots that needs nothing else.
[[nodiscard]] std::string to_html(const Report& report, const Limits& limits);

}  // namespace sluice::loadtest
