// The keys of the configuration: one table from which the checks, the values, the JSON Schema and the documentation
// come.
#pragma once

#include "gateway/config_text.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::gateway {

struct Section;

/// What a string must look like. `pattern` says the same as `accepts` for the JSON Schema, as far as a pattern can.
struct TextRule {
  std::string_view expected;  // "must be EXPECTED, got ..."
  std::string_view pattern;
  bool (*accepts)(std::string_view text);
  bool is_case_insensitive = false;  // kept in lower case where it is listed
};

/// What a value must be.
struct Shape {
  enum class Kind : std::uint8_t {
    boolean,
    integer,   // min to max
    duration,  // min to max nanoseconds
    size,      // min to max bytes
    choice,    // one of `choices`, or if there is one an object with the keys of `section`
    text,      // `rule`
    status,    // min to max, "5xx" for a whole class, or one of `choices`
    json,      // anything, never looked into
    list,      // at least `min` of `element`
    map,       // names by `rule` to `element`
    section,   // an object with the keys of `section`
  };

  Kind kind = Kind::json;
  std::int64_t min = 0, max = 0;
  std::vector<std::string_view> choices = {};
  const TextRule* rule = nullptr;
  std::shared_ptr<const Shape> element = {};
  const Section* section = nullptr;
  bool is_single_allowed = false;  // of a list: one element may stand without its brackets
};

/// One key of an object.
struct Key {
  std::string_view name;
  std::string_view description;
  Shape shape = {};
  bool is_required = false;
  bool is_nullable = false;
  bool has_default = true;         // may stand in `defaults`
  std::string default_value = {};  // JSON; empty when there is none
  // Stores a value that was checked into the struct that the section describes; empty: the reader does it.
  std::function<void(const ConfigNode& value, void* owner)> store = {};
};

/// The keys of one kind of object.
struct Section {
  std::string_view name;
  std::string_view description;
  std::vector<Key> keys;

  [[nodiscard]] const Key* find(std::string_view key) const;
  /// Stores every valid member of `object`, and of objects in it, into `owner`, the struct that the section describes.
  void store(const ConfigNode& object, void* owner) const;
};

/// A key that starts with `_` or `$`.
bool is_comment(std::string_view key);

const Section& config_section();
const Section& endpoint_section();
const Section& call_section();
const Section& backend_section();
// In config_keys_headers.cpp.
const Section& headers_section();
const Section& cors_section();
const Section& response_headers_section();
const Section& compression_section();

}  // namespace sluice::gateway
