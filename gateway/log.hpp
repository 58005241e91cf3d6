// The operator's log: one line a message, on standard error.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sluice::gateway {

enum class LogLevel { debug, info, warn, error, off };

/// The level of that name, nothing for an unknown one.
std::optional<LogLevel> log_level_from(std::string_view name);

/// Messages below `level` are left out from now on. Starts at info. Thread: any.
void set_log_level(LogLevel level);

/// Whether a message of `level` would be written: ask before building an expensive one. Thread: any.
bool is_logged(LogLevel level);

/// Writes "TIME LEVEL message", TIME in RFC 3339 UTC with milliseconds. Control characters are escaped, so that a
/// message is one line whatever a client put into it. Waits while standard error is blocked: not for every request.
/// Thread: any.
void log_debug(std::string_view message);
void log_info(std::string_view message);
void log_warn(std::string_view message);
void log_error(std::string_view message);

/// `message` with control characters as \n, \r, \t or \xHH; the bytes of UTF-8 stay.
std::string escape_controls(std::string_view message);

}  // namespace sluice::gateway
