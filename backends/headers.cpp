#include "backends/headers.hpp"

#include <algorithm>

namespace sluice::backends {

namespace {

constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

bool iequals_of_one_size(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return x == y || lower(x) == lower(y); });
}

std::optional<std::string_view> next_list_element(std::string_view& list) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string_view element = trim(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
    if (!element.empty()) return element;
  }
  return std::nullopt;
}

bool is_hop_by_hop(std::string_view name) {
  switch (name.size()) {
    case 2:
      return iequals(name, "te");
    case 7:
      return iequals(name, "upgrade") || iequals(name, "trailer");
    case 10:
      return iequals(name, "connection") || iequals(name, "keep-alive") || iequals(name.substr(0, 6), "proxy-");
    case 17:
      return iequals(name, "transfer-encoding") || iequals(name.substr(0, 6), "proxy-");
    default:
      return name.size() > 6 && name[5] == '-' && iequals(name.substr(0, 6), "proxy-");
  }
}

void Headers::add(std::string_view name, std::string_view value) {
  if (entries_.capacity() == 0) {  // room for most requests at once, instead of growing with each field
    entries_.reserve(8);
    bytes_.reserve(256);
  }
  add_from_block(bytes_.size(), name.size(), bytes_.size() + name.size(), value.size());
  bytes_.append(name).append(value);
}

void Headers::assign_block(std::string_view block) {
  entries_.clear();
  bytes_.assign(block);
}

void Headers::set(std::string_view name, std::string_view value) {
  remove(name);
  add(name, value);
}

std::size_t Headers::remove(std::string_view name) {
  if (!contains(name)) return 0;
  return std::erase_if(entries_, [&](const Entry& entry) { return iequals(name_of(entry), name); });
}

void Headers::remove_hop_by_hop() {
  // Connection itself goes last: its values say what else to remove. An option cannot take framing or routing away.
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (!iequals(at(i).name, "connection")) continue;
    std::string_view options = at(i).value;
    while (const auto option = next_list_element(options)) {
      if (iequals(*option, "connection") || iequals(*option, "content-length") || iequals(*option, "host")) continue;
      std::size_t removed_before = 0;
      std::size_t index = 0;
      std::erase_if(entries_, [&](const Entry& entry) {
        const bool gone = iequals(name_of(entry), *option);
        if (gone && index < i) ++removed_before;
        ++index;
        return gone;
      });
      i -= removed_before;
    }
  }
  const auto concerns_connection = [&](const Entry& entry) { return is_hop_by_hop(name_of(entry)); };
  if (std::any_of(entries_.begin(), entries_.end(), concerns_connection)) std::erase_if(entries_, concerns_connection);
}

void Headers::clear() {
  bytes_.clear();
  entries_.clear();
}

std::optional<std::string_view> Headers::find(std::string_view name) const {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (iequals(name_of(entries_[i]), name)) return at(i).value;
  }
  return std::nullopt;
}

std::size_t Headers::count(std::string_view name) const {
  std::size_t found = 0;
  find_all(name, [&](std::string_view) { ++found; });
  return found;
}

}  // namespace sluice::backends
