// The least that must be known of an HTTP/1.1 message: where its header ends and how long its body is.
#pragma once

#include <cstddef>
#include <string_view>

namespace sluice::loadtest {

struct Head {
  std::size_t size;  // of the header block with its empty line; 0: not complete yet
  std::size_t body;  // Content-Length, 0 without one
};

/// Looks for the end of the header and for Content-Length, and at nothing else: for peers that are known to be correct.
[[nodiscard]] Head scan_head(std::string_view bytes);

}  // namespace sluice::loadtest
