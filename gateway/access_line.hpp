// One line of the access log: what a request was and became, as JSON or text.
#pragma once

#include "backends/failure.hpp"
#include "gateway/outcome.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace sluice::gateway {

/// One call of a logged request.
struct AccessCall {
  std::string_view name;
  Outcome outcome = Outcome::missing;
  std::chrono::nanoseconds duration{0};
  std::optional<std::chrono::seconds> age;  // of stored data
  std::optional<backends::Reason> reason;
  unsigned status = 0;  // what the backend answered, 0 if it did not
};

/// A request to be logged. Views only: nothing is copied before the line is written.
struct AccessRecord {
  std::chrono::system_clock::time_point time;  // when the request arrived
  std::string_view request_id;
  std::string_view client;  // its address
  std::string_view method;
  std::string_view target;    // as received, any bytes
  std::string_view endpoint;  // "" if none matched
  unsigned status = 0;
  ResultKind result = ResultKind::complete;
  std::uint64_t bytes = 0;  // of the reply, head included
  std::chrono::nanoseconds duration{0};
  std::chrono::nanoseconds deadline{0};  // 0: none, and left out of the line
  std::span<const AccessCall> calls;
};

enum class LineFormat { json, text };

/// Formats lines without allocating. Thread: one at a time.
class AccessLine {
 public:
  /// Writes `record` and a newline to the begin of `out`. Returns the length, 0 if it does not fit.
  ///
  /// JSON: one object, valid whatever bytes the views hold; what is not UTF-8 becomes U+FFFD.
  /// Text: TIME CLIENT "METHOD TARGET" STATUS RESULT BYTES DURATION and then NAME=VALUE pairs; bytes other than
  /// printable ASCII become \xHH, quotes and backslashes get a backslash.
  [[nodiscard]] std::size_t format(LineFormat format, const AccessRecord& record, std::span<char> out);

 private:
  std::string_view time_to_second(std::chrono::sys_seconds second);

  std::chrono::sys_seconds second_ = std::chrono::sys_seconds::min();  // that `time_` shows
  std::array<char, sizeof "2026-01-02T03:04:05"> time_;
};

}  // namespace sluice::gateway
