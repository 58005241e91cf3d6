#include "backends/head_writer.hpp"

#include "backends/detail/message.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>

namespace sluice::backends {

namespace {

/// CR, LF or NUL. Every header that is sent passes here: eight bytes at a time, which rarely have any control
/// character.
bool splits_lines(std::string_view value) {
  constexpr std::size_t kWord = sizeof(std::uint64_t);
  constexpr std::uint64_t kOnes = 0x0101010101010101U;
  const auto has_control = [](const char* at) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, kWord);
    return ((word - kOnes * ' ') & ~word & (kOnes << 7U)) != 0;  // exact where none is less than a space
  };
  bool may = value.size() < kWord;
  if (!may) {
    const char* const last = value.data() + value.size() - kWord;
    for (const char* at = value.data(); at < last; at += kWord) may |= has_control(at);
    may |= has_control(last);
  }
  return may && value.find_first_of(std::string_view("\r\n\0", 3)) != value.npos;
}

}  // namespace

bool HeadWriter::add(std::string_view name, std::string_view value) {
  if (!detail::is_token(name) || splits_lines(value)) return false;
  append(name, value);
  return true;
}

bool HeadWriter::add(std::string_view name, std::uint64_t value) {
  if (!detail::is_token(name)) return false;
  char digits[20];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value);
  append(name, std::string_view(digits, static_cast<std::size_t>(end - digits)));
  return true;
}

void HeadWriter::append(std::string_view name, std::string_view value) {
  const std::size_t begin = out_.size();
  out_.resize(begin + name.size() + value.size() + 4);
  char* at = out_.data() + begin;
  at = std::copy(name.begin(), name.end(), at);
  *at++ = ':';
  *at++ = ' ';
  at = std::copy(value.begin(), value.end(), at);
  *at++ = '\r';
  *at = '\n';
}

std::size_t HeadWriter::find_line(std::string_view name, std::size_t from) const {
  for (std::size_t begin = from; begin < out_.size();) {
    const std::string_view line = std::string_view(out_).substr(begin);
    if (line.size() > name.size() && line[name.size()] == ':' && iequals(line.substr(0, name.size()), name)) {
      return begin;
    }
    const std::size_t end = out_.find('\n', begin);
    if (end == std::string::npos) break;
    begin = end + 1;
  }
  return std::string::npos;
}

void HeadWriter::remove(std::string_view name) {
  for (std::size_t at = find_line(name, 0); at != std::string::npos; at = find_line(name, at)) {
    out_.erase(at, out_.find('\n', at) + 1 - at);
  }
}

std::optional<std::string_view> HeadWriter::find(std::string_view name) const {
  const std::size_t at = find_line(name, 0);
  if (at == std::string::npos) return std::nullopt;
  const std::size_t value = at + name.size() + 2;
  return std::string_view(out_).substr(value, out_.find('\r', value) - value);
}

void HeadWriter::add_all(const Headers& fields) {
  for (const Headers::Field field : fields) {
    if (is_hop_by_hop(field.name) || iequals(field.name, "content-length") || iequals(field.name, "host")) continue;
    add(field.name, field.value);
  }
}

}  // namespace sluice::backends
