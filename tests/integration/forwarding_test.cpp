// What backends learn of the client and of the way of its request.
#include "tests/support/gateway_fixture.hpp"

#include <string>
#include <string_view>

#include <gmock/gmock.h>

namespace sluice::support {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kAll = R"({"path": "/{id}", "calls": [
  {"name": "x", "backend": "s", "path": "/{id}", "forward": {"headers": ["*"]}}]})";
constexpr std::string_view kNone = R"({"path": "/{id}", "calls": [{"name": "x", "backend": "s", "path": "/{id}"}]})";

class Forwarding : public GatewayTest {
 protected:
  Forwarding() { s_.answer_json("1"); }

  /// The value of a header of the last request that the backend got; "-" if there is none, all values if several.
  std::string sent(std::string_view name) const {
    std::string values = "-";
    const std::string& head = s_.heads().back();
    const std::string mark = "\r\n" + std::string(name) + ": ";
    for (std::size_t at = head.find(mark); at != std::string::npos; at = head.find(mark, at + 1)) {
      const std::size_t value = at + mark.size();
      values = (values == "-" ? "" : values + " | ") + head.substr(value, head.find("\r\n", value) - value);
    }
    return values;
  }
};

TEST_F(Forwarding, TellsTheClientsAddressItsHostAndTheWay) {
  serve(kNone);
  (void)get("/a");
  EXPECT_EQ(sent("X-Forwarded-For"), "127.0.0.1");
  EXPECT_EQ(sent("X-Forwarded-Proto"), "http");
  EXPECT_THAT(sent("X-Forwarded-Host"), Not(testing::AnyOf("-", "")));
  EXPECT_EQ(sent("Via"), "1.1 sluice");
  EXPECT_EQ(sent("Forwarded"), "-");
}

TEST_F(Forwarding, TellsOfEachRequestOfAConnectionWhatIsTrueOfIt) {
  serve(kNone);
  const auto told = [&](const std::string& fields, const std::string& version = "1.1") {
    send("GET /a HTTP/" + version + "\r\n" + fields + "\r\n");
    EXPECT_EQ(receive().status, 200U);
    return sent("X-Forwarded-Host") + ", " + sent("Via");
  };
  for (int i = 0; i < 2; ++i) EXPECT_EQ(told("Host: a\r\n"), "a, 1.1 sluice");
  EXPECT_EQ(told("Host: b\r\n"), "b, 1.1 sluice");
  EXPECT_EQ(told("Host: b\r\nConnection: keep-alive\r\n", "1.0"), "b, 1.0 sluice");
  EXPECT_EQ(told("Host: b\r\n"), "b, 1.1 sluice");
  EXPECT_EQ(told("Host: b\r\nVia: 1.1 x\r\n"), "b, 1.1 x, 1.1 sluice");
  EXPECT_EQ(told("Host: b\r\n"), "b, 1.1 sluice");
  reload(kNone, R"("headers": {"Via": null})");
  EXPECT_EQ(told("Host: b\r\n"), "b, -");
  const std::string claim = "Host: b\r\nX-Forwarded-Host: c\r\n";
  EXPECT_EQ(told(claim), "b, -");
  reload(kNone, R"("trusted_proxies": ["127.0.0.1"])");
  EXPECT_EQ(told(claim), "c, 1.1 sluice");
  EXPECT_EQ(told("Host: b\r\n"), "b, 1.1 sluice");
  reload(kNone);
  EXPECT_EQ(told(claim), "b, 1.1 sluice");
}

TEST_F(Forwarding, ReplacesWhatAClientClaims) {
  for (const std::string_view endpoints : {kAll, kNone}) {
    serve(endpoints);
    (void)get("/a",
              "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\nx-forwarded-proto: https\r\n"
              "X-Forwarded-Host: evil\r\nForwarded: for=6.6.6.6\r\n");
    EXPECT_EQ(sent("X-Forwarded-For"), "127.0.0.1");
    EXPECT_EQ(sent("X-Forwarded-Proto"), "http");
    EXPECT_THAT(s_.heads().back(), Not(HasSubstr("evil")));
    EXPECT_THAT(s_.heads().back(), Not(HasSubstr("6.6.6.6")));
    EXPECT_THAT(s_.heads().back(), Not(HasSubstr("x-forwarded-proto")));
    client_.close();
  }
}

