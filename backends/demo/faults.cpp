#include "backends/demo/faults.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <initializer_list>
#include <numbers>

namespace sluice::backends::demo {
namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{256} << 20U;
constexpr double kMaxMilliseconds = 86'400'000;

/// The whole of `text` as a number.
template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> milliseconds(std::string_view text) {
  const auto value = number<double>(text);
  if (!value || !(*value >= 0 && *value <= kMaxMilliseconds)) return std::nullopt;
  return value;
}

concurrency::Duration to_duration(double milliseconds) {
  return concurrency::Duration(std::llround(std::clamp(milliseconds, 0.0, kMaxMilliseconds) * 1e6));
}

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

/// Takes the text before `separator` off the front of `text`.
std::string_view take(std::string_view& text, char separator) {
  const auto end = std::min(text.find(separator), text.size());
  const std::string_view taken = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return taken;
}

std::optional<Latency> parse_latency(std::string_view text) {
  constexpr std::string_view kLognormal = "lognormal(";
  Latency latency;
  if (text.starts_with(kLognormal) && text.ends_with(')')) {
    text = text.substr(kLognormal.size(), text.size() - kLognormal.size() - 1);
    const auto median = milliseconds(trimmed(take(text, ',')));
    const auto sigma = number<double>(trimmed(text));
    if (!median || !sigma || !(*sigma > 0 && *sigma <= 10)) return std::nullopt;
    latency.low_ms = *median;
    latency.sigma = *sigma;
    return latency;
  }
  const auto dots = text.find("..");
  const auto low = milliseconds(text.substr(0, dots));
  const auto high = dots == std::string_view::npos ? low : milliseconds(text.substr(dots + 2));
  if (!low || !high || *high < *low) return std::nullopt;
  latency.low_ms = *low;
  latency.high_ms = *high;
  return latency;
}

struct NamedPlace {
  std::string_view name;
  Place place;
};

bool set_place(Place& place, std::string_view text, std::initializer_list<NamedPlace> allowed) {
  if (text == "none" || text == "0") {
    place = Place::none;
    return true;
  }
  const auto* found = std::find_if(allowed.begin(), allowed.end(), [&](const auto& a) { return a.name == text; });
  if (found == allowed.end()) return false;
  place = found->place;
  return true;
}

bool set_flag(bool& flag, std::string_view text) {
  if (text != "0" && text != "1") return false;
  flag = text == "1";
  return true;
}

template <class T>
bool set_number(T& target, std::string_view text, T low, T high) {
  const auto value = number<T>(text);
  if (!value || *value < low || *value > high) return false;
  target = *value;
  return true;
}

bool add_header(Faults& faults, std::string_view text) {
  const auto colon = text.find(':');
  if (colon == 0 || colon == std::string_view::npos) return false;
  const auto bad = [](unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7f; };
  if (std::any_of(text.begin(), text.end(), bad) || text.find(' ') < colon) return false;
  faults.headers.emplace_back(text.substr(0, colon), trimmed(text.substr(colon + 1)));
  return true;
}

struct Setter {
  std::string_view name;
  std::string_view expected;
  bool (*set)(Faults& faults, std::string_view value);
};

constexpr NamedPlace kAccept{"accept", Place::accept};
constexpr NamedPlace kHeader{"header", Place::header};
constexpr NamedPlace kHead{"head", Place::head};
constexpr NamedPlace kBody{"body", Place::body};

constexpr Setter kSetters[] = {
    {"latency_ms", "N, N..M or lognormal(MEDIAN,SIGMA)",
     [](Faults& f, std::string_view v) {
       const auto latency = parse_latency(v);
       if (latency) f.latency = *latency;
       return latency.has_value();
     }},
    {"error_rate", "a number from 0 to 1",
     [](Faults& f, std::string_view v) {
       const auto rate = number<double>(v);
       if (!rate || !(*rate >= 0 && *rate <= 1)) return false;
       f.error_rate = *rate;
       return true;
     }},
    {"status", "0 or a number from 200 to 599",
     [](Faults& f, std::string_view v) {
       if (v != "0") return set_number(f.status, v, 200U, 599U);
       f.status = 0;
       return true;
     }},
    {"hang", "accept, header, head, body or none",
     [](Faults& f, std::string_view v) { return set_place(f.hang, v, {kAccept, kHeader, kHead, kBody}); }},
    {"reset", "accept, header, body or none",
     [](Faults& f, std::string_view v) { return set_place(f.reset, v, {kAccept, kHeader, kBody}); }},
    {"close", "body or none", [](Faults& f, std::string_view v) { return set_place(f.close, v, {kBody}); }},
    {"garbage", "head, body or none",
     [](Faults& f, std::string_view v) { return set_place(f.garbage, v, {kHead, kBody}); }},
    {"drip_ms", "a number of milliseconds",
     [](Faults& f, std::string_view v) {
       const auto interval = milliseconds(v);
       if (interval) f.drip = to_duration(*interval);
       return interval.has_value();
     }},
    {"drip_bytes", "a number of at least 1",
     [](Faults& f, std::string_view v) { return set_number(f.drip_bytes, v, std::uint64_t{1}, kMaxBytes); }},
    {"drip_from", "head or body",
     [](Faults& f, std::string_view v) {
       return (v == "head" || v == "body") && set_place(f.drip_from, v, {kHead, kBody});
     }},
    {"wrong_length", "+N or -N",
     [](Faults& f, std::string_view v) {
       if (v.starts_with('+')) v.remove_prefix(1);
       constexpr std::int64_t kMax = 1'000'000'000'000;
       return set_number(f.wrong_length, v, -kMax, kMax);
     }},
    {"bytes", "a number of at most 268435456",
     [](Faults& f, std::string_view v) {
       std::uint64_t bytes = 0;
       const bool good = set_number(bytes, v, std::uint64_t{0}, kMaxBytes);
       if (good) f.bytes = bytes;
       return good;
     }},
    {"not_json", "0 or 1", [](Faults& f, std::string_view v) { return set_flag(f.not_json, v); }},
    {"endless", "0 or 1", [](Faults& f, std::string_view v) { return set_flag(f.endless, v); }},
    {"chunked", "0 or 1", [](Faults& f, std::string_view v) { return set_flag(f.chunked, v); }},
    {"no_keepalive", "0 or 1", [](Faults& f, std::string_view v) { return set_flag(f.no_keepalive, v); }},
    {"no_date", "0 or 1", [](Faults& f, std::string_view v) { return set_flag(f.no_date, v); }},
    {"header", "Name:Value", add_header},
};

const Setter* find_setter(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kSetters), std::end(kSetters), [&](const Setter& setter) { return setter.name == name; });
  return found == std::end(kSetters) ? nullptr : found;
}

