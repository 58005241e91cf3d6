// From checked values of the text to the members of the configuration's structs, and from their defaults back to JSON.
#pragma once

#include "gateway/config.hpp"
#include "gateway/config_keys.hpp"
#include "gateway/text_rules.hpp"
#include "gateway/units.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace sluice::gateway {

/// Takes the statuses that `text` names: "404" or "4xx".
inline void add_status(std::string_view text, StatusSet& set) {
  const bool is_class = text.ends_with("xx");
  unsigned first = 0;
  std::from_chars(text.data(), text.data() + text.size(), first);
  if (is_class) first *= 100;
  for (unsigned status = first; status <= first + (is_class ? 99U : 0U); ++status) set.set(status);
}

// load(): `value` was checked against `shape`, so nothing here can fail.
inline void load(const ConfigNode& value, const Shape&, bool& out) {
  out = value.text == "true";
}
inline void load(const ConfigNode& value, const Shape&, std::string& out) {
  out = value.text;
}
inline void load(const ConfigNode& value, const Shape&, std::chrono::nanoseconds& out) {
  out = parse_duration(value.text).value();
}

template <class Number>
  requires std::is_unsigned_v<Number>
void load(const ConfigNode& value, const Shape&, Number& out) {
  if (value.kind == ConfigNode::Kind::string) {
    out = static_cast<Number>(parse_size(value.text).value());
  } else {
    std::from_chars(value.text.data(), value.text.data() + value.text.size(), out);
  }
}

template <class Enum>
  requires std::is_enum_v<Enum>
void load(const ConfigNode& value, const Shape& shape, Enum& out) {
  const auto at = std::find(shape.choices.begin(), shape.choices.end(), value.text);
  out = static_cast<Enum>(at - shape.choices.begin());  // choices are in the enumerators' order
}

inline void load(const ConfigNode& value, const Shape& shape, BalanceConfig& out) {
  out = BalanceConfig();
  if (value.kind == ConfigNode::Kind::string) {
    load(value, shape, out.kind);
  } else {
    out.kind = Balance::hash;
    shape.section->store(value, &out);
  }
}

inline void load(const ConfigNode& value, const Shape& shape, Address& out) {
  out = (shape.rule == &kServer ? parse_server(value.text) : parse_address(value.text)).value();
}

inline void load(const ConfigNode& value, const Shape&, StatusSet& out) {
  out.reset();
  for (const ConfigNode& element : value.elements) add_status(element.text, out);
}

inline void load(const ConfigNode& value, const Shape& shape, Names& out) {
  out = {};
  for (const ConfigNode& element : value.elements) {
    if (element.text == "*") {
      out.all = true;
    } else {
      out.list.push_back(shape.element->rule->is_case_insensitive ? lower_case(element.text) : element.text);
    }
  }
}

// A header replaces the one of the same name that came from `defaults`.
inline void load(const ConfigNode& value, const Shape&, std::vector<HeaderTemplate>& out) {
  for (const ConfigNode::Member& member : value.members) {
    if (is_comment(member.key) || !member.value.is_valid) continue;
    std::erase_if(out, [&](const HeaderTemplate& header) { return lower_case(header.name) == lower_case(member.key); });
    out.push_back({member.key, member.value.text});
  }
}

inline void load(const ConfigNode& value, const Shape&, std::vector<TakenHeaders>& out) {
  out.clear();
  for (const ConfigNode::Member& member : value.members) {
    if (is_comment(member.key) || !member.value.is_valid) continue;
    TakenHeaders& taken = out.emplace_back();
    taken.call = member.key;
    for (const ConfigNode& name : member.value.elements) taken.names.push_back(lower_case(name.text));
  }
}

// The same for a member that is renamed.
inline void load(const ConfigNode& value, const Shape&, std::vector<RenameConfig>& out) {
  for (const ConfigNode::Member& member : value.members) {
    if (is_comment(member.key) || !member.value.is_valid) continue;
    std::erase_if(out, [&](const RenameConfig& rename) { return rename.path == member.key; });
    out.push_back({member.key, member.value.text});
  }
}

