// Writing docs/configuration.md from the table of keys.
#include "gateway/config_keys.hpp"
#include "gateway/schema.hpp"
#include "gateway/units.hpp"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <vector>

namespace sluice::gateway {
namespace {

using Kind = Shape::Kind;

constexpr std::string_view kIntroduction =
    R"(<!-- Made from the table of keys in gateway/config_keys.cpp. Change it there, not here. -->
# Configuration

One JSON file. `sluice check FILE` reports everything that is wrong with it, `sluice schema` prints its JSON Schema, which
editors understand; the checks, the schema and this page come from one table in the program.

## The file

- UTF-8, with `//` and `/* */` comments. A key that begins with `_` or `$` is a comment too, with its whole value.
- Unknown keys, repeated keys and values of the wrong type are errors.
- **Durations** are strings with a unit: `ns`, `us`, `ms`, `s`, `m`, `h`, `d`; `"250ms"`, `"1.5s"`.
- **Sizes** are strings with a unit, `B`, `KiB`, `MiB`, `GiB`, or a number of bytes.
- Inside a string, `${NAME}` is the environment variable NAME, which must be set; `${NAME:-default}` has a default for one
  that is not set or empty; `${file:PATH}` is the content of a file without its last line feed, relative to the folder of
  the configuration. Keys and the value of `fallback` are left as they are.
- An object's value in `defaults` holds for every endpoint, call or backend that does not set its own.

A problem is one line, `FILE:LINE:COLUMN: /json/pointer: message`. Lines and columns count from 1, columns count characters
(a tab is one). A line with `warning:` does not keep the gateway from starting.

## Paths and templates

An endpoint's `path` is made of literal segments, `{name}` (one segment that is not empty) and, at its end, `{name...}` (the
rest, which may be empty). A literal wins over `{name}`, which wins over `{name...}`, segment by segment from the left; an
endpoint that does not have the request's method gives way to the next that matches. Literals are compared with the decoded
segment; an encoded slash separates nothing; a trailing slash counts.

A call's `path` and the values of its `headers` are templates: `{name}` is a path parameter, `{query.x}` the first query
parameter x of the request, `{header.x}` a header, `{CALL.member.0.member}` or `{CALL:/json/pointer}` a scalar in the JSON
of another call of the endpoint ([Dependent calls](requests.md#dependent-calls)), `{item}`, `{item.member}` and
`{item:/json/pointer}` the element of a call with `for_each`. A value is decoded once and percent-encoded for where it is
put, so it can end neither its segment nor its parameter; the slashes of `{name...}` stay. A query parameter with an absent
value is left out whole. The call is not made when a path or header value is absent, when a path value is empty or would make
a segment `.` or `..`, or when a header value has a control character.

**One client's data is never served to another**: every client header that a call with a `cache` sends, in a template or by
`forward`, must be named in `vary` or `vary_except`.
)";

std::string joined(const std::vector<std::string_view>& words) {
  std::string list;
  for (std::string_view word : words) list.append(list.empty() ? "`\"" : ", `\"").append(word).append("\"`");
  return list;
}

std::string link_to(const Section& section) {
  const std::string name(section.name);
  std::string anchor = name;
  std::erase(anchor, '.');
  return "[" + name + "](#" + anchor + ")";
}

std::string type_of(const Shape& shape) {
  const auto range = [&](auto shown) { return ", " + shown(shape.min) + " to " + shown(shape.max); };
  const auto number = [](std::int64_t value) { return std::to_string(value); };
  switch (shape.kind) {
    case Kind::boolean:
      return "boolean";
    case Kind::integer:
      return shape.min == shape.max ? number(shape.min) : "integer" + range(number);
    case Kind::duration:
      return "duration" + range([](std::int64_t ns) { return format_duration(std::chrono::nanoseconds(ns)); });
    case Kind::size:
      return "size" + range([](std::int64_t bytes) { return format_size(static_cast<std::size_t>(bytes)); });
    case Kind::choice:
      return joined(shape.choices) + (shape.section != nullptr ? " or " + link_to(*shape.section) : "");
    case Kind::text:
      return "string";
    case Kind::status:
      return (shape.choices.empty() ? "" : joined(shape.choices) + "; ") + "status" + range(number);
    case Kind::list:
      return (shape.is_single_allowed ? type_of(*shape.element) + " or " : "") + "list of " + type_of(*shape.element);
    case Kind::map:
      return "object of " + type_of(*shape.element);
    case Kind::section:
      return link_to(*shape.section);
    case Kind::json:
      break;
  }
  return "any";
}

// The sections in the order in which they are first reached.
void collect(const Section& section, std::vector<const Section*>& found) {
  if (std::find(found.begin(), found.end(), &section) != found.end()) return;
  found.push_back(&section);
  for (const Key& key : section.keys) {
    const Shape* shape = &key.shape;
    while (shape->element) shape = shape->element.get();
    if (shape->section != nullptr) collect(*shape->section, found);
  }
}

std::string keys_of(const Section& section) {
  std::string table = "| key | value | default | |\n|---|---|---|---|\n";
  for (const Key& key : section.keys) {
    std::string preset = key.is_required ? "required" : key.default_value;
    if (!key.default_value.empty()) preset = "`" + preset + "`";
    table += "| `" + std::string(key.name) + "` | " + type_of(key.shape) + (key.is_nullable ? " or null" : "") + " | " +
             preset + " | " + std::string(key.description) + " |\n";
  }
  return table;
}

}  // namespace

std::string schema_markdown() {
  std::vector<const Section*> sections;
  collect(config_section(), sections);
  std::string page(kIntroduction);
  for (const Section* section : sections) {
    page += "\n## " + std::string(section->name) + "\n\n" + std::string(section->description) + "\n\n";
    if (!section->name.starts_with("defaults.")) {
      page += keys_of(*section);
      continue;
    }
    std::string keys;
    for (const Key& key : section->keys) keys += (keys.empty() ? "`" : ", `") + std::string(key.name) + "`";
    page += "Keys: " + keys + ".\n";
  }
  return page;
}

}  // namespace sluice::gateway
