// The lines of the access log, for any bytes that a client sends.
#include "gateway/access_line.hpp"

#include <chrono>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace sluice::gateway {
namespace {

using namespace std::chrono_literals;
using backends::Reason;
using std::chrono::sys_days;

std::string line_of(LineFormat format, const AccessRecord& record) {
  std::string memory(64 * 1024, '\0');
  memory.resize(AccessLine().format(format, record, memory));
  return memory;
}

std::string target_in_json(std::string_view target) {
  AccessRecord record;
  record.target = target;
  const std::string line = line_of(LineFormat::json, record);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  return nlohmann::json::parse(line).at("target").get<std::string>();
}

struct Sample {
  std::vector<AccessCall> calls = {
      {.name = "user", .outcome = Outcome::fresh, .duration = 12ms, .age = {}, .reason = {}, .status = 200},
      {.name = "orders", .outcome = Outcome::stale, .duration = 500ms, .age = 34s, .reason = Reason::timeout},
      {.name = "recs",
       .outcome = Outcome::fallback,
       .duration = 3'004'500ns,
       .age = {},
       .reason = Reason::status,
       .status = 503}};
  AccessRecord record = {.time = sys_days(std::chrono::year(2026) / 1 / 2) + 3h + 4min + 5s + 67ms,
                         .request_id = "4bf92f35",
                         .client = "10.0.0.9",
                         .method = "GET",
                         .target = "/profile/42?a=\"b\"",
                         .endpoint = "/profile/{id}",
                         .status = 200,
                         .result = ResultKind::degraded,
                         .bytes = 1234,
                         .duration = 500'123'456ns,
                         .deadline = 500ms,
                         .calls = calls};
};

TEST(AccessLine, IsOneJsonObjectOfEverythingKnown) {
  const Sample sample;
  EXPECT_EQ(line_of(LineFormat::json, sample.record),
            R"({"time":"2026-01-02T03:04:05.067Z","request_id":"4bf92f35","client":"10.0.0.9","method":"GET",)"
            R"("target":"/profile/42?a=\"b\"","endpoint":"/profile/{id}","status":200,"result":"degraded",)"
            R"("bytes":1234,"duration_ms":500.123,"deadline_ms":500,"calls":[)"
            R"({"name":"user","outcome":"fresh","ms":12,"status":200},)"
            R"({"name":"orders","outcome":"stale","ms":500,"age":34,"reason":"timeout"},)"
            R"({"name":"recs","outcome":"fallback","ms":3.004,"reason":"status","status":503}]})"
            "\n");
}

TEST(AccessLine, IsTextForPeople) {
  const Sample sample;
  EXPECT_EQ(line_of(LineFormat::text, sample.record),
            R"(2026-01-02T03:04:05.067Z 10.0.0.9 "GET /profile/42?a=\"b\"" 200 degraded 1234 500.123ms )"
            R"(deadline=500ms request_id="4bf92f35" endpoint="/profile/{id}" user=fresh;ms=12;status=200 )"
            R"(orders=stale;ms=500;age=34;reason=timeout recs=fallback;ms=3.004;reason=status;status=503)"
            "\n");
}

TEST(AccessLine, LeavesOutADeadlineThatThereIsNot) {
  const auto json = nlohmann::json::parse(line_of(LineFormat::json, AccessRecord()));
  EXPECT_FALSE(json.contains("deadline_ms"));
  EXPECT_EQ(json.at("calls"), nlohmann::json::array());
  EXPECT_EQ(line_of(LineFormat::text, AccessRecord()).find("deadline"), std::string::npos);
}

