// Stored data while it is good: ttl, stale_while_revalidate, what the origin says, and whose data it is.
#include "tests/support/gateway_fixture.hpp"

#include <string>

#include <gmock/gmock.h>

namespace sluice::support {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

class Cache : public GatewayTest {
 protected:
  /// One endpoint "/{id}" with a call `x` to the scripted backend, these further members of the call.
  void serve_call(const std::string& members, const std::string& path = "/{id}") {
    serve(R"({"path": "/{id}", "deadline": "1s", "calls": [{"name": "x", "backend": "s", "path": ")" + path + "\", " +
          members + "}]}");
  }
  void expect(const std::string& target, const std::string& calls, const std::string& body,
              const std::string& fields = {}) {
    const RawResponse reply = get(target, fields);
    EXPECT_EQ(calls_of(reply), calls);
    EXPECT_EQ(reply.body, R"({"x":)" + body + "}");
  }
};

TEST_F(Cache, ServesWithinTheTtlWithoutACall) {
  serve_call(R"("cache": {"ttl": "10s"})");
  s_.answer_json("1");
  s_.answer_json("2");
  const RawResponse fresh = get("/a");
  EXPECT_EQ(fresh.header("Cache-Control"), "max-age=10");
  EXPECT_EQ(fresh.header("Age"), "");
  time_.advance(3s);
  const RawResponse cached = get("/a");
  EXPECT_EQ(cached.body, R"({"x":1})");
  EXPECT_EQ(calls_of(cached), "x=cached;age=3");
  EXPECT_EQ(cached.header("Sluice-Result"), "complete");
  EXPECT_EQ(cached.header("Age"), "3");
  EXPECT_EQ(cached.header("Cache-Control"), "max-age=10");
  time_.advance(6999ms);
  expect("/a", "x=cached;age=9", "1");
  time_.advance(1ms);
  expect("/a", "x=fresh", "2");
  EXPECT_EQ(metric(R"(sluice_cache_lookups_total{result="hit"})"), 2U);
}

TEST_F(Cache, CountsTheTimeThatAnAnswerTookAsItsAge) {
  serve(R"({"path": "/", "deadline": "5s", "calls": [
            {"name": "x", "backend": "s", "path": "/", "cache": {"ttl": "10s"}}]})");
  s_.answer_by([](const std::string&) {
    return ScriptedBackend::Said("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nAge: 3\r\n\r\n1",
                                 ScriptedBackend::After::keep, 2500ms);
  });
  EXPECT_EQ(get("/").header("Cache-Control"), "max-age=5");
  EXPECT_EQ(calls_of(get("/")), "x=cached;age=5") << "three seconds, and two of the answer's own";
  time_.advance(5s);
  EXPECT_EQ(calls_of(get("/")), "x=fresh");
}

TEST_F(Cache, KeepsTargetsApart) {
  serve_call(R"("cache": {"ttl": "10s"})", "/{id}?q={query.q}");
  for (int i = 1; i <= 4; ++i) s_.answer_json(std::to_string(i));
  expect("/a", "x=fresh", "1");
  expect("/b", "x=fresh", "2");
  expect("/a?q=1", "x=fresh", "3");
  expect("/a?q=2", "x=fresh", "4");
  expect("/b?other=1", "x=cached;age=0", "2");
}

TEST_F(Cache, IsSharedByEndpointsThatReadWithTheirOwnWindows) {
  serve(R"({"path": "/long", "calls": [{"name": "x", "backend": "s", "path": "/x", "cache": {"ttl": "1h"}}]},
           {"path": "/short", "calls": [{"name": "y", "backend": "s", "path": "/x", "cache": {"ttl": "1s"}}]},
           {"path": "/first", "strategy": "first", "calls": [
             {"name": "z", "backend": "s", "path": "/x", "cache": {"ttl": "1h"}}]})");
  s_.answer_json("1");
  s_.answer_json("2");
  s_.answer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{no");
  expect("/long", "x=fresh", "1");
  time_.advance(2s);
  EXPECT_EQ(get("/short").body, R"({"y":2})");
  expect("/long", "x=cached;age=0", "2");
  EXPECT_EQ(get("/first").body, "{no");
  expect("/long", "x=cached;age=0", "2");
  EXPECT_EQ(calls_of(get("/first")), "z=cached;age=0") << "what was not validated is never merged";
}

TEST_F(Cache, StoresNoFailureAndNoInvalidBody) {
  serve_call(R"("cache": {"ttl": "10s"})");
  s_.answer("HTTP/1.1 500 X\r\nContent-Length: 1\r\n\r\n1");
  s_.answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{]");
  s_.answer_json("3");
  EXPECT_EQ(get("/a").status, 502U);
  EXPECT_EQ(get("/a").status, 502U);
  expect("/a", "x=fresh", "3");
  expect("/a", "x=cached;age=0", "3");
}

TEST_F(Cache, StoresNothingOfAPost) {
  serve(R"({"path": "/", "methods": ["POST", "GET"], "calls": [
    {"name": "x", "backend": "s", "path": "/x", "cache": {"ttl": "1h"}}]})");
  for (int i = 1; i <= 3; ++i) s_.answer_json(std::to_string(i));
  EXPECT_EQ(request("POST", "/").body, R"({"x":1})");
  expect("/", "x=fresh", "2");
  EXPECT_EQ(calls_of(request("HEAD", "/")), "x=cached;age=0");
  EXPECT_EQ(request("POST", "/").body, R"({"x":3})");
}

