// Stored data that the backend is asked about: ETag, Last-Modified, 304. And what may be stored at all.
#include "gateway/log.hpp"
#include "tests/support/gateway_fixture.hpp"

#include <memory>
#include <string>
#include <utility>

#include <gmock/gmock.h>

namespace sluice::support {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

class Validation : public GatewayTest {
 protected:
  void serve_call(const std::string& members) {
    serve(R"({"path": "/{id}", "deadline": "1s", "calls": [{"name": "x", "backend": "s", "path": "/{id}", )" + members +
          "}]}");
  }
  void not_modified(const std::string& fields = {}) { s_.answer("HTTP/1.1 304 Not Modified\r\n" + fields + "\r\n"); }
  std::string calls(const std::string& target = "/a", const std::string& fields = {}) {
    return calls_of(get(target, fields));
  }
};

TEST_F(Validation, RenewsWhatHasNotChanged) {
  serve_call(R"("cache": {"ttl": "1s"})");
  s_.answer_json("1", "ETag: \"v1\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
  not_modified();
  s_.answer_json("2", "ETag: \"v2\"\r\n");
  EXPECT_EQ(calls(), "x=fresh");
  time_.advance(2s);
  const RawResponse renewed = get("/a");
  EXPECT_EQ(calls_of(renewed), "x=fresh");
  EXPECT_EQ(renewed.body, R"({"x":1})");
  EXPECT_EQ(renewed.header("Cache-Control"), "max-age=1");
  ASSERT_EQ(s_.heads().size(), 2U);
  EXPECT_THAT(s_.heads()[0], Not(HasSubstr("If-")));
  EXPECT_THAT(s_.heads()[1], HasSubstr("If-None-Match: \"v1\"\r\n"));
  EXPECT_THAT(s_.heads()[1], HasSubstr("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
  EXPECT_EQ(calls(), "x=cached;age=0") << "and it is fresh again";
  EXPECT_EQ(metric(R"(sluice_backend_attempts_total{backend="s",code="304"})"), 1U);
  time_.advance(1s);
  EXPECT_EQ(get("/a").body, R"({"x":2})");
  time_.advance(1s);
  get("/a");
  EXPECT_THAT(s_.heads()[3], HasSubstr("If-None-Match: \"v2\"\r\n"));
}

TEST_F(Validation, KeepsWhatTheOriginSaidUnlessItSaysSomethingNew) {
  serve_call(R"("cache": {"ttl": "1h", "stale_if_error": "1h"})");
  s_.answer_json("1", "ETag: W/\"v1\"\r\nCache-Control: max-age=1, must-revalidate\r\n");
  not_modified("ETag: \"v1\"\r\n");
  not_modified("Cache-Control: max-age=5\r\nAge: 1\r\n");
  s_.answer("HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n");
  get("/a");
  time_.advance(1s);
  EXPECT_EQ(get("/a").header("Cache-Control"), "max-age=1");
  time_.advance(1s);
  EXPECT_EQ(get("/a").header("Cache-Control"), "max-age=4");
  time_.advance(3s);
  EXPECT_EQ(calls(), "x=cached;age=4");
  time_.advance(1s);
  EXPECT_EQ(calls(), "x=stale;age=5;reason=status;status=500") << "must-revalidate was taken back";
}

TEST_F(Validation, WithoutAValidatorAsksForTheWhole) {
  serve_call(R"("cache": {"ttl": "1s"})");
  s_.answer_json("1", "Cache-Control: max-age=9\r\n");
  get("/a");
  time_.advance(2s);
  get("/a");
  EXPECT_THAT(s_.heads()[1], Not(HasSubstr("If-")));
}

TEST_F(Validation, IsNotWhatTheClientAsksFor) {
  serve_call(R"("cache": {"ttl": "1s", "vary_except": ["*"]}, "forward": {"headers": ["*"]})");
  s_.answer_json("1");
  get("/a", "If-None-Match: \"v1\"\r\n");
  EXPECT_THAT(s_.heads()[0], Not(HasSubstr("If-")));
}

TEST_F(Validation, TakesA304ThatNobodyAskedForAsAFailure) {
  serve_call(R"("cache": {"ttl": "1s"})");
  not_modified();
  EXPECT_EQ(calls(), "x=missing;reason=status;status=304");
}

TEST_F(Validation, AsksOnceMoreForTheWholeAfterA304ForSomethingElse) {
  serve_call(R"("cache": {"ttl": "1s", "stale_if_error": "1h"})");
  s_.answer_json("1", "ETag: \"v1\"\r\n");
  not_modified("ETag: \"v2\"\r\n");
  s_.answer_json("2", "ETag: \"v2\"\r\n");
  not_modified("ETag: \"v3\"\r\n");
  s_.answer("HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n");
  get("/a");
  time_.advance(2s);
  EXPECT_EQ(get("/a").body, R"({"x":2})");
  EXPECT_THAT(s_.heads()[1], HasSubstr("If-None-Match: \"v1\"\r\n"));
  EXPECT_THAT(s_.heads()[2], Not(HasSubstr("If-")));
  EXPECT_EQ(calls(), "x=cached;age=0");
  time_.advance(2s);
  EXPECT_EQ(calls(), "x=stale;age=2;reason=status;status=503") << "what is stored was not forgotten";
}

TEST_F(Validation, ThatFailsFallsBackToWhatIsStored) {
  serve_call(R"("cache": {"ttl": "1s", "stale_if_error": "1h"})");
  s_.answer_json("1", "ETag: \"v1\"\r\n");
  s_.answer("HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n");
  get("/a");
  time_.advance(2s);
  EXPECT_EQ(calls(), "x=stale;age=2;reason=status;status=503");
}

TEST_F(Validation, HappensInTheBackgroundToo) {
  serve_call(R"("cache": {"ttl": "1s", "stale_while_revalidate": "1h"})");
  s_.answer_json("1", "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
  not_modified();
  get("/a");
  time_.advance(5s);
  EXPECT_EQ(calls(), "x=cached;age=5");
  time_.settle();
  EXPECT_EQ(calls(), "x=cached;age=0");
  EXPECT_THAT(s_.heads()[1], HasSubstr("If-Modified-Since"));
}

TEST_F(Validation, A304ThatForbidsStoringRenewsNothing) {
  serve_call(R"("cache": {"ttl": "1s", "stale_if_error": "3s"})");
  s_.answer_json("1", "ETag: \"v1\"\r\n");
  not_modified("Cache-Control: no-store\r\n");
  s_.answer("HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n");
  get("/a");
  time_.advance(2s);
  const RawResponse reply = get("/a");
  EXPECT_EQ(reply.body, R"({"x":1})");
  EXPECT_EQ(reply.header("Cache-Control"), "no-store");
  time_.advance(2s);
  EXPECT_EQ(calls(), "x=missing;reason=status;status=500");
}

TEST_F(Validation, CredentialsOutsideTheKeyNeedTheOriginsPermission) {
  serve_call(R"("forward": {"headers": ["authorization"]},
                "cache": {"ttl": "1h", "vary_except": ["authorization"]})");
  const std::pair<std::string, bool> cases[] = {{"max-age=60", false},
                                                {"max-age=60, proxy-revalidate", false},
                                                {"max-age=60, public", true},
                                                {"s-maxage=60", true},
                                                {"max-age=60, must-revalidate", true}};
  for (const auto& [value, stored] : cases) {
    s_.answer_json("1", "Cache-Control: " + value + "\r\n");
    if (!stored) s_.answer_json("1", "Cache-Control: " + value + "\r\n");
  }
  int number = 0;
  for (const auto& [value, stored] : cases) {
    const std::string target = "/" + std::to_string(++number);
    EXPECT_EQ(calls(target, "Authorization: alice\r\n"), "x=fresh") << value;
    EXPECT_EQ(calls(target, "Authorization: bob\r\n"), stored ? "x=cached;age=0" : "x=fresh") << value;
  }
  EXPECT_EQ(metric(R"(sluice_cache_refused_total{backend="s",reason="authorization"})"), 4U);
}

TEST_F(Validation, CredentialsInTheKeyNeedNone) {
  serve_call(R"("forward": {"headers": ["authorization"]}, "cache": {"ttl": "1h", "vary": ["authorization"]})");
  s_.answer_json("1");
  s_.answer_json("2");
  EXPECT_EQ(calls("/a", "Authorization: alice\r\n"), "x=fresh");
  EXPECT_EQ(calls("/a", "Authorization: bob\r\n"), "x=fresh");
  EXPECT_EQ(get("/a", "Authorization: alice\r\n").body, R"({"x":1})");
}

TEST_F(Validation, OriginThatVariesByWhatIsNotInTheKeyIsNotStored) {
  serve_call(R"("headers": {"X-Const": "1", "X-Id": "{id}", "X-Lang": "{header.accept-language}"},
                "forward": {"headers": ["x-user", "x-trace"]},
                "cache": {"ttl": "1h", "vary": ["x-user", "accept-language"], "vary_except": ["x-trace"]})");
  const std::pair<std::string, bool> cases[] = {{"X-User, Accept-Encoding", true},
                                                {"Cookie, Origin", true},
                                                {"X-Const, X-Id, x-lang", true},
                                                {"Accept, X-Trace", false},
                                                {"X-Request-Id", false},
                                                {"X-Request-Timeout-Ms", false},
                                                {"*", false}};
  for (const auto& [value, stored] : cases) {
    s_.answer_json("1", "Vary: " + value + "\r\n");
    if (!stored) s_.answer_json("1", "Vary: " + value + "\r\n");
  }
  int number = 0;
  const std::string fields = "X-User: alice\r\nAccept-Language: de\r\n";
  for (const auto& [value, stored] : cases) {
    const std::string target = "/" + std::to_string(++number);
    EXPECT_EQ(calls(target, fields), "x=fresh") << value;
    EXPECT_EQ(calls(target, fields), stored ? "x=cached;age=0" : "x=fresh") << value;
  }
  EXPECT_EQ(metric(R"(sluice_cache_refused_total{backend="s",reason="vary"})"), 8U);
}

TEST_F(Validation, CallsThatSendOtherConstantsShareNothing) {
  serve(R"({"path": "/de", "calls": [{"name": "x", "backend": "s", "path": "/p", "headers": {"Accept-Language": "de"},
            "cache": {"ttl": "1h"}}]},
           {"path": "/en", "calls": [{"name": "x", "backend": "s", "path": "/p", "headers": {"Accept-Language": "en"},
            "cache": {"ttl": "1h"}}]})");
  s_.answer_json("1");
  s_.answer_json("2");
  EXPECT_EQ(get("/de").body, R"({"x":1})");
  EXPECT_EQ(get("/en").body, R"({"x":2})");
  EXPECT_EQ(get("/de").body, R"({"x":1})");
}

TEST_F(Validation, ARefusalIsWarnedOfOnce) {
  serve_call(R"("cache": {"ttl": "1h"})");
  s_.answer_json("1", "Cache-Control: no-store\r\n");
  gateway::set_log_level(gateway::LogLevel::info);
  ::testing::internal::CaptureStderr();
  get("/a");
  get("/b");
  const std::string log = ::testing::internal::GetCapturedStderr();
  const std::string message = R"(endpoint "/{id}", call "x": an answer of backend "s" is not stored: no_store)";
  EXPECT_THAT(log, HasSubstr(message));
  EXPECT_EQ(log.find(message, log.find(message) + 1), std::string::npos);
  EXPECT_EQ(metric(R"(sluice_cache_refused_total{backend="s",reason="no_store"})"), 2U);
}

TEST_F(Validation, RoomForALargeBodyIsMadeInSeveralTurns) {
  serve(R"({"path": "/", "strategy": "first", "calls": [{"name": "x", "backend": "a", "path": "/users/1",
            "cache": {"ttl": "1h"}}]})");
  auto body = std::make_shared<backends::Body>();
  body->bytes.assign(std::size_t{16} << 10, 'x');
  gateway::StaleEntry entry;
  entry.body = body;
  for (int i = 0; store_.stats().evictions == 0; ++i) store_.put("small " + std::to_string(i), entry, time_.now());
  ASSERT_EQ(a_.set_faults("bytes=8000000"), "");
  EXPECT_EQ(calls("/"), "x=fresh");
  time_.settle();
  EXPECT_GT(store_.stats().evictions, 400U);
  EXPECT_THAT(calls("/"), ::testing::StartsWith("x=cached"));
}

}  // namespace
}  // namespace sluice::support
