// Bodies in gzip: from backends, and to clients.
#include "tests/support/gateway_fixture.hpp"
#include "tests/support/gzip.hpp"

#include <string>

#include <gmock/gmock.h>

namespace sluice::support {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kOne = R"({"path": "/", "calls": [{"name": "x", "backend": "s", "path": "/x"}]})";
constexpr std::string_view kGzip = "Content-Encoding: gzip\r\n";

class Compression : public GatewayTest {
 protected:
  /// "/{size}" with a JSON body of that size, compressed from 1 KiB on.
  void serve_compressed(const std::string& members = {}) {
    serve(R"({"path": "/{size}", "deadline": "1s", "compression": {"min_size": "1KiB"}, )" + members +
          R"("calls": [{"name": "x", "backend": "a", "path": "/json?bytes={size}", "required": true}]},
          {"path": "/plain/{size}", "calls": [{"name": "x", "backend": "a", "path": "/json?bytes={size}"}]})");
  }
};

TEST_F(Compression, DecodesWhatABackendCompressed) {
  serve(kOne);
  s_.answer_json(gzip(R"( {"a":1} )"), kGzip);
  s_.answer_json(gzip("[2]"), "Content-Encoding: X-GZIP\r\n");
  s_.answer_json("", kGzip);
  s_.answer("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n" + gzip("3"),
            ScriptedBackend::After::close);
  for (const std::string body : {R"({"x":{"a":1}})", R"({"x":[2]})", R"({"x":null})", R"({"x":3})"}) {
    EXPECT_EQ(get("/").body, body);
  }
  EXPECT_THAT(s_.heads()[0], Not(HasSubstr("Accept-Encoding")));
}

TEST_F(Compression, RefusesWhatIsNoGzipOrNoJsonInIt) {
  serve(kOne);
  const std::string good = gzip(R"({"a":1})");
  for (const std::string& body :
       {std::string("{}"), good.substr(0, good.size() - 1), good + "x", gzip("{\"a\":}"), gzip("{"), gzip(good)}) {
    s_.answer_json(body, kGzip);
  }
  s_.answer_json(good, "Content-Encoding: br\r\n");
  s_.answer_json(good, "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n");
  for (int i = 0; i < 8; ++i) {
    const RawResponse reply = get("/");
    EXPECT_EQ(reply.status, 502U) << i;
    EXPECT_EQ(calls_of(reply), "x=missing;reason=invalid") << i;
  }
}

TEST_F(Compression, BoundsTheDecodedSize) {
  serve(kOne, R"("backends": {"s": {"servers": ["@s"], "max_response": "64KiB"}})");
  const std::string bomb = gzip("\"" + std::string(50'000'000, 'a') + "\"");
  ASSERT_LT(bomb.size(), 60'000U);
  s_.answer_json(bomb, kGzip);
  s_.answer_json(gzip("\"" + std::string(60'000, 'a') + "\""), kGzip);
  EXPECT_EQ(calls_of(get("/")), "x=missing;reason=too_large");
  EXPECT_EQ(calls_of(get("/")), "x=fresh");
}

TEST_F(Compression, DecodesWhatFirstPassesOn) {
  serve(R"({"path": "/", "strategy": "first", "calls": [{"name": "x", "backend": "s", "path": "/x"}]})");
  s_.answer("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\nContent-Length: " +
            std::to_string(gzip("hello").size()) + "\r\n\r\n" + gzip("hello"));
  const RawResponse reply = get("/");
  EXPECT_EQ(reply.body, "hello");
  EXPECT_EQ(reply.header("Content-Type"), "text/plain");
  EXPECT_EQ(reply.header("Content-Encoding"), "");
}

TEST_F(Compression, AsksForGzipWhereConfigured) {
  serve(kOne, R"("backends": {"s": {"servers": ["@s"], "compression": true}})");
  s_.answer_json(gzip("1"), kGzip);
  EXPECT_EQ(get("/", "Accept-Encoding: br\r\n").body, R"({"x":1})");
  EXPECT_THAT(s_.heads()[0], HasSubstr("\r\nAccept-Encoding: gzip\r\n"));
}

TEST_F(Compression, StoresWhatWasDecoded) {
  serve(R"({"path": "/", "calls": [{"name": "x", "backend": "s", "path": "/x", "cache": {"ttl": "10s"}}]})");
  s_.answer_json(gzip("[7]"), kGzip);
  EXPECT_EQ(get("/").body, R"({"x":[7]})");
  const RawResponse cached = get("/");
  EXPECT_EQ(calls_of(cached), "x=cached;age=0");
  EXPECT_EQ(cached.body, R"({"x":[7]})");
}

TEST_F(Compression, CompressesRepliesForThoseWhoAccept) {
  serve_compressed();
  const std::string plain = get("/plain/100000").body;
  for (const std::string wish :
       {"gzip", "br, gzip;q=0.5", "*", "GZIP", "deflate, x-gzip", "identity;q=0.5, gzip;q=0.5"}) {
    const RawResponse reply = get("/100000", "Accept-Encoding: " + wish + "\r\n");
    EXPECT_EQ(reply.status, 200U);
    EXPECT_EQ(reply.header("Content-Encoding"), "gzip") << wish;
    EXPECT_EQ(reply.header("Vary"), "Accept-Encoding");
    EXPECT_LT(reply.body.size(), plain.size() / 2);
    EXPECT_TRUE(gunzip(reply.body) == plain);
  }
  for (const std::string wish : {"", "br", "gzip;q=0", "gzip;q=0, *", "identity, gzip;q=0.5", "*;q=0", "gzip;q=x"}) {
    const RawResponse reply = get("/100000", "Accept-Encoding: " + wish + "\r\n");
    EXPECT_EQ(reply.header("Content-Encoding"), "") << wish;
    EXPECT_EQ(reply.header("Vary"), "Accept-Encoding") << wish;
    EXPECT_TRUE(reply.body == plain) << wish;
  }
  EXPECT_EQ(get("/plain/100000", "Accept-Encoding: gzip\r\n").header("Content-Encoding"), "");
  EXPECT_EQ(get("/plain/100000", "Accept-Encoding: gzip\r\n").header("Vary"), "");
}

TEST_F(Compression, LeavesSmallRepliesUnlessNothingElseIsAccepted) {
  serve_compressed();
  EXPECT_EQ(get("/200", "Accept-Encoding: gzip\r\n").header("Content-Encoding"), "");
  const RawResponse forced = get("/200", "Accept-Encoding: gzip, identity;q=0\r\n");
  EXPECT_EQ(forced.header("Content-Encoding"), "gzip");
  EXPECT_EQ(gunzip(forced.body), get("/200").body);
  const RawResponse head = request("HEAD", "/100000", "Accept-Encoding: gzip\r\n");
  EXPECT_EQ(head.header("Content-Encoding"), "gzip");
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(head.header("Content-Length"), std::to_string(get("/100000", "Accept-Encoding: gzip\r\n").body.size()));
}

TEST_F(Compression, LeavesWhatIsNoTextOrMustNotBeChanged) {
  serve(R"({"path": "/", "strategy": "first", "compression": {"min_size": 0}, "calls": [
    {"name": "x", "backend": "s", "path": "/x"}]})");
  s_.answer("HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 5\r\n\r\n00000");
  const RawResponse image = get("/", "Accept-Encoding: gzip\r\n");
  EXPECT_EQ(image.body, "00000");
  EXPECT_EQ(image.header("Vary"), "");
  client_.close();
  serve_compressed(R"("response_headers": {"add": {"Cache-Control": "max-age=1, no-transform"}}, )");
  EXPECT_EQ(get("/100000", "Accept-Encoding: gzip\r\n").header("Content-Encoding"), "");
}

TEST_F(Compression, WeakensTheETagOfOtherBytes) {
  serve(R"({"path": "/", "compression": {"min_size": 64}, "response_headers": {"from": {"x": ["ETag"]}}, "calls": [
    {"name": "x", "backend": "s", "path": "/x"}]})");
  s_.answer_json("\"" + std::string(500, 'a') + "\"", "ETag: \"v1\"\r\n");
  s_.answer_json("\"" + std::string(500, 'a') + "\"", "ETag: \"v1\"\r\n");
  s_.answer_json("\"" + std::string(500, 'a') + "\"", "ETag: W/\"v2\"\r\n");
  EXPECT_EQ(get("/").header("ETag"), "\"v1\"");
  EXPECT_EQ(get("/", "Accept-Encoding: gzip\r\n").header("ETag"), "W/\"v1\"");
  EXPECT_EQ(get("/", "Accept-Encoding: gzip\r\n").header("ETag"), "W/\"v2\"");
}

TEST_F(Compression, GivesUpAtTheDeadlineAndSendsTheBodyAsItIs) {
  serve(R"({"path": "/", "deadline": "100ms", "compression": {"min_size": 0}, "calls": [
    {"name": "x", "backend": "a", "path": "/json?bytes=500000"},
    {"name": "y", "backend": "b", "path": "/json?bytes=10"}]})");
  b_.set_faults("hang=header");
  const RawResponse reply = get("/", "Accept-Encoding: gzip\r\n");
  EXPECT_EQ(took_, 100ms);
  EXPECT_THAT(calls_of(reply), HasSubstr("y=missing;reason=timeout"));
  EXPECT_EQ(reply.header("Content-Encoding"), "");
  EXPECT_GT(reply.body.size(), 500'000U);
}

}  // namespace
}  // namespace sluice::support
