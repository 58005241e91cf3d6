// Options and the values in them.
#include "loadtest/command_line.hpp"

#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::loadtest {
namespace {

class CommandLineTest : public testing::Test {
 protected:
  CommandLineTest() {
    command_.add("--rate", "N", "", [this](auto value) { rate_ = parse_rate(value); });
    command_.add("--json", "", "", [this](auto) { json_ = true; });
  }

  std::vector<std::string> parse(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "program");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    return command_.parse(static_cast<int>(argv.size()), argv.data());
  }

  std::string problem(std::vector<std::string> arguments) {
    try {
      parse(std::move(arguments));
    } catch (const UsageError& error) {
      return error.what();
    }
    return "";
  }

  CommandLine command_{"program", "", ""};
  double rate_ = 0;
  bool json_ = false;
};

TEST_F(CommandLineTest, TakesValuesAfterASpaceOrAnEqualsSignAndReturnsTheRest) {
  EXPECT_EQ(parse({"a", "--rate", "12.5", "--json", "b"}), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(rate_, 12.5);
  EXPECT_TRUE(json_);
  parse({"--rate=3"});
  EXPECT_EQ(rate_, 3);
}

TEST_F(CommandLineTest, NamesTheOptionWhatWasFoundAndWhatWasExpected) {
  EXPECT_EQ(problem({"--rat", "3"}), "--rat: unknown option; did you mean --rate?");
  EXPECT_EQ(problem({"--something-else"}), "--something-else: unknown option; --help lists the options");
  EXPECT_EQ(problem({"--rate"}), "--rate: expected N, found nothing");
  EXPECT_EQ(problem({"--rate=fast"}), "--rate: expected a number of requests per second above 0, got \"fast\"");
  EXPECT_EQ(problem({"--json=1"}), "--json: takes no value");
}

TEST_F(CommandLineTest, TurnsUsageErrorsInto2AndOtherErrorsInto1) {
  EXPECT_EQ(command_.run([] { return 0; }), 0);
  EXPECT_EQ(command_.run([]() -> int { throw UsageError("usage"); }), 2);
  EXPECT_EQ(command_.run([]() -> int { throw std::runtime_error("run"); }), 1);
}

TEST(Values, HaveUnits) {
  using namespace std::chrono_literals;
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  EXPECT_EQ(parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(parse_duration("10m"), 10min);
  EXPECT_EQ(parse_size("200"), 200u);
  EXPECT_EQ(parse_size("64KiB"), 65536u);
  EXPECT_EQ(parse_count("7"), 7u);
}

TEST(Values, AreRefusedWhenTheyMeanNothing) {
  for (const char* text : {"", "5", "ms", "0s", "-1s", "5 s", "1e3s", "nan", "infs"})
    EXPECT_THROW(static_cast<void>(parse_duration(text)), std::invalid_argument) << text;
  for (const char* text : {"", "KiB", "1.5", "4kb", "-1"})
    EXPECT_THROW(static_cast<void>(parse_size(text)), std::invalid_argument) << text;
  for (const char* text : {"", "0", "-3", "1x", "99999999999999999999"})
    EXPECT_THROW(static_cast<void>(parse_count(text)), std::invalid_argument) << text;
  for (const char* text : {"", "0", "-1", "1/s"})
    EXPECT_THROW(static_cast<void>(parse_rate(text)), std::invalid_argument) << text;
}

}  // namespace
}  // namespace sluice::loadtest
