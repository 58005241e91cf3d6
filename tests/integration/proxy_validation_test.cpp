// Stored responses of proxied endpoints: whether they are still what the server has, and what clients have of them.
#include "tests/integration/proxy_fixture.hpp"

#include <chrono>
#include <string>
#include <utility>

#include <gmock/gmock.h>

namespace sluice::support {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

using ProxyValidation = ProxyCache;

TEST_F(ProxyValidation, ValidatesAndRenewsWhatIsStale) {
  serve_cached();
  exchange(
      response("ETag: \"1\"\r\nLast-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\nCache-Control: max-age=2\r\n"
               "X-A: old\r\nX-B: kept\r\n"));
  time_.advance(3s);
  const RawResponse renewed = exchange(
      "HTTP/1.1 304 Not Modified\r\nETag: W/\"1\"\r\nCache-Control: max-age=9\r\nX-A: new\r\nContent-Length: "
      "1\r\n\r\n");
  EXPECT_THAT(server_.received(), HasSubstr("\r\nIf-None-Match: \"1\"\r\n"
                                            "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n"));
  EXPECT_EQ(renewed.status, 200U);
  EXPECT_EQ(renewed.body, "body");
  EXPECT_EQ(renewed.header("X-A"), "new");
  EXPECT_EQ(renewed.header("X-B"), "kept");
  EXPECT_EQ(calls_of(renewed), "x=fresh");
  EXPECT_EQ(renewed.header("Cache-Status"), "Sluice;fwd=stale;fwd-status=304;ttl=9");
  time_.advance(8s);
  EXPECT_EQ(exchange("").header("X-A"), "new");
  EXPECT_EQ(server_.accepted(), 1U);
}

TEST_F(ProxyValidation, AsksOnceMoreForTheWholeAfterA304ForAnotherTag) {
  serve_cached(R"("ttl": "1h")");
  exchange(response("ETag: \"1\"\r\nCache-Control: max-age=2\r\n"));
  time_.advance(3s);
  ask();
  EXPECT_THAT(server_.received(), HasSubstr("\r\nIf-None-Match: \"1\"\r\n"));
  server_.take();
  say("HTTP/1.1 304 Not Modified\r\nETag: \"2\"\r\n\r\n");
  EXPECT_THAT(server_.received(), StartsWith("GET /b"));
  EXPECT_THAT(server_.received(), Not(HasSubstr("If-None-Match")));
  say("HTTP/1.1 200 OK\r\nETag: \"2\"\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nne\r\n");
  time_.advance(5s);
  say("1\r\nw\r\n0\r\n\r\n");
  EXPECT_EQ(receive().body, "new") << "streamed beyond the deadline";
  EXPECT_EQ(exchange("").header("ETag"), "\"2\"");
}

TEST_F(ProxyValidation, AsksOnceMoreOnTheOnlyConnection) {
  serve_proxy("", R"("cache": {"ttl": "1h"}, )", R"("max_connections": 1, )");
  exchange(response("ETag: \"1\"\r\nCache-Control: max-age=2\r\n"));
  time_.advance(3s);
  ask();
  say("HTTP/1.1 304 Not Modified\r\nETag: \"2\"\r\n\r\n");
  say(response("ETag: \"2\"\r\n", "new"));
  EXPECT_EQ(receive().body, "new");
  EXPECT_EQ(server_.accepted(), 1U);
}

TEST_F(ProxyValidation, LearnsFromHeadWhetherWhatIsStoredIsStillThat) {
  serve_cached(R"("ttl": "1h", "honor_request": true)");
  const std::string get = response("ETag: \"1\"\r\nCache-Control: max-age=2\r\nX-A: old\r\n");
  const auto head = [&](const std::string& fields) {
    return exchange("HTTP/1.1 200 OK\r\n" + fields + "\r\n", "Cache-Control: no-cache\r\n", "HEAD");
  };
  exchange(get);
  time_.advance(3s);
  EXPECT_EQ(head("ETag: \"1\"\r\nContent-Length: 4\r\nCache-Control: max-age=9\r\nX-A: new\r\n").header("X-A"), "new");
  time_.advance(8s);
  const RawResponse updated = exchange("");
  EXPECT_EQ(updated.body, "body");
  EXPECT_EQ(updated.header("X-A"), "new");
  EXPECT_EQ(updated.header("Age"), "8");
  for (const char* differs : {"ETag: \"2\"\r\n", "ETag: \"1\"\r\nContent-Length: 5\r\n", "Last-Modified: x\r\n"}) {
    exchange(get, "Cache-Control: no-cache\r\n");
    head(differs);
    EXPECT_EQ(exchange(get).header("Cache-Status"), "Sluice;fwd=stale;fwd-status=200;stored") << differs;
  }
  head("Cache-Control: max-age=9\r\n");
  time_.advance(3s);
  EXPECT_EQ(calls_of(exchange(get)), "x=fresh") << "without a validator it says nothing of what is stored";
}

TEST_F(ProxyValidation, ValidatesEachTimeWhatSaysNoCache) {
  serve_cached(R"("ttl": "1h", "stale_if_error": "1h", "stale_while_revalidate": "1h")");
  exchange(response("ETag: \"1\"\r\nCache-Control: no-cache=\"a, max-age=5\", max-age=60\r\n"));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(exchange("HTTP/1.1 304 Not Modified\r\n\r\n").body, "body");
    EXPECT_THAT(server_.received(), HasSubstr("\r\nIf-None-Match: \"1\"\r\n"));
  }
  EXPECT_EQ(exchange(response("", "down", "503 Down")).body, "down") << "never unvalidated";
}