TEST_F(Forwarding, BelievesTrustedProxiesAndAddsToWhatTheySay) {
  serve(kNone, R"("trusted_proxies": ["10.0.0.0/8", "127.0.0.0/8"], "headers": {"Forwarded": "Forwarded"})");
  (void)get("/a",
            "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\nX-Forwarded-Proto: https\r\n"
            "X-Forwarded-Host: shop.example\r\nForwarded: for=6.6.6.6;proto=https\r\nVia: 1.1 edge\r\n");
  EXPECT_EQ(sent("X-Forwarded-For"), "6.6.6.6, 7.7.7.7, 127.0.0.1");
  EXPECT_EQ(sent("X-Forwarded-Proto"), "https");
  EXPECT_EQ(sent("X-Forwarded-Host"), "shop.example");
  EXPECT_THAT(sent("Forwarded"), testing::StartsWith("for=6.6.6.6;proto=https, for=127.0.0.1;host="));
  EXPECT_EQ(sent("Via"), "1.1 edge, 1.1 sluice");
}

TEST_F(Forwarding, BelievesNobodyWhatIsMalformed) {
  serve(kNone, R"("trusted_proxies": ["127.0.0.0/8"], "headers": {"Forwarded": "Forwarded"})");
  (void)get("/a",
            "X-Forwarded-For: 6.6.6.6, <script>, 7.7.7.7\r\nX-Forwarded-Proto: ht tp\r\n"
            "X-Forwarded-Host: a/b\r\nForwarded: for=\"6.6.6.6, for=7.7.7.7\r\n");
  EXPECT_EQ(sent("X-Forwarded-For"), "7.7.7.7, 127.0.0.1") << "what the nearest proxy says stays";
  EXPECT_EQ(sent("X-Forwarded-Proto"), "http");
  EXPECT_THAT(sent("X-Forwarded-Host"), Not(HasSubstr("/")));
  EXPECT_THAT(sent("Forwarded"), testing::StartsWith("for=127.0.0.1;host="));
}

TEST_F(Forwarding, LeavesNamesWithUnderscoresOutUnlessTheyAreListed) {
  serve(kAll);
  (void)get("/a", "X_Forwarded_For: 6.6.6.6\r\nContent_Length: 7\r\nx_forwarded_for: 7.7.7.7\r\nA-B: 1\r\n");
  EXPECT_THAT(s_.heads().back(), Not(HasSubstr("_")));
  EXPECT_EQ(sent("A-B"), "1");
  serve(R"({"path": "/", "calls": [
    {"name": "x", "backend": "s", "path": "/", "forward": {"headers": ["*", "X_Key"]}},
    {"name": "y", "backend": "s", "path": "/", "forward": {"headers": ["X_Key"]}}]})");
  client_.close();
  (void)get("/", "x_key: 1\r\nX_Other: 2\r\n");
  for (std::size_t i = 1; i < s_.heads().size(); ++i) {
    EXPECT_THAT(s_.heads()[i], testing::ContainsRegex("\r\n[xX]_[kK]ey: 1\r\n"));
    EXPECT_THAT(s_.heads()[i], Not(HasSubstr("X_Other")));
  }
}

TEST_F(Forwarding, TrustsOnlyTheNetworksThatAreNamed) {
  serve(kNone, R"("trusted_proxies": ["10.0.0.0/8", "::1", "127.0.0.2"])");
  (void)get("/a", "X-Forwarded-For: 6.6.6.6\r\n");
  EXPECT_EQ(sent("X-Forwarded-For"), "127.0.0.1");
}

TEST_F(Forwarding, CanBeRenamedAndTurnedOff) {
  serve(kAll, R"("headers": {"X-Forwarded-For": "X-Client", "X-Forwarded-Proto": null, "X-Forwarded-Host": null,
                             "Forwarded": "Forwarded", "Via": null})");
  (void)get("/a", "X-Client: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 6.6.6.6\r\n");
  EXPECT_EQ(sent("X-Client"), "127.0.0.1");
  EXPECT_EQ(sent("X-Forwarded-For"), "-");
  EXPECT_EQ(sent("X-Forwarded-Proto"), "-") << "a client's word counts no more for its being off";
  EXPECT_EQ(sent("X-Forwarded-Host"), "-");
  EXPECT_EQ(sent("Via"), "-");
  EXPECT_THAT(sent("Forwarded"), testing::EndsWith(";proto=http"));
}

TEST_F(Forwarding, LetsACallSayOtherwise) {
  serve(R"({"path": "/", "calls": [{"name": "x", "backend": "s", "path": "/",
    "headers": {"x-forwarded-host": "api.example"}}]})");
  (void)get("/");
  EXPECT_EQ(sent("X-Forwarded-Host"), "-");
  EXPECT_EQ(sent("x-forwarded-host"), "api.example");
  EXPECT_EQ(sent("X-Forwarded-For"), "127.0.0.1");
  EXPECT_NE(sent("X-Request-Id"), "-");
}

