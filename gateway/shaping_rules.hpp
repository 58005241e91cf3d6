// The rules of an endpoint's `pick`, `allow`, `deny`, `rename` and `into`.
#pragma once

#include "gateway/config.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace sluice::gateway {

/// Something that is wrong with the shaping of one call.
struct ShapingProblem {
  bool is_error = true;
  std::size_t call = 0;
  std::string key;      // of the call
  std::string message;  // as in Problem
};

/// Of a strategy that merges; of another there is nothing to say. `is_valid`: of each call, whether the values that say
/// where it goes are what they must be; others are not compared with their neighbours.
std::vector<ShapingProblem> check_shaping(const EndpointConfig& endpoint, const std::vector<bool>& is_valid);

}  // namespace sluice::gateway
