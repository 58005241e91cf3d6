// A JSON body of a chosen size that looks like what services send.
#pragma once

#include <cstddef>
#include <string>

namespace sluice::loadtest {

/// A list of orders with short strings, numbers, literals, escapes and a little UTF-8; of exactly `size` bytes, and the
/// same on every call. Errors: std::invalid_argument when `size` is below 22.
[[nodiscard]] std::string make_json_body(std::size_t size);

}  // namespace sluice::loadtest
