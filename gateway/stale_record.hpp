// How the file of degraded data (stale_file.hpp) is laid out: its heads and records as bytes.
//
//   head      magic (16 bytes), u32 version, u64 salt, u64 number of records, u32 checksum of these
//   records   of any number and order, each by itself:
//             u64 salt, u32 status, u32 size of key, media type and headers, u64 size of the body, i64 wall clock when
//             written, i64 age then, i64 ttl, stale_while_revalidate and stale_if_error that the origin allows,
//             u32 checksum of all these, u32 checksum of these and what follows; key, media type, headers, body
//   head      once more: one of the two is enough
//
// Numbers are little-endian, times nanoseconds, the wall clock since 1970, checksums CRC-32C. The salt, which differs
// in each file, marks where a record begins: after a damaged one the next is looked for, and the bytes of a body cannot
// pass for a record.
#pragma once

#include "gateway/stale_store.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::gateway {

/// One moment on both clocks: the store tells time by the monotonic one, which starts anew with the machine.
struct Moment {
  TimePoint now;
  std::chrono::system_clock::time_point wall;

  [[nodiscard]] static Moment current() { return {TimePoint::clock::now(), std::chrono::system_clock::now()}; }
};

struct StaleHead {
  static constexpr std::size_t kSize = 16 + 4 + 8 + 8 + 4;
  enum class State { absent, other_version, damaged, whole };

  std::uint64_t salt = 0;
  std::uint64_t records = 0;

  [[nodiscard]] std::string text() const;
  /// Takes the head that `bytes` begin with, up to kSize of them.
  State read(std::string_view bytes);
  /// What each record begins with.
  [[nodiscard]] std::string mark() const;
};

/// The numbers in front of a record's strings.
struct StaleRecord {
  static constexpr std::size_t kSize = 8 + 4 * 4 + 8 + 5 * 8 + 4 + 4;

  unsigned status = 0;
  std::uint32_t key_size = 0;
  std::uint32_t media_type_size = 0;
  std::uint32_t headers_size = 0;
  std::uint64_t body_size = 0;
  Duration written_at{0};  // since 1970
  Duration age{0};
  Windows allowed;
  std::uint32_t checksum = 0;

  /// Nothing if they are damaged, or if the record reaches beyond the `left` bytes of the file.
  [[nodiscard]] static std::optional<StaleRecord> read(std::string_view bytes, std::uint64_t salt, std::uint64_t left);

  /// With the strings.
  [[nodiscard]] std::uint64_t size() const {
    return std::uint64_t{kSize} + key_size + media_type_size + headers_size + body_size;
  }
  /// Whether the bytes of the whole record are those that were written.
  [[nodiscard]] bool is_whole(std::string_view bytes) const;
  /// Since the origin made it, by the wall clock; a clock that was set back takes nothing away.
  [[nodiscard]] Duration age_at(std::chrono::system_clock::time_point wall) const;
};

/// The record of `entry` in the pieces to write in order; they live as long as `front`, `key` and `entry`.
[[nodiscard]] std::array<std::string_view, 5> stale_record(std::uint64_t salt, std::string_view key,
                                                           const StaleEntry& entry, Moment moment, std::string& front);

}  // namespace sluice::gateway
