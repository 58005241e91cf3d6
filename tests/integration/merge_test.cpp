// The strategy `merge`: what a client gets when backends answer.
#include "tests/support/gateway_fixture.hpp"

#include <string>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace sluice::support {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class Merge : public GatewayTest {};

constexpr std::string_view kProfile = R"({"path": "/profile/{id}", "calls": [
  {"name": "user", "backend": "a", "path": "/users/{id}", "required": true},
  {"name": "orders", "backend": "b", "path": "/orders?user={id}&limit={query.limit}"},
  {"name": "recs", "backend": "c", "path": "/recs/{id}"}]})";

constexpr std::string_view kScripted = R"({"path": "/", "calls": [
  {"name": "x", "backend": "s", "path": "/x"}]})";

TEST_F(Merge, PutsTheCallsInTheOrderOfTheConfigurationNotOfArrival) {
  a_.set_faults("latency_ms=30");
  b_.set_faults("latency_ms=20");
  c_.set_faults("latency_ms=10");
  serve(kProfile);
  const RawResponse reply = get("/profile/7");
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(reply.header("Content-Type"), "application/json");
  EXPECT_EQ(reply.header("Sluice-Result"), "complete");
  EXPECT_EQ(calls_of(reply), "user=fresh, orders=fresh, recs=fresh");
  EXPECT_EQ(milliseconds_of(reply, "user"), 30);
  EXPECT_EQ(milliseconds_of(reply, "recs"), 10);
  EXPECT_EQ(took_, 30ms);
  const auto body = nlohmann::ordered_json::parse(reply.body);
  ASSERT_EQ(body.size(), 3U);
  EXPECT_EQ(body.begin().key(), "user");
  EXPECT_EQ((++body.begin()).key(), "orders");
  EXPECT_THAT(reply.body, StartsWith(R"({"user":{)"));
}

TEST_F(Merge, CopiesBodiesByteForByteWithoutTheWhitespaceAround) {
  const std::string odd = R"({"n":123456789012345678901234567890,"e":1.0E+2,"s":"\u00e9\/\ud83d\ude00" , "s":[ ]})";
  s_.answer_json(" \r\n\t" + odd + "\n");
  serve(kScripted);
  EXPECT_EQ(get("/").body, R"({"x":)" + odd + "}");
}

TEST_F(Merge, TakesNoPartForTheWholeAndNoCodedBody) {
  s_.answer("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/90\r\nContent-Length: 2\r\n\r\n{}");
  s_.answer("HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n{}");
  serve(kScripted);
  EXPECT_EQ(calls_of(get("/")), "x=missing;reason=status;status=206");
  EXPECT_EQ(calls_of(get("/")), "x=missing;reason=invalid");
}

TEST_F(Merge, TakesScalarsAsTheyAre) {
  for (const std::string value : {"null", "true", "-0", "\"\"", "[]"}) s_.answer_json(value);
  serve(kScripted);
  for (const std::string value : {"null", "true", "-0", "\"\"", "[]"}) {
    EXPECT_EQ(get("/").body, R"({"x":)" + value + "}");
  }
}

TEST_F(Merge, CountsAnEmptyBodyAndA204AsNull) {
  s_.answer("HTTP/1.1 204 No Content\r\n\r\n");
  s_.answer_json("");
  s_.answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
  serve(kScripted);
  for (int i = 0; i < 3; ++i) {
    const RawResponse reply = get("/");
    EXPECT_EQ(reply.body, R"({"x":null})");
    EXPECT_EQ(calls_of(reply), "x=fresh");
  }
  EXPECT_EQ(s_.accepted(), 1U);
}