TEST(AccessLine, FollowsTheClock) {
  AccessLine line;
  std::string memory(1024, '\0');
  AccessRecord record;
  const auto time_at = [&](std::chrono::system_clock::time_point time) {
    record.time = time;
    const std::size_t size = line.format(LineFormat::json, record, memory);
    return nlohmann::json::parse(memory.substr(0, size)).at("time").get<std::string>();
  };
  const auto last = sys_days(std::chrono::year(2027) / 12 / 31) + 23h + 59min + 59s;
  EXPECT_EQ(time_at(last + 998ms), "2027-12-31T23:59:59.998Z");
  EXPECT_EQ(time_at(last + 999'999us), "2027-12-31T23:59:59.999Z");
  EXPECT_EQ(time_at(last + 1s), "2028-01-01T00:00:00.000Z");
  EXPECT_EQ(time_at(last), "2027-12-31T23:59:59.000Z");
}

TEST(AccessLine, KeepsTextThatIsUtf8) {
  for (const std::string text : {"", "plain", "\"\\/\b\f\n\r\t\x01\x1f\x7f", "Gr\xc3\xbc\xc3\x9f", "\xe2\x82\xac",
                                 "\xed\x9f\xbf", "\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_EQ(target_in_json(text), text);
  }
  EXPECT_EQ(target_in_json(std::string("a\0b", 3)), std::string("a\0b", 3));
}

TEST(AccessLine, ReplacesEachMaximalPartOfInvalidUtf8ByOneCharacter) {
  const std::string bad = "\xef\xbf\xbd";
  EXPECT_EQ(target_in_json("a\x80z"), "a" + bad + "z");                  // continuation alone
  EXPECT_EQ(target_in_json("\xc0\xaf"), bad + bad);                      // overlong
  EXPECT_EQ(target_in_json("\xe0\x9f\xbf"), bad + bad + bad);            // overlong
  EXPECT_EQ(target_in_json("\xed\xa0\x80"), bad + bad + bad);            // surrogate
  EXPECT_EQ(target_in_json("\xf4\x90\x80\x80"), bad + bad + bad + bad);  // beyond Unicode
  EXPECT_EQ(target_in_json("\xff"), bad);                                // never a first byte
  EXPECT_EQ(target_in_json("\xe2\x82"), bad);                            // cut at the end
  EXPECT_EQ(target_in_json("\xf0\x90\x80z"), bad + "z");                 // cut before "z"
  EXPECT_EQ(target_in_json("\xe2\x82\xc3\xbc"), bad + "\xc3\xbc");       // cut before a whole one
}

TEST(AccessLine, IsValidWhateverBytesItIsMadeFrom) {
  std::mt19937 random(1);
  std::uniform_int_distribution<int> length(0, 24);
  std::uniform_int_distribution<int> byte(0, 255);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes(static_cast<std::size_t>(length(random)), '\0');
    for (char& c : bytes) c = static_cast<char>(byte(random));
    AccessCall call;
    call.name = bytes;
    AccessRecord record;
    record.request_id = record.client = record.method = record.target = record.endpoint = bytes;
    record.calls = {&call, 1};
    const std::string json = line_of(LineFormat::json, record);
    ASSERT_EQ(json.find('\n'), json.size() - 1);
    ASSERT_TRUE(nlohmann::json::accept(json)) << json;
    const std::string text = line_of(LineFormat::text, record);
    ASSERT_EQ(text.find('\n'), text.size() - 1);
    for (const char c : text.substr(0, text.size() - 1)) ASSERT_TRUE(c >= ' ' && c <= '~');
  }
}

TEST(AccessLine, FindsEveryByteThatIsNotPlainInEveryPlace) {
  for (const std::size_t size : {1, 7, 8, 9, 17}) {
    for (int byte = 0; byte < 0x80; ++byte) {
      for (std::size_t at = 0; at < size; ++at) {
        std::string text(size, 'a');
        text[at] = static_cast<char>(byte);
        AccessRecord record;
        record.target = text;
        const std::string json = line_of(LineFormat::json, record);
        ASSERT_TRUE(nlohmann::json::accept(json)) << json;
        ASSERT_EQ(nlohmann::json::parse(json)["target"], text);
      }
    }
  }
}

TEST(AccessLine, IsWrittenWholeOrNotAtAll) {
  const Sample sample;
  for (const LineFormat format : {LineFormat::json, LineFormat::text}) {
    const std::string whole = line_of(format, sample.record);
    std::string memory(whole.size() + 8, '#');
    for (std::size_t size = 0; size < whole.size(); ++size) {
      ASSERT_EQ(AccessLine().format(format, sample.record, {memory.data(), size}), 0u);
      ASSERT_EQ(memory.substr(size), std::string(memory.size() - size, '#'));
    }
    EXPECT_EQ(AccessLine().format(format, sample.record, {memory.data(), whole.size()}), whole.size());
    EXPECT_EQ(memory, whole + "########");
  }
}

}  // namespace
}  // namespace sluice::gateway
