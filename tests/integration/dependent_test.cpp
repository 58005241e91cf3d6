// Calls that need the data of other calls: when they start, what they send, and what becomes of them.
#include "tests/support/gateway_fixture.hpp"
#include "tests/support/path_backend.hpp"

#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace sluice::support {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

class Dependent : public GatewayTest {
 protected:
  /// One endpoint with a deadline of 100 ms and these calls, `@p` in them the backend.
  void serve_calls(const std::string& calls) {
    const std::string endpoint = R"({"path": "/", "deadline": "100ms", "calls": [)" + calls + "]}";
    const std::string backends = R"("backends": {"p": {"servers": [")" + p_.url() + R"("]}})";
    worker_ ? reload(endpoint, backends) : serve(endpoint, backends);
  }
  static std::string call(const std::string& name, const std::string& path, const std::string& members = {}) {
    return R"({"name": ")" + name + R"(", "backend": "p", "path": ")" + path + "\"" +
           (members.empty() ? "" : ", " + members) + "}";
  }

  PathBackend p_{time_.loop()};
};

constexpr auto kHangs = 24h;

TEST_F(Dependent, StartsEachCallTheMomentItsInputsAreThere) {
  p_.on("/a", R"({"x": "1"})", 10ms);
  p_.on("/b/1", R"({"y": 2})", 30ms);
  p_.on("/c/1", R"({"z": [3]})", 5ms);
  p_.on("/d/2/3", "4", 5ms);
  p_.on("/e", "5", 60ms);
  serve_calls(call("d", "/d/{b.y}/{c.z.0}") + "," + call("b", "/b/{a.x}") + "," + call("c", "/c/{a:/x}") + "," +
              call("a", "/a") + "," + call("e", "/e"));
  const RawResponse reply = get("/");
  EXPECT_EQ(p_.when("/a"), 0ms);
  EXPECT_EQ(p_.when("/e"), 0ms);
  EXPECT_EQ(p_.when("/b/1"), 10ms);
  EXPECT_EQ(p_.when("/c/1"), 10ms);
  EXPECT_EQ(p_.when("/d/2/3"), 40ms);
  EXPECT_EQ(took_, 60ms);
  EXPECT_EQ(reply.body, R"({"d":4,"b":{"y": 2},"c":{"z": [3]},"a":{"x": "1"},"e":5})");
  EXPECT_EQ(reply.header("Sluice-Result"), "complete");
  EXPECT_EQ(milliseconds_of(reply, "d"), 5) << "from when it could begin";
}

TEST_F(Dependent, SendsTheValueWhereItIsNamed) {
  p_.on("/a",
        R"({"id": "a/b?c#d%41 \u00e9", "n": 123456789012345678901234567890, "list": [{"t": true}], "a.b/c": 1.10})");
  p_.on("/b/a%2Fb%3Fc%23d%2541%20%C3%A9?n=123456789012345678901234567890&t=true&d=1.10", "1");
  serve_calls(call("a", "/a") + "," +
              call("b", "/b/{a.id}?n={a.n}&t={a.list.0.t}&d={a:/a.b~1c}", R"("headers": {"X-V": "v {a.list.0.t}"})"));
  EXPECT_EQ(calls_of(get("/")), "a=fresh, b=fresh");
  EXPECT_THAT(p_.requests().back().head, HasSubstr("X-V: v true\r\n"));
}

TEST_F(Dependent, LeavesAQueryParameterOutWhoseValueIsNotInTheData) {
  p_.on("/a", R"({"null": null, "object": {}, "array": [1]})");
  p_.on("/b?k=1", "1");
  serve_calls(call("a", "/a") + "," + call("b", "/b?w={a.none}&x={a.null}&k=1&y={a.object}&z={a.array}"));
  EXPECT_EQ(get("/").header("Sluice-Result"), "complete");
  EXPECT_EQ(p_.when("/b?k=1"), 0ms);
}

TEST_F(Dependent, IsNotMadeWithoutAValueForItsPathOrHeader) {
  for (const std::string body : {"{}", R"({"x": null})", R"({"x": []})", R"({"x": ""})", R"({"x": ".."})",
                                 R"({"x": "\ud800"})", "[]", "1", ""}) {
    p_.on("/a", body);
    serve_calls(call("a", "/a") + "," + call("b", "/b/{a.x}"));
    EXPECT_EQ(calls_of(get("/")), "a=fresh, b=missing;reason=dependency") << body;
  }
  for (const std::string value : {"a\\r\\nX-Evil: 1", "a\\nb", "\\u0000", "\\u007f"}) {
    p_.on("/a", R"({"x": ")" + value + "\"}");
    serve_calls(call("a", "/a") + "," + call("b", "/b", R"("headers": {"X-V": "{a.x}"})"));
    EXPECT_EQ(calls_of(get("/")), "a=fresh, b=missing;reason=dependency") << value;
  }
  for (const auto& request : p_.requests()) EXPECT_EQ(request.target, "/a");
}

