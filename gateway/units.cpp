// Reading and writing durations and sizes, in integers throughout.
#include "gateway/units.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>

namespace sluice::gateway {
namespace {

constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();

std::optional<std::uint64_t> parse(std::string_view text, std::span<const Unit> units) {
  const std::string_view unit_name = text.substr(std::min(text.find_first_not_of("0123456789."), text.size()));
  const auto unit = std::find_if(units.begin(), units.end(), [&](const Unit& u) { return u.name == unit_name; });
  text.remove_suffix(unit_name.size());
  const std::size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view decimals = point == std::string_view::npos ? std::string_view("0") : text.substr(point + 1);
  if (unit == units.end() || whole.empty() || decimals.empty() || decimals.size() > 18) return std::nullopt;

  std::uint64_t value = 0;
  for (char c : whole) {
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (value > (kMax / unit->factor - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  std::uint64_t numerator = 0;
  std::uint64_t denominator = 1;
  for (char c : decimals) {
    if (c == '.') return std::nullopt;
    numerator = numerator * 10 + static_cast<std::uint64_t>(c - '0');
    denominator *= 10;
  }
  // numerator * factor / denominator, without the product, which may not fit.
  const std::uint64_t divisor = std::gcd(denominator, unit->factor);
  if (numerator % (denominator / divisor) != 0) return std::nullopt;
  const std::uint64_t part = numerator / (denominator / divisor) * (unit->factor / divisor);
  value *= unit->factor;
  if (value > kMax - part) return std::nullopt;
  return value + part;
}

std::string format(std::uint64_t value, std::span<const Unit> units, std::string_view zero) {
  if (value == 0) return std::string(zero);
  std::size_t unit = units.size() - 1;
  while (value % units[unit].factor != 0) --unit;
  return std::to_string(value / units[unit].factor) + std::string(units[unit].name);
}

}  // namespace

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  const auto value = parse(text, kDurationUnits);
  if (!value) return std::nullopt;
  return std::chrono::nanoseconds(static_cast<std::int64_t>(*value));
}

std::optional<std::size_t> parse_size(std::string_view text) {
  const auto value = parse(text, kSizeUnits);
  if (!value) return std::nullopt;
  return static_cast<std::size_t>(*value);
}

std::string format_duration(std::chrono::nanoseconds duration) {
  return format(static_cast<std::uint64_t>(duration.count()), kDurationUnits, "0s");
}

std::string format_size(std::size_t bytes) {
  return format(bytes, kSizeUnits, "0B");
}

}  // namespace sluice::gateway
