// JSON in blocks of 64 bytes: what a processor with wide vectors passes over several times as fast as byte by byte.
#pragma once

#include "gateway/detail/json_place.hpp"

namespace sluice::gateway::detail {

/// Passes over tokens inside the outermost container, whose `place` (in a state up to after_value) is kept up to date.
/// Returns where the scanner has to go on byte by byte: before the last token, or anywhere before what is wrong or
/// cut. The token that ends the outermost container is never passed.
using PassTokens = const char* (*)(const char* begin, const char* end, JsonPlace& place);

/// Null if this processor has no such vectors.
[[nodiscard]] PassTokens pass_with_avx2();
[[nodiscard]] PassTokens pass_with_avx512();

}  // namespace sluice::gateway::detail
