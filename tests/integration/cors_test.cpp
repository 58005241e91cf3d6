// Pages of other origins: preflights, and what replies say to browsers (Fetch standard, "CORS protocol").
#include "tests/support/gateway_fixture.hpp"

#include <string>

#include <gmock/gmock.h>

namespace sluice::support {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class CorsRequests : public GatewayTest {
 protected:
  /// GET and POST of "/x" with these members of `cors`; DELETE of "/x" without cors.
  void serve_cors(const std::string& members) {
    serve(R"({"path": "/x", "name": "x", "methods": ["GET", "POST"], "cors": {)" + members + R"(},
        "calls": [{"name": "x", "backend": "a", "path": "/users/1"}]},
      {"path": "/x", "name": "delete", "methods": ["DELETE"], "calls": [{"name": "x", "backend": "a", "path": "/"}]},
      {"path": "/down", "cors": {)" +
          members + R"(}, "calls": [{"name": "x", "backend": "a", "path": "/nowhere"}]},
      {"path": "/plain", "calls": [{"name": "x", "backend": "a", "path": "/users/1"}]})");
  }
  RawResponse preflight(const std::string& origin, const std::string& method, const std::string& headers = {}) {
    return request("OPTIONS", "/x",
                   "Origin: " + origin + "\r\nAccess-Control-Request-Method: " + method + "\r\n" +
                       (headers.empty() ? "" : "Access-Control-Request-Headers: " + headers + "\r\n"));
  }
  static std::string allowed(const RawResponse& reply) { return reply.header("Access-Control-Allow-Origin"); }
};

TEST_F(CorsRequests, AnswersAPreflightWithoutAskingABackend) {
  serve_cors(R"("origins": ["https://app.example.com"], "headers": ["Content-Type", "X-A"], "max_age": "10m",
                "credentials": true, "expose": ["X-B"])");
  const RawResponse reply = preflight("https://app.example.com", "POST", "content-type");
  EXPECT_EQ(reply.status, 204U);
  EXPECT_EQ(reply.body, "");
  EXPECT_EQ(allowed(reply), "https://app.example.com");
  EXPECT_EQ(reply.header("Access-Control-Allow-Credentials"), "true");
  EXPECT_EQ(reply.header("Access-Control-Allow-Methods"), "GET, POST");
  EXPECT_EQ(reply.header("Access-Control-Allow-Headers"), "content-type, x-a");
  EXPECT_EQ(reply.header("Access-Control-Max-Age"), "600");
  EXPECT_EQ(reply.header("Access-Control-Expose-Headers"), "") << "is for the reply that the page gets";
  EXPECT_EQ(reply.header("Vary"), "Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
  EXPECT_THAT(reply.head, Not(HasSubstr("Content-Length")));
  EXPECT_EQ(a_.counters().requests, 0U);
}

TEST_F(CorsRequests, TellsAnOriginThatIsNotAllowedNothing) {
  serve_cors(R"("origins": ["https://app.example.com"])");
  const RawResponse reply = preflight("https://evil.example.com", "POST");
  EXPECT_EQ(reply.status, 204U);
  EXPECT_THAT(reply.head, Not(HasSubstr("Access-Control-Allow")));
  EXPECT_THAT(reply.header("Vary"), HasSubstr("Origin"));
  const RawResponse got = get("/x", "Origin: https://evil.example.com\r\n");
  EXPECT_EQ(got.status, 200U) << "it is the browser that keeps the reply from the page";
  EXPECT_EQ(allowed(got), "");
  EXPECT_EQ(got.header("Vary"), "Origin");
}

TEST_F(CorsRequests, MarksRepliesAlsoWithoutAnOriginAsDependingOnIt) {
  serve_cors(R"("origins": ["https://app.example.com"], "expose": ["Sluice-Result", "X-B"])");
  EXPECT_EQ(get("/x").header("Vary"), "Origin");
  const RawResponse reply = get("/x", "Origin: https://app.example.com\r\n");
  EXPECT_EQ(allowed(reply), "https://app.example.com");
  EXPECT_EQ(reply.header("Access-Control-Expose-Headers"), "sluice-result, x-b");
  EXPECT_EQ(reply.header("Access-Control-Allow-Credentials"), "");
  EXPECT_THAT(reply.head, Not(HasSubstr("Access-Control-Allow-Methods")));
}

TEST_F(CorsRequests, AllowsEveryOriginWithAStarAndNoVary) {
  serve_cors(R"("origins": ["*"], "headers": ["*"])");
  for (const std::string fields : {"", "Origin: https://a.example\r\n", "Origin: null\r\n"}) {
    const RawResponse reply = get("/x", fields);
    EXPECT_EQ(allowed(reply), "*");
    EXPECT_EQ(reply.header("Vary"), "");
  }
  const RawResponse reply = preflight("https://a.example", "POST", "authorization, x-any");
  EXPECT_EQ(allowed(reply), "*");
  EXPECT_EQ(reply.header("Access-Control-Allow-Headers"), "authorization, x-any")
      << "a star would not stand for Authorization";
  EXPECT_EQ(preflight("https://a.example", "POST", "a b;c").header("Access-Control-Allow-Headers"), "");
}

TEST_F(CorsRequests, MatchesSubdomainsAndNothingThatLooksLikeThem) {
  serve_cors(R"("origins": ["https://*.example.com:8443"])");
  const auto is_allowed = [&](const std::string& origin) {
    return allowed(get("/x", "Origin: " + origin + "\r\n")) == origin;
  };
  EXPECT_TRUE(is_allowed("https://a.example.com:8443"));
  EXPECT_TRUE(is_allowed("https://a.b.example.com:8443"));
  for (const std::string origin :
       {"https://example.com:8443", "http://a.example.com:8443", "https://a.example.com",
        "https://evil/a.example.com:8443", "https://aexample.com:8443", "https://a.example.com:8443.evil", "null"}) {
    EXPECT_FALSE(is_allowed(origin)) << origin;
  }
}

TEST_F(CorsRequests, AreAnsweredOnErrorsToo) {
  serve_cors(R"("origins": ["https://app.example.com"])");
  const std::string origin = "Origin: https://app.example.com\r\n";
  const RawResponse down = get("/down", origin);
  EXPECT_EQ(down.status, 502U);
  EXPECT_EQ(allowed(down), "https://app.example.com");
  const RawResponse no_method = request("PUT", "/x", origin);
  EXPECT_EQ(no_method.status, 405U);
  EXPECT_EQ(allowed(no_method), "https://app.example.com");
  const RawResponse large = request("POST", "/x", origin + "Content-Length: 9999999\r\n");
  EXPECT_EQ(large.status, 413U);
  EXPECT_EQ(allowed(large), "https://app.example.com");
}

TEST_F(CorsRequests, FollowTheEndpointThatHasTheMethod) {
  serve_cors(R"("origins": ["*"])");
  EXPECT_EQ(allowed(preflight("https://a.example", "GET")), "*");
  EXPECT_EQ(allowed(preflight("https://a.example", "DELETE")), "") << "that endpoint has no cors";
  const RawResponse unknown = preflight("https://a.example", "PATCH");
  EXPECT_EQ(unknown.status, 204U);
  EXPECT_EQ(unknown.header("Access-Control-Allow-Methods"), "GET, POST") << "so that the browser can say why";
}

TEST_F(CorsRequests, AreOffUnlessConfigured) {
  serve_cors(R"("origins": ["*"])");
  EXPECT_EQ(allowed(get("/plain", "Origin: https://a.example\r\n")), "");
  const RawResponse options =
      request("OPTIONS", "/plain", "Origin: https://a.example\r\nAccess-Control-Request-Method: GET\r\n");
  EXPECT_EQ(options.status, 204U);
  EXPECT_EQ(options.header("Allow"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(options.header("Vary"), "");
  EXPECT_EQ(allowed(options), "");
}

}  // namespace
}  // namespace sluice::support
