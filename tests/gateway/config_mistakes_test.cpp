// Tables of mistakes in a configuration: the exact message and place of each.
#include "tests/gateway/config_fixture.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

using ::testing::ElementsAre;

struct Mistake {
  std::string text;
  std::string problem;
};
class ConfigMistake : public testing::TestWithParam<Mistake> {};

TEST_P(ConfigMistake, IsReportedWithItsPlace) {
  EXPECT_THAT(problems(GetParam().text), ElementsAre(GetParam().problem));
}

INSTANTIATE_TEST_SUITE_P(
    OfTheText, ConfigMistake,
    testing::Values(Mistake{"", "f:1:1: the file is empty, expected a JSON object"},
                    Mistake{" // nothing\n", "f:2:1: the file is empty, expected a JSON object"},
                    Mistake{"[]", "f:1:1: must be an object, got a list"},
                    Mistake{"\x7f"
                            "ELF",
                            "f:1:1: expected a value, found byte 0x7F"},
                    Mistake{"{\n \"a\xFF\": 1 }", "f:2:4: the file is not UTF-8: found byte 0xFF"},
                    Mistake{"{ \"a\": \"\xC0\xAF\" }", "f:1:9: the file is not UTF-8: found byte 0xC0"},
                    Mistake{"{ \"\xC3\xA9\": x }", "f:1:8: /\xC3\xA9: expected a value, found \"x\""},
                    Mistake{"\xEF\xBB\xBF{ 1 }", "f:1:3: expected a key in quotes, found \"1\""},
                    Mistake{"{ \"a\": 1, }", "f:1:11: expected a key in quotes, found \"}\""},
                    Mistake{"{ \"a\" 1 }", "f:1:7: expected \":\" after the key \"a\", found \"1\""},
                    Mistake{"{ \"a\": [1 2] }", "f:1:11: /a: expected \",\" or \"]\", found \"2\""},
                    Mistake{"{ \"a\": 01 }", "f:1:8: /a: expected a value, found \"01\""},
                    Mistake{"{ \"a\": \"x }", "f:1:8: /a: the string has no closing quote on its line"},
                    Mistake{"{ \"a\": \"\\q\" }", "f:1:8: /a: the string has an invalid escape or a control character"},
                    Mistake{"{ \"a\": 1 ", "f:1:10: expected \",\" or \"}\", found the end of the file"},
                    Mistake{"{ /* a /* b ", "f:1:3: the comment has no end"},
                    Mistake{"{} {}", "f:1:4: expected the end of the file, found \"{\""}));

