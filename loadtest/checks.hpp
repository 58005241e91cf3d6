// Whether a reply is the one that was expected.
#pragma once

#include "loadtest/reply_reader.hpp"
#include "loadtest/scenario.hpp"
#include "loadtest/timeline.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace sluice::loadtest {

/// The X-Request-Id of request `n` of this process.
[[nodiscard]] std::string request_id(std::uint64_t n);

struct Fault {
  Kind kind;
  std::string problem;
};

/// The first of `expect` that the complete reply to request `n` does not meet.
[[nodiscard]] std::optional<Fault> find_fault(const Expectations& expect, const ReplyReader& reply, std::uint64_t n);

}  // namespace sluice::loadtest
