#include "tests/backends/standin_fixture.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <vector>

#include <boost/asio/error.hpp>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace sluice::backends::demo {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Le;
using ::testing::Not;
using ::testing::StartsWith;
namespace error = boost::asio::error;

using StandInFaults = StandInTest;
using StandInAdmin = StandInTest;

TEST_F(StandInFaults, LatencyIsExactOrUniformOrLognormal) {
  EXPECT_EQ(time_of("/users/1?latency_ms=20"), 20ms);
  std::vector<Duration> uniform;
  std::vector<Duration> lognormal;
  for (int i = 0; i < 101; ++i) {
    uniform.push_back(time_of("/users/1?latency_ms=20..80"));
    lognormal.push_back(time_of("/users/1?latency_ms=lognormal(20,0.5)"));
  }
  for (auto* times : {&uniform, &lognormal}) std::sort(times->begin(), times->end());
  EXPECT_THAT(uniform.front(), AllOf(Ge(Duration(20ms)), Le(Duration(25ms))));
  EXPECT_THAT(uniform.back(), AllOf(Ge(Duration(75ms)), Le(Duration(81ms))));
  EXPECT_THAT(lognormal[50], AllOf(Ge(Duration(16ms)), Le(Duration(25ms))));
  EXPECT_GT(lognormal.back(), Duration(40ms));
  EXPECT_LT(lognormal.front(), Duration(12ms));
}

TEST_F(StandInFaults, ErrorsComeAtTheirRate) {
  std::map<unsigned, int> seen;
  for (int i = 0; i < 400; ++i) ++seen[get("/users/1?error_rate=0.25&status=502").status];
  EXPECT_EQ(seen.size(), 2U);
  EXPECT_THAT(seen[502], AllOf(Ge(70), Le(130)));
  EXPECT_EQ(get("/users/1?error_rate=1").status, 503U);
  EXPECT_EQ(json::parse(get("/users/1?status=404").body)["error"], "Not Found");
  EXPECT_EQ(get("/users/1?status=204").body, "");
  EXPECT_EQ(json::parse(get("/users/1?status=201").body)["id"], 1);
}

TEST_F(StandInFaults, HangAfterTheRequestAnswersNothing) {
  EXPECT_EQ(arrived_after("/users/1?hang=header", 1h), "");
  EXPECT_EQ(stand_in_.counters().requests, 1U);
  client_.close();
  time_.settle();
  EXPECT_EQ(stand_in_.counters().cancelled, 1U);
}

TEST_F(StandInFaults, HangAfterTheHeadSendsTheHeadOnly) {
  EXPECT_THAT(arrived_after("/users/1?hang=head", 1h), AllOf(StartsWith("HTTP/1.1 200 "), EndsWith("\r\n\r\n")));
}

TEST_F(StandInFaults, HangInTheBodySendsHalfOfIt) {
  const std::string body = get("/users/1").body;
  EXPECT_THAT(arrived_after("/users/1?hang=body", 1h), EndsWith("\r\n\r\n" + body.substr(0, body.size() / 2)));
  EXPECT_EQ(stand_in_.counters().open, 1U);
}

TEST_F(StandInFaults, HangAfterAcceptNeverReads) {
  EXPECT_EQ(stand_in_.set_faults("hang=accept"), "");
  EXPECT_EQ(arrived_after("/users/1", 1h), "");
  EXPECT_EQ(stand_in_.counters().accepted, 1U);
  EXPECT_EQ(stand_in_.counters().open, 1U);
  EXPECT_EQ(stand_in_.counters().requests, 0U);
}

TEST_F(StandInFaults, DripSendsPiecesAtIntervals) {
  const std::string whole = arrived_after("/users/1", 0ms);
  client_.close();
  EXPECT_EQ(arrived_after("/users/1?drip_ms=300", 299ms), "H");
  time_.advance(1ms);
  client_.poll();
  EXPECT_EQ(client_.buffered(), "HT");
  client_.close();
  EXPECT_EQ(arrived_after("/users/1?drip_ms=300&drip_bytes=4", 700ms), "HTTP/1.1 200");
  client_.close();
  EXPECT_THAT(arrived_after("/users/1?drip_ms=300&drip_from=body", 650ms), EndsWith("\r\n\r\n{\""));
  client_.close();
  EXPECT_EQ(time_of("/users/1?drip_ms=10&drip_bytes=10"), (whole.size() + 9) / 10 * 10ms - 10ms);
}

