// What the origin of a response says about storing it (RFC 9111, RFC 5861).
#pragma once

#include "backends/headers.hpp"
#include "gateway/stale_store.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace sluice::gateway {

struct Origin {
  Origin() = default;

  bool allows_authorized = false;  ///< what was asked for with a client's credentials may be stored (§3.5)
  bool names_lifetime = false;     ///< it says how long the answer is fresh
  bool names_revalidate = false;   ///< it has a stale-while-revalidate
  bool is_public = false;          ///< it says `public`
  std::string_view refusal;        ///< why it must not be stored, a word of a closed vocabulary; empty: it may
  Duration age{0};                 ///< how old it was on arrival
  Windows allowed{Duration::max(), Duration::max(), Duration::max()};  ///< the most that the origin allows
};

/// Reads Cache-Control, Expires, Date, Age and Vary of an answer with `status`. Refusals: no_store, private, vary
/// (`*`), and no_cache where there is nothing to validate the answer by.
///
/// Where the origin says nothing of a window, nothing bounds it. `s-maxage`, `must-revalidate` and `proxy-revalidate`
/// forbid serving stale, `no-cache` serving unvalidated: all windows are empty. That `private` or `no-cache` is said of
/// some fields alone makes no difference. Of a directive given twice the smaller value counts; a malformed lifetime
/// counts as zero, a malformed Age as none. `must-understand` lifts `no-store` where the status is known.
/// The first header of `targeted` that is there and well-formed stands in for Cache-Control and Expires (RFC 9213).
/// To what Age says the time is added that the answer took (§4.2.3), in whole seconds, which is what Age counts in.
[[nodiscard]] Origin origin_of(const backends::Headers& headers, unsigned status = 200,
                               const std::vector<std::string>& targeted = {}, Duration took = {});

/// What is kept of an answer's headers beside its body (header_lines.hpp): those in `names`, which are in lower case,
/// and if it has a validator that, and what a 304 may leave out.
[[nodiscard]] std::string kept_fields(const backends::Headers& headers, const std::vector<std::string>& names);
/// All fields of a response that may be passed on to others: without those that concern one connection, Content-Length
/// and Age; with a Date.
[[nodiscard]] std::string whole_fields(const backends::Headers& headers);
/// The fields of such lines.
[[nodiscard]] backends::Headers fields_from(std::string_view lines);
/// The kept fields of an answer that a 304 has found unchanged, those of the 304 in their place (§4.3.4).
[[nodiscard]] backends::Headers update_fields(const backends::Headers& kept, const backends::Headers& not_modified);

}  // namespace sluice::gateway
