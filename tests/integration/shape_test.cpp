// `pick`, `allow`, `deny`, `rename` and `into`: what a client gets of shaped calls, and what stands in for them.
#include "tests/support/gateway_fixture.hpp"

#include <string>

#include <gmock/gmock.h>

namespace sluice::support {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class ShapedCalls : public GatewayTest {
 protected:
  /// "/" makes one call `x` to the scripted backend, with these members.
  void serve_x(const std::string& members) {
    serve(R"({"path": "/", "calls": [{"name": "x", "backend": "s", "path": "/", )" + members + "}]}");
  }
  /// A status without a body.
  void answer_status(const std::string& status) { s_.answer("HTTP/1.1 " + status + " X\r\nContent-Length: 0\r\n\r\n"); }
};

TEST_F(ShapedCalls, GiveWhatIsConfiguredOfEachBody) {
  serve_x(
      R"("pick": "/data", "allow": ["id", "address.city", "orders.n"], "rename": {"id": "user_id", "orders.n": "number"})");
  s_.answer_json(R"( {"meta":1, "data": {"id": 123456789012345678901234567890, "secret": true,
    "address": {"street": "s", "city": "\u00e9"}, "orders": [{"n":1.10,"x":0},{"n":1e400}]}} )");
  const RawResponse reply = get("/");
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(calls_of(reply), "x=fresh");
  EXPECT_EQ(
      reply.body,
      "{\"x\":{\"user_id\":123456789012345678901234567890,\n    \"address\": {\"city\": \"\\u00e9\"}, \"orders\": "
      "[{\"number\":1.10},{\"number\":1e400}]}}");
  EXPECT_EQ(reply.header("Content-Length"), std::to_string(reply.body.size()));
}

TEST_F(ShapedCalls, LeaveScalarsAndEmptyBodiesNull) {
  serve_x(R"("allow": ["a"])");
  s_.answer_json("17");
  s_.answer("HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_EQ(get("/").body, R"({"x":null})");
  EXPECT_EQ(get("/").body, R"({"x":null})");
}

TEST_F(ShapedCalls, StandWhereIntoSaysInTheOrderOfTheConfiguration) {
  a_.set_faults("latency_ms=20");
  serve(R"({"path": "/", "calls": [
    {"name": "u", "backend": "a", "path": "/users/1", "allow": ["id"], "into": "/data/user"},
    {"name": "n", "backend": "b", "path": "/users/2", "pick": "/id"},
    {"name": "v", "backend": "c", "path": "/users/3", "pick": "/id", "into": "/data/other/id"}]})");
  const RawResponse reply = get("/");
  EXPECT_EQ(reply.body, R"({"data":{"user":{"id":1},"other":{"id":3}},"n":2})");
  b_.set_faults("status=500");
  a_.set_faults("status=500");
  EXPECT_EQ(get("/").body, R"({"data":{"other":{"id":3}}})");
}

TEST_F(ShapedCalls, MergeTheirMembersIntoTheReply) {
  serve(R"({"path": "/", "calls": [
    {"name": "id", "backend": "a", "path": "/users/1", "pick": "/id"},
    {"name": "s", "backend": "s", "path": "/", "into": "", "deny": ["secret"]},
    {"name": "t", "backend": "b", "path": "/users/2", "into": "", "allow": ["id"], "rename": {"id": "two"}}]})");
  s_.answer_json(R"({"secret":1, "n" : 1.0, "two":[ 2 ], "\u0069d":7, "n":2})");
  const RawResponse reply = get("/");
  EXPECT_EQ(reply.body, R"({"n" : 1.0,"\u0069d":7,"n":2,"two":2})");
  EXPECT_EQ(calls_of(reply), "id=fresh, s=fresh, t=fresh");
}

TEST_F(ShapedCalls, AreInvalidWhenThereAreNoMembersToMerge) {
  serve_x(R"("into": "")");
  s_.answer_json("[1]");
  s_.answer_json("\"a\"");
  s_.answer("HTTP/1.1 204 No Content\r\n\r\n");
  s_.answer_json("{}");
  EXPECT_EQ(calls_of(get("/")), "x=missing;reason=invalid");
  const RawResponse failed = get("/");
  EXPECT_EQ(failed.status, 502U);
  EXPECT_THAT(failed.body, HasSubstr(R"("x":{"outcome":"missing","reason":"invalid"})"));
  EXPECT_EQ(get("/").body, "{}");
  EXPECT_EQ(get("/").body, "{}");
}

TEST_F(ShapedCalls, PutTheFallbackWhereTheBodyWouldBeButDoNotShapeIt) {
  serve(R"({"path": "/nested", "calls": [{"name": "x", "backend": "s", "path": "/", "pick": "/a", "allow": ["b"],
              "rename": {"b": "c"}, "into": "/p/q", "fallback": {"b": 1.0}}]},
           {"path": "/merged", "calls": [{"name": "x", "backend": "s", "path": "/", "deny": ["b"], "into": "",
              "fallback": {"b": 1.0, "d": []}}]})");
  s_.answer_json(R"({"a":{"b":2}})");
  s_.answer_json(R"({"b":2})");
  s_.answer_json("[]");
  EXPECT_EQ(get("/nested").body, R"({"p":{"q":{"c":2}}})");
  const RawResponse absent = get("/nested");
  EXPECT_EQ(absent.body, R"({"p":{"q":{"b":1.0}}})");
  EXPECT_EQ(calls_of(absent), "x=fallback;reason=invalid");
  EXPECT_EQ(absent.header("Sluice-Result"), "degraded");
  const RawResponse merged = get("/merged");
  EXPECT_EQ(merged.body, R"({"b":1.0,"d":[]})");
  EXPECT_EQ(calls_of(merged), "x=fallback;reason=invalid");
}

