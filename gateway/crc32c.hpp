// CRC-32C (Castagnoli), the checksum of what is kept in files.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::gateway {

/// The checksum of what `before` is the checksum of, followed by `bytes`. Some 2 GB/s.
[[nodiscard]] std::uint32_t crc32c(std::string_view bytes, std::uint32_t before = 0) noexcept;

}  // namespace sluice::gateway