TEST_F(Dependent, IsMissingWithItsInputAndTouchesNobodyElse) {
  p_.on("/a", "{}", 10ms, 500);
  p_.on("/e", R"({"v": 1})", 20ms);
  p_.on("/f/1", "2", 20ms);
  serve_calls(call("a", "/a") + "," + call("b", "/b?x={a.x}") + "," + call("c", "/c/{b.x}?v={e.v}") + "," +
              call("d", "/d/{c.x}", R"("fallback": [0])") + "," + call("e", "/e") + "," + call("f", "/f/{e.v}"));
  const RawResponse reply = get("/");
  EXPECT_EQ(calls_of(reply),
            "a=missing;reason=status;status=500, b=missing;reason=dependency, c=missing;reason=dependency, "
            "d=fallback;reason=dependency, e=fresh, f=fresh");
  EXPECT_EQ(reply.body, R"({"d":[0],"e":{"v": 1},"f":2})");
  EXPECT_EQ(reply.header("Sluice-Result"), "partial");
  EXPECT_EQ(took_, 40ms);
  EXPECT_EQ(p_.requests().size(), 3U);
}

TEST_F(Dependent, CountsAsItsRootCauseForTheStatus) {
  const auto status_of = [&](const std::string& members, const std::string& value) {
    serve_calls(call("a", "/a", members) + "," + call("b", "/b/{a.x}") + "," +
                call("c", "/c/" + value, R"("required": true)"));
    const RawResponse reply = get("/");
    EXPECT_THAT(calls_of(reply), HasSubstr("c=missing;reason=dependency"));
    return reply.status;
  };
  p_.on("/a", "{}", kHangs);
  EXPECT_EQ(status_of({}, "{b.x}"), 504U);
  EXPECT_EQ(took_, 100ms);
  EXPECT_EQ(status_of(R"("fallback": {})", "{b.x}"), 504U) << "a fallback without the value";
  p_.on("/a", "{}", 0ms, 500);
  EXPECT_EQ(status_of({}, "{b.x}"), 502U);
  p_.on("/a", "{}", 0ms, 404);
  EXPECT_EQ(status_of({}, "{b.x}"), 404U) << "in the pass_status of the required call";
  p_.on("/a", "{");
  EXPECT_EQ(status_of({}, "{b.x}"), 502U);
  p_.on("/a", "{}");
  EXPECT_EQ(status_of({}, "{b.x}"), 502U) << "the value is not there";
  EXPECT_EQ(status_of(R"("headers": {"X": "{header.x}"})", "{b.x}"), 400U) << "the client sent none";
  EXPECT_EQ(status_of({}, "{query.x}{a.x}"), 400U) << "the client sent none, whatever else is missing";
}

TEST_F(Dependent, TakesValuesFromFallbackAndStaleData) {
  p_.on("/a", R"({"x": 1})");
  p_.on("/b/1", "1");
  p_.on("/b/7", "7");
  serve_calls(call("a", "/a", R"("fallback": {"x": 7})") + "," + call("b", "/b/{a.x}"));
  EXPECT_EQ(get("/").body, R"({"a":{"x": 1},"b":1})");
  p_.on("/a", "{}", 0ms, 500);
  const RawResponse constant = get("/");
  EXPECT_EQ(calls_of(constant), "a=fallback;reason=status;status=500, b=fresh");
  EXPECT_EQ(constant.body, R"({"a":{"x":7},"b":7})");

  p_.on("/a", R"({"x": 1})");
  serve_calls(call("a", "/a", R"("cache": {"stale_if_error": "1h", "stale_after": "20ms"})") + "," +
              call("b", "/b/{a.x}"));
  get("/");
  p_.on("/a", R"({"x": 7})", 50ms);
  const auto before = p_.requests().size();
  const RawResponse stale = get("/");
  EXPECT_EQ(calls_of(stale), "a=stale;age=0;reason=slow, b=fresh");
  ASSERT_EQ(p_.requests().size(), before + 2);
  EXPECT_EQ(p_.requests()[before + 1].target, "/b/1");
  EXPECT_EQ(p_.requests()[before + 1].at - p_.requests()[before].at, 20ms);
}

TEST_F(Dependent, StartsAtOnceWhenItsInputIsStored) {
  p_.on("/a", R"({"x": 1})", 30ms);
  p_.on("/b/1", "1", 5ms);
  serve_calls(call("a", "/a", R"("cache": {"ttl": "1m"})") + "," + call("b", "/b/{a.x}"));
  get("/");
  EXPECT_EQ(took_, 35ms);
  EXPECT_EQ(calls_of(get("/")), "a=cached;age=0, b=fresh");
  EXPECT_EQ(took_, 5ms);
}

