// Writing the JSON Schema from the table of keys.
#include "gateway/schema.hpp"

#include "gateway/config_keys.hpp"
#include "gateway/units.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace sluice::gateway {
namespace {

using Json = nlohmann::ordered_json;
using Kind = Shape::Kind;

// A string may have references, whose values the schema cannot know.
std::string or_reference(std::string_view pattern) {
  return std::string(pattern) + "|\\$\\{";
}

std::string digits(std::uint64_t first, std::uint64_t last) {
  return first == last ? std::to_string(first) : "[" + std::to_string(first) + "-" + std::to_string(last) + "]";
}

/// A pattern for the decimal numbers from `low` to `high`, without leading zeros.
std::string between(std::uint64_t low, std::uint64_t high) {
  std::string pattern;
  while (low <= high) {
    pattern += pattern.empty() ? "" : "|";
    // As many as possible that differ in one digit, and in those behind it, which may be any.
    std::uint64_t block = 1;
    std::size_t any = 0;
    for (; low != 0 && low % (block * 10) == 0 && low + block * 10 - 1 <= high; block *= 10) ++any;
    const std::uint64_t first = low / block % 10;
    const std::uint64_t last = first + std::min(9 - first, (high + 1 - low) / block - 1);
    if (low >= block * 10) pattern += std::to_string(low / block / 10);
    pattern += digits(first, last);
    low += (last - first + 1) * block;
    std::size_t most = any;
    for (; first <= 1 && low == block * 10 && low * 10 - 1 <= high; block *= 10, low *= 10)
      ++most;  // longer ones of any digits
    if (most != 0) pattern += "[0-9]{" + std::to_string(any) + "," + std::to_string(most) + "}";
  }
  return pattern;
}

/// Texts of numbers with a unit, from `min` to `max`. Of those with a fraction only the part before the point is looked
/// at, which is exact where both are whole in that unit.
std::string unit_pattern(const Shape& shape, std::span<const Unit> units) {
  std::string pattern;
  const auto add = [&](const std::string& number, std::string_view unit) {
    pattern += (pattern.empty() ? "^0*(" : "|^0*(") + number + std::string(unit) + "$";
  };
  const auto min = static_cast<std::uint64_t>(shape.min);
  const auto max = static_cast<std::uint64_t>(shape.max);
  for (const Unit& unit : units) {
    const std::uint64_t low = (min + unit.factor - 1) / unit.factor;
    if (low <= max / unit.factor) add(between(low, max / unit.factor) + ")(\\.0+)?", unit.name);
    if (unit.factor == 1 || max == 0) continue;
    add(between(min / unit.factor, (max - 1) / unit.factor) + ")\\.0*[1-9][0-9]*", unit.name);
  }
  return pattern;
}

Json pattern(std::string_view text) {
  return {{"type", "string"}, {"pattern", or_reference(text)}};
}

class SchemaWriter {
 public:
  std::string write() {
    Json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", "Sluice configuration"}};
    schema.update(object(config_section()));
    schema["$defs"] = std::move(definitions_);
    return schema.dump(2) + "\n";
  }

 private:
  Json object(const Section& section) {
    Json properties = Json::object();
    Json required = Json::array();
    for (const Key& key : section.keys) {
      Json value = of(key.shape);
      if (key.is_nullable) value = {{"anyOf", {value, {{"type", "null"}}}}};
      value["description"] = key.description;
      if (!key.default_value.empty()) value["default"] = Json::parse(key.default_value);
      properties[std::string(key.name)] = std::move(value);
      if (key.is_required) required.push_back(key.name);
    }
    Json result = {{"description", section.description},
                   {"type", "object"},
                   {"properties", std::move(properties)},
                   {"patternProperties", {{"^[_$]", Json::object()}}},
                   {"additionalProperties", false}};
    if (!required.empty()) result["required"] = std::move(required);
    return result;
  }

  /// Patterns of numbers are long, and many keys have the same.
  Json definition(std::string_view kind, const Shape& shape, const std::string& min, const std::string& max,
                  std::span<const Unit> units) {
    const std::string name = std::string(kind) + "." + min + "." + max;
    if (!definitions_.contains(name)) {
      definitions_[name] = pattern(unit_pattern(shape, units));
      definitions_[name]["description"] = "A " + std::string(kind) + " from " + min + " to " + max + ".";
    }
    return {{"$ref", "#/$defs/" + name}};
  }

  Json reference(const Section& section) {
    const std::string name(section.name);
    if (!definitions_.contains(name)) {
      definitions_[name] = nullptr;  // keeps the order of first use
      definitions_[name] = object(section);
    }
    return {{"$ref", "#/$defs/" + name}};
  }

  Json of(const Shape& shape) {
    switch (shape.kind) {
      case Kind::boolean:
        return {{"type", "boolean"}};
      case Kind::integer:
        return {{"type", "integer"}, {"minimum", shape.min}, {"maximum", shape.max}};
      case Kind::duration:
        return definition("duration", shape, format_duration(std::chrono::nanoseconds(shape.min)),
                          format_duration(std::chrono::nanoseconds(shape.max)), kDurationUnits);
      case Kind::size:
        return {{"anyOf",
                 {{{"type", "integer"}, {"minimum", shape.min}, {"maximum", shape.max}},
                  definition("size", shape, format_size(static_cast<std::size_t>(shape.min)),
                             format_size(static_cast<std::size_t>(shape.max)), kSizeUnits)}}};
      case Kind::choice: {
        Json any = {{{"enum", shape.choices}}, {{"type", "string"}, {"pattern", "\\$\\{"}}};
        if (shape.section != nullptr) any.push_back(reference(*shape.section));
        return {{"anyOf", std::move(any)}};
      }
      case Kind::text:
        return pattern(shape.rule->pattern);
      case Kind::status: {
        const std::string classes =
            "^[" + std::to_string(shape.min / 100) + "-" + std::to_string(shape.max / 100) + "]xx$";
        Json any = {{{"type", "integer"}, {"minimum", shape.min}, {"maximum", shape.max}}, pattern(classes)};
        if (!shape.choices.empty()) any.push_back({{"enum", shape.choices}});
        return {{"anyOf", std::move(any)}};
      }
      case Kind::list: {
        Json element = of(*shape.element);
        Json array = {{"type", "array"}, {"items", element}};
        if (shape.min > 0) array["minItems"] = shape.min;
        if (!shape.is_single_allowed) return array;
        return {{"anyOf", {std::move(element), std::move(array)}}};
      }
      case Kind::map:
        return {{"type", "object"},
                {"patternProperties", {{"^[^_$]", of(*shape.element)}}},
                {"propertyNames", {{"pattern", std::string(shape.rule->pattern) + "|^[_$]"}}}};
      case Kind::section:
        return reference(*shape.section);
      case Kind::json:
        break;
    }
    return Json::object();
  }

  Json definitions_ = Json::object();
};

}  // namespace

std::string schema_json() {
  return SchemaWriter().write();
}

}  // namespace sluice::gateway
