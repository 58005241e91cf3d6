// The members of a Sluice-Calls header.
#pragma once

#include <string_view>
#include <vector>

namespace sluice::loadtest {

/// `user=fresh;ms=12`: `member` is `user=fresh`. Views into the header's value.
struct SluiceCall {
  std::string_view member, name, outcome;
};

/// Splits the value of `Sluice-Calls`; what is no `name=outcome` has an empty outcome.
[[nodiscard]] std::vector<SluiceCall> parse_sluice_calls(std::string_view value);

}  // namespace sluice::loadtest