template <class Struct>
  requires std::is_class_v<Struct>
void load(const ConfigNode& value, const Shape& shape, Struct& out) {
  shape.section->store(value, &out);
}

template <class T>
void load(const ConfigNode& value, const Shape& shape, std::vector<T>& out) {
  out.clear();
  if (value.kind != ConfigNode::Kind::array) {
    load(value, *shape.element, out.emplace_back());
    return;
  }
  for (const ConfigNode& element : value.elements) load(element, *shape.element, out.emplace_back());
}

inline void load(const ConfigNode& value, const Shape& shape, std::vector<std::string>& out) {
  out.clear();
  for (const ConfigNode& element : value.elements) {
    const bool is_folded = shape.element->rule != nullptr && shape.element->rule->is_case_insensitive;
    out.push_back(is_folded ? lower_case(element.text) : element.text);
  }
}

template <class T>
void load(const ConfigNode& value, const Shape& shape, std::optional<T>& out) {
  if (value.kind == ConfigNode::Kind::null) {
    out.reset();
    return;
  }
  if (!out) out.emplace();
  load(value, shape, *out);
}

// show(): the JSON of a default, empty where there is nothing to show.
inline std::string in_quotes(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}
inline std::string show(bool value, const Shape&) {
  return value ? "true" : "false";
}
inline std::string show(const std::string& value, const Shape&) {
  return value.empty() ? "" : in_quotes(value);
}
inline std::string show(std::chrono::nanoseconds value, const Shape&) {
  return in_quotes(format_duration(value));
}

template <class Number>
  requires std::is_unsigned_v<Number>
std::string show(Number value, const Shape& shape) {
  return shape.kind == Shape::Kind::size ? in_quotes(format_size(value)) : std::to_string(value);
}

template <class Enum>
  requires std::is_enum_v<Enum>
std::string show(Enum value, const Shape& shape) {
  return in_quotes(shape.choices[static_cast<std::size_t>(value)]);
}

inline std::string show(const BalanceConfig& value, const Shape& shape) {
  return show(value.kind, shape);
}

inline std::string show(const Address& value, const Shape&) {
  return value.host.empty() ? "" : in_quotes(value.host + ":" + std::to_string(value.port));
}

inline std::string joined(const std::vector<std::string>& items) {
  std::string list;
  for (const std::string& item : items) list += (list.empty() ? "" : ", ") + item;
  return "[" + list + "]";
}

/// A whole class of statuses is shown as "2xx".
inline std::vector<std::string> shown_statuses(const StatusSet& value) {
  std::vector<std::string> items;
  for (unsigned status = 100; status < value.size(); ++status) {
    bool is_class = status % 100 == 0;
    for (unsigned i = 0; i < 100 && is_class; ++i) is_class = value[status + i];
    if (is_class) {
      items.push_back(in_quotes(std::to_string(status / 100) + "xx"));
      status += 99;
    } else if (value[status]) {
      items.push_back(std::to_string(status));
    }
  }
  return items;
}
inline std::string show(const StatusSet& value, const Shape&) {
  return joined(shown_statuses(value));
}
inline std::string show(const Names&, const Shape&) {
  return "[]";
}
inline std::string show(const std::vector<HeaderTemplate>&, const Shape&) {
  return "{}";
}
inline std::string show(const std::vector<TakenHeaders>&, const Shape&) {
  return "{}";
}
inline std::string show(const std::vector<RenameConfig>&, const Shape&) {
  return "{}";
}

template <class Struct>
  requires std::is_class_v<Struct>
std::string show(const Struct&, const Shape&) {
  return "";  // the members have their own
}

template <class T>
std::string show(const std::vector<T>& value, const Shape& shape) {
  if (shape.is_single_allowed && value.size() == 1) return show(value.front(), *shape.element);
  std::vector<std::string> items;
  for (const T& item : value) items.push_back(show(item, *shape.element));
  return joined(items);
}

template <class T>
std::string show(const std::optional<T>& value, const Shape& shape) {
  return value ? show(*value, shape) : "";
}

}  // namespace sluice::gateway
