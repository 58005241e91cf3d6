// Mistakes in what a configuration says about headers, addresses and names.
#include "tests/gateway/config_fixture.hpp"

#include <string>

#include <gmock/gmock.h>

namespace sluice::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The only problem, without its place in the file.
std::string only(const std::string& text) {
  const auto found = problems(text);
  if (found.size() != 1) return std::to_string(found.size()) + " problems" + (found.empty() ? "" : ": " + found[0]);
  return found[0].substr(found[0].find(": ") + 2);
}
std::string of_endpoint(const std::string& members) {
  return only(with("", members + ", "));
}

TEST(ConfigHeaders, AcceptWhatIsGood) {
  EXPECT_THAT(
      problems(with(
          R"("follow_redirects": 3, "cache": { "stale_if_error": "1h", "stale_after": "1ms" })",
          R"("cors": { "origins": ["https://*.a.example:1", "http://localhost"], "credentials": true,
                        "methods": ["GET"], "headers": ["*"], "expose": ["X-A"], "max_age": "1h" },
                     "compression": { "min_size": "2KiB" },
                     "response_headers": { "add": { "X-A": "1" }, "remove": ["Date"], "from": { "user": ["ETag"] } },)",
          R"("trusted_proxies": ["10.0.0.0/8", "::1"], "headers": { "Via": null, "Server-Timing": "Server-Timing" },
                     "listen": ["127.0.0.1:80", "127.0.0.2:80", "[::1]:80"],)")),
      IsEmpty());
}

TEST(ConfigHeaders, RefuseCorsThatNoBrowserTakes) {
  EXPECT_EQ(of_endpoint(R"("cors": {})"), R"(/endpoints/0/cors: needs "origins": a list of them, or ["*"] for all)");
  EXPECT_EQ(of_endpoint(R"("cors": { "origins": ["*"], "credentials": true })"),
            "/endpoints/0/cors/credentials: is not possible for the origin \"*\": any page could act for its visitor; "
            "list the origins");
  EXPECT_EQ(of_endpoint(R"("cors": { "origins": ["https://a.example"], "credentials": true, "expose": ["*"] })"),
            "/endpoints/0/cors/expose: must list names, as \"*\" is no wildcard for requests with credentials");
  for (const std::string origin : {"https://a.example/", "a.example", "null", "https://", "https://*", "https://a*"}) {
    EXPECT_THAT(of_endpoint(R"("cors": { "origins": [")" + origin + "\"] }"),
                HasSubstr("/endpoints/0/cors/origins/0: must be an origin such as"))
        << origin;
  }
}

TEST(ConfigHeaders, RefuseChangesThatWouldBreakTheReply) {
  const std::string at = "/endpoints/0/response_headers";
  EXPECT_EQ(of_endpoint(R"("response_headers": { "add": { "Content-Length": "1" } })"),
            at + R"(/add/Content-Length: "Content-Length" is a header that the gateway makes itself)");
  EXPECT_EQ(of_endpoint(R"("response_headers": { "remove": ["Transfer-Encoding"] })"),
            at + R"(/remove: "transfer-encoding" is a header that the gateway makes itself)");
  EXPECT_EQ(of_endpoint(R"("response_headers": { "from": { "user": ["Connection"] } })"),
            at + R"(/from/user: "connection" is a header that the gateway makes itself)");
  EXPECT_EQ(of_endpoint(R"("response_headers": { "from": { "user": ["Content-Encoding"] } })"),
            at + R"(/from/user: "content-encoding" describes the body of the call, not that of the reply)");
  EXPECT_EQ(of_endpoint(R"("response_headers": { "from": { "usr": ["ETag"] } })"),
            at + R"(/from/usr: the endpoint has no call "usr"; did you mean "user"?)");
  EXPECT_EQ(only(with(R"("cache": { "ttl": "1s" })", R"("response_headers": { "from": { "user": ["Set-Cookie"] } },)")),
            at + "/from/user: warning: \"Set-Cookie\" comes with fresh answers of the call only, as cookies are never "
                 "stored");
}

TEST(ConfigHeaders, RefuseOneNameInTwoSpellings) {
  EXPECT_EQ(only(with(R"("headers": { "X-Key": "1", "x-key": "2" })")),
            R"(/endpoints/0/calls/0/headers/x-key: is the same name as "X-Key")");
  EXPECT_EQ(only(with("", "", R"("headers": { "Via": "X-Forwarded-For" },)")),
            R"(/headers/Via: two headers have the name "X-Forwarded-For")");
}

TEST(ConfigHeaders, RefuseNetworksThatAreNone) {
  EXPECT_EQ(only(with("", "", R"("trusted_proxies": ["10.0.0.1/8"],)")),
            R"(/trusted_proxies/0: must be an address or network such as "10.0.0.0/8" or "::1", got "10.0.0.1/8")");
}

TEST(ConfigHeaders, RefuseWhatIsThereTwice) {
  const auto backend = [](const std::string& members) {
    return only(
        R"({ "version": 1, "backends": { "users": { )" + members +
        R"( } }, "endpoints": [{ "path": "/", "calls": [{ "name": "a", "backend": "users", "path": "/" }] }] })");
  };
  EXPECT_EQ(backend(R"("servers": ["http://h:80", "http://g", "http://h"])"),
            "/backends/users/servers/2: the server is there twice");
  EXPECT_EQ(backend(R"("servers": ["http://h"], "host_header": "a b")"),
            R"(/backends/users/host_header: must be a host such as "api.example.com" or "[::1]:8080", got "a b")");
  EXPECT_EQ(of_endpoint(R"("methods": ["GET", "POST", "GET"])"), "/endpoints/0/methods/2: the method is there twice");
}

TEST(ConfigHeaders, RefuseAddressesThatIncludeEachOther) {
  const auto top = [](const std::string& members) { return only(with("", "", members + ",")); };
  EXPECT_EQ(top(R"("listen": "0.0.0.0:80", "admin": "127.0.0.1:80")"),
            R"(/admin: the address and one in "listen" include each other)");
  EXPECT_EQ(top(R"("listen": "127.0.0.1:80", "admin": "[::]:80")"),
            R"(/admin: the address and one in "listen" include each other)");
  EXPECT_EQ(top(R"("listen": ["127.0.0.1:80", "0.0.0.0:80"])"),
            "/listen/1: the address and /listen/0 include each other");
  EXPECT_EQ(top(R"("listen": "127.0.0.1:80", "admin": "127.0.0.1:80")"), R"(/admin: the address is in "listen" too)");
  EXPECT_EQ(top(R"("listen": "0.0.0.0:0", "admin": "127.0.0.1:0")"), "0 problems");
  EXPECT_EQ(top(R"("listen": "[::1]:80", "admin": "0.0.0.0:80")"), "0 problems");
}

TEST(ConfigHeaders, WarnOfWhatHasNoEffect) {
  EXPECT_EQ(only(with(R"("cache": { "ttl": "1s", "stale_after": "1ms" })")),
            "/endpoints/0/calls/0/cache/stale_after: warning: has no effect without \"stale_if_error\"");
  EXPECT_EQ(only(with(R"("method": "POST", "follow_redirects": 1)")),
            "/endpoints/0/calls/0/follow_redirects: warning: has no effect: only redirects of GET calls are followed");
}

}  // namespace
}  // namespace sluice::gateway
