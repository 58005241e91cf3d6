#include "gateway/cache_control.hpp"

#include "gateway/field_syntax.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <initializer_list>

namespace sluice::gateway {
namespace {

using backends::iequals;
using concurrency::Duration;
using std::chrono::seconds;

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

/// Where the element ends that `list` begins with.
std::size_t end_of_element(std::string_view list) {
  bool is_quoted = false;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (is_quoted && list[i] == '\\') {
      ++i;
    } else if (list[i] == '"') {
      is_quoted = !is_quoted;
    } else if (list[i] == ',' && !is_quoted) {
      return i;
    }
  }
  return list.size();
}

constexpr std::string_view kLower = "abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kUpper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr std::string_view kDigits = "0123456789";

/// Takes off `text` what it begins with of `first` and then of `more`; false if that is nothing.
bool take_run(std::string_view& text, std::initializer_list<std::string_view> first,
              std::initializer_list<std::string_view> more) {
  const auto is_of = [](std::initializer_list<std::string_view> sets, char c) {
    return std::any_of(sets.begin(), sets.end(), [c](std::string_view set) { return set.find(c) != set.npos; });
  };
  if (text.empty() || !is_of(first, text.front())) return false;
  text.remove_prefix(1);
  while (!text.empty() && is_of(more, text.front())) text.remove_prefix(1);
  return true;
}

bool take_key(std::string_view& text) {
  return take_run(text, {kLower, "*"}, {kLower, kDigits, "_-.*"});
}

bool take_item(std::string_view& text) {
  if (text.starts_with('"')) return take_quoted(text);
  if (text.starts_with("?0") || text.starts_with("?1")) return take_run(text, {"?"}, {"01"});
  if (text.starts_with(':'))
    return take_run(text, {":"}, {kLower, kUpper, kDigits, "+/="}) && take_run(text, {":"}, {});
  if (take_run(text, {"-", kDigits}, {kDigits, "."})) return true;
  return take_run(text, {kLower, kUpper, "*"}, {kLower, kUpper, kDigits, "!#$%&'*+-.^_`|~:/"});
}

bool is_member(std::string_view text) {
  if (!take_key(text)) return false;
  if (text.starts_with('=')) {
    text.remove_prefix(1);
    if (!take_item(text)) return false;
  }
  while (text.starts_with(';')) {
    text.remove_prefix(std::min(text.find_first_not_of(' ', 1), text.size()));
    if (!take_key(text)) return false;
    if (!text.starts_with('=')) continue;
    text.remove_prefix(1);
    if (!take_item(text)) return false;
  }
  return text.empty();
}

}  // namespace

bool is_dictionary(const backends::Headers& headers, std::string_view name) {
  bool is_good = true;
  bool has_any = false;
  headers.find_all(name, [&](std::string_view list) {
    while (!list.empty()) {
      const std::size_t end = end_of_element(list);
      is_good = is_good && is_member(trimmed(list.substr(0, end)));
      has_any = true;
      list.remove_prefix(std::min(list.size(), end + 1));
    }
  });
  return is_good && has_any;
}

std::optional<CacheDirective> next_directive(std::string_view& list) {
  while (!list.empty()) {
    const std::size_t end = end_of_element(list);
    const std::string_view element = trimmed(list.substr(0, end));
    list.remove_prefix(std::min(list.size(), end + 1));
    if (element.empty()) continue;
    CacheDirective directive;
    directive.name = trimmed(element.substr(0, element.find('=')));  // a space after it makes the value malformed
    directive.value = element.substr(std::min(element.size(), directive.name.size() + 1));
    std::string_view& value = directive.value;
    directive.is_quoted = value.size() >= 2 && value.front() == '"' && value.back() == '"';
    if (directive.is_quoted) value = value.substr(1, value.size() - 2);
    return directive;
  }
  return std::nullopt;
}

std::optional<seconds> delta_seconds(std::string_view text) {
  constexpr std::uint64_t kMax = std::uint64_t{1} << 31U;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || end != text.data() + text.size()) return std::nullopt;
  return seconds(error == std::errc::result_out_of_range ? kMax : std::min(value, kMax));
}

CacheWish::CacheWish(const backends::Headers& request) {
  request.find_all("Cache-Control", [&](std::string_view list) {
    while (const auto directive = next_directive(list)) {
      const auto is = [&](std::string_view wanted) { return iequals(directive->name, wanted); };
      const auto value = delta_seconds(directive->value);
      no_cache = no_cache || is("no-cache");
      no_store = no_store || is("no-store");
      only_if_cached = only_if_cached || is("only-if-cached");
      if (is("max-age") && value) max_age = *value;
      if (is("min-fresh") && value) min_fresh = *value;
      if (is("max-stale")) max_stale = directive->value.empty() ? Duration::max() : value.value_or(seconds(0));
    }
  });
  if (request.contains("Cache-Control")) return;
  request.find_all("Pragma", [&](std::string_view list) {
    while (const auto directive = next_directive(list)) no_cache = no_cache || iequals(directive->name, "no-cache");
  });
}

bool CacheWish::accepts_fresh(Duration age, Duration left) const {
  return !no_cache && !no_store && (!max_age || age <= *max_age) && (!min_fresh || left >= *min_fresh);
}

bool CacheWish::accepts_stale(Duration age, Duration stale_for) const {
  return max_stale && stale_for <= *max_stale && !min_fresh && accepts_fresh(age, Duration(0));
}

}  // namespace sluice::gateway
