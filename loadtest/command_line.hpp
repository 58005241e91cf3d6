// The command lines of the load test programs: a table of options that parses, explains itself and suggests.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::loadtest {

/// Thrown for a wrong command line; the message names the option, what was found and what was expected.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// One program's options. Thread: one.
class CommandLine {
 public:
  using Set = std::function<void(std::string_view value)>;

  /// `synopsis` follows the program's name in the usage line, `about` is a sentence or two below it.
  CommandLine(std::string program, std::string synopsis, std::string about);

  /// An option that takes a value (`--name VALUE` or `--name=VALUE`), or, where `value_name` is empty, none.
  /// `set` throws std::invalid_argument, whose text says what was expected.
  void add(std::string name, std::string value_name, std::string help, Set set);

  /// Sets the options and returns what is not one, in order. For `--help` and `--version` prints and exits with 0.
  /// Errors: UsageError.
  std::vector<std::string> parse(int argc, char** argv) const;

  /// Runs `body` and turns what it throws into a line on standard error: 2 for a UsageError, else 1.
  int run(const std::function<int()>& body) const;

 private:
  struct Option {
    std::string name, value_name, help;
    Set set;
  };

  const Option& find(std::string_view name) const;
  void print_help() const;

  std::string program_, synopsis_, about_;
  std::vector<Option> options_;
};

// Values, as everywhere in Sluice. Errors: std::invalid_argument.
[[nodiscard]] std::chrono::nanoseconds parse_duration(std::string_view text);  // "250ms", "1.5s", "10m"
[[nodiscard]] std::size_t parse_size(std::string_view text);                   // "200", "4KiB", "1MiB"
[[nodiscard]] std::uint64_t parse_count(std::string_view text);                // 1 or more
[[nodiscard]] double parse_rate(std::string_view text);                        // above 0
[[nodiscard]] double parse_percent(std::string_view text);                     // "0.1%", up to 100

/// The one of `known` that `word` is probably meant to be; empty when none is near.
[[nodiscard]] std::string_view nearest(std::string_view word, std::span<const std::string_view> known);

}  // namespace sluice::loadtest