INSTANTIATE_TEST_SUITE_P(
    OfAValue, ConfigMistake,
    testing::Values(
        Mistake{with("\"timeot\": 1"),
                "f:5:58: /endpoints/0/calls/0/timeot: unknown key \"timeot\"; did you mean \"timeout\"?"},
        Mistake{with("", "", "\"deadline_header\": { \"x\": 1 },"),
                "f:2:22: /deadline_header/x: unknown key \"x\", expected \"accept\" or \"send\""},
        Mistake{with("\"timeout\": \"1s\", \"timeout\": \"2s\""),
                "f:5:75: /endpoints/0/calls/0/timeout: the key \"timeout\" is there twice"},
        Mistake{
            with("\"timeout\": 250"),
            "f:5:69: /endpoints/0/calls/0/timeout: must be a duration such as \"250ms\", \"1.5s\" or \"10m\", got 250"},
        Mistake{with("\"required\": \"yes\""),
                "f:5:70: /endpoints/0/calls/0/required: must be true or false, got \"yes\""},
        Mistake{with("\"required\": null"), "f:5:70: /endpoints/0/calls/0/required: must be true or false, got null"},
        Mistake{with("\"accept\": [200, 99]"),
                "f:5:74: /endpoints/0/calls/0/accept/1: must be a status between 200 and 599 or a class such as "
                "\"5xx\", got 99"},
        Mistake{with("\"accept\": []"), "f:5:68: /endpoints/0/calls/0/accept: must not be empty"},
        Mistake{with("\"method\": \"get\""),
                "f:5:68: /endpoints/0/calls/0/method: must be \"GET\", \"POST\", \"PUT\", \"PATCH\" or \"DELETE\", got "
                "\"get\""},
        Mistake{with("\"headers\": { \"a b\": \"1\" }"),
                "f:5:71: /endpoints/0/calls/0/headers/a b: the key must be a header name, got \"a b\""},
        Mistake{with("\"headers\": { \"a\": \"x\\r\\ny\" }"),
                "f:5:76: /endpoints/0/calls/0/headers/a: must be a header value without control characters and outer "
                "spaces, got \"x??y\""},
        Mistake{with("", "\"deadline\": \"0s\", "),
                "f:4:34: /endpoints/0/deadline: must be between 1ms and 10m, got \"0s\""},
        Mistake{with("", "", "\"cache_size\": \"64MB\","),
                "f:2:15: /cache_size: must be a size such as \"64KiB\" or a number of bytes, got \"64MB\""},
        Mistake{with("", "", "\"cache_size\": -1,"), "f:2:15: /cache_size: must be between 0B and 1024GiB, got -1"},
        Mistake{with("", "", "\"cache_file\": \"/dev/\","),
                "f:2:15: /cache_file: must name a file, got the folder \"/dev/\""},
        Mistake{with("", "", "\"threads\": 1.5,"), "f:2:12: /threads: must be an integer between 0 and 1024, got 1.5"},
        Mistake{with("", "", "\"threads\": 99999999999999999999,"),
                "f:2:12: /threads: must be an integer between 0 and 1024, got 99999999999999999999"},
        Mistake{with("", "", "\"listen\": \":::80\","),
                "f:2:11: /listen: must be an address such as \"127.0.0.1:8080\" or \"[::]:8080\", with a port up to "
                "65535, got \":::80\""},
        Mistake{with("", "", "\"listen\": \"a:80000\","),
                "f:2:11: /listen: must be an address such as \"127.0.0.1:8080\" or \"[::]:8080\", with a port up to "
                "65535, got \"a:80000\""},
        Mistake{with("", "", "\"admin\": \"${NONE}:1\","),
                "f:2:10: /admin: the environment variable \"NONE\" is not set; ${NONE:-default} gives it a default"},
        Mistake{with("", "", "\"admin\": \"${a b}\","),
                "f:2:10: /admin: must have ${NAME}, ${NAME:-default} or ${file:PATH}, got \"${a b}\""},
        Mistake{with("", "", "\"admin\": \"${HOST\","), "f:2:10: /admin: has a \"${\" without its \"}\""},
        Mistake{with("", "", "\"admin\": \"${file:/none}\","),
                "f:2:10: /admin: the file \"/none\" of ${file:...}: No such file or directory"},
        Mistake{
            R"({ "version": 2, "backends": { "b": { "servers": ["http://h"] } }, "endpoints": [{ "path": "/", "calls": [{ "name": "c", "backend": "b", "path": "/" }] }] })",
            "f:1:14: /version: must be 1, got 2"}));

Mistake server(const std::string& url, const std::string& expected) {
  return {R"({ "version": 1, "endpoints": [{ "path": "/", "calls": [{ "name": "c", "backend": "b", "path": "/" }] }],)"
          "\n"
          R"("backends": { "b": { "servers": [")" +
              url + "\"] } } }",
          "f:2:34: /backends/b/servers/0: must be " + expected + ", got \"" + url + "\""};
}
const std::string kServerExpected =
    "a server such as \"http://10.0.0.1:8080\", with a port from 1 to 65535 and nothing behind it";