std::optional<unsigned> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  const char lower = static_cast<char>(c | 0x20);
  if (lower >= 'a' && lower <= 'f') return static_cast<unsigned>(lower - 'a' + 10);
  return std::nullopt;
}

}  // namespace

concurrency::Duration Latency::pick(concurrency::Random& random) const {
  const auto uniform = [&random] { return static_cast<double>(random() >> 11U) * 0x1p-53; };
  if (sigma == 0) return to_duration(low_ms + (high_ms - low_ms) * uniform());
  // Box and Muller; 1 - uniform() is never zero.
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));
  const double normal = radius * std::cos(2 * std::numbers::pi * uniform());
  return to_duration(low_ms * std::exp(sigma * normal));
}

std::string Faults::set(std::string_view name, std::string_view value) {
  const Setter* setter = find_setter(name);
  if (setter == nullptr) return "unknown fault \"" + std::string(name) + '"';
  if (setter->set(*this, value)) return {};
  return std::string(name) + ": expected " + std::string(setter->expected) + ", got \"" + std::string(value) + '"';
}

std::string Faults::set_all(std::string_view text) {
  while (!text.empty()) {
    std::string_view value = trimmed(take(text, ';'));
    if (value.empty()) continue;
    const std::string_view name = trimmed(take(value, '='));
    if (std::string problem = set(name, trimmed(value)); !problem.empty()) return problem;
  }
  return {};
}

std::string Faults::set_from_query(std::string_view query) {
  while (!query.empty()) {
    std::string_view value = take(query, '&');
    const std::string_view name = take(value, '=');
    if (find_setter(name) == nullptr) continue;
    if (std::string problem = set(name, percent_decoded(value)); !problem.empty()) return problem;
  }
  return {};
}

std::optional<std::string> query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    std::string_view value = take(query, '&');
    if (take(value, '=') == name) return percent_decoded(value);
  }
  return std::nullopt;
}

std::string percent_decoded(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const auto high = hex_digit(text[i + 1]);
      const auto low = hex_digit(text[i + 2]);
      if (high && low) {
        decoded += static_cast<char>(*high * 16 + *low);
        i += 2;
        continue;
      }
    }
    decoded += text[i];
  }
  return decoded;
}

}  // namespace sluice::backends::demo
