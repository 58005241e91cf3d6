// Durations and sizes as the configuration writes them: "250ms", "1.5s", "64KiB".
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::gateway {

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
