// A made-up request that an endpoint can answer, with made-up data for its calls: what `explain` rehearses with.
#pragma once

#include "gateway/runtime.hpp"

#include <string>
#include <vector>

namespace sluice::gateway {

struct Sample {
  std::string request;              // whole, for a connection that closes after it
  std::vector<std::string> bodies;  // of each call: JSON that has what its shape needs, and what others need of it
};

/// Every reference of the endpoint's templates leads to a value.
[[nodiscard]] Sample sample_of(const EndpointPlan& endpoint);

}  // namespace sluice::gateway