TEST_F(StandInFaults, ResetAfterAcceptIsAnRst) {
  EXPECT_EQ(stand_in_.set_faults("reset=accept"), "");
  ASSERT_TRUE(time_.run(client_.connect(where_)).has_value());
  EXPECT_EQ(time_.run(client_.read_all()).error, error::connection_reset);
}

TEST_F(StandInFaults, ResetAfterTheRequestIsAnRst) {
  const auto start = time_.now();
  const RawEnd end = get_all("/users/1?reset=header&latency_ms=5");
  EXPECT_EQ(end.error, error::connection_reset);
  EXPECT_EQ(end.bytes, "");
  EXPECT_EQ(time_.now() - start, 5ms);
  EXPECT_EQ(stand_in_.counters().cancelled, 0U);
}

TEST_F(StandInFaults, ResetAndCloseInTheBodyComeAfterHalfOfIt) {
  const std::string body = get("/users/1").body;
  client_.close();
  const auto half = EndsWith("\r\n\r\n" + body.substr(0, body.size() / 2));
  const RawEnd reset = get_all("/users/1?reset=body");
  EXPECT_EQ(reset.error, error::connection_reset);
  EXPECT_THAT(reset.bytes, half);
  client_.close();
  const RawEnd closed = get_all("/users/1?close=body");
  EXPECT_EQ(closed.error, error::eof);
  EXPECT_THAT(closed.bytes, half);
}

TEST_F(StandInFaults, WrongLengthLiesAndKeepsTheConnection) {
  const std::size_t size = get("/users/1").body.size();
  const RawResponse less = get("/users/1?wrong_length=-10");
  EXPECT_EQ(less.body.size(), size - 10);
  EXPECT_EQ(client_.buffered().size(), 10U);
  client_.close();
  const std::string more = arrived_after("/users/1?wrong_length=+10", 1h);
  EXPECT_THAT(more, AllOf(HasSubstr("Content-Length: " + std::to_string(size + 10)), EndsWith("}")));
}

TEST_F(StandInFaults, GarbageReplacesTheHeadOrTheBody) {
  const RawEnd head = get_all("/users/1?garbage=head");
  EXPECT_EQ(head.bytes.size(), 512U);
  EXPECT_THAT(head.bytes, Not(HasSubstr("HTTP")));
  EXPECT_EQ(head.error, error::eof);
  client_.close();
  const RawResponse body = get("/users/1?garbage=body");
  EXPECT_EQ(body.status, 200U);
  EXPECT_FALSE(json::accept(body.body));
}

TEST_F(StandInFaults, NotJsonIsCutShortWithTheRightLength) {
  const RawResponse whole = get("/users/1");
  const RawResponse cut = get("/users/1?not_json=1");
  EXPECT_THAT(whole.body, StartsWith(cut.body));
  EXPECT_LT(cut.body.size(), whole.body.size());
}