TEST_F(Cache, RefreshesOnceInTheBackgroundWhileItServesTheOldBody) {
  serve_call(R"("cache": {"ttl": "1s", "stale_while_revalidate": "10s"})");
  s_.answer_json("1");
  expect("/a", "x=fresh", "1");
  time_.advance(2s);
  const RawResponse reply = get("/a");
  EXPECT_EQ(calls_of(reply), "x=cached;age=2");
  EXPECT_EQ(reply.header("Sluice-Result"), "complete");
  EXPECT_EQ(took_, 0ms);
  time_.settle();
  EXPECT_EQ(s_.heads().size(), 2U);
  expect("/a", "x=cached;age=0", "1");
  EXPECT_EQ(s_.heads().size(), 2U);
  time_.advance(11s);
  expect("/a", "x=fresh", "1");
}

TEST_F(Cache, MakesOneRefreshAtATime) {
  serve(R"({"path": "/", "calls": [{"name": "x", "backend": "a", "path": "/users/1",
            "cache": {"ttl": "1s", "stale_while_revalidate": "10s"}}]})");
  get("/");
  time_.advance(2s);
  a_.set_faults("hang=header");
  for (int i = 0; i < 20; ++i) EXPECT_EQ(calls_of(get("/")), "x=cached;age=2");
  time_.settle();
  EXPECT_EQ(a_.counters().requests, 2U);
  a_.clear_faults();
  time_.advance(3s);
  EXPECT_EQ(calls_of(get("/")), "x=cached;age=5") << "the refresh that hung is over";
  time_.settle();
  EXPECT_EQ(calls_of(get("/")), "x=cached;age=0");
}

TEST_F(Cache, ObeysAnOriginThatForbidsStoring) {
  serve_call(R"("cache": {"ttl": "10s", "stale_if_error": "1h"})");
  for (const std::string value : {"no-store", "private", "no-cache", "max-age=5, Private", "public , no-store"}) {
    s_.answer_json("1", "Cache-Control: " + value + "\r\n");
  }
  s_.answer_json("1", "Vary: *\r\n");
  s_.answer_json("2");
  for (int i = 0; i < 6; ++i) {
    const RawResponse reply = get("/a");
    EXPECT_EQ(calls_of(reply), "x=fresh");
    EXPECT_EQ(reply.header("Cache-Control"), "no-store") << "nor may anybody else store it";
  }
  expect("/a", "x=fresh", "2");
  EXPECT_EQ(metric(R"(sluice_cache_refused_total{backend="s",reason="private"})"), 2U);
  EXPECT_EQ(metric(R"(sluice_cache_refused_total{backend="s",reason="vary"})"), 1U);
}

TEST_F(Cache, TakesTheShorterLifetime) {
  serve_call(R"("cache": {"ttl": "10s"})");
  s_.answer_json("1", "Cache-Control: max-age=4\r\nAge: 1\r\n");
  s_.answer_json("2", "Cache-Control: max-age=3600\r\n");
  const RawResponse fresh = get("/a");
  EXPECT_EQ(calls_of(fresh), "x=fresh");
  EXPECT_EQ(fresh.header("Cache-Control"), "max-age=3") << "what is left of the origin's lifetime";
  time_.advance(2s);
  const RawResponse cached = get("/a");
  EXPECT_EQ(calls_of(cached), "x=cached;age=3");
  EXPECT_EQ(cached.header("Cache-Control"), "max-age=4");
  time_.advance(1s);
  EXPECT_EQ(get("/a").header("Cache-Control"), "max-age=10");
  time_.advance(9s);
  expect("/a", "x=cached;age=9", "2");
  time_.advance(1s);
  expect("/a", "x=fresh", "2");
}

TEST_F(Cache, CanIgnoreTheOrigin) {
  serve_call(R"("cache": {"ttl": "10s", "ignore_origin": true})");
  s_.answer_json("1", "Cache-Control: private, no-store\r\nExpires: 0\r\nVary: *\r\nAge: 4\r\n");
  s_.answer_json("2");
  expect("/a", "x=fresh", "1");
  expect("/a", "x=cached;age=4", "1");  // how old it is stays true
  time_.advance(6s);
  expect("/a", "x=fresh", "2");
}

