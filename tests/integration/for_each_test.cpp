// One call for each element of another call's array.
#include "tests/support/gateway_fixture.hpp"
#include "tests/support/path_backend.hpp"

#include <string>

#include <gmock/gmock.h>

namespace sluice::support {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr auto kHangs = 24h;

class ForEach : public GatewayTest {
 protected:
  /// A call `list` whose answer is /list, and `x` to `path` for each element of `in`, with these further members.
  void serve_each(const std::string& path, const std::string& members = {}, const std::string& in = "list",
                  const std::string& bounds = {}, const std::string& more_calls = {}) {
    const std::string endpoint =
        R"({"path": "/", "deadline": "100ms", "calls": [
            {"name": "list", "backend": "p", "path": "/list"},
            {"name": "x", "backend": "p", "path": ")" +
        path + R"(", "for_each": {"in": ")" + in + "\"" + bounds + "}" + members + "}" + more_calls + "]}";
    const std::string backends = R"("backends": {"p": {"servers": [")" + p_.url() + R"("], "max_response": 1000}})";
    worker_ ? reload(endpoint, backends) : serve(endpoint, backends);
  }
  /// What the reply has for `x`.
  static std::string x_of(const RawResponse& reply) {
    const auto at = reply.body.find(R"("x":)");
    return at == std::string::npos ? "nothing" : reply.body.substr(at + 4, reply.body.size() - at - 5);
  }

  PathBackend p_{time_.loop()};
};

TEST_F(ForEach, GivesTheResultsInTheOrderOfTheElements) {
  p_.on("/list", R"({"items": [{"id": "a/b"}, {"id": 2}, {"id": true}]})", 10ms);
  p_.on("/i/a%2Fb", R"( {"n": 1.10} )", 30ms);
  p_.on("/i/2", "\"two\"", 20ms);
  p_.on("/i/true", "[]", 10ms);
  serve_each("/i/{item.id}", "", "list.items");
  const RawResponse reply = get("/");
  EXPECT_EQ(x_of(reply), R"([{"n": 1.10},"two",[]])");
  EXPECT_EQ(calls_of(reply), "list=fresh, x=fresh;items=3");
  EXPECT_EQ(reply.header("Sluice-Result"), "complete");
  EXPECT_EQ(p_.when("/i/a%2Fb"), 10ms);
  EXPECT_EQ(p_.when("/i/true"), 10ms);
  EXPECT_EQ(took_, 40ms);
  EXPECT_EQ(milliseconds_of(reply, "x"), 30);
}

TEST_F(ForEach, TakesElementsThatAreScalarsAndPointersIntoThem) {
  p_.on("/list", R"({"a~b": [1, "x y", {"k.k": [7]}]})");
  for (const std::string target : {"/i/1", "/i/x%20y"}) p_.on(target, "1");
  serve_each("/i/{item}", "", "list:/a~0b");
  EXPECT_EQ(x_of(get("/")), "[1,1,null]");
  p_.on("/i?v=7", "7");
  p_.on("/i", "0");
  serve_each("/i?v={item:/k.k/0}", R"(, "headers": {"X-L": "{list.a~b.0}"})", "list.a~b");
  EXPECT_EQ(x_of(get("/")), "[0,0,7]");
  EXPECT_THAT(p_.requests().back().head, HasSubstr("X-L: 1\r\n"));
}

TEST_F(ForEach, MakesAtMostSoManyCallsAtATime) {
  p_.on("/list", "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]");
  for (int i = 0; i < 10; ++i) p_.on("/i/" + std::to_string(i), std::to_string(i), 10ms);
  serve_each("/i/{item}", "", "list", R"(, "parallel": 3)");
  EXPECT_EQ(x_of(get("/")), "[0,1,2,3,4,5,6,7,8,9]");
  EXPECT_EQ(p_.most_at_once(), 3U);
  EXPECT_EQ(took_, 40ms);
  serve_each("/i/{item}");
  get("/");
  EXPECT_EQ(p_.most_at_once(), 8U);
}

TEST_F(ForEach, StartsTheNextCallWhenAnyOfThoseBeforeHasEnded) {
  p_.on("/list", "[0, 1, 2]");
  p_.on("/i/0", "0", 50ms);
  p_.on("/i/1", "1", 10ms);
  p_.on("/i/2", "2", 10ms);
  serve_each("/i/{item}", "", "list", R"(, "parallel": 2)");
  get("/");
  EXPECT_EQ(p_.when("/i/2"), 10ms);
  EXPECT_EQ(took_, 50ms);
}

TEST_F(ForEach, LeavesOutWhatIsBeyondTheMostAndSaysSo) {
  p_.on("/list", "[0, 1, 2]");
  for (int i = 0; i < 3; ++i) p_.on("/i/" + std::to_string(i), std::to_string(i));
  serve_each("/i/{item}", "", "list", R"(, "max": 2)");
  const RawResponse cut = get("/");
  EXPECT_EQ(x_of(cut), "[0,1]");
  EXPECT_EQ(calls_of(cut), "list=fresh, x=fresh;items=2;cut");
  EXPECT_EQ(cut.header("Sluice-Result"), "partial");
  EXPECT_EQ(p_.when("/i/2"), -1ms);
  serve_each("/i/{item}", "", "list", R"(, "max": 3)");
  EXPECT_EQ(calls_of(get("/")), "list=fresh, x=fresh;items=3");
}

TEST_F(ForEach, HasNullForElementsWithoutData) {
  p_.on("/list", R"([0, 1, null, "2"])");
  p_.on("/i/0", "0");
  p_.on("/i/2", "2");
  serve_each("/i/{item}", R"(, "required": true)");
  const RawResponse reply = get("/");
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(x_of(reply), "[0,null,null,2]");
  EXPECT_EQ(calls_of(reply), "list=fresh, x=fresh;items=4;missing=2");
  EXPECT_EQ(reply.header("Sluice-Result"), "partial");
  EXPECT_EQ(reply.header("Cache-Control"), "no-store");
}

TEST_F(ForEach, IsMissingWhenAllElementsAreForTheReasonOfTheFirst) {
  p_.on("/list", "[0, 1]");
  p_.on("/i/0", "0", 0ms, 503);
  p_.on("/i/1", "0", kHangs);
  serve_each("/i/{item}", R"(, "required": true)");
  const RawResponse reply = get("/");
  EXPECT_EQ(reply.status, 502U);
  EXPECT_EQ(calls_of(reply), "list=fresh, x=missing;reason=status;status=503;items=2;missing=2");
  p_.on("/i/0", "0", kHangs);
  EXPECT_EQ(get("/").status, 504U);
  EXPECT_LE(took_, 101ms);
}

TEST_F(ForEach, OfAnEmptyArrayIsAnEmptyArray) {
  p_.on("/list", " [ ] ");
  serve_each("/i/{item}", R"(, "required": true)");
  const RawResponse reply = get("/");
  EXPECT_EQ(reply.body, R"({"list":[ ],"x":[]})");
  EXPECT_EQ(calls_of(reply), "list=fresh, x=fresh;items=0");
  EXPECT_EQ(reply.header("Sluice-Result"), "complete");
}

TEST_F(ForEach, OfWhatIsNoArrayIsMissing) {
  for (const std::string body : {"{}", "null", "7", R"({"0": 1})", ""}) {
    p_.on("/list", body);
    serve_each("/i/{item}", R"(, "fallback": 0)");
    EXPECT_EQ(calls_of(get("/")), "list=fresh, x=missing;reason=dependency") << body;
    serve_each("/i/{item}", "", "list.none");
    EXPECT_EQ(calls_of(get("/")), "list=fresh, x=missing;reason=dependency") << body;
  }
  p_.on("/list", "[1]", 0ms, 500);
  serve_each("/i/{item}", R"(, "fallback": 0)");
  const RawResponse reply = get("/");
  EXPECT_EQ(calls_of(reply), "list=missing;reason=status;status=500, x=missing;reason=dependency");
  EXPECT_EQ(reply.status, 502U);
}

TEST_F(ForEach, TakesEachElementThroughTheLadderByItself) {
  p_.on("/list", "[0, 1, 2]");
  for (int i = 0; i < 3; ++i) p_.on("/i/" + std::to_string(i), std::to_string(i));
  serve_each("/i/{item}", R"(, "cache": {"ttl": "10s", "stale_if_error": "1h"}, "fallback": "none")");
  EXPECT_EQ(calls_of(get("/")), "list=fresh, x=fresh;items=3");
  time_.advance(2s);
  p_.on("/list", "[0, 3, 2, 1]");
  p_.on("/i/3", "3", 10ms);
  const auto before = p_.requests().size();
  const RawResponse reply = get("/");
  EXPECT_EQ(x_of(reply), "[0,3,2,1]");
  EXPECT_EQ(calls_of(reply), "list=fresh, x=cached;age=2;items=4");
  EXPECT_EQ(p_.requests().size(), before + 2) << "only the list and the new element";
  time_.advance(10s);
  p_.on("/i/1", "0", 0ms, 500);
  const RawResponse stale = get("/");
  EXPECT_EQ(x_of(stale), "[0,3,2,1]");
  EXPECT_EQ(calls_of(stale), "list=fresh, x=stale;age=12;reason=status;status=500;items=4");
  p_.on("/list", "[0, 9]");
  const RawResponse constant = get("/");
  EXPECT_EQ(x_of(constant), R"([0,"none"])");
  EXPECT_EQ(calls_of(constant), "list=fresh, x=fallback;age=0;reason=status;status=404;items=2");
  EXPECT_EQ(constant.header("Sluice-Result"), "degraded");
}

TEST_F(ForEach, TellsHowLongAllOfItMayBeKept) {
  p_.on("/list", "[0, 1]");
  p_.on("/i/0", "0");
  p_.on("/i/1", "1", 0ms, 200, "Cache-Control: max-age=3\r\n");
  serve(R"({"path": "/", "calls": [{"name": "list", "backend": "p", "path": "/list", "cache": {"ttl": "1m"}},
          {"name": "x", "backend": "p", "path": "/i/{item}", "for_each": {"in": "list"}, "cache": {"ttl": "10s"}}]})",
        R"("backends": {"p": {"servers": [")" + p_.url() + R"("]}})");
  EXPECT_EQ(get("/").header("Cache-Control"), "max-age=3");
  p_.on("/i/1", "1", 0ms, 200, "Cache-Control: no-store\r\n");
  time_.advance(5s);
  EXPECT_EQ(get("/").header("Cache-Control"), "no-store");
}