INSTANTIATE_TEST_SUITE_P(
    OfAServer, ConfigMistake,
    testing::Values(server("https://h:443", "an \"http://\" server, as TLS to backends is not there yet"),
                    server("http://h:1/", kServerExpected), server("http://u@h:1", kServerExpected),
                    server("http://h:0", kServerExpected), server("http://::1:80", kServerExpected),
                    server("http://[::1]80", kServerExpected), server("h:80", kServerExpected),
                    server("http://", kServerExpected)));

INSTANTIATE_TEST_SUITE_P(
    BetweenValues, ConfigMistake,
    testing::Values(
        Mistake{with("", "", "\"listen\": [\"h:1\", \"h:1\"],"), "f:2:19: /listen/1: the address is there twice"},
        Mistake{with("", "", "\"listen\": \"h:1\", \"admin\": \"h:1\","),
                "f:2:27: /admin: the address is in \"listen\" too"},
        Mistake{with("", "", "\"headers\": { \"Sluice-Calls\": \"sluice-result\" },"),
                "f:2:30: /headers/Sluice-Calls: two headers have the name \"sluice-result\""},
        Mistake{with("\"headers\": { \"Host\": \"x\" }"),
                "f:5:79: /endpoints/0/calls/0/headers/Host: \"Host\" is a header that the gateway makes itself; "
                "\"host_header\" of the backend sets it"},
        Mistake{with("\"forward\": { \"headers\": [\"Connection\"] }"),
                "f:5:82: /endpoints/0/calls/0/forward/headers: \"connection\" belongs to the client's connection and "
                "is never forwarded"},
        Mistake{with("\"headers\": { \"A\": \"{ix}\" }"),
                "f:5:76: /endpoints/0/calls/0/headers/A: refers to \"{ix}\"; did you mean \"id\"?"},
        Mistake{with("", "\"stagger\": \"1ms\", "), "f:4:33: /endpoints/0/stagger: needs the strategy \"first\""},
        Mistake{with("", "\"stream_timeout\": \"1s\", "),
                "f:4:40: /endpoints/0/stream_timeout: needs the strategy \"proxy\""},
        Mistake{with("", "\"stream_idle_timeout\": \"1s\", "),
                "f:4:45: /endpoints/0/stream_idle_timeout: needs the strategy \"proxy\""},
        Mistake{with("}, { \"name\": \"b\", \"backend\": \"users\", \"path\": \"/\"", "\"strategy\": \"proxy\", "),
                "f:4:52: /endpoints/0/calls: the strategy \"proxy\" has one call, got 2"},
        Mistake{with("\"cache\": {\"ignore_origin\": true, \"origin_decides\": true}"),
                "f:5:67: /endpoints/0/calls/0/cache: has both \"ignore_origin\" and \"origin_decides\""},
        Mistake{with("} , { \"name\": \"b\", \"backend\": \"usres\", \"path\": \"/\""),
                "f:5:86: /endpoints/0/calls/1/backend: unknown backend \"usres\"; did you mean \"users\"?"},
        Mistake{with("} , { \"name\": \"user\", \"backend\": \"users\", \"path\": \"/\""),
                "f:5:70: /endpoints/0/calls/1/name: another call of the endpoint has the name \"user\""},
        Mistake{with("} , { \"name\": \"id\", \"backend\": \"users\", \"path\": \"/\""),
                "f:5:70: /endpoints/0/calls/1/name: \"id\" is a path parameter of the endpoint"},
        Mistake{with("} , { \"name\": \"query\", \"backend\": \"users\", \"path\": \"/\""),
                "f:5:70: /endpoints/0/calls/1/name: \"query\" has a meaning of its own in templates"},
        Mistake{with("", "\"quorum\": 1, "), "f:4:32: /endpoints/0/quorum: needs the strategy \"quorum\""},
        Mistake{with("", "\"strategy\": \"quorum\", "),
                "f:4:34: /endpoints/0/strategy: needs the key \"quorum\": how many calls must succeed"},
        Mistake{with("", "\"strategy\": \"quorum\", \"quorum\": 2, "),
                "f:4:54: /endpoints/0/quorum: must be at most the number of calls, 1, got 2"},
        Mistake{
            with("} ] }, { \"path\": \"/u/{x}\", \"name\": \"n\", \"calls\": [ { \"name\": \"b\", \"backend\": "
                 "\"users\", \"path\": \"/\""),
            "f:5:73: /endpoints/1/path: matches the same \"GET\" or \"HEAD\" requests as /endpoints/0, \"/u/{id}\""},
        Mistake{with("} ] }, { \"path\": \"/u/{id}\", \"methods\": [\"PUT\"], \"calls\": [ { \"name\": \"b\", "
                     "\"backend\": \"users\", \"path\": \"/\""),
                "f:5:73: /endpoints/1/path: the name \"/u/{id}\" is that of /endpoints/0 too"},
        Mistake{
            with(
                "} ] }, { \"path\": \"/u//\", \"calls\": [ { \"name\": \"b\", \"backend\": \"users\", \"path\": \"/\""),
            "f:5:73: /endpoints/1/path: has an empty segment"}));

