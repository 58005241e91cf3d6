// Replaces operator new in the program that links it.
#pragma once

#include <cstddef>

namespace sluice::test {

/// How often this thread has called operator new, aligned forms apart.
[[nodiscard]] std::size_t allocations();

}  // namespace sluice::test
