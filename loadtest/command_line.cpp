// Parsing of command lines and of the values in them.
#include "loadtest/command_line.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <optional>
#include <system_error>
#include <utility>

namespace sluice::loadtest {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = std::exchange(row[j + 1], std::min({row[j] + 1, row[j + 1] + 1, replaced}));
    }
  }
  return row.back();
}

struct Quantity {
  double number;
  std::string_view unit;
};

std::optional<Quantity> split_quantity(std::string_view text) {
  Quantity quantity{};
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), quantity.number, std::chars_format::fixed);
  if (error != std::errc() || !std::isfinite(quantity.number) || quantity.number < 0) return std::nullopt;
  quantity.unit = text.substr(static_cast<std::size_t>(end - text.data()));
  return quantity;
}

}  // namespace

CommandLine::CommandLine(std::string program, std::string synopsis, std::string about)
    : program_(std::move(program)), synopsis_(std::move(synopsis)), about_(std::move(about)) {}

void CommandLine::add(std::string name, std::string value_name, std::string help, Set set) {
  options_.push_back({std::move(name), std::move(value_name), std::move(help), std::move(set)});
}

const CommandLine::Option& CommandLine::find(std::string_view name) const {
  std::vector<std::string_view> known;
  for (const Option& option : options_) {
    if (option.name == name) return option;
    known.push_back(option.name);
  }
  const std::string_view near = nearest(name, known);
  const std::string hint = near.empty() ? "--help lists the options" : "did you mean " + std::string(near) + "?";
  throw UsageError(std::string(name) + ": unknown option; " + hint);
}

std::vector<std::string> CommandLine::parse(int argc, char** argv) const {
  std::vector<std::string> rest;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--help" || argument == "-h") {
      print_help();
      std::exit(0);
    }
    if (argument == "--version") {
      std::printf("%s %s\n", program_.c_str(), SLUICE_VERSION);
      std::exit(0);
    }
    if (!argument.starts_with('-') || argument == "-") {
      rest.emplace_back(argument);
      continue;
    }
    const std::size_t equals = argument.find('=');
    const Option& option = find(argument.substr(0, equals));
    const bool has_value = equals != std::string_view::npos;
    std::string_view value;
    if (option.value_name.empty()) {
      if (has_value) throw UsageError(option.name + ": takes no value");
    } else if (has_value) {
      value = argument.substr(equals + 1);
    } else if (++i < argc) {
      value = argv[i];
    } else {
      throw UsageError(option.name + ": expected " + option.value_name + ", found nothing");
    }
    try {
      option.set(value);
    } catch (const std::invalid_argument& error) {
      throw UsageError(option.name + ": expected " + error.what() + ", got \"" + std::string(value) + '"');
    }
  }
  return rest;
}

void CommandLine::print_help() const {
  std::printf("usage: %s %s\n\n%s\n\n", program_.c_str(), synopsis_.c_str(), about_.c_str());
  const auto line = [](const std::string& left, const std::string& help) {
    std::printf("  %-30s %s\n", left.c_str(), help.c_str());
  };
  for (const Option& option : options_) line(option.name + ' ' + option.value_name, option.help);
  line("--help", "print this and exit");
  line("--version", "print the version and exit");
}

int CommandLine::run(const std::function<int()>& body) const {
  try {
    return body();
  } catch (const UsageError& error) {
    std::fprintf(stderr, "%s: %s\n", program_.c_str(), error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", program_.c_str(), error.what());
    return 1;
  }
}

std::chrono::nanoseconds parse_duration(std::string_view text) {
  constexpr std::pair<std::string_view, double> kUnits[] = {{"ns", 1},  {"us", 1e3}, {"ms", 1e6},
                                                            {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  if (const auto quantity = split_quantity(text)) {
    for (const auto& [unit, nanoseconds] : kUnits) {
      const double value = quantity->number * nanoseconds;
      if (quantity->unit == unit && value >= 1 && value < 1e18)
        return std::chrono::nanoseconds(static_cast<std::int64_t>(value));
    }
  }
  throw std::invalid_argument("a duration with its unit (\"250ms\", \"1.5s\", \"10m\")");
}

std::size_t parse_size(std::string_view text) {
  constexpr std::pair<std::string_view, double> kUnits[] = {{"", 1}, {"B", 1}, {"KiB", 1024}, {"MiB", 1048576}};
  if (const auto quantity = split_quantity(text)) {
    for (const auto& [unit, bytes] : kUnits) {
      const double value = quantity->number * bytes;
      if (quantity->unit == unit && value == std::floor(value) && value < 1e12) return static_cast<std::size_t>(value);
    }
  }
  throw std::invalid_argument("a size (\"200\", \"64KiB\", \"1MiB\")");
}

std::uint64_t parse_count(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == 0)
    throw std::invalid_argument("a whole number above 0");
  return value;
}

double parse_rate(std::string_view text) {
  const auto quantity = split_quantity(text);
  if (!quantity || !quantity->unit.empty() || quantity->number <= 0)
    throw std::invalid_argument("a number of requests per second above 0");
  return quantity->number;
}

double parse_percent(std::string_view text) {
  const auto quantity = split_quantity(text);
  if (!quantity || quantity->unit != "%" || quantity->number > 100) throw std::invalid_argument("a share (\"0.1%\")");
  return quantity->number;
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> known) {
  std::string_view near;
  std::size_t least = 4;  // further away it is another word
  for (const std::string_view candidate : known) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance >= least || distance >= candidate.size()) continue;
    near = candidate;
    least = distance;
  }
  return near;
}

}  // namespace sluice::loadtest