TEST_F(Cache, NeverServesOneUsersDataToAnother) {
  serve_call(R"("cache": {"ttl": "1h", "stale_if_error": "1h", "vary": ["x-user"]},
                "forward": {"headers": ["x-user"]})");
  s_.answer_json("\"alice\"");
  s_.answer_json("\"bob\"");
  s_.answer_json("\"nobody\"");
  s_.answer_json("\"both\"");
  s_.answer_json("\"empty\"");
  s_.answer("HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n");
  expect("/a", "x=fresh", "\"alice\"", "X-User: alice\r\n");
  expect("/a", "x=fresh", "\"bob\"", "X-User: bob\r\n");
  expect("/a", "x=fresh", "\"nobody\"");
  expect("/a", "x=fresh", "\"both\"", "X-User: alice\r\nX-User: bob\r\n");
  expect("/a", "x=fresh", "\"empty\"", "X-User:\r\n");
  expect("/a", "x=cached;age=0", "\"alice\"", "x-uSER: alice\r\n");
  expect("/a", "x=cached;age=0", "\"nobody\"");
  const RawResponse reply = get("/a", "X-User: bob\r\n");
  EXPECT_EQ(reply.body, R"({"x":"bob"})");
  EXPECT_THAT(reply.header("Cache-Control"), HasSubstr("private"));
  EXPECT_EQ(reply.header("Vary"), "x-user");
  EXPECT_EQ(get("/a", "X-User: eve\r\n").status, 502U);
}

TEST_F(Cache, KeepsApartWhatAPathParameterInAHeaderAsksFor) {
  serve_call(R"("headers": {"X-User": "{id}"}, "cache": {"ttl": "1h"})", "/me");
  s_.answer_json("\"alice\"");
  s_.answer_json("\"bob\"");
  expect("/alice", "x=fresh", "\"alice\"");
  expect("/bob", "x=fresh", "\"bob\"");
  expect("/alice", "x=cached;age=0", "\"alice\"");
  ASSERT_EQ(s_.heads().size(), 2U);
  EXPECT_THAT(s_.heads()[1], HasSubstr("X-User: bob\r\n"));
}

TEST_F(Cache, KeepsApartWhatAQueryValueInAHeaderAsksFor) {
  serve_call(R"("headers": {"Authorization": "Bearer {query.token}"}, "cache": {"ttl": "1h"})", "/me");
  s_.answer_json("\"alice\"");
  s_.answer_json("\"bob\"");
  expect("/a?token=alice", "x=fresh", "\"alice\"");
  expect("/a?token=bob", "x=fresh", "\"bob\"");
}

TEST_F(Cache, ServesOthersWhatAHeaderCannotChange) {
  serve_call(R"("headers": {"X-Trace": "{header.x-trace}"}, "cache": {"ttl": "1h", "vary_except": ["x-trace"]})");
  s_.answer_json("1");
  s_.answer_json("2");
  expect("/a", "x=fresh", "1", "X-Trace: 1\r\n");
  expect("/a", "x=cached;age=0", "1", "X-Trace: 2\r\n");
}

TEST_F(Cache, KeepsApartCallsThatMakeDifferentRequestsOfTheSameClientHeader) {
  serve(R"({"path": "/user", "calls": [{"name": "x", "backend": "s", "path": "/x",
             "headers": {"X-Id": "user-{header.x-user}"}, "cache": {"ttl": "1h", "vary": ["x-user"]}}]},
           {"path": "/guest", "calls": [{"name": "x", "backend": "s", "path": "/x",
             "headers": {"X-Id": "guest-{header.x-user}"}, "cache": {"ttl": "1h", "vary": ["x-user"]}}]},
           {"path": "/plain", "calls": [{"name": "x", "backend": "s", "path": "/x",
             "forward": {"headers": ["x-user"]}, "cache": {"ttl": "1h", "vary": ["x-user"]}}]},
           {"path": "/nobody", "calls": [{"name": "x", "backend": "s", "path": "/x",
             "cache": {"ttl": "1h", "vary": ["x-user"]}}]})");
  int number = 0;
  for (const std::string target : {"/user", "/guest", "/plain", "/nobody"}) {
    s_.answer_json(std::to_string(++number));
    expect(target, "x=fresh", std::to_string(number), "X-User: alice\r\n");
    expect(target, "x=cached;age=0", std::to_string(number), "X-User: alice\r\n");
  }
}

TEST_F(Cache, KeepsApartWhatClientsClaimOfThoseBeforeThem) {
  serve_call(R"("headers": {"X-Id": "{header.x-forwarded-for}"},
                "cache": {"ttl": "1h", "vary": ["x-forwarded-for"]})");
  s_.answer_json("1");
  s_.answer_json("2");
  expect("/a", "x=fresh", "1", "X-Forwarded-For: 10.0.0.1\r\n");
  expect("/a", "x=fresh", "2", "X-Forwarded-For: 10.0.0.2\r\n");
}

TEST_F(Cache, KeepsApartOneValueThatLooksLikeTwoAndTwoValues) {
  serve_call(R"("headers": {"X-Id": "{header.x-user}"}, "cache": {"ttl": "1h", "vary": ["x-user"]})");
  for (const char* body : {"1", "2", "3"}) s_.answer_json(body);
  expect("/a", "x=fresh", "1", "X-User: a\tb\r\n");
  expect("/a", "x=fresh", "2", "X-User: a, b\r\n");
  expect("/a", "x=fresh", "3", "X-User: a\r\nX-User: b\r\n");
}

}  // namespace
}  // namespace sluice::support
