// Types, ranges, keys and substitutions of a configuration text.
#include "gateway/config_check.hpp"

#include "gateway/text_rules.hpp"
#include "gateway/units.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <utility>

namespace sluice::gateway {
namespace {

using Kind = ConfigNode::Kind;

constexpr std::size_t kMaxSecretBytes = std::size_t{1} << 20;

std::string range(const Shape& shape) {
  const auto shown = [&](std::int64_t value) {
    if (shape.kind == Shape::Kind::duration) return format_duration(std::chrono::nanoseconds(value));
    if (shape.kind == Shape::Kind::size) return format_size(static_cast<std::size_t>(value));
    return std::to_string(value);
  };
  if (shape.min == shape.max) return shown(shape.min);
  return "between " + shown(shape.min) + " and " + shown(shape.max);
}

std::string expected_status(const Shape& shape) {
  std::string expected = "a status " + range(shape) + " or a class such as \"5xx\"";
  return shape.choices.empty() ? expected : quoted_list(shape.choices) + ", or " + expected;
}

bool is_variable_name(std::string_view name) {
  return !name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) == 0 &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; });
}

/// Also of `1.0` and `1e3`, which are integers to JSON Schema; the text is then that without.
std::optional<std::int64_t> take_integer(ConfigNode& value) {
  const std::string_view text = value.text;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) return number;
  constexpr double kExact = 1LL << 53;
  double real = 0;
  const auto [real_end, real_error] = std::from_chars(text.data(), text.data() + text.size(), real);
  if (real_error != std::errc() || std::abs(real) > kExact || std::trunc(real) != real) return std::nullopt;
  number = static_cast<std::int64_t>(real);
  value.text = std::to_string(number);
  return number;
}

}  // namespace

