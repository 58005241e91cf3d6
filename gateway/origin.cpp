#include "gateway/origin.hpp"

#include "gateway/cache_control.hpp"
#include "gateway/header_lines.hpp"
#include "gateway/http_date.hpp"
#include "gateway/response_writer.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <optional>
#include <string>

namespace sluice::gateway {
namespace {

using std::chrono::seconds;

/// What a later 304 may leave out: the validators, and what origin_of() reads apart from the time of the answer.
constexpr std::string_view kKept[] = {"etag", "last-modified", "cache-control", "expires", "vary"};

/// What describes the body that came with it, and is no 304's to change.
constexpr std::string_view kOfBody[] = {"Content-Length", "Content-Encoding", "Content-Type", "Content-Range"};

/// What Cache-Control says, of all its lines.
struct Said {
  bool is_targeted = false;  // by another header, with which Expires says nothing
  bool no_store = false;
  bool is_private = false;
  bool no_cache = false;
  bool must_understand = false;
  bool forbids_stale = false;
  std::optional<seconds> max_age;
  std::optional<seconds> shared_max_age;
};

void lower_to(std::optional<seconds>& bound, seconds value) {
  bound = std::min(bound.value_or(value), value);
}

void read_directive(const CacheDirective& directive, Said& said, Origin& origin) {
  const auto is = [&](std::string_view wanted) { return backends::iequals(directive.name, wanted); };
  const auto lifetime = [&] { return delta_seconds(directive.value).value_or(seconds(0)); };
  if (is("no-store")) {
    said.no_store = true;
  } else if (is("private")) {
    said.is_private = true;
  } else if (is("no-cache")) {
    said.no_cache = true;
  } else if (is("must-understand")) {
    said.must_understand = true;
  } else if (is("max-age")) {
    lower_to(said.max_age, lifetime());
  } else if (is("s-maxage")) {
    lower_to(said.shared_max_age, lifetime());
    origin.allows_authorized = said.forbids_stale = true;
  } else if (is("must-revalidate")) {
    origin.allows_authorized = said.forbids_stale = true;
  } else if (is("proxy-revalidate")) {
    said.forbids_stale = true;
  } else if (is("public")) {
    origin.allows_authorized = origin.is_public = true;
  } else if (is("stale-while-revalidate")) {
    origin.names_revalidate = true;
    origin.allowed.stale_while_revalidate = std::min<Duration>(origin.allowed.stale_while_revalidate, lifetime());
  } else if (is("stale-if-error")) {
    origin.allowed.stale_if_error = std::min<Duration>(origin.allowed.stale_if_error, lifetime());
  }
}

bool varies_by_all(const backends::Headers& headers) {
  bool found = false;
  headers.find_all("Vary", [&](std::string_view list) {
    while (const auto name = backends::next_list_element(list)) found = found || *name == "*";
  });
  return found;
}

void read_lifetime(const backends::Headers& headers, const Said& said, std::optional<std::time_t> date,
                   Origin& origin) {
  const auto expires = said.is_targeted ? std::nullopt : headers.find("Expires");
  origin.names_lifetime = said.shared_max_age || said.max_age || expires;
  if (said.shared_max_age) {
    origin.allowed.ttl = *said.shared_max_age;
  } else if (said.max_age) {
    origin.allowed.ttl = *said.max_age;
  } else if (expires) {
    const auto end = headers.count("Expires") == 1 ? http_date_from(*expires) : std::nullopt;
    const std::time_t base = date.value_or(std::time(nullptr));
    origin.allowed.ttl = seconds(end ? std::max<std::time_t>(0, *end - base) : 0);
  }
}

}  // namespace

Origin origin_of(const backends::Headers& headers, unsigned status, const std::vector<std::string>& targeted,
                 Duration took) {
  Origin origin;
  Said said;
  const auto target = std::find_if(targeted.begin(), targeted.end(),
                                   [&](const std::string& name) { return is_dictionary(headers, name); });
  said.is_targeted = target != targeted.end();
  headers.find_all(said.is_targeted ? std::string_view(*target) : "Cache-Control", [&](std::string_view list) {
    while (const auto directive = next_directive(list)) {
      const bool is_of_wrong_type = said.is_targeted && directive->is_quoted && delta_seconds(directive->value);
      if (!is_of_wrong_type) read_directive(*directive, said, origin);
    }
  });
  const auto date = http_date_from(headers.find("Date").value_or(""));
  read_lifetime(headers, said, date, origin);
  std::string_view ages = headers.find("Age").value_or("");
  const auto age = delta_seconds(backends::next_list_element(ages).value_or(""));
  const seconds apparent(date ? std::max<std::time_t>(0, std::time(nullptr) - *date) : 0);
  origin.age = std::max(age.value_or(seconds(0)) + std::chrono::floor<seconds>(took), apparent);

  const bool is_understood = reason_phrase(status) != "Unknown";
  const bool has_validator = headers.contains("ETag") || headers.contains("Last-Modified");
  if (said.forbids_stale) origin.allowed.stale_while_revalidate = origin.allowed.stale_if_error = Duration(0);
  if (said.no_cache) origin.allowed = Windows{};
  if (said.no_cache && !has_validator) origin.refusal = "no_cache";
  if (varies_by_all(headers)) origin.refusal = "vary";
  if (said.is_private) origin.refusal = "private";
  if (said.must_understand ? !is_understood : said.no_store) origin.refusal = "no_store";
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

std::string whole_fields(const backends::Headers& headers) {
  backends::Headers kept = headers;
  kept.remove_hop_by_hop();
  for (const std::string_view name : {"Content-Length", "Age"}) kept.remove(name);
  if (!kept.contains("Date")) kept.add("Date", http_date(std::time(nullptr)));
  std::string lines;
  for (const auto field : kept) lines.append(field.name).append(": ").append(field.value).append(1, '\n');
  return lines;
}

backends::Headers fields_from(std::string_view lines) {
  backends::Headers headers;
  for_each_line(lines, [&](std::string_view name, std::string_view value) { headers.add(name, value); });
  return headers;
}

backends::Headers update_fields(const backends::Headers& kept, const backends::Headers& not_modified) {
  backends::Headers said = not_modified;
  said.remove_hop_by_hop();
  for (const std::string_view name : kOfBody) said.remove(name);
  backends::Headers headers = said;
  for (const auto field : kept) {
    if (!said.contains(field.name)) headers.add(field.name, field.value);
  }
  return headers;
}

}  // namespace sluice::gateway
