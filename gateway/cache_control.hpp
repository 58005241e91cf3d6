// The directives of Cache-Control, and what a client may ask of a cache with them (RFC 9111 §5.2).
#pragma once

#include "backends/headers.hpp"
#include "concurrency/clock.hpp"

#include <optional>
#include <string_view>

namespace sluice::gateway {

struct CacheDirective {
  std::string_view name;   ///< as written
  std::string_view value;  ///< without its quotation marks; empty: none
  bool is_quoted = false;
};

/// Takes the next directive off `list`, a value of Cache-Control; nothing at its end. A comma within a quoted string
/// separates nothing.
[[nodiscard]] std::optional<CacheDirective> next_directive(std::string_view& list);

/// Whether all fields called `name` together are a Structured Field dictionary that is not empty (RFC 9651 §3.2), as
/// those must be that are targeted at some caches; of inner lists nobody has a use.
[[nodiscard]] bool is_dictionary(const backends::Headers& headers, std::string_view name);

/// A number of seconds, at most 2^31 (RFC 9111 §1.2.2); nothing if it is not one.
[[nodiscard]] std::optional<std::chrono::seconds> delta_seconds(std::string_view text);

/// What a client asks for. *immutable*
struct CacheWish {
  CacheWish() = default;
  /// Reads Cache-Control, or without one Pragma. What is malformed asks for nothing.
  explicit CacheWish(const backends::Headers& request);

  /// Whether what is stored will do, as long as it is fresh: it is `age` old, and fresh for `left` more.
  [[nodiscard]] bool accepts_fresh(concurrency::Duration age, concurrency::Duration left) const;
  /// Whether it will do even if its freshness ended `stale_for` ago.
  [[nodiscard]] bool accepts_stale(concurrency::Duration age, concurrency::Duration stale_for) const;

  bool no_cache = false;
  bool no_store = false;
  bool only_if_cached = false;
  std::optional<concurrency::Duration> max_age;
  std::optional<concurrency::Duration> min_fresh;
  std::optional<concurrency::Duration> max_stale;
};

}  // namespace sluice::gateway