TEST_F(Merge, PassesLargeBodiesOnWhole) {
  serve(R"({"path": "/{size}", "calls": [
    {"name": "a", "backend": "a", "path": "/json?bytes={size}"},
    {"name": "b", "backend": "b", "path": "/json?bytes={size}&chunked=1"},
    {"name": "c", "backend": "c", "path": "/json?bytes={size}&seed=2"}]})");
  for (const std::size_t size : {std::size_t{5000}, std::size_t{64} << 10, std::size_t{1} << 20}) {
    RawClient direct(time_.loop());
    const std::string target = "/json?bytes=" + std::to_string(size);
    const RawResponse one = time_.run(direct.get(at_a_, target)).value();
    ASSERT_GE(one.body.size(), size);
    const RawResponse reply = get("/" + std::to_string(size));
    EXPECT_EQ(reply.header("Sluice-Result"), "complete");
    const std::string expected = R"({"a":)" + one.body + R"(,"b":)" + one.body + R"(,"c":)" + one.body + "}";
    EXPECT_TRUE(reply.body == expected) << reply.body.size();
  }
}

TEST_F(Merge, FillsTemplatesAndLeavesAbsentQueryParametersOut) {
  serve(R"({"path": "/p/{id}/{rest...}", "calls": [
    {"name": "x", "backend": "s", "path": "/u/{id}/{rest}?q={query.q}&k=1&l={query.l}",
     "headers": {"X-Who": "{header.x-who}", "X-Id": "no {id}"}}]})");
  s_.answer_json("1");
  EXPECT_EQ(get("/p/a%2Fb%20c/d/e?l=%26x=%3D", "X-Who: me\r\n").status, 200U);
  ASSERT_EQ(s_.heads().size(), 1U);
  EXPECT_THAT(s_.heads()[0], StartsWith("GET /u/a%2Fb%20c/d/e?k=1&l=%26x%3D%3D HTTP/1.1\r\n"));
  EXPECT_THAT(s_.heads()[0], HasSubstr("X-Who: me\r\n"));
  EXPECT_THAT(s_.heads()[0], HasSubstr("X-Id: no a/b c\r\n"));
}

TEST_F(Merge, MissesACallWhoseHeaderValueIsAbsent) {
  serve(R"({"path": "/", "calls": [
    {"name": "a", "backend": "a", "path": "/healthz"},
    {"name": "x", "backend": "s", "path": "/", "headers": {"X-Who": "{header.x-who}"}}]})");
  const RawResponse reply = get("/");
  EXPECT_EQ(calls_of(reply), "a=fresh, x=missing;reason=dependency");
  EXPECT_EQ(reply.header("Sluice-Result"), "partial");
  EXPECT_EQ(s_.accepted(), 0U);
}

TEST_F(Merge, AnswersHeadWithTheHeadersOfGet) {
  serve(kProfile);
  const RawResponse got = get("/profile/7");
  const RawResponse reply = request("HEAD", "/profile/7");
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(reply.header("Content-Length"), got.header("Content-Length"));
  EXPECT_EQ(a_.last_request()->method, "GET");
  EXPECT_EQ(get("/profile/7").body, got.body) << "the connection goes on";
}

