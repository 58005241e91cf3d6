// What is wrong with a configuration, and where.
#pragma once

#include <span>
#include <string>

namespace sluice::gateway {

/// One mistake in a configuration file. An error keeps the gateway from starting, a warning does not.
struct Problem {
  enum class Severity { error, warning };
  Severity severity = Severity::error;
  std::string file;
  unsigned line = 1;    // from 1
  unsigned column = 1;  // from 1, in characters (Unicode code points, a tab counts as one)
  std::string pointer;  // JSON Pointer (RFC 6901) of the value; empty for the whole file
  std::string message;
};

/// `FILE:LINE:COLUMN: /json/pointer: message`; a warning has "warning: " before its message.
std::string format(const Problem& problem);

/// The problems as a JSON array of objects {severity, file, line, column, pointer, message}, ending in a line feed.
std::string format_json(std::span<const Problem> problems);

}  // namespace sluice::gateway
