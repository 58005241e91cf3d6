// What the origin and the client say about stored answers of calls that are merged or chosen from.
#include "tests/support/gateway_fixture.hpp"

#include <string>

#include <gmock/gmock.h>

namespace sluice::support {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

const char* const kUnchanged = "HTTP/1.1 304 Not Modified\r\n\r\n";
const char* const kDown = "HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n";

class CacheRules : public GatewayTest, public ::testing::WithParamInterface<const char*> {
 protected:
  /// "/{id}" asks the scripted backend for the same, also with POST.
  void serve_cached(const std::string& cache) {
    serve(R"({"path": "/{id}", "methods": ["GET", "POST"], "deadline": "1s", "strategy": ")" + std::string(GetParam()) +
          R"(", "calls": [{"name": "x", "backend": "s", "path": "/{id}", "cache": {)" + cache + "}}]}");
  }
  std::string body(const std::string& json) {
    return GetParam() == std::string("merge") ? R"({"x":)" + json + "}" : json;
  }
};
INSTANTIATE_TEST_SUITE_P(OfStrategies, CacheRules, ::testing::Values("merge", "first"));

TEST_P(CacheRules, WhatSaysNoCacheIsValidatedEachTimeAndNeverStandsIn) {
  serve_cached(R"("ttl": "1h", "stale_while_revalidate": "1h", "stale_if_error": "1h")");
  s_.answer_json("1", "ETag: \"a\"\r\nCache-Control: no-cache, max-age=60\r\n");
  s_.answer(kUnchanged);
  s_.answer(kUnchanged);
  s_.answer(kDown);
  get("/a");
  for (int i = 0; i < 2; ++i) {
    const RawResponse reply = get("/a");
    EXPECT_EQ(reply.body, body("1"));
    EXPECT_EQ(calls_of(reply), "x=fresh");
    EXPECT_EQ(reply.header("Cache-Control"), "no-store");
    EXPECT_THAT(s_.heads().back(), HasSubstr("\r\nIf-None-Match: \"a\"\r\n"));
  }
  EXPECT_EQ(get("/a").status, 502U);
}

TEST_P(CacheRules, TheOriginsWordIsNeededWhereItDecides) {
  serve_cached(R"("ttl": "1h", "stale_while_revalidate": "1h", "stale_if_error": "1h", "origin_decides": true)");
  s_.answer_json("1");
  s_.answer_json("2", "Cache-Control: max-age=5\r\n");
  s_.answer(kDown);
  EXPECT_EQ(get("/a").body, body("1"));
  EXPECT_EQ(get("/a").body, body("2"));
  EXPECT_EQ(calls_of(get("/a")), "x=cached;age=0");
  time_.advance(6s);
  EXPECT_EQ(calls_of(get("/a")), "x=stale;age=6;reason=status;status=503");
}

TEST_P(CacheRules, ClientsAreHeardOnlyIfConfigured) {
  serve_cached(R"("ttl": "1m", "stale_if_error": "1h")");
  s_.answer_json("1");
  get("/a");
  EXPECT_EQ(calls_of(get("/a", "Cache-Control: no-cache\r\n")), "x=cached;age=0");
  time_.advance(61s);
  EXPECT_EQ(s_.heads().size(), 1U);
}

TEST_P(CacheRules, ClientsMayAskForNewerOrTakeOlderData) {
  serve_cached(R"("ttl": "1m", "stale_if_error": "1h", "honor_request": true)");
  s_.answer_json("1");
  s_.answer_json("2");
  s_.answer_json("3");
  s_.answer(kDown);
  get("/a");
  time_.advance(30s);
  EXPECT_EQ(calls_of(get("/a", "Cache-Control: max-age=30, min-fresh=30\r\n")), "x=cached;age=30");
  EXPECT_EQ(get("/a", "Cache-Control: max-age=29\r\n").body, body("2"));
  EXPECT_EQ(get("/a", "Cache-Control: no-store\r\n").body, body("3"));
  EXPECT_EQ(get("/a").body, body("2")) << "what was not to be stored is not";
  time_.advance(70s);
  client_.close();  // idle for too long
  EXPECT_EQ(calls_of(get("/a", "Cache-Control: max-stale=10\r\n")), "x=cached;age=70");
  EXPECT_EQ(calls_of(get("/a", "Cache-Control: no-cache\r\n")), "x=stale;age=70;reason=status;status=503")
      << "a failing backend is another matter";
  EXPECT_EQ(get("/b", "Cache-Control: only-if-cached\r\n").status, 504U);
  EXPECT_EQ(s_.heads().size(), 4U);
}

TEST_P(CacheRules, AWriteForgetsWhatIsStoredOfItsTarget) {
  serve_cached(R"("ttl": "1m")");
  for (const char* json : {"1", "2", "3", "4"}) s_.answer_json(json);
  get("/a");
  get("/b");
  EXPECT_EQ(request("POST", "/a", "", "").body, body("3"));
  EXPECT_EQ(get("/b").body, body("2"));
  EXPECT_EQ(get("/a").body, body("4"));
}

}  // namespace
}  // namespace sluice::support