TEST_F(Dependent, HasWhatItsInputsLeftOfTheDeadline) {
  p_.on("/a", R"({"x": 1})", 60ms);
  p_.on("/b/1", R"({"y": 1})", 60ms);
  serve_calls(call("a", "/a") + "," + call("b", "/b/{a.x}") + "," + call("c", "/c/{b.y}") + "," + call("e", "/e"));
  p_.on("/e", "1");
  const RawResponse reply = get("/");
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(calls_of(reply), "a=fresh, b=missing;reason=timeout, c=missing;reason=dependency, e=fresh");
  EXPECT_GE(took_, 100ms);
  EXPECT_LE(took_, 101ms);
  EXPECT_THAT(p_.requests().back().head, HasSubstr("X-Request-Timeout-Ms: 40\r\n"));
}

TEST_F(Dependent, AsksNobodyWhenItsInputIsDegradedAtTheDeadline) {
  p_.on("/a", "1", kHangs);
  serve_calls(call("a", "/a", R"("fallback": {"x": 7})") + "," + call("b", "/b/{a.x}"));
  EXPECT_EQ(calls_of(get("/")), "a=fallback;reason=timeout, b=missing;reason=timeout");
  EXPECT_LE(took_, 101ms);
  EXPECT_EQ(p_.requests().size(), 1U);
}

TEST_F(Dependent, IsServedFromTheStoreWhenItsInputIsDegradedAtTheDeadline) {
  p_.on("/a", R"({"x": 1})");
  p_.on("/b/1", "1");
  serve_calls(call("a", "/a", R"("cache": {"stale_if_error": "1h"})") + "," +
              call("b", "/b/{a.x}", R"("cache": {"ttl": "1s", "stale_if_error": "1h"})"));
  get("/");
  p_.on("/a", "1", kHangs);
  EXPECT_EQ(calls_of(get("/")), "a=stale;age=0;reason=timeout, b=cached;age=0");
  time_.advance(2s);
  EXPECT_EQ(calls_of(get("/")), "a=stale;age=2;reason=timeout, b=stale;age=2;reason=timeout");
  EXPECT_EQ(p_.requests().size(), 4U);
}

TEST_F(Dependent, EndsTheRequestAtOnceWhenARequiredInputFails) {
  p_.on("/a", "1", 10ms, 500);
  p_.on("/e", R"({"x": 1})", kHangs);
  serve_calls(call("a", "/a", R"("required": true)") + "," + call("b", "/b/{a.x}") + "," + call("c", "/c?b={b.x}") +
              "," + call("e", "/e") + "," + call("f", "/f/{e.x}", R"("required": true)"));
  const RawResponse reply = get("/");
  EXPECT_EQ(reply.status, 502U);
  EXPECT_EQ(took_, 10ms);
  EXPECT_EQ(calls_of(reply),
            "a=missing;reason=status;status=500, b=missing;reason=dependency, c=missing;reason=dependency, "
            "e=missing;reason=cancelled, f=missing;reason=dependency");
  EXPECT_EQ(p_.requests().size(), 2U);
}

TEST_F(Dependent, StoresItsAnswerUnderTheValuesThatItSent) {
  serve_calls(call("a", "/a") + "," + call("b", "/b", R"("headers": {"X-V": "{a.v}"}, "cache": {"ttl": "1m"})") + "," +
              call("c", "/c/{a.v}", R"("cache": {"ttl": "1m"})"));
  p_.on("/b", "0");
  for (const std::string v : {"1", "2"}) {
    p_.on("/a", R"({"v": )" + v + "}");
    p_.on("/c/" + v, v);
    EXPECT_EQ(calls_of(get("/")), "a=fresh, b=fresh, c=fresh");
    EXPECT_EQ(calls_of(get("/")), "a=fresh, b=cached;age=0, c=cached;age=0");
  }
}

TEST_F(Dependent, IsCancelledWithTheRequestOfAClientThatLeaves) {
  p_.on("/a", R"({"x": 1})", 10ms);
  p_.on("/b/1", R"({"y": 1})", 50ms);
  p_.on("/c/1", "1");
  serve_calls(call("a", "/a") + "," + call("b", "/b/{a.x}") + "," + call("c", "/c/{b.y}"));
  send(RawClient::text("GET", "/"));
  time_.advance(20ms);
  client_.close();
  time_.advance(1s);
  EXPECT_EQ(p_.when("/b/1"), 10ms);
  EXPECT_EQ(p_.when("/c/1"), -1ms);
}

}  // namespace
}  // namespace sluice::support
