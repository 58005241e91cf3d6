// Checks each value of a configuration text against the table of keys.
#pragma once

#include "gateway/config_keys.hpp"
#include "gateway/config_problems.hpp"
#include "gateway/config_text.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::gateway {

/// Looks up an environment variable; nullopt when it is not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

/// Reads a whole file of at most `max_bytes`. On failure the result is empty and `problem` says why.
std::optional<std::string> read_file(const std::filesystem::path& path, std::size_t max_bytes, std::string& problem);

/// Checks types, ranges and keys, and puts the values of `${...}` into strings.
class ConfigCheck {
 public:
  /// `folder` is where relative `${file:PATH}`s are looked for.
  ConfigCheck(std::string_view text, std::filesystem::path folder, Environment environment, ConfigProblems& problems)
      : text_(text), folder_(std::move(folder)), environment_(std::move(environment)), problems_(problems) {}

  /// Checks `value` and all in it, marks what is not valid, and returns whether all is.
  bool check(ConfigNode& value, const Shape& shape, const std::string& pointer, bool is_nullable = false);

 private:
  bool check_number(ConfigNode& value, const Shape& shape, const std::string& pointer);
  bool check_unit(ConfigNode& value, const Shape& shape, const std::string& pointer);
  bool check_text(const ConfigNode& value, const Shape& shape, const std::string& pointer);
  bool check_list(ConfigNode& value, const Shape& shape, const std::string& pointer);
  bool check_map(ConfigNode& value, const Shape& shape, const std::string& pointer);
  bool check_section(ConfigNode& value, const Section& section, const std::string& pointer);

  // Puts values into `value.text` and leaves in `shown_` what messages may show of it: the values may be secret.
  bool expand(ConfigNode& value, const std::string& pointer);
  bool expand_one(std::string_view reference, const ConfigNode& value, const std::string& pointer, std::string& result);

  // Reports "must be EXPECTED, got ..."; returns false.
  bool must_be(std::string_view expected, const ConfigNode& value, const std::string& pointer);
  bool fail(std::size_t offset, const std::string& pointer, std::string message);

  std::string_view text_;
  std::filesystem::path folder_;
  Environment environment_;
  ConfigProblems& problems_;
  std::string shown_;
};

}  // namespace sluice::gateway
