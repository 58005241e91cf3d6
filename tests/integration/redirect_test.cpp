// Redirects of backends: passed on as failures, or followed where that is configured.
#include "tests/support/gateway_fixture.hpp"

#include <string>

#include <gmock/gmock.h>

namespace sluice::support {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class Redirects : public GatewayTest {
 protected:
  void serve_call(const std::string& members, const std::string& endpoint = {}) {
    serve(R"({"path": "/", "deadline": "1s", )" + endpoint +
          R"("calls": [{"name": "x", "backend": "s", "path": "/a/b?q=1")" + members + "}]}");
  }
  void redirect(const std::string& location, const std::string& status = "302 Found") {
    s_.answer("HTTP/1.1 " + status + "\r\nLocation: " + location + "\r\nContent-Length: 0\r\n\r\n");
  }
  std::string host() const { return "127.0.0.1:" + std::to_string(s_.where().port()); }
};

TEST_F(Redirects, AreFailuresUnlessConfigured) {
  serve_call("");
  redirect("/c");
  EXPECT_EQ(calls_of(get("/")), "x=missing;reason=status;status=302");
  EXPECT_EQ(s_.heads().size(), 1U);
}

TEST_F(Redirects, AreFollowedToServersOfTheSameBackend) {
  serve_call(R"(, "follow_redirects": 1, "headers": {"X-Key": "k"})");
  for (const std::string status : {"301 A", "302 B", "303 C", "307 D", "308 E"}) {
    redirect("../c?d=%20#part", status);
    s_.answer_json("7");
  }
  for (std::size_t i = 0; i < 5; ++i) {
    const RawResponse reply = get("/");
    EXPECT_EQ(reply.body, R"({"x":7})");
    EXPECT_EQ(calls_of(reply), "x=fresh");
    EXPECT_THAT(s_.heads().at(i * 2 + 1), StartsWith("GET /c?d=%20 HTTP/1.1\r\n"));
    EXPECT_THAT(s_.heads().at(i * 2 + 1), HasSubstr("X-Key: k\r\n"));
  }
}

TEST_F(Redirects, AreFollowedByTheirWholeAddress) {
  serve_call(R"(, "follow_redirects": 2)");
  redirect("http://" + host() + "/x");
  redirect("//" + host());
  s_.answer_json("7");
  EXPECT_EQ(get("/").body, R"({"x":7})");
  EXPECT_THAT(s_.heads().at(1), StartsWith("GET /x HTTP/1.1\r\n"));
  EXPECT_THAT(s_.heads().at(2), StartsWith("GET / HTTP/1.1\r\n"));
}

TEST_F(Redirects, ElsewhereAreNotFollowed) {
  serve_call(R"(, "follow_redirects": 3)");
  const std::string port = std::to_string(s_.where().port());
  const std::string elsewhere[] = {"http://127.0.0.2:" + port + "/x",
                                   "http://127.0.0.1/x",
                                   "https://" + host() + "/x",
                                   "http://me@" + host() + "/x",
                                   "//evil.example/x",
                                   "ftp:x",
                                   "/x y",
                                   "http://" + host() + "@e/",
                                   ""};
  for (const std::string& location : elsewhere) redirect(location);
  for (const std::string& location : elsewhere) {
    EXPECT_EQ(calls_of(get("/")), "x=missing;reason=status;status=302") << location;
  }
  EXPECT_EQ(s_.heads().size(), std::size(elsewhere));
}

TEST_F(Redirects, KnowTheHostThatIsSent) {
  serve(R"({"path": "/", "calls": [{"name": "x", "backend": "s", "path": "/a", "follow_redirects": 1}]})",
        R"("backends": {"s": {"servers": ["@s"], "host_header": "api.example"}})");
  redirect("http://API.example/b");
  s_.answer_json("7");
  EXPECT_EQ(get("/").body, R"({"x":7})");
  EXPECT_THAT(s_.heads().at(1), HasSubstr("Host: api.example\r\n"));
}

TEST_F(Redirects, EndAfterTheNumberThatIsAllowed) {
  serve_call(R"(, "follow_redirects": 3)");
  redirect("/a/b?q=1");
  EXPECT_EQ(calls_of(get("/")), "x=missing;reason=status;status=302");
  EXPECT_EQ(s_.heads().size(), 4U);
}

TEST_F(Redirects, OfOtherMethodsAreNotFollowed) {
  serve_call(R"(, "follow_redirects": 3)", R"("methods": ["POST", "GET"], )");
  redirect("/c", "303 See Other");
  EXPECT_EQ(calls_of(request("POST", "/")), "x=missing;reason=status;status=303");
}

TEST_F(Redirects, ThatAreAcceptedAreAnswers) {
  serve_call(R"(, "follow_redirects": 3, "accept": [302])");
  redirect("/c");
  EXPECT_EQ(calls_of(get("/")), "x=fresh");
  EXPECT_EQ(s_.heads().size(), 1U);
}

TEST_F(Redirects, ShareTheTimeOfTheirCall) {
  serve_call(R"(, "follow_redirects": 9, "timeout": "100ms")");
  redirect("/c");
  s_.answer("");
  EXPECT_EQ(calls_of(get("/")), "x=missing;reason=timeout");
  EXPECT_EQ(took_, 100ms);
}

TEST_F(Redirects, AreStoredUnderWhatWasAskedFor) {
  serve_call(R"(, "follow_redirects": 1, "cache": {"ttl": "10s"})");
  redirect("/c");
  s_.answer_json("7");
  EXPECT_EQ(calls_of(get("/")), "x=fresh");
  EXPECT_EQ(calls_of(get("/")), "x=cached;age=0");
}

}  // namespace
}  // namespace sluice::support