TEST_F(ProxyValidation, AnswersConditionsOfClientsFromTheStore) {
  serve_proxy("", R"("cache": {"ttl": "1h", "vary_except": ["*"]}, "forward": {"headers": ["*"]}, )");
  exchange(response("ETag: W/\"a,b\"\r\nLast-Modified: Thu, 01 Jan 1970 00:00:10 GMT\r\nContent-Type: text/x\r\n"));
  const std::pair<const char*, unsigned> cases[] = {
      {"If-None-Match: \"a,b\"\r\n", 304},
      {"If-None-Match: \"x\", W/\"a,b\"\r\n", 304},
      {"If-None-Match: *\r\n", 304},
      {"If-None-Match: \"a\"\r\n", 200},
      {"If-None-Match: \"a\"\r\nIf-Modified-Since: Thu, 01 Jan 1970 00:00:10 GMT\r\n", 200},
      {"If-Modified-Since: Thursday, 01-Jan-70 00:00:10 GMT\r\n", 304},
      {"If-Modified-Since: Thu, 01 Jan 1970 00:00:09 GMT\r\n", 200},
      {"If-Modified-Since: yesterday\r\n", 200},
  };
  for (const auto& [fields, status] : cases) {
    const RawResponse reply = exchange("", fields);
    EXPECT_EQ(reply.status, status) << fields;
    EXPECT_EQ(reply.header("ETag"), "W/\"a,b\"");
    EXPECT_EQ(reply.header("Content-Type"), status == 200 ? "text/x" : "");
    EXPECT_EQ(reply.body, status == 200 ? "body" : "");
  }
  EXPECT_EQ(exchange(response("", "judged", "412 No"), "If-Match: \"x\"\r\n").header("Cache-Status"),
            "Sluice;fwd=bypass;fwd-status=412");
}

TEST_F(ProxyValidation, AnswersHeadFromWhatAGetHasBrought) {
  serve_cached();
  exchange("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "", "HEAD");
  EXPECT_EQ(exchange(response("X-A: 1\r\n")).body, "body") << "a HEAD stores nothing";
  const RawResponse head = exchange("", "", "HEAD");
  EXPECT_EQ(head.header("Content-Length"), "4");
  EXPECT_EQ(head.header("X-A"), "1");
  EXPECT_EQ(head.header("Cache-Status"), "Sluice;hit;ttl=3600");
  EXPECT_EQ(exchange("").body, "body");
}

}  // namespace
}  // namespace sluice::support
