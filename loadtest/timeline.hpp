// What happened when, in slices of time.
#pragma once

#include "loadtest/histogram.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace sluice::loadtest {

/// Why a request counts as an error, one reason each, the first that holds.
enum class Kind {
  connect,     // no connection (counted for each try, not for a request)
  unsent,      // open loop: no connection became free in time
  timeout,     // no whole reply within the timeout
  closed,      // the connection ended before the reply did
  malformed,   // the reply breaks HTTP
  status,      // the reply is not what was expected: its status,
  json,        // its body is not JSON,
  result,      // its Sluice-Result,
  call,        // an outcome in its Sluice-Calls,
  text,        // its body,
  request_id,  // its X-Request-Id is another's
};
inline constexpr std::array<std::string_view, 11> kKindNames = {
    "connect", "unsent", "timeout", "closed", "malformed", "status", "json", "result", "call", "text", "request_id"};

/// What a request came to: a reply as expected, by its Sluice-Result (`ok` without one), or a kind of error.
inline constexpr std::array<std::string_view, 17> kOutcomeNames = {
    "ok",     "complete",  "degraded", "partial", "failed", "rejected", "connect", "unsent",    "timeout",
    "closed", "malformed", "status",   "json",    "result", "call",     "text",    "request_id"};
using Outcome = std::size_t;
[[nodiscard]] constexpr Outcome outcome_of(Kind kind) {
  return kOutcomeNames.size() - kKindNames.size() + static_cast<std::size_t>(kind);
}
/// Of a good reply.
[[nodiscard]] Outcome outcome_of(std::string_view result);

/// Counts by time since the start. At first a slice is 100 ms; it gets twice as wide whenever there would be more than
/// 600, so that memory is bounded however long a run is. Thread: one.
class Timeline {
 public:
  struct Slice {
    Histogram latency{4};
    std::array<std::uint64_t, kOutcomeNames.size()> counts{};
  };

  void count(std::chrono::nanoseconds when, Outcome outcome);
  void record(std::chrono::nanoseconds when, std::chrono::nanoseconds latency) {
    slice_at(when).latency.record(latency);
  }

  [[nodiscard]] std::chrono::nanoseconds width() const { return width_; }
  [[nodiscard]] const std::vector<Slice>& slices() const { return slices_; }

 private:
  static constexpr std::size_t kMaxSlices = 600;

  Slice& slice_at(std::chrono::nanoseconds when);

  std::chrono::nanoseconds width_ = std::chrono::milliseconds(100);
  std::vector<Slice> slices_;
};

}  // namespace sluice::loadtest