TEST_F(ShapedCalls, ServeStaleDataShapedWhenTheNewBodyLacksWhatIsPicked) {
  serve_x(R"("pick": "/data", "deny": ["b"], "cache": {"stale_if_error": "1h"})");
  s_.answer_json(R"({"data":{"a":1,"b":2}})");
  s_.answer_json(R"({"error":"sorry"})");
  answer_status("500");
  EXPECT_EQ(get("/").body, R"({"x":{"a":1}})");
  const RawResponse invalid = get("/");
  EXPECT_EQ(invalid.body, R"({"x":{"a":1}})");
  EXPECT_EQ(calls_of(invalid), "x=stale;age=0;reason=invalid");
  const RawResponse failed = get("/");
  EXPECT_EQ(failed.body, R"({"x":{"a":1}})") << "what was refused has not replaced it";
  EXPECT_EQ(calls_of(failed), "x=stale;age=0;reason=status;status=500");
}

TEST_F(ShapedCalls, AreInvalidWithoutAnythingStored) {
  serve_x(R"("pick": "/data", "cache": {"ttl": "1h", "stale_if_error": "1h"}, "required": true)");
  s_.answer_json("{}");
  s_.answer_json(R"({"data":1})");
  const RawResponse reply = get("/");
  EXPECT_EQ(reply.status, 502U);
  EXPECT_EQ(calls_of(reply), "x=missing;reason=invalid");
  EXPECT_EQ(metric(R"(sluice_calls_total{endpoint="/",call="x",outcome="missing",reason="invalid"})"), 1U);
  EXPECT_EQ(calls_of(get("/")), "x=fresh") << "nothing of it was stored";
  EXPECT_EQ(get("/").body, R"({"x":1})");
}

TEST_F(ShapedCalls, UseWhatOthersHaveStoredAsFarAsItFits) {
  const std::string cache = R"("backend": "s", "path": "/", "cache": {"ttl": "1h"})";
  serve(R"({"path": "/whole", "calls": [{"name": "x", )" + cache + R"(}]},
           {"path": "/part", "calls": [{"name": "x", "pick": "/a", )" +
        cache + R"(}]},
           {"path": "/all", "calls": [{"name": "x", "into": "", )" +
        cache + R"(}]})");
  s_.answer_json(R"({"b":1})");
  s_.answer_json(R"({"a":2})");
  EXPECT_EQ(get("/whole").body, R"({"x":{"b":1}})");
  EXPECT_EQ(calls_of(get("/all")), "x=cached;age=0");
  EXPECT_EQ(calls_of(get("/part")), "x=fresh");
  EXPECT_EQ(get("/part").body, R"({"x":2})");
  EXPECT_EQ(get("/whole").body, R"({"x":{"a":2}})") << "it fits, and is newer";
  EXPECT_EQ(get("/all").body, R"({"a":2})");
  EXPECT_EQ(s_.heads().size(), 2U);
}

TEST_F(ShapedCalls, ServeStoredDataShapedWhenTheBackendIsSlow) {
  serve(R"({"path": "/", "calls": [{"name": "x", "backend": "a", "path": "/users/1", "allow": ["id"], "into": "",
            "cache": {"stale_if_error": "1h", "stale_after": "80ms"}}]})");
  EXPECT_EQ(get("/").body, R"({"id":1})");
  a_.set_faults("latency_ms=300");
  const RawResponse slow = get("/");
  EXPECT_EQ(slow.body, R"({"id":1})");
  EXPECT_EQ(calls_of(slow), "x=stale;age=0;reason=slow");
}

TEST_F(ShapedCalls, PassLargeBodiesOnInPieces) {
  serve_x(R"("deny": ["drop"], "rename": {"keep": "kept"}, "cache": {"ttl": "1h"})");
  std::string body = "[", expected = R"({"x":[)";
  for (int i = 0; i < 100; ++i) {
    const std::string text(static_cast<std::size_t>(200 + i * 10), 'x');
    const std::string separator = i == 0 ? "" : " , ";
    body += separator + R"({"drop":1,"keep":")" + text + R"(","drop":[2]})";
    expected += separator + R"({"kept":")" + text + R"("})";
  }
  s_.answer_json(body + "]");
  expected += "]}";
  EXPECT_TRUE(get("/").body == expected);
  const RawResponse cached = get("/");
  EXPECT_EQ(calls_of(cached), "x=cached;age=0");
  EXPECT_TRUE(cached.body == expected);
}

}  // namespace
}  // namespace sluice::support