TEST_F(Merge, AnswersOptionsItself) {
  serve(kProfile);
  const RawResponse reply = request("OPTIONS", "/profile/7");
  EXPECT_EQ(reply.status, 204U);
  EXPECT_EQ(reply.header("Allow"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(request("OPTIONS", "*").status, 204U);
  EXPECT_EQ(a_.counters().requests, 0U);
}

TEST_F(Merge, RejectsOtherPathsAndMethods) {
  serve(kProfile);
  const RawResponse missing = get("/profile");
  EXPECT_EQ(missing.status, 404U);
  EXPECT_EQ(missing.header("Content-Type"), "application/problem+json");
  EXPECT_EQ(missing.header("Sluice-Result"), "rejected");
  EXPECT_EQ(json::parse(missing.body)["status"], 404);
  const RawResponse method = request("POST", "/profile/7", {}, "body");
  EXPECT_EQ(method.status, 405U);
  EXPECT_EQ(method.header("Allow"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(request("BREW", "/profile/7").status, 501U);
  EXPECT_EQ(metric(R"(sluice_requests_total{endpoint="",code="404",result="rejected"})"), 1U);
}

TEST_F(Merge, SendsTheBodyAndTypeOfAPost) {
  serve(R"({"path": "/", "methods": ["POST"], "calls": [
    {"name": "x", "backend": "a", "path": "/echo"},
    {"name": "y", "backend": "b", "path": "/echo", "method": "GET"}]})");
  const RawResponse reply = request("POST", "/", "Content-Type: text/plain\r\n", std::string(100'000, 'x'));
  const json body = json::parse(reply.body);
  EXPECT_EQ(body["x"]["method"], "POST");
  EXPECT_EQ(body["x"]["body"].get<std::string>().size(), 100'000U);
  EXPECT_THAT(body["x"]["headers"].dump(), HasSubstr(R"(["Content-Type","text/plain"])"));
  EXPECT_EQ(body["y"]["method"], "GET");
  EXPECT_EQ(body["y"]["body"], "");
}

TEST_F(Merge, ForwardsWhatIsListedAndNothingElse) {
  serve(R"({"path": "/", "calls": [
    {"name": "x", "backend": "s", "path": "/x?k=1", "forward": {"headers": ["accept-language"], "query": ["q"]}}]})");
  s_.answer_json("1");
  get("/?q=1&r=2&q=%20", "Accept-Language: de\r\nCookie: secret\r\nX-Other: 1\r\n");
  ASSERT_EQ(s_.heads().size(), 1U);
  EXPECT_THAT(s_.heads()[0], StartsWith("GET /x?k=1&q=1&q=%20 HTTP/1.1\r\n"));
  EXPECT_THAT(s_.heads()[0], HasSubstr("ccept-language: de\r\n"));
  EXPECT_THAT(s_.heads()[0], Not(HasSubstr("secret")));
  EXPECT_THAT(s_.heads()[0], Not(HasSubstr("X-Other")));
}

TEST_F(Merge, ForwardsAllHeadersButThoseOfTheConnectionAndItsOwn) {
  serve(R"({"path": "/", "calls": [{"name": "x", "backend": "s", "path": "/x", "forward": {"headers": ["*"]}}]})");
  s_.answer_json("1");
  get("/",
      "Cookie: mine\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\nX-Request-Timeout-Ms: 250\r\n"
      "Accept-Encoding: gzip\r\nRange: bytes=0-1\r\nIf-None-Match: \"1\"\r\n");
  ASSERT_EQ(s_.heads().size(), 1U);
  const std::string& head = s_.heads()[0];
  EXPECT_THAT(head, HasSubstr("Cookie: mine\r\n"));
  for (const char* name : {"\r\nX-Hop", "\r\nConnection", "\r\nTE", "\r\nAccept-Encoding", "\r\nRange", "\r\nIf-"}) {
    EXPECT_THAT(head, Not(HasSubstr(name)));
  }
  EXPECT_EQ(head.find("\r\nHost:"), head.rfind("\r\nHost:"));
  EXPECT_EQ(head.find("X-Request-Timeout-Ms"), head.rfind("X-Request-Timeout-Ms")) << head;
  EXPECT_THAT(head, HasSubstr("X-Request-Timeout-Ms: 250\r\n"));
}

TEST_F(Merge, KeepsTheClientsRequestIdAndTrace) {
  serve(kScripted);
  s_.answer_json("1");
  const std::string trace = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";
  const RawResponse reply = get("/", "X-Request-Id: abc\r\ntraceparent: " + trace + "\r\n");
  EXPECT_EQ(reply.header("X-Request-Id"), "abc");
  EXPECT_THAT(reply.header("traceparent"), StartsWith(trace.substr(0, 36)));
  EXPECT_THAT(reply.header("traceparent"), EndsWith("-01"));
  EXPECT_THAT(s_.heads().at(0), HasSubstr("X-Request-Id: abc\r\n"));
  EXPECT_NE(get("/").header("X-Request-Id"), get("/").header("X-Request-Id"));
}

}  // namespace
}  // namespace sluice::support
