// Whether a client that has a copy already needs what is stored (RFC 9111 §4.3.2).
#pragma once

#include "backends/headers.hpp"

#include <cstddef>
#include <optional>

namespace sluice::gateway {

/// True if by If-None-Match, or without one by If-Modified-Since, of `request` the copy that the client has is as good
/// as the response with these fields. Tags are compared weakly; without Last-Modified its Date counts.
[[nodiscard]] bool is_not_modified(const backends::Headers& request, const backends::Headers& response);

/// The part of `size` bytes that a client wants.
struct ByteRange {
  ByteRange(std::size_t b, std::size_t s) : begin(b), size(s) {}
  std::size_t begin;
  std::size_t size;  // 0: there is no such part
};

/// What Range of `request` asks of the response with these fields (RFC 9110 §14.2). Nothing: all of it, as with several
/// ranges, a malformed one, or an If-Range for another response.
[[nodiscard]] std::optional<ByteRange> wanted_range(const backends::Headers& request, const backends::Headers& response,
                                                    std::size_t size);

}  // namespace sluice::gateway
