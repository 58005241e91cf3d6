// Splitting a Sluice-Calls header: members at commas, parameters at semicolons (tokens only, so no quotes to mind).
#include "loadtest/sluice_calls.hpp"

#include <algorithm>

namespace sluice::loadtest {

std::vector<SluiceCall> parse_sluice_calls(std::string_view value) {
  std::vector<SluiceCall> calls;
  while (!value.empty()) {
    const std::size_t comma = std::min(value.find(','), value.size());
    std::string_view member = value.substr(0, comma);
    value.remove_prefix(std::min(comma + 1, value.size()));
    member.remove_prefix(std::min(member.find_first_not_of(' '), member.size()));
    member = member.substr(0, member.find_first_of("; "));
    const std::size_t equals = std::min(member.find('='), member.size());
    calls.push_back({member, member.substr(0, equals), member.substr(std::min(equals + 1, member.size()))});
  }
  return calls;
}

}  // namespace sluice::loadtest
