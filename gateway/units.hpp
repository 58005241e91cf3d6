// Durations and sizes as the configuration writes them: "250ms", "1.5s", "64KiB".
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::gateway {

struct Unit {
  std::string_view name;
  std::uint64_t factor;  // in nanoseconds, or bytes
};
constexpr Unit kDurationUnits[] = {{"ns", 1},
                                   {"us", 1'000},
                                   {"ms", 1'000'000},
                                   {"s", 1'000'000'000},
                                   {"m", 60'000'000'000},
                                   {"h", 3'600'000'000'000},
                                   {"d", 86'400'000'000'000}};
constexpr Unit kSizeUnits[] = {{"B", 1}, {"KiB", 1U << 10U}, {"MiB", 1U << 20U}, {"GiB", 1U << 30U}};

/// Reads a decimal number and a unit (ns, us, ms, s, m, h, d), nothing between them. Empty when malformed, when it is
/// no whole number of nanoseconds, or beyond 292 years.
std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);

/// Reads a decimal number and a unit (B, KiB, MiB, GiB). Empty when malformed, no whole number of bytes, or 8 EiB or
/// more.
std::optional<std::size_t> parse_size(std::string_view text);

/// The shortest form with a whole number: 1500ms, 2s, 0s.
std::string format_duration(std::chrono::nanoseconds duration);
std::string format_size(std::size_t bytes);

}  // namespace sluice::gateway
