#include "backends/demo/answers.hpp"

#include "backends/demo/faults.hpp"
#include "concurrency/random.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <tuple>
#include <utility>

namespace sluice::backends::demo {
namespace {

using concurrency::Random;

constexpr std::string_view kFirstNames[] = {"Ada", "Edsger", "Grace", "Barbara", "Donald", "Frances", "Tony", "Radia"};
constexpr std::string_view kLastNames[] = {"Lovelace", "Dijkstra", "Hopper", "Liskov",
                                           "Knuth",    "Allen",    "Hoare",  "Perlman"};
constexpr std::string_view kCities[] = {"Berlin", "Lisboa", "Kraków", "Zürich", "Oslo", "Montréal", "Nagoya", "Austin"};
constexpr std::string_view kSegments[] = {"new", "regular", "gold", "student"};
constexpr std::string_view kStates[] = {"placed", "paid", "shipped", "delivered", "returned"};
constexpr std::string_view kAdjectives[] = {"Small",  "Quiet",   "Copper", "Folding",
                                            "Bright", "Woollen", "Smooth", "Red"};
constexpr std::string_view kThings[] = {"Lamp", "Kettle", "Notebook", "Chair", "Bicycle", "Blanket", "Radio", "Clock"};
constexpr std::string_view kNote = "the quick brown fox jumps over the lazy dog and then rests in the shade ";

template <std::size_t N>
std::string_view pick(Random& random, const std::string_view (&from)[N]) {
  return from[random.below(N)];
}

void append_number(std::string& out, std::uint64_t value, int digits = 1) {
  char text[24];
  const int size = std::snprintf(text, sizeof text, "%0*llu", digits, static_cast<unsigned long long>(value));
  out.append(text, static_cast<std::size_t>(size));
}

void append_price(std::string& out, Random& random) {
  append_number(out, 1 + random.below(200));
  out += '.';
  append_number(out, random.below(100), 2);
}

void append_time(std::string& out, Random& random) {
  out += "\"20";
  append_number(out, 20 + random.below(6), 2);
  constexpr std::tuple<char, unsigned, unsigned> kParts[] = {
      {'-', 1, 12}, {'-', 1, 28}, {'T', 0, 24}, {':', 0, 60}, {':', 0, 60}};
  for (const auto& [separator, low, count] : kParts) {
    out += separator;
    append_number(out, low + random.below(count), 2);
  }
  out += "Z\"";
}

/// A number as it is, anything else as a string.
void append_id(std::string& out, std::string_view id) {
  const bool is_number = !id.empty() && id.size() < 16 && (id[0] != '0' || id.size() == 1) &&
                         std::all_of(id.begin(), id.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (is_number) {
    out += id;
  } else {
    append_json_string(out, id);
  }
}

void append_article(std::string& out, Random& random) {
  out += "{\"sku\":\"A-";
  append_number(out, random.below(100'000), 5);
  out += "\",\"title\":\"";
  out += pick(random, kAdjectives);
  out += ' ';
  out += pick(random, kThings);
  out += "\",\"price\":";
  append_price(out, random);
  out += ",\"score\":0.";
  append_number(out, random.below(1000), 3);
  out += '}';
}

void append_order(std::string& out, Random& random, std::string_view user) {
  out += "{\"id\":";
  append_number(out, 100'000 + random.below(900'000));
  out += ",\"user\":";
  append_id(out, user);
  out += ",\"placed\":";
  append_time(out, random);
  out += ",\"state\":\"";
  out += pick(random, kStates);
  out += "\",\"total\":";
  append_price(out, random);
  out += ",\"currency\":\"EUR\",\"items\":[";
  const std::uint32_t items = 1 + random.below(2);
  for (std::uint32_t i = 0; i < items; ++i) {
    if (i != 0) out += ',';
    append_article(out, random);
  }
  out += "]}";
}

std::string user(Random& random, std::string_view id) {
  const std::string_view first = pick(random, kFirstNames);
  const std::string_view last = pick(random, kLastNames);
  std::string out = "{\"id\":";
  append_id(out, id);
  out += ",\"name\":\"";
  out.append(first).append(1, ' ').append(last);
  out += "\",\"email\":\"";
  out.append(first).append(1, '.').append(last).append("@example.com");
  out += "\",\"city\":\"";
  out += pick(random, kCities);
  out += "\",\"segment\":\"";
  out += pick(random, kSegments);
  out += "\",\"since\":";
  append_time(out, random);
  out += ",\"active\":";
  out += random.below(10) != 0 ? "true}" : "false}";
  return out;
}

/// An array of `count` elements, or of as many as fit into `bytes`.
template <class Append>
std::string array(std::uint64_t count, std::optional<std::uint64_t> bytes, Append append) {
  std::string out = "[";
  if (bytes) out.reserve(*bytes);
  for (std::uint64_t i = 0; bytes || i < count; ++i) {
    const std::size_t before = out.size();
    if (i != 0) out += ',';
    append(out);
    if (bytes && out.size() + 1 > *bytes) {
      out.resize(before);
      break;
    }
  }
  out += ']';
  return out;
}

/// Lengthens an object or an array to exactly `bytes` by one more member or element, if there is room for one.
void pad(std::string& json, std::uint64_t bytes) {
  const char end = json.back();
  json.pop_back();
  std::string opening = json.size() > 1 ? "," : "";
  opening += end == '}' ? "\"note\":\"" : "\"";
  const std::size_t fixed = json.size() + opening.size() + 2;
  if (fixed <= bytes) {
    json += opening;
    for (std::uint64_t left = bytes - fixed; left > 0;) {
      const auto piece = kNote.substr(0, left);
      json += piece;
      left -= piece.size();
    }
    json += '"';
  }
  json += end;
}

std::string echo(const ReceivedRequest& request) {
  std::string out = "{\"method\":";
  append_json_string(out, request.method);
  out += ",\"target\":";
  append_json_string(out, request.target);
  out += ",\"headers\":[";
  for (const auto& [name, value] : request.headers) {
    out += &name == &request.headers.front().first ? "[" : ",[";
    append_json_string(out, name);
    out += ',';
    append_json_string(out, value);
    out += ']';
  }
  out += "],\"body\":";
  append_json_string(out, request.body);
  out += '}';
  return out;
}

/// How many bytes of UTF-8 (Unicode §3.9, table 3-7) one character takes at the front of `text`; 0: none is there.
std::size_t character_size(std::string_view text) {
  const auto byte = [text](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const std::size_t size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  const unsigned low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  const unsigned high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  if (byte(1) < low || byte(1) > high) return 0;
  for (std::size_t i = 2; i < size; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return 0;
  }
  return size;
}

/// FNV-1a: the same everywhere.
std::uint64_t hash(std::string_view text) {
  std::uint64_t value = 0xcbf29ce484222325U;
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return value;
}

std::optional<std::string> after(std::string_view path, std::string_view prefix) {
  if (!path.starts_with(prefix) || path.size() == prefix.size()) return std::nullopt;
  path.remove_prefix(prefix.size());
  if (path.find('/') != std::string_view::npos) return std::nullopt;
  return percent_decoded(path);
}

std::uint64_t limit_of(std::string_view query, std::uint64_t most) {
  const auto text = query_value(query, "limit");
  std::uint64_t limit = most;
  if (text) std::from_chars(text->data(), text->data() + text->size(), limit);
  return std::min(limit, most);
}

}  // namespace

Answer answer(const ReceivedRequest& request, std::uint64_t seed, std::optional<std::uint64_t> bytes) {
  const std::string_view path = request.path();
  if (path == "/healthz") return Answer(200, "{\"status\":\"ok\"}");
  if (path == "/echo") return Answer(200, echo(request));

  std::string owner = path == "/orders" ? query_value(request.query(), "user").value_or("") : "";
  Random random(seed ^ hash(owner.empty() ? path : owner));
  std::string body;
  if (const auto id = after(path, "/users/")) {
    body = user(random, *id);
  } else if (path == "/orders") {
    const std::uint64_t count = limit_of(request.query(), 2 + random.below(4));
    body = array(count, bytes, [&](std::string& out) { append_order(out, random, owner); });
  } else if (after(path, "/recs/")) {
    const std::uint64_t count = limit_of(request.query(), 4);
    body = array(count, bytes, [&](std::string& out) { append_article(out, random); });
  } else if (path == "/json") {
    body = array(0, bytes.value_or(1024), [&](std::string& out) { append_article(out, random); });
    if (!bytes) bytes = 1024;
  } else {
    return error_answer(404, "no such path");
  }
  if (bytes) pad(body, *bytes);
  return Answer(200, std::move(body));
}

Answer error_answer(unsigned status, std::string_view message) {
  std::string body = "{\"status\":";
  append_number(body, status);
  body += ",\"error\":";
  append_json_string(body, reason_phrase(status));
  if (!message.empty()) {
    body += ",\"message\":";
    append_json_string(body, message);
  }
  body += '}';
  return Answer(status, std::move(body));
}

std::string_view reason_phrase(unsigned status) {
  constexpr std::pair<unsigned, std::string_view> kPhrases[] = {
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {204, "No Content"},
      {301, "Moved Permanently"},
      {302, "Found"},
      {304, "Not Modified"},
      {307, "Temporary Redirect"},
      {308, "Permanent Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {409, "Conflict"},
      {410, "Gone"},
      {413, "Content Too Large"},
      {422, "Unprocessable Content"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {500, "Internal Server Error"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
  };
  for (const auto& [known, phrase] : kPhrases) {
    if (known == status) return phrase;
  }
  return "Status";
}

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const std::size_t size = character_size(text);
    const auto lead = static_cast<unsigned char>(text.front());
    if (lead < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", unsigned{lead});
      out += escape;
    } else if (size == 0) {
      out += "\xef\xbf\xbd";
    } else {
      if (lead == '"' || lead == '\\') out += '\\';
      out += text.substr(0, size);
    }
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  out += '"';
}

}  // namespace sluice::backends::demo
