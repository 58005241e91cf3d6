// The operator's log.
#include "gateway/log.hpp"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

using testing::MatchesRegex;

class Log : public testing::Test {
 protected:
  ~Log() override { set_log_level(LogLevel::info); }
};

TEST_F(Log, WritesOneLineAMessageWithTimeAndLevel) {
  testing::internal::CaptureStderr();
  log_warn("sluice.json: {} %v\nGET /\x1b[31m");
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z warn sluice\\.json: "
                           "\\{\\} %v\\\\nGET /\\\\x1b\\[31m\n"));
}

TEST_F(Log, LeavesOutWhatIsBelowItsLevel) {
  testing::internal::CaptureStderr();
  log_debug("not by default");
  set_log_level(LogLevel::error);
  log_warn("not now");
  set_log_level(LogLevel::off);
  log_error("not even this");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_FALSE(is_logged(LogLevel::error));
  set_log_level(LogLevel::debug);
  EXPECT_TRUE(is_logged(LogLevel::debug));
}

TEST_F(Log, KnowsItsLevelsByName) {
  EXPECT_EQ(log_level_from("debug"), LogLevel::debug);
  EXPECT_EQ(log_level_from("info"), LogLevel::info);
  EXPECT_EQ(log_level_from("warn"), LogLevel::warn);
  EXPECT_EQ(log_level_from("error"), LogLevel::error);
  EXPECT_EQ(log_level_from("off"), LogLevel::off);
  EXPECT_EQ(log_level_from("Info"), std::nullopt);
  EXPECT_EQ(log_level_from(""), std::nullopt);
}

TEST_F(Log, EscapesControlCharactersAndNothingElse) {
  EXPECT_EQ(escape_controls("a\tb\r\n\x01\x7f"), "a\\tb\\r\\n\\x01\\x7f");
  EXPECT_EQ(escape_controls("Gr\xc3\xbc\xc3\x9f \"\\\""), "Gr\xc3\xbc\xc3\x9f \"\\\"");
}

}  // namespace
}  // namespace sluice::gateway
