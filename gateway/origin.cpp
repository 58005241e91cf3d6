#include "gateway/origin.hpp"

#include "gateway/header_lines.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <ctime>
#include <optional>
#include <string>

namespace sluice::gateway {
namespace {

using std::chrono::seconds;

/// What a later 304 may leave out: the validators, and what origin_of() reads apart from the time of the answer.
constexpr std::string_view kKept[] = {"etag", "last-modified", "cache-control", "expires", "vary"};

/// A number of seconds, quoted or not, at most 2^31 (RFC 9111 §1.2.2).
std::optional<seconds> seconds_from(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  std::uint64_t value = 0;
  constexpr std::uint64_t kMax = std::uint64_t{1} << 31U;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || end != text.data() + text.size()) return std::nullopt;
  return seconds(error == std::errc::result_out_of_range ? kMax : std::min(value, kMax));
}

/// An HTTP date, in any of its three forms (RFC 9110 §5.6.7).
std::optional<std::time_t> date_from(std::string_view text) {
  const std::string copy(text);
  constexpr const char* kTwoDigits = "%a, %d-%b-%y %H:%M:%S GMT";
  for (const char* form : {"%a, %d %b %Y %H:%M:%S GMT", kTwoDigits, "%a %b %d %H:%M:%S %Y"}) {
    std::tm parts{};
    const char* end = strptime(copy.c_str(), form, &parts);
    if (end == nullptr || *end != '\0') continue;
    if (form == kTwoDigits) {  // a year that seems more than 50 years ahead is of the century before
      const std::time_t now = std::time(nullptr);
      std::tm today{};
      gmtime_r(&now, &today);
      parts.tm_year = today.tm_year - today.tm_year % 100 + parts.tm_year % 100;
      if (parts.tm_year > today.tm_year + 50) parts.tm_year -= 100;
    }
    return timegm(&parts);
  }
  return std::nullopt;
}

void read_directive(std::string_view directive, Origin& origin, std::optional<seconds>& max_age,
                    std::optional<seconds>& shared_max_age) {
  const std::string_view name = directive.substr(0, directive.find('='));
  const std::string_view value = name.size() < directive.size() ? directive.substr(name.size() + 1) : "";
  const auto is = [&](std::string_view wanted) { return backends::iequals(name, wanted); };
  const auto lifetime = [&] { return seconds_from(value).value_or(seconds(0)); };
  const auto forbid_stale = [&] {
    origin.allowed.stale_while_revalidate = origin.allowed.stale_if_error = Duration(0);
  };
  if (is("no-store")) {
    origin.refusal = "no_store";
  } else if (is("private")) {
    origin.refusal = "private";
  } else if (is("no-cache")) {
    origin.refusal = "no_cache";
  } else if (is("max-age")) {
    max_age = lifetime();
  } else if (is("s-maxage")) {
    shared_max_age = lifetime();
    origin.allows_authorized = true;
    forbid_stale();
  } else if (is("must-revalidate") || is("proxy-revalidate")) {
    origin.allows_authorized = origin.allows_authorized || is("must-revalidate");
    forbid_stale();
  } else if (is("public")) {
    origin.allows_authorized = true;
  } else if (is("stale-while-revalidate")) {
    origin.allowed.stale_while_revalidate = std::min<Duration>(origin.allowed.stale_while_revalidate, lifetime());
  } else if (is("stale-if-error")) {
    origin.allowed.stale_if_error = std::min<Duration>(origin.allowed.stale_if_error, lifetime());
  }
}

}  // namespace

Origin origin_of(const backends::Headers& headers) {
  Origin origin;
  std::optional<seconds> max_age;
  std::optional<seconds> shared_max_age;
  headers.find_all("Cache-Control", [&](std::string_view list) {
    while (const auto directive = backends::next_list_element(list)) {
      read_directive(*directive, origin, max_age, shared_max_age);
    }
  });
  headers.find_all("Vary", [&](std::string_view list) {
    while (const auto name = backends::next_list_element(list)) {
      if (*name == "*") origin.refusal = "vary";
    }
  });

  const auto date = date_from(headers.find("Date").value_or(""));
  if (shared_max_age) {
    origin.allowed.ttl = *shared_max_age;
  } else if (max_age) {
    origin.allowed.ttl = *max_age;
  } else if (const auto text = headers.find("Expires")) {
    const auto expires = date_from(*text);
    const auto base = date.value_or(std::time(nullptr));
    origin.allowed.ttl = seconds(expires ? std::max<std::time_t>(0, *expires - base) : 0);
  }
  const auto age = seconds_from(headers.find("Age").value_or(""));
  const seconds apparent(date ? std::max<std::time_t>(0, std::time(nullptr) - *date) : 0);
  origin.age = std::max(age.value_or(seconds(0)), apparent);
  return origin;
}

std::string kept_fields(const backends::Headers& headers, const std::vector<std::string>& names) {
  std::string lines;
  append_lines(headers, names, lines);
  if (!headers.contains("ETag") && !headers.contains("Last-Modified")) return lines;
  std::vector<std::string> others(std::begin(kKept), std::end(kKept));
  std::erase_if(others, [&](const auto& name) { return std::find(names.begin(), names.end(), name) != names.end(); });
  append_lines(headers, others, lines);
  return lines;
}

backends::Headers fields_from(std::string_view lines) {
  backends::Headers headers;
  for_each_line(lines, [&](std::string_view name, std::string_view value) { headers.add(name, value); });
  return headers;
}

backends::Headers update_fields(const backends::Headers& kept, const backends::Headers& not_modified) {
  backends::Headers headers = not_modified;
  for (const auto field : kept) {
    if (!not_modified.contains(field.name)) headers.add(field.name, field.value);
  }
  return headers;
}

}  // namespace sluice::gateway
