// Dates as HTTP writes them.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::gateway {

/// The moment that `text` names, in one of the three forms of RFC 9110 §5.6.7, but for the case of letters exactly.
/// A year of two digits that seems more than 50 years ahead is of the century before.
[[nodiscard]] std::optional<std::time_t> http_date_from(std::string_view text);

/// `time` in the form that is sent.
[[nodiscard]] std::string http_date(std::time_t time);

}  // namespace sluice::gateway