INSTANTIATE_TEST_SUITE_P(
    OfAShape, ConfigMistake,
    testing::Values(
        Mistake{with("\"pick\": \"data\""),
                "f:5:66: /endpoints/0/calls/0/pick: must be a JSON Pointer such as \"/data/items\", got \"data\""},
        Mistake{with("\"into\": \"/a~2\""),
                "f:5:66: /endpoints/0/calls/0/into: must be a JSON Pointer such as \"/data/items\", got \"/a~2\""},
        Mistake{
            with("\"allow\": [\"a\", \"b..c\"]"),
            "f:5:73: /endpoints/0/calls/0/allow/1: must be a dotted path such as \"address.street\" or a JSON Pointer "
            "such as \"/address/street\", got \"b..c\""},
        Mistake{
            with("\"deny\": [\"\"]"),
            "f:5:67: /endpoints/0/calls/0/deny/0: must be a dotted path such as \"address.street\" or a JSON Pointer "
            "such as \"/address/street\", got \"\""},
        Mistake{with("\"allow\": []"), "f:5:67: /endpoints/0/calls/0/allow: must not be empty"},
        Mistake{with("\"rename\": { \".a\": \"b\" }"),
                "f:5:70: /endpoints/0/calls/0/rename/.a: the key must be a dotted path such as \"address.street\" or a "
                "JSON Pointer such as \"/address/street\", got \".a\""},
        Mistake{with("\"rename\": { \"a\": \"\" }"),
                "f:5:75: /endpoints/0/calls/0/rename/a: must be a text that is not empty and has no control "
                "characters, got \"\""},
        Mistake{
            with("\"into\": \"/${LATIN1}\""),
            "f:5:66: /endpoints/0/calls/0/into: must be a JSON Pointer such as \"/data/items\", got \"/${LATIN1}\""},
        Mistake{with("\"allow\": [\"a\"], \"deny\": [\"b\"]"),
                "f:5:82: /endpoints/0/calls/0/deny: cannot stand beside \"allow\""},
        Mistake{with("\"rename\": { \"a.b\": \"c\", \"a.d\": \"c\", \"b.a\": \"c\" }"),
                "f:5:68: /endpoints/0/calls/0/rename: \"a.d\" and \"a.b\" get the same name \"c\""},
        Mistake{with("\"rename\": { \"a.b\": \"c\", \"/a/b\": \"d\" }"),
                "f:5:68: /endpoints/0/calls/0/rename: \"/a/b\" and \"a.b\" are the same member"},
        Mistake{with("\"into\": \"\", \"fallback\": [1]"),
                "f:5:82: /endpoints/0/calls/0/fallback: must be an object, as \"into\" merges its members into the "
                "reply"},
        Mistake{with("\"rename\": { \"a\": \"b\" }", "\"strategy\": \"first\", "),
                "f:5:68: /endpoints/0/calls/0/rename: needs the strategy \"merge\""},
        Mistake{with("\"into\": \"/a/b\" }, { \"name\": \"a\", \"backend\": \"users\", \"path\": \"/\""),
                "f:5:86: /endpoints/0/calls/1/name: is where \"into\" of \"user\" leads through"},
        Mistake{with("} , { \"name\": \"b\", \"backend\": \"users\", \"path\": \"/\", \"into\": \"/user/b\""),
                "f:5:116: /endpoints/0/calls/1/into: leads through the member that \"user\" writes"}));

