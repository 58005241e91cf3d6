#include "gateway/stale_record.hpp"

#include "gateway/crc32c.hpp"

#include <algorithm>
#include <type_traits>

namespace sluice::gateway {
namespace {

constexpr std::string_view kMagic("sluice cache\n\x1a\r\n", 16);
constexpr std::uint32_t kVersion = 1;

template <class Number>
void put(std::string& out, Number number) {
  auto bits = static_cast<std::make_unsigned_t<Number>>(number);
  for (std::size_t i = 0; i < sizeof bits; ++i) out += static_cast<char>(static_cast<unsigned char>(bits >> (8 * i)));
}

/// Takes the next number off `bytes`, which has it.
template <class Number>
Number take(std::string_view& bytes) {
  std::make_unsigned_t<Number> bits = 0;
  for (std::size_t i = sizeof bits; i > 0; --i) {
    bits = static_cast<decltype(bits)>(bits << 8) | static_cast<unsigned char>(bytes[i - 1]);
  }
  bytes.remove_prefix(sizeof bits);
  return static_cast<Number>(bits);
}

Duration take_duration(std::string_view& bytes) {
  return Duration(take<std::int64_t>(bytes));
}

Duration since_1970(std::chrono::system_clock::time_point wall) {
  return std::max(std::chrono::duration_cast<Duration>(wall.time_since_epoch()), Duration::zero());
}

}  // namespace

std::string StaleHead::mark() const {
  std::string text;
  put(text, salt);
  return text;
}

std::string StaleHead::text() const {
  std::string text(kMagic);
  put(text, kVersion);
  put(text, salt);
  put(text, records);
  put(text, crc32c(text));
  return text;
}

StaleHead::State StaleHead::read(std::string_view bytes) {
  // What a loss of power leaves where data had not reached the disk.
  const bool is_blank = bytes.size() == kSize && bytes.find_first_not_of('\0') == std::string_view::npos;
  if (is_blank) return State::damaged;
  if (bytes.size() < kMagic.size()) {
    return !bytes.empty() && kMagic.starts_with(bytes) ? State::damaged : State::absent;
  }
  if (!bytes.starts_with(kMagic)) return State::absent;
  if (bytes.size() < kSize) return State::damaged;
  const std::uint32_t expected = crc32c(bytes.substr(0, kSize - 4));
  bytes.remove_prefix(kMagic.size());
  if (take<std::uint32_t>(bytes) != kVersion) return State::other_version;
  salt = take<std::uint64_t>(bytes);
  records = take<std::uint64_t>(bytes);
  return take<std::uint32_t>(bytes) == expected ? State::whole : State::damaged;
}

std::optional<StaleRecord> StaleRecord::read(std::string_view bytes, std::uint64_t salt, std::uint64_t left) {
  if (bytes.size() < kSize) return std::nullopt;
  const std::uint32_t expected = crc32c(bytes.substr(0, kSize - 8));
  if (take<std::uint64_t>(bytes) != salt) return std::nullopt;
  StaleRecord record;
  record.status = take<std::uint32_t>(bytes);
  record.key_size = take<std::uint32_t>(bytes);
  record.media_type_size = take<std::uint32_t>(bytes);
  record.headers_size = take<std::uint32_t>(bytes);
  record.body_size = take<std::uint64_t>(bytes);
  record.written_at = take_duration(bytes);
  record.age = take_duration(bytes);
  record.allowed.ttl = take_duration(bytes);
  record.allowed.stale_while_revalidate = take_duration(bytes);
  record.allowed.stale_if_error = take_duration(bytes);
  if (take<std::uint32_t>(bytes) != expected || record.body_size > left) return std::nullopt;
  record.checksum = take<std::uint32_t>(bytes);
  return record.size() <= left ? std::optional(record) : std::nullopt;
}

bool StaleRecord::is_whole(std::string_view bytes) const {
  return bytes.size() == size() && crc32c(bytes.substr(kSize), crc32c(bytes.substr(0, kSize - 4))) == checksum;
}

Duration StaleRecord::age_at(std::chrono::system_clock::time_point wall) const {
  const Duration then = std::max(age, Duration::zero());
  const Duration now = since_1970(wall);
  const Duration passed = now - std::clamp(written_at, Duration::zero(), now);
  return passed > Duration::max() - then ? Duration::max() : then + passed;
}

std::array<std::string_view, 5> stale_record(std::uint64_t salt, std::string_view key, const StaleEntry& entry,
                                             Moment moment, std::string& front) {
  const std::string_view body = entry.body == nullptr ? std::string_view() : std::string_view(entry.body->bytes);
  front.clear();
  put(front, salt);
  put(front, std::uint32_t{entry.status});
  put(front, static_cast<std::uint32_t>(key.size()));
  put(front, static_cast<std::uint32_t>(entry.media_type.size()));
  put(front, static_cast<std::uint32_t>(entry.headers.size()));
  put(front, std::uint64_t{body.size()});
  for (const Duration duration : {since_1970(moment.wall), entry.age(moment.now), entry.allowed.ttl,
                                  entry.allowed.stale_while_revalidate, entry.allowed.stale_if_error}) {
    put(front, std::int64_t{duration.count()});
  }
  put(front, crc32c(front));
  std::array<std::string_view, 5> pieces = {front, key, entry.media_type, entry.headers, body};
  std::uint32_t checksum = 0;
  for (const std::string_view piece : pieces) checksum = crc32c(piece, checksum);
  put(front, checksum);
  pieces[0] = front;
  return pieces;
}

}  // namespace sluice::gateway