TEST_F(StandInFaults, AnEndlessBodyIsReadableAsLongAsTheClientReads) {
  send(RawClient::text("GET", "/users/1?endless=1"));
  const std::string begin = time_.run(client_.read_exactly(5'000'000)).value();
  EXPECT_THAT(begin, HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_THAT(begin, HasSubstr("\r\n\r\n10000\r\n[\"the quick"));
  EXPECT_EQ(stand_in_.counters().cancelled, 0U);
  client_.close();
  time_.settle();
  EXPECT_EQ(stand_in_.counters().cancelled, 1U);
  EXPECT_EQ(stand_in_.counters().open, 0U);
}

TEST_F(StandInFaults, AnEndlessBodyMayDrip) {
  EXPECT_THAT(arrived_after("/users/1?endless=1&drip_ms=10&drip_bytes=3&drip_from=body", 25ms),
              EndsWith("\r\n\r\n3\r\n[\"t\r\n3\r\nhe \r\n3\r\nqui\r\n"));
}

TEST_F(StandInFaults, ChunkedHasTheSameBody) {
  const RawResponse plain = get("/json?bytes=20000");
  const RawResponse chunked = get("/json?bytes=20000&chunked=1");
  EXPECT_TRUE(chunked.chunked);
  EXPECT_EQ(chunked.header("Content-Length"), "");
  EXPECT_EQ(chunked.body, plain.body);
  client_.close();
  EXPECT_THAT(arrived_after("/json?bytes=20000&chunked=1", 0ms), HasSubstr(";note=\"a; b\"\r\n"));
}

TEST_F(StandInFaults, HeadersAndTheEndOfTheConnectionCanBeAskedFor) {
  const RawResponse response =
      get("/users/1?no_keepalive=1&header=Cache-Control:max-age%3D5&header=X-A:%20b", "X-Fault: header=X-C: d\r\n");
  EXPECT_EQ(response.header("Cache-Control"), "max-age=5");
  EXPECT_EQ(response.header("X-A"), "b");
  EXPECT_EQ(response.header("X-C"), "d");
  EXPECT_EQ(response.header("Connection"), "close");
  EXPECT_EQ(time_.run(client_.read_all()).error, error::eof);
}

TEST_F(StandInFaults, TheDateCanBeLeftOut) {
  EXPECT_NE(get("/users/1").header("Date"), "");
  EXPECT_EQ(get("/users/1?no_date=1").header("Date"), "");
}

TEST_F(StandInFaults, ABadFaultIsA400ThatSaysWhatWasExpected) {
  for (const std::string text :
       {"latency_ms=x", "latency_ms=80..20", "latency_ms=lognormal(20)", "latency_ms=-1", "latency_ms=nan",
        "error_rate=2", "status=99", "hang=nowhere", "reset=head", "drip_bytes=0", "bytes=-1", "bytes=9999999999",
        "header=Name", "header=A%20b:c", "header=A:%0d%0ab", "wrong_length=x", "endless=yes"}) {
    const RawResponse response = get("/users/1?" + text);
    EXPECT_EQ(response.status, 400U) << text;
    EXPECT_THAT(response.body, HasSubstr("expected")) << text;
  }
  EXPECT_THAT(get("/users/1", "X-Fault: statsu=1\r\n").body, HasSubstr(R"(unknown fault \"statsu\")"));
  EXPECT_EQ(get("/orders?user=1&limit=2&anything=1").status, 200U);
}

TEST_F(StandInFaults, TheHeaderBeatsTheQueryWhichBeatsTheAdmin) {
  request("PUT", "/-/faults", "status=500; latency_ms=10");
  EXPECT_EQ(get("/users/1").status, 500U);
  EXPECT_EQ(get("/users/1?status=501").status, 501U);
  EXPECT_EQ(get("/users/1?status=501", "X-Fault: status=502; latency_ms=0\r\n").status, 502U);
  EXPECT_EQ(get("/users/1?status=0").status, 200U);
  EXPECT_EQ(time_of("/users/1?status=0"), 10ms);
}

TEST_F(StandInAdmin, FaultsHoldForAPathOrAllUntilTheyAreTakenBack) {
  request("PUT", "/-/faults?path=/users", "status=404");
  request("PUT", "/-/faults?path=/users/1", "status=410");
  const RawResponse shown = request("PUT", "/-/faults", "header=X-A:b;status=503");
  EXPECT_EQ(json::parse(shown.body),
            json::parse(R"({"":"header=X-A:b;status=503","/users":"status=404","/users/1":"status=410"})"));
  EXPECT_EQ(get("/-/faults").body, shown.body);
  EXPECT_EQ(get("/users/1").status, 410U);
  EXPECT_EQ(get("/users/2").status, 404U);
  EXPECT_EQ(get("/recs/gold").status, 503U);
  EXPECT_EQ(get("/users/2").header("X-A"), "b");
  request("DELETE", "/-/faults?path=/users");
  EXPECT_EQ(get("/users/2").status, 503U);
  EXPECT_EQ(request("DELETE", "/-/faults").body, "{}");
  EXPECT_EQ(get("/users/1").status, 200U);
  EXPECT_EQ(stand_in_.counters().requests, 6U);
}

TEST_F(StandInAdmin, ABadTextChangesNothing) {
  request("PUT", "/-/faults", "status=503");
  EXPECT_EQ(request("PUT", "/-/faults", "status=404;hang=x").status, 400U);
  EXPECT_EQ(get("/users/1").status, 503U);
  EXPECT_EQ(request("POST", "/-/faults", "status=404").status, 405U);
  EXPECT_EQ(get("/-/else").status, 404U);
}

}  // namespace
}  // namespace sluice::backends::demo
