// Writing the JSON Schema from the table of keys.
#include "gateway/schema.hpp"

#include "gateway/config_keys.hpp"

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
      case Kind::duration:  // the most that it may be is beyond a pattern
        return pattern(std::string(shape.min > 0 ? "^(?=.*[1-9])" : "^") + "[0-9]+(\\.[0-9]+)?(ns|us|ms|s|m|h|d)$");
      case Kind::size:
        return {{"anyOf",
                 {{{"type", "integer"}, {"minimum", shape.min}, {"maximum", shape.max}},
                  pattern("^[0-9]+(\\.[0-9]+)?(B|KiB|MiB|GiB)$")}}};
      case Kind::choice:
        return {{"anyOf", {{{"enum", shape.choices}}, {{"type", "string"}, {"pattern", "\\$\\{"}}}}};
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
