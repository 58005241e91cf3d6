#include "gateway/preconditions.hpp"

#include "gateway/http_date.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <string_view>

namespace sluice::gateway {
namespace {

/// Takes the next entity tag off a list, without its mark as weak: a comma may stand within its quotes.
std::optional<std::string_view> next_tag(std::string_view& list) {
  list.remove_prefix(std::min(list.find_first_not_of(" \t,"), list.size()));
  if (list.empty()) return std::nullopt;
  if (list.starts_with("W/")) list.remove_prefix(2);
  const std::size_t quote = list.starts_with('"') ? list.find('"', 1) : std::string_view::npos;
  const std::size_t end =
      quote != std::string_view::npos ? quote + 1 : std::min(list.find_first_of(", \t"), list.size());
  const std::string_view tag = list.substr(0, end);
  list.remove_prefix(end);
  return tag;
}

bool is_same(std::string_view if_range, const backends::Headers& response) {
  if (if_range.starts_with('"')) return if_range == response.find("ETag").value_or("");
  const auto modified = response.find("Last-Modified");
  return modified && if_range == *modified;
}

std::optional<std::size_t> number_from(std::string_view text) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_whole = !text.empty() && end == text.data() + text.size();
  if (!is_whole || error == std::errc::invalid_argument) return std::nullopt;
  return error == std::errc::result_out_of_range ? std::numeric_limits<std::size_t>::max() : value;
}

}  // namespace

std::optional<ByteRange> wanted_range(const backends::Headers& request, const backends::Headers& response,
                                      std::size_t size) {
  constexpr std::string_view kUnit = "bytes=";
  const auto range = request.find("Range");
  if (!range || !backends::iequals(range->substr(0, kUnit.size()), kUnit) || request.count("Range") > 1) {
    return std::nullopt;
  }
  const auto condition = request.find("If-Range");
  if (condition && !is_same(*condition, response)) return std::nullopt;
  const std::string_view spec = range->substr(kUnit.size());
  const std::size_t dash = spec.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const std::string_view first_text = spec.substr(0, dash);
  const std::string_view last_text = spec.substr(dash + 1);
  const auto first = number_from(first_text);
  const auto last = number_from(last_text);
  if ((!first && !first_text.empty()) || (!last && !last_text.empty()) || (!first && !last)) return std::nullopt;
  if (!first) {  // the last bytes
    const std::size_t length = std::min(*last, size);
    return ByteRange(size - length, length);
  }
  if (last && *last < *first) return std::nullopt;
  if (*first >= size) return ByteRange(size, 0);
  return ByteRange(*first, std::min(last.value_or(size - 1), size - 1) - *first + 1);
}

bool is_not_modified(const backends::Headers& request, const backends::Headers& response) {
  if (request.contains("If-None-Match")) {
    std::string_view own = response.find("ETag").value_or("");
    if (own.starts_with("W/")) own.remove_prefix(2);
    bool matches = false;
    request.find_all("If-None-Match", [&](std::string_view list) {
      while (const auto tag = next_tag(list)) matches = matches || *tag == "*" || (!own.empty() && *tag == own);
    });
    return matches;
  }
  const auto asked = request.find("If-Modified-Since");
  const auto since = asked ? http_date_from(*asked) : std::nullopt;
  const auto modified = response.find("Last-Modified");
  const auto changed = http_date_from(modified ? *modified : response.find("Date").value_or(""));
  return since && changed && *changed <= *since;
}

}  // namespace sluice::gateway
