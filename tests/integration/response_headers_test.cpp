// What an endpoint changes about the headers of its replies.
#include "tests/support/gateway_fixture.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>

namespace sluice::support {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class ResponseHeaders : public GatewayTest {
 protected:
  /// "/" with a call `x` to the scripted backend and `y` to a.
  void serve_with(const std::string& changes, const std::string& x = {}, const std::string& endpoint = {}) {
    serve(R"({"path": "/", )" + endpoint + R"("response_headers": {)" + changes + R"(},
      "calls": [{"name": "x", "backend": "s", "path": "/x")" +
          x + R"(},
                {"name": "y", "backend": "a", "path": "/users/1", "fallback": null}]})");
  }
  static std::vector<std::string> all(const RawResponse& reply, const std::string& name) {
    std::vector<std::string> values;
    for (const auto& [n, value] : reply.headers) {
      if (n == name) values.push_back(value);
    }
    return values;
  }
};

TEST_F(ResponseHeaders, AddConstantsInPlaceOfWhatIsThere) {
  serve_with(R"("add": {"Strict-Transport-Security": "max-age=1", "Cache-Control": "public", "Vary": "X-Y"})", {},
             R"("cors": {"origins": ["https://a.example"]}, )");
  s_.answer_json("1");
  const RawResponse reply = get("/");
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(reply.header("Strict-Transport-Security"), "max-age=1");
  EXPECT_THAT(all(reply, "Cache-Control"), ElementsAre("public"));
  EXPECT_THAT(all(reply, "Vary"), ElementsAre("Origin", "X-Y"));
}

TEST_F(ResponseHeaders, AreOnErrorsToo) {
  serve_with(R"("add": {"X-Frame-Options": "DENY"})", R"(, "required": true)");
  s_.answer("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
  const RawResponse reply = get("/");
  EXPECT_EQ(reply.status, 502U);
  EXPECT_EQ(reply.header("X-Frame-Options"), "DENY");
}

TEST_F(ResponseHeaders, RemoveHeadersOfTheGateway) {
  serve_with(R"("remove": ["sluice-calls", "X-Request-Id", "Date"])");
  s_.answer_json("1");
  const RawResponse reply = get("/");
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(reply.header("Sluice-Result"), "complete");
  EXPECT_THAT(reply.head, Not(HasSubstr("Sluice-Calls")));
  EXPECT_THAT(reply.head, Not(HasSubstr("X-Request-Id")));
  EXPECT_THAT(reply.head, Not(HasSubstr("\r\nDate")));
}

TEST_F(ResponseHeaders, TakeThoseOfACallWithAllTheirValues) {
  serve_with(R"("from": {"x": ["Set-Cookie", "x-rate"]})");
  s_.answer_json(
      "1", "Set-Cookie: a=1; Expires=Sun, 06 Nov 1994 08:49:37 GMT\r\nX-Rate: 7\r\nset-cookie: b=2\r\nX-No: 1\r\n");
  const RawResponse reply = get("/");
  EXPECT_THAT(all(reply, "Set-Cookie"), ElementsAre("a=1; Expires=Sun, 06 Nov 1994 08:49:37 GMT"));
  EXPECT_THAT(all(reply, "set-cookie"), ElementsAre("b=2"));
  EXPECT_EQ(reply.header("X-Rate"), "7");
  EXPECT_EQ(reply.header("X-No"), "");
}

TEST_F(ResponseHeaders, TakeNothingOfACallWithoutData) {
  serve_with(R"("from": {"x": ["X-Rate"]})", R"(, "fallback": 0)");
  s_.answer("HTTP/1.1 500 No\r\nX-Rate: 7\r\nContent-Length: 0\r\n\r\n");
  const RawResponse reply = get("/");
  EXPECT_EQ(calls_of(reply), "x=fallback;reason=status;status=500, y=fresh");
  EXPECT_EQ(reply.header("X-Rate"), "");
}

TEST_F(ResponseHeaders, OfStoredResponsesComeWithoutCookies) {
  serve_with(R"("from": {"x": ["Set-Cookie", "X-Rate"]})", R"(, "cache": {"ttl": "10s", "stale_if_error": "1m"})");
  s_.answer_json("1", "Set-Cookie: a=1\r\nX-Rate: 7\r\n");
  s_.answer("HTTP/1.1 500 No\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n");
  const RawResponse fresh = get("/");
  EXPECT_EQ(fresh.header("Set-Cookie"), "a=1");
  const RawResponse cached = get("/");
  EXPECT_THAT(calls_of(cached), HasSubstr("x=cached"));
  EXPECT_EQ(cached.header("Set-Cookie"), "");
  EXPECT_EQ(cached.header("X-Rate"), "7");
  time_.advance(11s);
  const RawResponse stale = get("/");
  EXPECT_THAT(calls_of(stale), HasSubstr("x=stale"));
  EXPECT_EQ(stale.header("Set-Cookie"), "");
  EXPECT_EQ(stale.header("X-Rate"), "7");
}

TEST_F(ResponseHeaders, WithACookieAreNotForSharedCaches) {
  serve(R"({"path": "/", "response_headers": {"from": {"x": ["Set-Cookie"]}}, "calls": [
    {"name": "x", "backend": "s", "path": "/x", "cache": {"ttl": "10s"}}]})");
  s_.answer_json("1", "Set-Cookie: a=1\r\n");
  EXPECT_EQ(get("/").header("Cache-Control"), "private, max-age=10");
  EXPECT_EQ(get("/").header("Cache-Control"), "max-age=10");
}

TEST_F(ResponseHeaders, OfAnEntryThatTwoEndpointsShareAreThereForBoth) {
  serve(R"({"path": "/plain", "calls": [
      {"name": "x", "backend": "s", "path": "/x", "cache": {"ttl": "10s"}}]},
    {"path": "/taking", "response_headers": {"from": {"x": ["X-Rate"]}}, "calls": [
      {"name": "x", "backend": "s", "path": "/x", "cache": {"ttl": "10s"}}]})");
  s_.answer_json("1", "X-Rate: 7\r\n");
  EXPECT_EQ(get("/plain").header("X-Rate"), "");
  const RawResponse reply = get("/taking");
  EXPECT_EQ(calls_of(reply), "x=cached;age=0");
  EXPECT_EQ(reply.header("X-Rate"), "7");
  EXPECT_EQ(get("/plain").header("X-Rate"), "");
}

TEST_F(ResponseHeaders, OfFirstAreTheWinners) {
  serve(
      R"({"path": "/", "strategy": "first", "stagger": "10ms", "response_headers": {"from": {"x": ["X-Who"], "y": ["X-Who"]}},
    "calls": [{"name": "x", "backend": "s", "path": "/x"}, {"name": "y", "backend": "a", "path": "/users/1"}]})");
  s_.answer_json("1", "X-Who: s\r\n");
  EXPECT_THAT(all(get("/"), "X-Who"), ElementsAre("s"));
}

TEST_F(ResponseHeaders, ShowHowLongCallsTookWhereConfigured) {
  a_.set_faults("latency_ms=30");
  serve(R"({"path": "/", "calls": [{"name": "x", "backend": "a", "path": "/users/1"},
                                   {"name": "y", "backend": "b", "path": "/nowhere", "fallback": 1}]})",
        R"("headers": {"Server-Timing": "Server-Timing"})");
  EXPECT_EQ(get("/").header("Server-Timing"), "x;dur=30.0, y;dur=0.0;desc=fallback");
}

}  // namespace
}  // namespace sluice::support
