// Text of reports: printf into a string, and durations as numbers.
#pragma once

#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <string>

namespace sluice::loadtest {

/// Appends what printf would print, up to 511 bytes of it.
__attribute__((format(printf, 2, 3))) inline void append(std::string& text, const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  text += line;
}

[[nodiscard]] inline double microseconds(std::chrono::nanoseconds duration) {
  return static_cast<double>(duration.count()) / 1e3;
}

[[nodiscard]] inline double seconds(std::chrono::nanoseconds duration) {
  return static_cast<double>(duration.count()) / 1e9;
}

}  // namespace sluice::loadtest