TEST_F(Forwarding, SendsEachHeaderOnceWhateverTheClientSends) {
  serve(kAll);
  (void)get("/a",
            "X-Request-Id: abc\r\nVia: 1.1 edge\r\n"
            "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\ntracestate: a=1\r\n");
  EXPECT_EQ(sent("X-Request-Id"), "abc");
  EXPECT_EQ(sent("Via"), "1.1 edge, 1.1 sluice");
  EXPECT_THAT(sent("traceparent"), testing::AllOf(HasSubstr("0af7651916cd43dd8448eb211c80319c"), Not(HasSubstr("|"))));
  EXPECT_EQ(sent("tracestate"), "a=1");
}

TEST_F(Forwarding, SaysNothingOfTheClientWhereTheAnswerIsStored) {
  serve(R"({"path": "/", "calls": [{"name": "x", "backend": "s", "path": "/", "cache": {"stale_if_error": "1h"}}]})");
  (void)get("/", "Via: 1.1 poison\r\n");
  for (const char* name : {"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"}) EXPECT_EQ(sent(name), "-");
  EXPECT_EQ(sent("Via"), "1.1 sluice");
}

TEST_F(Forwarding, SaysItWhereTheCacheNamesIt) {
  serve(R"({"path": "/", "calls": [{"name": "x", "backend": "s", "path": "/", "cache": {
    "ttl": "1h", "vary": ["X-Forwarded-Proto"], "vary_except": ["X-Forwarded-For"]}}]})",
        R"("trusted_proxies": ["127.0.0.1"])");
  (void)get("/", "X-Forwarded-Proto: https\r\n");
  EXPECT_EQ(sent("X-Forwarded-For"), "127.0.0.1");
  EXPECT_EQ(sent("X-Forwarded-Proto"), "https");
  EXPECT_EQ(sent("X-Forwarded-Host"), "-");
  EXPECT_EQ(calls_of(get("/", "X-Forwarded-Proto: https\r\n")), "x=cached;age=0");
  EXPECT_EQ(calls_of(get("/", "X-Forwarded-Proto: http\r\n")), "x=fresh");
  EXPECT_EQ(calls_of(get("/")), "x=cached;age=0") << "http is what the gateway says itself";
}

TEST_F(Forwarding, ContinuesATraceWithItsStateAndDropsOneWithoutATrace) {
  serve(kAll);
  const std::string trace = "0af7651916cd43dd8448eb211c80319c";
  (void)get("/a", "traceparent: 00-" + trace + "-b7ad6b7169203331-01\r\ntracestate: a=1\r\ntracestate: b=2,c=3\r\n");
  EXPECT_THAT(sent("traceparent"), HasSubstr(trace));
  EXPECT_EQ(sent("tracestate"), "a=1,b=2,c=3");
  (void)get("/a", "traceparent: nonsense\r\ntracestate: a=1\r\n");
  EXPECT_EQ(sent("tracestate"), "-");
}

TEST_F(Forwarding, CountsWishesForADeadlineThatSayNothing) {
  serve(kNone);
  (void)get("/a", "X-Request-Timeout-Ms: soon\r\n");
  (void)get("/a", "X-Request-Timeout-Ms: 100\r\n");
  (void)get("/a");
  EXPECT_EQ(metric("sluice_deadline_header_malformed_total"), 1U);
}

TEST_F(Forwarding, GivesARequestThatCannotBeReadAnId) {
  serve(kNone);
  send("GET / HTTP/1.1\r\nHost: x\r\nBad Name: 1\r\n\r\n");
  const RawResponse reply = receive();
  EXPECT_EQ(reply.status, 400U);
  EXPECT_EQ(reply.header("X-Request-Id").size(), 32U);
  EXPECT_THAT(log_lines().at(0), HasSubstr(reply.header("X-Request-Id")));
}

TEST_F(Forwarding, LetsTheTemplateSayWhatAQueryParameterIs) {
  serve(R"({"path": "/", "calls": [{"name": "x", "backend": "s", "path": "/?limit={query.limit}&k=1&who={query.a}",
    "forward": {"query": ["*"]}}]})");
  (void)get("/?limit=5&b=2&k=3&%6b=7&who=me&l%69mit=9&c");
  EXPECT_THAT(s_.heads().back(), testing::StartsWith("GET /?limit=5&k=1&b=2&c HTTP/1.1\r\n"));
}

}  // namespace
}  // namespace sluice::support
