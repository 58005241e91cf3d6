// Header fields as text, a line each (`Name: value`), in which form they are kept beside a body.
#pragma once

#include "backends/headers.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::gateway {

/// Appends the fields of `headers` whose names, in lower case, are in `names`; all values of each.
inline void append_lines(const backends::Headers& headers, const std::vector<std::string>& names, std::string& lines) {
  for (const auto field : headers) {
    const bool is_wanted = std::any_of(names.begin(), names.end(),
                                       [&](const std::string& name) { return backends::iequals(name, field.name); });
    if (is_wanted) lines.append(field.name).append(": ").append(field.value).append(1, '\n');
  }
}

/// Calls `each(name, value)` for every line.
template <class F>
void for_each_line(std::string_view lines, F&& each) {
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(lines.size(), line.size() + 1));
    const std::size_t colon = line.find(": ");
    if (colon != std::string_view::npos) each(line.substr(0, colon), line.substr(colon + 2));
  }
}

}  // namespace sluice::gateway