TEST_F(ForEach, IsBoundedAsAWholeByTheTimeoutOfTheCall) {
  p_.on("/list", "[0, 1, 2]");
  for (int i = 0; i < 3; ++i) p_.on("/i/" + std::to_string(i), std::to_string(i), 20ms);
  serve_each("/i/{item}", R"(, "timeout": "30ms")", "list", R"(, "parallel": 1)");
  const RawResponse reply = get("/");
  EXPECT_EQ(x_of(reply), "[0,null,null]");
  EXPECT_EQ(calls_of(reply), "list=fresh, x=fresh;items=3;missing=2");
  EXPECT_GE(took_, 30ms);
  EXPECT_LE(took_, 31ms);
  EXPECT_EQ(p_.when("/i/1"), 20ms);
  EXPECT_EQ(p_.when("/i/2"), -1ms) << "there was no time left for it";
  EXPECT_THAT(p_.requests().back().head, HasSubstr("X-Request-Timeout-Ms: 10\r\n"));
}

TEST_F(ForEach, KeepsNoMoreThanALargeResponseInAll) {
  const std::string half = "\"" + std::string(500, 'x') + "\"";
  p_.on("/list", "[0, 1, 2]");
  p_.on("/i/0", half);
  p_.on("/i/1", half, 10ms);
  p_.on("/i/2", "2", 20ms);
  serve_each("/i/{item}");
  const RawResponse reply = get("/");
  EXPECT_EQ(x_of(reply), "[" + half + ",null,2]");
  EXPECT_EQ(calls_of(reply), "list=fresh, x=fresh;items=3;missing=1");
}

