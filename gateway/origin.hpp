// What the origin of a response says about storing it (RFC 9111, RFC 5861).
#pragma once

#include "backends/headers.hpp"
#include "gateway/stale_store.hpp"

#include <string_view>

namespace sluice::gateway {

struct Origin {
  Origin() = default;

  std::string_view refusal;  ///< why it must not be stored, a word of a closed vocabulary; empty: it may
  Duration age{0};           ///< how old it was on arrival
  Windows allowed{Duration::max(), Duration::max(), Duration::max()};  ///< the most that the origin allows
};

/// Reads Cache-Control, Expires, Date, Age and Vary. Refusals: no_store, private, no_cache, vary (`*`).
///
/// Where the origin says nothing of a window, nothing bounds it. `s-maxage`, `must-revalidate` and `proxy-revalidate`
/// forbid serving stale. A malformed lifetime counts as zero, a malformed Age as none.
[[nodiscard]] Origin origin_of(const backends::Headers& headers);

}  // namespace sluice::gateway
