// Stored responses of proxied endpoints: when they are served, what is stored, and what the reply says of it.
#include "tests/integration/proxy_fixture.hpp"

#include <chrono>
#include <string>
#include <vector>

#include <gmock/gmock.h>

namespace sluice::support {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

TEST_F(ProxyCache, ServesAWholeResponseAgainWithAllItsFields) {
  serve_cached();
  const std::string binary = "\0\xff\r\n\r\n"s;
  const std::string fields =
      "Content-Type: image/x-y\r\nX-A: 1\r\nX-a: 2\r\nETag: \"v1\"\r\nCache-Control: max-age=60\r\n"
      "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nConnection: x-hop\r\nX-Hop: 1\r\nX-Request-Id: theirs\r\n";
  const std::string undated =
      "Content-Type: image/x-y\r\nX-A: 1\r\nX-a: 2\r\nETag: \"v1\"\r\n"
      "Cache-Control: max-age=60\r\nConnection: x-hop\r\nX-Hop: 1\r\nX-Request-Id: theirs\r\n";
  const RawResponse first = exchange(response(undated, binary));
  EXPECT_EQ(calls_of(first), "x=fresh");
  EXPECT_EQ(first.header("Cache-Status"), "Sluice;fwd=uri-miss;fwd-status=200;stored");
  time_.advance(20s);
  const RawResponse again = exchange("");
  EXPECT_EQ(again.status, 200U);
  EXPECT_EQ(again.body, binary);
  EXPECT_THAT(again.head, HasSubstr("\r\nContent-Type: image/x-y\r\nX-A: 1\r\nX-a: 2\r\nETag: \"v1\"\r\n"
                                    "Cache-Control: max-age=60\r\n"));
  EXPECT_EQ(again.header("Age"), "20");
  EXPECT_NE(again.header("Date"), "");
  EXPECT_EQ(again.header("X-Hop"), "");
  EXPECT_THAT(again.head, Not(HasSubstr("theirs")));
  EXPECT_EQ(again.header("Cache-Status"), "Sluice;hit;ttl=40");
  EXPECT_EQ(calls_of(again), "x=cached;age=20");
  EXPECT_EQ(again.header("Sluice-Result"), "complete");
  time_.advance(41s);
  EXPECT_EQ(calls_of(exchange(response(fields))), "x=fresh") << "its lifetime is over";
}

TEST_F(ProxyCache, StreamsTheFirstResponseAndStoresItOnlyWhenItIsWhole) {
  serve_cached();
  ask();
  say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  EXPECT_THAT(news(), EndsWith("3\r\nabc\r\n")) << "nothing waits for the whole";
  server_.close();
  (void)receive_all();
  client_.close();
  ask();
  EXPECT_THAT(server_.received(), StartsWith("GET /b")) << "a part is not stored";
  say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_EQ(receive().body, "abcde");
  const RawResponse stored = exchange("");
  EXPECT_EQ(stored.body, "abcde");
  EXPECT_EQ(stored.header("Content-Length"), "5");
}

TEST_F(ProxyCache, CountsTheTimeThatAResponseTookAsItsAge) {
  serve_proxy(R"("deadline": "5s", )", R"("cache": {"ttl": "1h"}, )");
  ask();
  time_.advance(1500ms);
  say("HTTP/1.1 200 OK\r\nAge: 100\r\nCache-Control: max-age=120\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  time_.advance(10s);
  say("2\r\nde\r\n0\r\n\r\n");
  EXPECT_EQ(receive().body, "abcde");
  EXPECT_EQ(exchange("").header("Age"), "111") << "until its head, and until its end";
}

TEST_F(ProxyCache, StoresNoBodyWhoseEndIsTheEndOfTheConnection) {
  serve_cached();
  ask();
  say("HTTP/1.1 200 OK\r\n\r\nabc");
  server_.close();
  time_.settle();
  EXPECT_THAT(news(), EndsWith("0\r\n\r\n"));
  receive();
  EXPECT_EQ(exchange(response("")).body, "body");
}

TEST_F(ProxyCache, PassesOnWhatIsTooLargeToStore) {
  serve_proxy("", R"("cache": {"ttl": "1h"}, )", R"("max_response": 10, )");
  for (const std::string& head :
       {"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n12345678901"s,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n"s}) {
    EXPECT_EQ(exchange(head).body, "12345678901");
  }
  EXPECT_EQ(metric("sluice_cache_refused_total{backend=\"r\",reason=\"too_large\"}"), 2U);
  EXPECT_EQ(exchange(response("", "1234567890")).body.size(), 10U);
  EXPECT_EQ(exchange("").body.size(), 10U);
}

TEST_F(ProxyCache, RefusesWhatTheOriginForbidsOrWhatIsForOneClient) {
  serve_cached();
  const std::vector<std::string> forbidden = {
      response("Cache-Control: no-store\r\n"),
      response("Cache-Control: max-age=9, PRIVATE\r\n"),
      response("Cache-Control: private=\"x-a\", max-age=9\r\n"),
      response("Cache-Control: no-cache\r\n"),
      response("Vary: *\r\n"),
      response("Set-Cookie: a=b\r\nCache-Control: max-age=9, public\r\n"),
      response("Cache-Control: max-age=9, no-store, must-understand\r\n", "", "599 What"),
      response("Content-Range: bytes 0-3/9\r\nCache-Control: max-age=9\r\n", "body", "206 Partial Content"),
      response("", "body", "404 Not Found"),
      response("", "body", "302 Found"),
      response("", "body", "500 Oh"),
  };
  for (const std::string& answer : forbidden) {
    const RawResponse reply = exchange(answer);
    EXPECT_THAT(reply.header("Cache-Status"), Not(HasSubstr("stored"))) << answer;
  }
  EXPECT_EQ(metric("sluice_cache_refused_total{backend=\"r\",reason=\"set_cookie\"}"), 1U);
}

TEST_F(ProxyCache, StoresOtherStatusesForALifetimeThatTheOriginNames) {
  serve_cached();
  for (const std::string status : {"404 Not Found", "302 Found", "500 Oh", "599 What", "204 No Content"}) {
    const std::string text = status == "204 No Content" ? "HTTP/1.1 204 No Content\r\nCache-Control: max-age=5\r\n\r\n"
                                                        : response("Cache-Control: max-age=5\r\n", "body", status);
    EXPECT_EQ(exchange(text).status, std::stoul(status));
    EXPECT_EQ(exchange("").status, std::stoul(status));
    time_.advance(6s);
  }
  const std::string understood = response("Cache-Control: max-age=5, no-store, must-understand\r\n");
  EXPECT_EQ(exchange(understood).header("Cache-Status"), "Sluice;fwd=stale;fwd-status=200;stored");
  exchange("");
}

TEST_F(ProxyCache, NeedsTheOriginsWordWhereThatDecides) {
  serve_cached(R"("ttl": "1h", "stale_while_revalidate": "1h", "origin_decides": true)");
  exchange(response(""));
  exchange(response("Cache-Control: max-age=2\r\n"));
  exchange("");
  time_.advance(3s);
  exchange(response("Cache-Control: max-age=2, stale-while-revalidate=60\r\n"));
  time_.advance(3s);
  server_.take();
  ask();
  EXPECT_EQ(receive().header("Cache-Status"), "Sluice;hit;ttl=-1");
  EXPECT_THAT(server_.received(), StartsWith("GET /b")) << "it is refreshed in the background";
  say(response("Cache-Control: max-age=10\r\n", "new"));
  EXPECT_EQ(exchange("").body, "new");
}

TEST_F(ProxyCache, FallsBackToStaleAsLongAsNothingWasSent) {
  serve_cached(R"("stale_if_error": "1m", "targeted": ["My-Cache-Control"])");
  exchange(
      response("X-A: 1\r\nMy-Cache-Control: max-age=0\r\nCDN-Cache-Control: max-age=9\r\n"
               "Surrogate-Control: max-age=9\r\nExpires: Thu, 01 Jan 1970 00:00:00 GMT\r\n",
               "stored"));
  time_.advance(5s);
  const RawResponse instead = exchange(response("", "down", "503 Down"));
  EXPECT_EQ(instead.status, 200U);
  EXPECT_EQ(instead.body, "stored");
  EXPECT_EQ(calls_of(instead), "x=stale;age=5;reason=status;status=503");
  EXPECT_EQ(instead.header("Sluice-Result"), "degraded");
  EXPECT_EQ(instead.header("Cache-Control"), "no-store");
  for (const char* other : {"Expires", "My-Cache-Control", "CDN-Cache-Control", "Surrogate-Control"}) {
    EXPECT_EQ(instead.header(other), "") << other;
  }
  EXPECT_EQ(instead.header("X-A"), "1");
  EXPECT_EQ(instead.header("Age"), "5");
  EXPECT_EQ(instead.header("Cache-Status"), "Sluice;fwd=stale;fwd-status=503;ttl=-5");
  ask();
  say("HTTP/1.1 200 OK\r\n");
  server_.close();
  EXPECT_EQ(calls_of(receive()), "x=stale;age=5;reason=reset");
  ask();
  EXPECT_EQ(calls_of(receive()), "x=stale;age=5;reason=timeout");
  ask();
  say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
  server_.close();
  EXPECT_THAT(receive_all().bytes, EndsWith("\r\n\r\nhalf")) << "something was sent";
  time_.advance(60s);
  EXPECT_EQ(exchange(response("", "down", "503 Down")).body, "down") << "beyond the window it is passed on";
}

TEST_F(ProxyCache, NeverServesAnErrorAsStale) {
  serve_cached(R"("ttl": "1h", "stale_while_revalidate": "1h", "stale_if_error": "1h")");
  exchange(response("Cache-Control: max-age=5\r\n", "error", "500 Oh"));
  EXPECT_EQ(exchange("").body, "error") << "it has a lifetime";
  time_.advance(5s);
  EXPECT_EQ(exchange(response("", "another", "503 Down")).body, "another");
}

TEST_F(ProxyCache, DoesNotWaitForASlowServerBeyondStaleAfter) {
  serve_cached(R"("stale_if_error": "1m", "stale_after": "10ms")");
  exchange(response("", "old"));
  time_.advance(1s);
  server_.take();
  ask();
  const RawResponse slow = receive();
  EXPECT_EQ(calls_of(slow), "x=stale;age=1;reason=slow");
  EXPECT_EQ(slow.body, "old");
  say(response("X-A: 2\r\nCache-Control: max-age=9\r\n", "new"));
  ask();
  say(response("X-A: 2\r\nContent-Type: a/b\r\n", "newer"));
  const RawResponse quick = receive();
  EXPECT_EQ(quick.body, "newer");
  EXPECT_EQ(quick.header("X-A"), "2");
  EXPECT_EQ(quick.header("Content-Type"), "a/b");
  EXPECT_EQ(calls_of(quick), "x=fresh");
}

TEST_F(ProxyCache, ForgetsWhatAClientHasChanged) {
  serve_cached(R"("ttl": "1h", "vary": ["x-v"])");
  const auto fill = [&](const std::string& value) { exchange(response(""), "X-V: " + value + "\r\n"); };
  for (const std::string method : {"PUT", "POST", "DELETE"}) {
    fill("1");
    fill("2");
    time_.advance(1s);
    exchange("", "X-V: 1\r\n");
    EXPECT_EQ(exchange(response("", "", "500 Oh"), "Content-Length: 0\r\n", method).header("Cache-Status"),
              "Sluice;fwd=method;fwd-status=500");
    exchange("", "X-V: 2\r\n");
    exchange(response("", "", "201 Created"), "Content-Length: 0\r\n", method);
    time_.advance(1s);
    exchange(response("Cache-Control: no-store\r\n"), "X-V: 1\r\n");
    exchange(response("Cache-Control: no-store\r\n"), "X-V: 2\r\n");
  }
}

TEST_F(ProxyCache, ForgetsWhatLocationsOnTheSameHostName) {
  serve_cached();
  const auto get_query = [&](const std::string& query, const std::string& answer) {
    server_.take();
    send(RawClient::text("GET", "/p?" + query));
    time_.settle();
    if (answer.empty()) {
      EXPECT_THAT(server_.received(), IsEmpty()) << query;
    } else {
      EXPECT_THAT(server_.received(), StartsWith("GET /b?" + query));
      say(answer);
    }
    EXPECT_EQ(receive().status, 200U);
  };
  for (const char* query : {"1", "2", "3", "4"}) get_query(query, response(""));
  exchange(response("Location: http://test/b?1\r\nContent-Location: ?2\r\nLocation: " + server_.url() +
                        "/x/../b?3\r\nLocation: http://elsewhere/b?4\r\n",
                    "", "201 Created"),
           "Content-Length: 0\r\n", "POST");
  time_.advance(1s);
  for (const char* query : {"1", "2", "3"}) get_query(query, response(""));
  get_query("4", "");
}

TEST_F(ProxyCache, LetsClientsAskForMoreOrLessOnlyWhenConfigured) {
  serve_cached(R"("ttl": "1h")");
  exchange(response("ETag: \"1\"\r\n"));
  exchange("", "Cache-Control: no-cache\r\n");
  serve_cached(R"("ttl": "100s", "stale_if_error": "1h", "honor_request": true)");
  exchange("", "Cache-Control: max-age=0\r\n");
  time_.advance(60s);
  exchange("", "Cache-Control: max-age=60, min-fresh=40\r\n");
  const std::string unchanged = "HTTP/1.1 304 Not Modified\r\n\r\n";
  for (const std::string wish :
       {"Cache-Control: max-age=59", "Cache-Control: min-fresh=41", "Cache-Control: no-cache", "Pragma: no-cache"}) {
    server_.take();
    EXPECT_EQ(exchange(unchanged, wish + "\r\n").header("Cache-Status"), "Sluice;fwd=request;fwd-status=304;ttl=100");
    EXPECT_THAT(server_.received(), HasSubstr("If-None-Match"));
    time_.advance(60s);
  }
  EXPECT_EQ(exchange(response("", "own"), "Cache-Control: no-store\r\n").header("Cache-Status"),
            "Sluice;fwd=request;fwd-status=200");
  EXPECT_EQ(exchange("").body, "body") << "and it was not stored";
  time_.advance(60s);
  EXPECT_EQ(exchange("", "Cache-Control: max-stale=20\r\n").header("Cache-Status"), "Sluice;hit;ttl=-20");
  exchange("", "Cache-Control: max-stale\r\n");
  exchange(unchanged, "Cache-Control: max-stale=19\r\n");
}

TEST_F(ProxyCache, SaysThatNothingIsStoredToWhoWantsNothingElse) {
  serve_cached(R"("ttl": "1h", "honor_request": true)");
  EXPECT_EQ(exchange("", "Cache-Control: only-if-cached\r\n").status, 504U);
  exchange(response(""));
  EXPECT_EQ(exchange("", "Cache-Control: only-if-cached\r\n").status, 200U);
}

TEST_F(ProxyCache, OneAsksForAllWhoWantTheSame) {
  serve_cached();
  ask();
  RawClient second(time_.loop());
  RawClient third(time_.loop());
  for (RawClient* client : {&second, &third}) {
    ASSERT_TRUE(time_.run(client->connect(where_)));
    ASSERT_TRUE(time_.run(client->send(RawClient::text("GET", "/p"))));
    time_.settle();
  }
  const std::string asked = server_.take();
  EXPECT_EQ(asked.find("GET /b"), asked.rfind("GET /b"));
  EXPECT_EQ(server_.accepted(), 1U);
  say(response("", "shared"));
  EXPECT_EQ(receive().body, "shared");
  for (RawClient* client : {&second, &third}) {
    client->poll();
    const std::string& text = client->buffered();
    EXPECT_THAT(text, EndsWith("\r\n\r\nshared"));
    EXPECT_THAT(text, HasSubstr("\r\nCache-Status: Sluice;fwd=miss;collapsed;ttl=3600\r\n"));
  }
  EXPECT_EQ(metric("sluice_coalesced_total{backend=\"r\"}"), 2U);
}

}  // namespace
}  // namespace sluice::support
