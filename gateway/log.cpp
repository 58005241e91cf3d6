// The operator's log on spdlog.
#include "gateway/log.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <utility>

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace sluice::gateway {
namespace {

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warn:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
    case LogLevel::off:
      return spdlog::level::off;
  }
  return spdlog::level::off;
}

spdlog::logger& logger() {
  // Never destroyed: threads may log while the program exits.
  static spdlog::logger& instance = []() -> spdlog::logger& {
    auto* made = new spdlog::logger("sluice", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_formatter(
        std::make_unique<spdlog::pattern_formatter>("%Y-%m-%dT%H:%M:%S.%eZ %v", spdlog::pattern_time_type::utc));
    made->set_level(spdlog::level::info);
    return *made;
  }();
  return instance;
}

constexpr std::array<std::pair<std::string_view, LogLevel>, 5> kLevels = {{{"debug", LogLevel::debug},
                                                                           {"info", LogLevel::info},
                                                                           {"warn", LogLevel::warn},
                                                                           {"error", LogLevel::error},
                                                                           {"off", LogLevel::off}}};

void log(LogLevel level, std::string_view message) {
  if (!is_logged(level)) return;
  std::string line(kLevels[static_cast<std::size_t>(level)].first);
  line += ' ';
  line += escape_controls(message);
  logger().log(spdlog_level(level), spdlog::string_view_t(line));
}

}  // namespace

std::optional<LogLevel> log_level_from(std::string_view name) {
  const auto found =
      std::find_if(kLevels.begin(), kLevels.end(), [&](const auto& level) { return level.first == name; });
  return found == kLevels.end() ? std::nullopt : std::optional(found->second);
}

void set_log_level(LogLevel level) {
  logger().set_level(spdlog_level(level));
}
bool is_logged(LogLevel level) {
  return level != LogLevel::off && logger().should_log(spdlog_level(level));
}

void log_debug(std::string_view message) {
  log(LogLevel::debug, message);
}
void log_info(std::string_view message) {
  log(LogLevel::info, message);
}
void log_warn(std::string_view message) {
  log(LogLevel::warn, message);
}
void log_error(std::string_view message) {
  log(LogLevel::error, message);
}

std::string escape_controls(std::string_view message) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string escaped;
  escaped.reserve(message.size());
  for (const char c : message) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      escaped += "\\n";
    } else if (c == '\r') {
      escaped += "\\r";
    } else if (c == '\t') {
      escaped += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      escaped += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      escaped += c;
    }
  }
  return escaped;
}

}  // namespace sluice::gateway