std::optional<std::string> read_file(const std::filesystem::path& path, std::size_t max_bytes, std::string& problem) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    problem = "is a directory";
    return std::nullopt;
  }
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string content;
  std::array<char, 64 * 1024> block;
  while (file && content.size() <= max_bytes) {
    file.read(block.data(), block.size());
    content.append(block.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (!file.is_open() || file.bad()) {
    problem = errno != 0 ? std::strerror(errno) : "cannot be read";
    return std::nullopt;
  }
  if (content.size() > max_bytes) {
    problem = "is larger than " + format_size(max_bytes);
    return std::nullopt;
  }
  return content;
}

bool ConfigCheck::check(ConfigNode& value, const Shape& shape, const std::string& pointer, bool is_nullable) {
  if (shape.kind == Shape::Kind::json) {
    value.text = minified(text_.substr(value.begin, value.end - value.begin));
    return true;
  }
  if (is_nullable && value.kind == Kind::null) return true;
  if (value.kind == Kind::string && !expand(value, pointer)) return value.is_valid = false;
  switch (shape.kind) {
    case Shape::Kind::boolean:
      value.is_valid = value.kind == Kind::boolean || must_be("true or false", value, pointer);
      break;
    case Shape::Kind::integer:
      value.is_valid = check_number(value, shape, pointer);
      break;
    case Shape::Kind::duration:
    case Shape::Kind::size:
      value.is_valid = check_unit(value, shape, pointer);
      break;
    case Shape::Kind::choice:
    case Shape::Kind::text:
      value.is_valid = shape.section != nullptr && value.kind == Kind::object
                           ? check_section(value, *shape.section, pointer)
                           : check_text(value, shape, pointer);
      break;
    case Shape::Kind::status: {
      const std::string_view text = value.text;
      const bool is_class = value.kind == Kind::string && text.size() == 3 && text.ends_with("xx") &&
                            text[0] >= '0' + shape.min / 100 && text[0] <= '0' + shape.max / 100;
      const bool is_choice = value.kind == Kind::string &&
                             std::find(shape.choices.begin(), shape.choices.end(), text) != shape.choices.end();
      value.is_valid = is_class || is_choice || check_number(value, shape, pointer);
      break;
    }
    case Shape::Kind::list:
      value.is_valid = check_list(value, shape, pointer);
      break;
    case Shape::Kind::map:
      value.is_valid = check_map(value, shape, pointer);
      break;
    case Shape::Kind::section:
      value.is_valid = check_section(value, *shape.section, pointer);
      break;
    case Shape::Kind::json:
      break;
  }
  return value.is_valid;
}

bool ConfigCheck::check_number(ConfigNode& value, const Shape& shape, const std::string& pointer) {
  const auto number = value.kind == Kind::number ? take_integer(value) : std::nullopt;
  if (number && *number >= shape.min && *number <= shape.max) return true;
  if (shape.kind == Shape::Kind::status) return must_be(expected_status(shape), value, pointer);
  return must_be((shape.min == shape.max ? "" : "an integer ") + range(shape), value, pointer);
}

bool ConfigCheck::check_unit(ConfigNode& value, const Shape& shape, const std::string& pointer) {
  std::optional<std::int64_t> number;
  if (shape.kind == Shape::Kind::duration) {
    const auto parsed = value.kind == Kind::string ? parse_duration(value.text) : std::nullopt;
    if (!parsed) return must_be("a duration such as \"250ms\", \"1.5s\" or \"10m\"", value, pointer);
    number = parsed->count();
  } else {
    if (value.kind == Kind::number) {
      number = take_integer(value);
    } else if (value.kind == Kind::string) {
      if (const auto parsed = parse_size(value.text)) number = static_cast<std::int64_t>(*parsed);
    }
    if (!number) return must_be("a size such as \"64KiB\" or a number of bytes", value, pointer);
  }
  return (*number >= shape.min && *number <= shape.max) || must_be(range(shape), value, pointer);
}

bool ConfigCheck::check_text(const ConfigNode& value, const Shape& shape, const std::string& pointer) {
  if (shape.kind == Shape::Kind::choice) {
    const auto& choices = shape.choices;
    if (value.kind == Kind::string && std::find(choices.begin(), choices.end(), value.text) != choices.end())
      return true;
    return must_be(quoted_list(choices) + (shape.section != nullptr ? " or an object" : ""), value, pointer);
  }
  if (value.kind == Kind::string && shape.rule->accepts(value.text)) return true;
  if (shape.rule == &kServer && value.text.starts_with("https://")) {
    return must_be("an \"http://\" server, as TLS to backends is not there yet", value, pointer);
  }
  return must_be(shape.rule->expected, value, pointer);
}

bool ConfigCheck::check_list(ConfigNode& value, const Shape& shape, const std::string& pointer) {
  if (value.kind != Kind::array) {
    if (shape.is_single_allowed && value.kind == Kind::string) return check_text(value, *shape.element, pointer);
    return must_be(shape.is_single_allowed ? "a string or a list" : "a list", value, pointer);
  }
  bool is_valid = true;
  for (std::size_t i = 0; i < value.elements.size(); ++i) {
    if (!check(value.elements[i], *shape.element, pointer_to(pointer, std::to_string(i)))) is_valid = false;
  }
  if (value.elements.size() >= static_cast<std::size_t>(shape.min)) return is_valid;
  return fail(value.begin, pointer, "must not be empty");
}

bool ConfigCheck::check_map(ConfigNode& value, const Shape& shape, const std::string& pointer) {
  if (value.kind != Kind::object) return must_be("an object", value, pointer);
  bool is_valid = true;
  std::map<std::string, std::string_view> folded;  // names, in lower case
  for (ConfigNode::Member& member : value.members) {
    if (is_comment(member.key)) continue;
    const std::string child = pointer_to(pointer, member.key);
    bool is_good_key = shape.rule->accepts(member.key);
    if (!is_good_key) {
      fail(member.begin, child,
           "the key must be " + std::string(shape.rule->expected) + ", got \"" + member.key + "\"");
    }
    if (shape.rule->is_case_insensitive) {
      const auto [same, is_new] = folded.try_emplace(lower_case(member.key), member.key);
      if (!is_new) {
        is_good_key = fail(member.begin, child, "is the same name as \"" + std::string(same->second) + "\"");
      }
    }
    member.value.is_valid = check(member.value, *shape.element, child) && is_good_key;
    is_valid = is_valid && member.value.is_valid;
  }
  return is_valid;
}

bool ConfigCheck::check_section(ConfigNode& value, const Section& section, const std::string& pointer) {
  if (value.kind != Kind::object) return must_be("an object", value, pointer);
  bool is_valid = true;
  for (ConfigNode::Member& member : value.members) {
    if (is_comment(member.key)) continue;
    const std::string child = pointer_to(pointer, member.key);
    if (const Key* key = section.find(member.key)) {
      if (!check(member.value, key->shape, child, key->is_nullable)) is_valid = false;
      continue;
    }
    std::vector<std::string_view> known;
    for (const Key& key : section.keys) known.push_back(key.name);
    std::string hint = problems_.is_full() ? "" : did_you_mean(member.key, known);
    if (hint.empty()) hint = ", expected " + quoted_list(known);
    is_valid = fail(member.begin, child, "unknown key \"" + member.key + "\"" + hint);
  }
  for (const Key& key : section.keys) {
    if (key.is_required && value.find(key.name) == nullptr) {
      is_valid = fail(value.begin, pointer, "the key \"" + std::string(key.name) + "\" is missing");
    }
  }
  return is_valid;
}

bool ConfigCheck::expand(ConfigNode& value, const std::string& pointer) {
  shown_.clear();
  std::string expanded;
  std::string_view left = value.text;
  for (std::size_t start = left.find("${"); start != std::string_view::npos; start = left.find("${")) {
    const std::size_t end = left.find('}', start);
    if (end == std::string_view::npos) return fail(value.begin, pointer, "has a \"${\" without its \"}\"");
    const std::string_view reference = left.substr(start + 2, end - start - 2);
    std::string result;
    if (!expand_one(reference, value, pointer, result)) return false;
    expanded.append(left.substr(0, start)).append(result);
    shown_.append(left.substr(0, end + 1));
    value.has_reference = true;
    left.remove_prefix(end + 1);
  }
  expanded.append(left);
  shown_.append(left);
  value.text = std::move(expanded);
  return true;
}

bool ConfigCheck::expand_one(std::string_view reference, const ConfigNode& value, const std::string& pointer,
                             std::string& result) {
  if (reference.starts_with("file:")) {
    const std::filesystem::path path = folder_ / std::string(reference.substr(5));
    std::string problem;
    auto content = read_file(path, kMaxSecretBytes, problem);
    if (!content) return fail(value.begin, pointer, "the file \"" + path.string() + "\" of ${file:...}: " + problem);
    if (content->ends_with('\n')) content->pop_back();
    if (content->ends_with('\r')) content->pop_back();
    result = std::move(*content);
    return true;
  }
  const std::size_t separator = reference.find(":-");
  const std::string name(reference.substr(0, separator));
  if (!is_variable_name(name)) {
    return fail(value.begin, pointer,
                "must have ${NAME}, ${NAME:-default} or ${file:PATH}, got \"${" + std::string(reference) + "}\"");
  }
  const auto variable = environment_(name);
  if (separator == std::string_view::npos) {
    if (!variable) {
      return fail(value.begin, pointer,
                  "the environment variable \"" + name + "\" is not set; ${" + name + ":-default} gives it a default");
    }
    result = *variable;
  } else {
    result = variable && !variable->empty() ? *variable : std::string(reference.substr(separator + 2));
  }
  return true;
}

bool ConfigCheck::must_be(std::string_view expected, const ConfigNode& value, const std::string& pointer) {
  std::string found;
  switch (value.kind) {
    case Kind::object:
      found = "an object";
      break;
    case Kind::array:
      found = "a list";
      break;
    case Kind::string:
      found = "\"" + shown_ + "\"";
      break;
    default:
      found = value.text;
  }
  // Cut at a character, not inside one.
  constexpr std::size_t kMaxShown = 80;
  if (found.size() > kMaxShown) {
    std::size_t end = kMaxShown;
    while ((static_cast<unsigned char>(found[end]) & 0xC0U) == 0x80U) --end;
    found = found.substr(0, end) + "...";
  }
  return fail(value.begin, pointer, "must be " + std::string(expected) + ", got " + found);
}

bool ConfigCheck::fail(std::size_t offset, const std::string& pointer, std::string message) {
  problems_.error({offset, pointer}, std::move(message));
  return false;
}

}  // namespace sluice::gateway
