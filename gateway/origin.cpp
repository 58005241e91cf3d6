#include "gateway/origin.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <ctime>
#include <optional>
#include <string>

namespace sluice::gateway {
namespace {

using std::chrono::seconds;

/// A number of seconds, quoted or not, at most 2^31 (RFC 9111 §1.2.2).
std::optional<seconds> seconds_from(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  std::uint64_t value = 0;
  constexpr std::uint64_t kMax = std::uint64_t{1} << 31U;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || end != text.data() + text.size()) return std::nullopt;
  return seconds(error == std::errc::result_out_of_range ? kMax : std::min(value, kMax));
}

/// An HTTP date, in the one form that is still sent ("Sun, 06 Nov 1994 08:49:37 GMT").
std::optional<std::time_t> date_from(std::string_view text) {
  std::tm parts{};
  const std::string copy(text);
  const char* end = strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return timegm(&parts);
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
    forbid_stale();
  } else if (is("must-revalidate") || is("proxy-revalidate")) {
    forbid_stale();
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

}  // namespace sluice::gateway