TEST_F(ForEach, IsAnInputOfOtherCalls) {
  p_.on("/list", "[1, 2]");
  p_.on("/i/1", R"({"owner": "a"})");
  p_.on("/i/2", R"({"owner": "b"})", 20ms);
  p_.on("/one/b", "\"B\"");
  p_.on("/all/a", "1");
  p_.on("/all/b", "2");
  serve_each("/i/{item}", "", "list", "", R"(, {"name": "one", "backend": "p", "path": "/one/{x.1.owner}"},
    {"name": "all", "backend": "p", "path": "/all/{item.owner}", "for_each": {"in": "x"}})");
  const RawResponse reply = get("/");
  EXPECT_EQ(calls_of(reply), "list=fresh, x=fresh;items=2, one=fresh, all=fresh;items=2");
  EXPECT_THAT(reply.body, HasSubstr(R"("one":"B","all":[1,2]})"));
  EXPECT_EQ(p_.when("/one/b"), 20ms);
}

TEST_F(ForEach, CountsAsOneCallOfManyAttempts) {
  p_.on("/list", "[0, 1, 2]");
  p_.on("/i/0", "0");
  p_.on("/i/1", "1");
  serve_each("/i/{item}");
  get("/");
  EXPECT_EQ(metric(R"(sluice_calls_total{endpoint="/",call="x",outcome="fresh",reason=""})"), 1U);
  EXPECT_EQ(metric(R"(sluice_backend_attempts_total{backend="p",code="200"})"), 3U) << "one is the list's";
  EXPECT_EQ(metric(R"(sluice_backend_attempts_total{backend="p",code="404"})"), 1U);
}

TEST_F(ForEach, IsCancelledWithTheRequestOfAClientThatLeaves) {
  p_.on("/list", "[0, 1, 2]");
  for (int i = 0; i < 3; ++i) p_.on("/i/" + std::to_string(i), "0", 20ms);
  serve_each("/i/{item}", "", "list", R"(, "parallel": 1)");
  send(RawClient::text("GET", "/"));
  time_.advance(30ms);
  client_.close();
  time_.advance(1s);
  EXPECT_EQ(p_.when("/i/1"), 20ms);
  EXPECT_EQ(p_.when("/i/2"), -1ms);
}

}  // namespace
}  // namespace sluice::support
