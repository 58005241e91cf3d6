#include "backends/head_writer.hpp"

#include "backends/detail/words.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

namespace sluice::backends {

namespace {

constexpr std::string_view kBetween = ": ";
constexpr std::string_view kEnd = "\r\n";

/// Whether any of it could end a name, or its line.
constexpr auto ends_name = [](std::uint64_t word) {
  return detail::has_less(word, ' ' + 1) | detail::has_byte(word, ':') | detail::has_byte(word, 0x7f) |
         detail::has_high(word);
};
constexpr auto has_control = [](std::uint64_t word) { return detail::has_less(word, ' '); };

bool splits_lines(std::string_view value) {
  return value.find_first_of(std::string_view("\r\n\0", 3)) != value.npos;
}

}  // namespace

bool HeadWriter::add(std::string_view name, std::string_view value) {
  if (name.empty()) return false;
  // Most lines are put together on the stack, since appending each part to a string costs more than copying it twice.
  std::array<char, 256> line;
  const std::size_t size = name.size() + value.size() + kBetween.size() + kEnd.size();
  if (size > line.size()) {
    if (detail::any_word(name, ends_name) || splits_lines(value)) return false;
    out_.append(name).append(kBetween).append(value).append(kEnd);
    return true;
  }
  char* at = line.data();
  if (detail::copy_and_test(name, at, ends_name)) return false;
  at = std::copy(kBetween.begin(), kBetween.end(), at + name.size());
  if (detail::copy_and_test(value, at, has_control) && splits_lines(value)) return false;
  std::copy(kEnd.begin(), kEnd.end(), at + value.size());
  out_.append(line.data(), size);
  return true;
}

bool HeadWriter::add(std::string_view name, std::uint64_t value) {
  char digits[20];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value);
  return add(name, std::string_view(digits, static_cast<std::size_t>(end - digits)));
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