// The endpoint's calls a, b, ... with these paths, one a line from line 5 on.
std::string paths(const std::vector<std::string>& list, const std::string& endpoint = "") {
  std::string calls;
  char name = 'a';
  for (const std::string& path : list) {
    calls += (calls.empty() ? "" : ",\n") + std::string("{ \"name\": \"") + name++ +
             "\", \"backend\": \"users\", \"path\": \"" + path + "\" }";
  }
  return R"({ "version": 1,
"backends": { "users": { "servers": ["http://h:1"] } }, "endpoints": [
{ "path": "/u/{id}", )" +
         endpoint + "\"calls\": [\n\n" + calls + "\n] } ] }";
}

INSTANTIATE_TEST_SUITE_P(
    OfDependentCalls, ConfigMistake,
    testing::Values(
        Mistake{paths({"/{a.x}"}), "f:5:1: /endpoints/0/calls/0: waits for its own data: a → a"},
        Mistake{paths({"/", "/{c.x}", "/{a.x}?d={d.x}", "/{b.x}"}),
                "f:6:1: /endpoints/0/calls/1: waits for its own data: b → c → d → b"},
        Mistake{paths({"/", "/{aa.x}"}),
                "f:6:44: /endpoints/0/calls/1/path: refers to \"{aa.x}\"; did you mean \"a\"?"},
        Mistake{paths({"/", "/{other.x}"}),
                "f:6:44: /endpoints/0/calls/1/path: refers to \"{other.x}\", expected {id}, {query.NAME}, "
                "{header.NAME} or {CALL.MEMBER}"},
        Mistake{paths({"/", "/{a..x}"}),
                "f:6:44: /endpoints/0/calls/1/path: refers to \"a..x\", expected a.MEMBER or a:/JSON/POINTER"},
        Mistake{paths({"/", "/{a.x}"}, "\"strategy\": \"first\", "),
                "f:6:44: /endpoints/0/calls/1/path: refers to another call, which needs the strategy \"merge\" or "
                "\"quorum\""},
        Mistake{paths({"/", "/{item}"}),
                "f:6:44: /endpoints/0/calls/1/path: refers to \"{item}\", which only a call with \"for_each\" has"}));

// A call `b` on line 6 with this `for_each`, beside the call `a`.
std::string each(const std::string& for_each, const std::string& path = "/{item}", const std::string& a = "a") {
  return R"({ "version": 1,
"backends": { "users": { "servers": ["http://h:1"] } }, "endpoints": [
{ "path": "/u/{id}", "calls": [
{ "name": ")" +
         a + R"(", "backend": "users", "path": "/" },
{ "name": "b", "backend": "users",

"path": ")" +
         path + "\", \"for_each\": " + for_each + "} ] } ] }";
}

INSTANTIATE_TEST_SUITE_P(
    OfForEach, ConfigMistake,
    testing::Values(
        Mistake{each("{}"), "f:7:32: /endpoints/0/calls/1/for_each: the key \"in\" is missing"},
        Mistake{each("{\"in\": \"c\"}"),
                "f:7:39: /endpoints/0/calls/1/for_each/in: refers to \"c\"; did you mean \"a\"?"},
        Mistake{each("{\"in\": \"other.x\"}"),
                "f:7:39: /endpoints/0/calls/1/for_each/in: refers to \"other.x\", expected a call of the endpoint, "
                "such as \"a\""},
        Mistake{each("{\"in\": \"a:x\"}"),
                "f:7:39: /endpoints/0/calls/1/for_each/in: refers to \"a:x\", expected a.MEMBER or a:/JSON/POINTER"},
        Mistake{each("{\"in\": \"b\"}"), "f:5:1: /endpoints/0/calls/1: waits for its own data: b → b"},
        Mistake{each("{\"in\": \"a\", \"max\": 0}"),
                "f:7:51: /endpoints/0/calls/1/for_each/max: must be an integer between 1 and 1000, got 0"},
        Mistake{each("{\"in\": \"item\"}", "/{item}", "item"),
                "f:7:32: /endpoints/0/calls/1/for_each: \"{item}\" is the element, but also the name of a call of the "
                "endpoint"},
        Mistake{each("{\"in\": \"a\"}", "/{id}"),
                "f:7:30: /endpoints/0/calls/1/for_each: warning: all its requests are the same: no template of the "
                "call has \"{item}\""}));

const std::string kAnotherClient =
    ": name it in \"vary\", or one client is served what another was sent; or in \"vary_except\" if it cannot change "
    "the answer";

INSTANTIATE_TEST_SUITE_P(
    OfACacheThatMixesClients, ConfigMistake,
    testing::Values(
        Mistake{with("\"cache\": {}, \"forward\": { \"headers\": [\"Accept\"] }"),
                "f:5:67: /endpoints/0/calls/0/cache: the call sends the client header \"accept\" (forwarded)" +
                    kAnotherClient},
        Mistake{with("\"cache\": {}, \"headers\": { \"X-T\": \"{header.X-Tenant}\" }"),
                "f:5:67: /endpoints/0/calls/0/cache: the call sends the client header \"x-tenant\" (in \"X-T\")" +
                    kAnotherClient},
        Mistake{with("} , { \"name\": \"b\", \"backend\": \"users\", \"path\": \"/?t={header.t}\", \"cache\": { "
                     "\"vary\": [\"u\"] }"),
                "f:5:130: /endpoints/0/calls/1/cache: the call sends the client header \"t\" (in its path)" +
                    kAnotherClient},
        Mistake{with("\"cache\": {}, \"forward\": { \"headers\": [\"*\"] }"),
                "f:5:67: /endpoints/0/calls/0/cache: the call forwards all client headers: list those it needs in "
                "\"forward\", and name them in \"vary\""},
        Mistake{with("\"cache\": { \"vary\": [\"*\"] }"),
                "f:5:77: /endpoints/0/calls/0/cache/vary: must list names, got \"*\""}));

const std::string kHashed = R"({ "version": 1,
"backends": { "users": { "servers": ["http://h:1"], "balance": BALANCE } },
"endpoints": [ { "path": "/u/{id}", "calls": [ { "name": "a", "backend": "users", "path": "/" } ] } ] })";

std::string hashed(const std::string& balance) {
  std::string text = kHashed;
  return text.replace(text.find("BALANCE"), 7, balance);
}

INSTANTIATE_TEST_SUITE_P(
    OfTheBalance, ConfigMistake,
    testing::Values(
        Mistake{hashed("1"),
                "f:2:64: /backends/users/balance: must be \"least_loaded\" or \"round_robin\" or an object, got 1"},
        Mistake{hashed("{}"), "f:2:64: /backends/users/balance: the key \"hash\" is missing"},
        Mistake{hashed("{ \"hash\": \"{ix}\" }"),
                "f:2:74: /backends/users/balance/hash: refers to \"{ix}\"; did you mean \"id\"? (in \"/u/{id}\")"},
        Mistake{hashed("{ \"hash\": \"x\" }"),
                "f:2:74: /backends/users/balance/hash: warning: is the same for all requests, so that one server gets "
                "them all"}));

INSTANTIATE_TEST_SUITE_P(
    ThatIsAWarning, ConfigMistake,
    testing::Values(
        Mistake{
            with("} , { \"name\": \"b\", \"backend\": \"users\", \"path\": \"/\", \"into\": \"/user\""),
            "f:5:116: /endpoints/0/calls/1/into: warning: writes the same member of the reply as \"user\": the later "
            "call wins"},
        Mistake{
            with("\"into\": \"\", \"allow\": [\"id\", \"x.y\"], \"rename\": { \"x\": \"b\" } }, { \"name\": \"b\", "
                 "\"backend\": \"users\", \"path\": \"/\""),
            "f:5:130: /endpoints/0/calls/1/name: warning: may write the same member \"b\" of the reply as \"user\": "
            "the later call wins"},
        Mistake{
            with("\"into\": \"\", \"rename\": { \"x\": \"b\" } }, { \"name\": \"b\", \"backend\": \"users\", \"path\": "
                 "\"/\""),
            "f:5:106: /endpoints/0/calls/1/name: warning: may write the same member \"b\" of the reply as \"user\": "
            "the later call wins"},
        Mistake{
            with("\"into\": \"\", \"fallback\": { \"id\": 1 } }, { \"name\": \"b\", \"backend\": \"users\", \"path\": "
                 "\"/\", \"into\": \"\", \"allow\": [\"id.x\"]"),
            "f:5:153: /endpoints/0/calls/1/into: warning: may write the same member \"id\" of the reply as \"user\": "
            "the later call wins"},
        Mistake{with("\"timeout\": \"3s\""),
                "f:5:69: /endpoints/0/calls/0/timeout: warning: is longer than the endpoint's deadline of 2s"},
        Mistake{with("\"timeout\": \"50ms\", \"cache\": { \"stale_if_error\": \"1h\", \"stale_after\": \"80ms\" }"),
                "f:5:127: /endpoints/0/calls/0/cache/stale_after: warning: is longer than the call's timeout of 50ms"},
        Mistake{with("", "\"strategy\": \"first\", \"deadline\": \"1s\", \"stagger\": \"2s\", "),
                "f:4:72: /endpoints/0/stagger: warning: is longer than the endpoint's deadline of 1s"},
        Mistake{R"({ "version": 1,
"backends": { "users": { "servers": ["http://h:1"], "timeout": "300ms", "connect_timeout": "200ms" } },
"endpoints": [ { "path": "/", "deadline": "250ms", "calls": [
  { "name": "a", "backend": "users", "path": "/", "timeout": "250ms" } ] } ] })",
                "f:2:64: /backends/users/timeout: warning: is never reached: a shorter timeout or deadline comes first "
                "in every call"},
        Mistake{with("\"required\": true, \"fallback\": 1, \"pass_status\": [404]"),
                "f:5:106: /endpoints/0/calls/0/pass_status: warning: has no effect: the fallback takes the place of "
                "every failure"},
        Mistake{with("\"pass_status\": [404]"),
                "f:5:73: /endpoints/0/calls/0/pass_status: warning: has no effect: the call is not required"},
        Mistake{with("", "", "\"cache_file\": \"/no/such/cache\","),
                "f:2:15: /cache_file: warning: there is no folder \"/no/such\""},
        Mistake{with("\"method\": \"POST\", \"cache\": {}"),
                "f:5:85: /endpoints/0/calls/0/cache: warning: has no effect: only GET calls are stored"},
        Mistake{with("\"required\": true", "\"strategy\": \"first\", "),
                "f:5:70: /endpoints/0/calls/0/required: warning: has no effect with the strategy \"first\""},
        Mistake{with("\"fallback\": 1 }, { \"name\": \"b\", \"backend\": \"users\", \"path\": \"/\", \"fallback\": 2",
                     "\"strategy\": \"first\", "),
                "f:5:135: /endpoints/0/calls/1/fallback: warning: is never used: when all calls have failed, the "
                "fallback of \"user\" is the reply"}));

}  // namespace
}  // namespace sluice::gateway
