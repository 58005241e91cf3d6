// How the table of keys is written: one function for each kind of value and of key.
#pragma once

#include "gateway/config_keys.hpp"
#include "gateway/config_values.hpp"
#include "gateway/text_rules.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::gateway::detail {

using Nanoseconds = std::chrono::nanoseconds;
using Kind = Shape::Kind;

inline Shape boolean() {
  return {.kind = Kind::boolean};
}
inline Shape integer(std::int64_t min, std::int64_t max) {
  return {.kind = Kind::integer, .min = min, .max = max};
}
inline Shape duration(Nanoseconds min, Nanoseconds max) {
  return {.kind = Kind::duration, .min = min.count(), .max = max.count()};
}
inline Shape size(std::int64_t min, std::int64_t max) {
  return {.kind = Kind::size, .min = min, .max = max};
}
inline Shape choice(std::vector<std::string_view> choices) {
  return {.kind = Kind::choice, .choices = std::move(choices)};
}
inline Shape choice_or_section(std::vector<std::string_view> choices, const Section& keys) {
  return {.kind = Kind::choice, .choices = std::move(choices), .section = &keys};
}
inline Shape text(const TextRule& rule) {
  return {.kind = Kind::text, .rule = &rule};
}
inline Shape status(std::int64_t min, std::int64_t max) {
  return {.kind = Kind::status, .min = min, .max = max};
}
inline Shape section(const Section& keys) {
  return {.kind = Kind::section, .section = &keys};
}
inline Shape list(Shape element, std::int64_t min = 0) {
  return {.kind = Kind::list, .min = min, .element = std::make_shared<const Shape>(std::move(element))};
}
inline Shape map(const TextRule& names, Shape element) {
  return {.kind = Kind::map, .rule = &names, .element = std::make_shared<const Shape>(std::move(element))};
}
inline Shape one_or_list(Shape element) {
  Shape shape = list(std::move(element), 1);
  shape.is_single_allowed = true;
  return shape;
}

template <class T>
constexpr bool kIsOptional = false;
template <class T>
constexpr bool kIsOptional<std::optional<T>> = true;

constexpr std::int64_t kKiB = 1 << 10, kMiB = 1 << 20, kGiB = 1 << 30;
constexpr Nanoseconds kLong = std::chrono::minutes(10), kDay = std::chrono::hours(24), kYear = 365 * kDay;

// A key whose value is kept in `member`; the default is what a new Owner has there.
template <class Owner, class T>
Key key(std::string_view name, T Owner::* member, Shape shape, std::string_view description) {
  Key result{.name = name, .description = description, .shape = shape};
  result.is_nullable = kIsOptional<T>;
  result.default_value = show(Owner().*member, shape);
  result.store = [member, kept = std::move(shape)](const ConfigNode& value, void* owner) {
    load(value, kept, static_cast<Owner*>(owner)->*member);
  };
  return result;
}

// A key of one thing only, which `defaults` cannot have.
inline Key own(Key key) {
  key.has_default = false;
  key.is_nullable = false;
  key.default_value.clear();
  return key;
}

inline Key required(Key key) {
  key = own(std::move(key));
  key.is_required = true;
  return key;
}

// A key that the reader looks at itself.
inline Key read_apart(std::string_view name, Shape shape, std::string_view description) {
  return {.name = name, .description = description, .shape = std::move(shape), .has_default = false};
}

inline Shape methods() {
  return choice({"GET", "POST", "PUT", "PATCH", "DELETE"});
}

}  // namespace sluice::gateway::detail
