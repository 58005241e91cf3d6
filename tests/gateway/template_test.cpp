// Templates: what compiles, what an expansion gives, what it refuses.
#include "gateway/template.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

using HeaderList = std::vector<std::pair<std::string, std::string>>;

std::optional<std::string_view> find_header(const void* headers, std::string_view name) {
  for (const auto& [key, value] : *static_cast<const HeaderList*>(headers)) {
    if (key == name) return value;
  }
  return std::nullopt;
}

const std::vector<std::string> kParameters = {"id", "rest..."};
const std::vector<std::string> kCalls = {"user", "orders", "rest"};

ReferenceNames names(bool has_item = true) {
  ReferenceNames result(kParameters);
  result.calls = kCalls;
  result.has_item = has_item;
  return result;
}

struct Client {
  std::vector<std::string_view> path = {"7", "a/b"};
  std::string_view query = {};
  HeaderList headers = {};
  std::string_view json = "{}";  // of all calls, and the element
};

std::string_view json_of_call(const void* client, std::size_t) {
  return static_cast<const Client*>(client)->json;
}

TemplateValues values_of(const Client& client) {
  return {client.path, client.query, &client.headers, find_header, &client, json_of_call, client.json};
}

std::optional<std::string> expand(std::string_view source, const Client& client,
                                  Template::Place place = Template::Place::target) {
  std::string problem;
  const auto compiled = Template::compile(source, place, names(), problem);
  EXPECT_TRUE(compiled) << problem;
  std::string out = "kept:";
  if (!compiled || !compiled->expand(values_of(client), out)) {
    EXPECT_EQ(out, "kept:") << "a failed expansion must leave the output unchanged";
    return std::nullopt;
  }
  EXPECT_TRUE(out.starts_with("kept:"));
  return out.substr(5);
}

std::string mistake(std::string_view source, Template::Place place = Template::Place::target) {
  std::string problem;
  return Template::compile(source, place, kParameters, problem) ? "" : problem;
}

std::string mistake_among_calls(std::string_view source, bool has_item = false) {
  std::string problem;
  return Template::compile(source, Template::Place::target, names(has_item), problem) ? "" : problem;
}

TEST(Template, PutsValuesWhereTheyAreNamed) {
  Client client{.query = "limit=5&user=me", .headers = {{"x-tenant", "blue"}}};
  EXPECT_EQ(expand("/users", client), "/users");
  EXPECT_EQ(expand("/users/{id}/x", client), "/users/7/x");
  EXPECT_EQ(expand("/u-{id}.json?n={query.limit}&t={header.X-Tenant}", client), "/u-7.json?n=5&t=blue");
  EXPECT_EQ(expand("Bearer {query.user}/{id}", client, Template::Place::header), "Bearer me/7");
}

TEST(Template, EncodesAValueSoThatItCannotLeaveItsPlace) {
  Client client{.path = {"a%2Fb%3Fc", "x/y%2Fz"}, .query = "q=1%262%3D3+4%2B&p=../%23"};
  EXPECT_EQ(expand("/u/{id}", client), "/u/a%2Fb%3Fc");
  EXPECT_EQ(expand("/f/{rest}", client), "/f/x/y%2Fz");
  EXPECT_EQ(expand("/u?q={query.q}", client), "/u?q=1%262%3D3%204%2B");
  EXPECT_EQ(expand("/u/{query.p}", client), "/u/..%2F%23");
  EXPECT_EQ(expand("/u?f={rest}", client), "/u?f=x%2Fy%2Fz");
  EXPECT_EQ(expand("{id}", client, Template::Place::header), "a/b?c");
}

TEST(Template, DecodesOnceAndEncodesAgain) {
  EXPECT_EQ(expand("/{id}", {.path = {"%2541%41%7e"}}), "/%2541A~");
  EXPECT_EQ(expand("/{id}", {.path = {"50%"}}), "/50%25");
  EXPECT_EQ(expand("/{id}", {.path = {"%zz%4"}}), "/%25zz%254");
  EXPECT_EQ(expand("/{id}", {.path = {"caf\xC3\xA9"}}), "/caf%C3%A9");
  EXPECT_EQ(expand("/?q={query.q}", {.query = "%71=%00"}), "/?q=%00");
}

TEST(Template, LeavesOutAQueryParameterWhoseValueIsAbsent) {
  EXPECT_EQ(expand("/x?a={query.a}&b={query.b}&c=1", {.query = "b=2"}), "/x?b=2&c=1");
  EXPECT_EQ(expand("/x?a={query.a}", {.query = "b=2"}), "/x");
  EXPECT_EQ(expand("/x?a={query.b}-{query.a}&c=1", {.query = "b=2"}), "/x?c=1");
  EXPECT_EQ(expand("/x?a={query.a}", {.query = "a="}), "/x?a=");
  EXPECT_EQ(expand("/x?a={query.a}", {.query = "a"}), "/x?a=");
  EXPECT_EQ(expand("/x?a={query.a}", {.query = "&&aa=1&a=2&a=3"}), "/x?a=2");
}

TEST(Template, FailsWhenAPathOrHeaderValueIsAbsent) {
  EXPECT_EQ(expand("/x/{query.a}", {}), std::nullopt);
  EXPECT_EQ(expand("/x/{query.a}", {.query = "a="}), std::nullopt);
  EXPECT_EQ(expand("/x/{header.a}?b=1", {}), std::nullopt);
  EXPECT_EQ(expand("v {query.a}", {}, Template::Place::header), std::nullopt);
  EXPECT_EQ(expand("/x/{rest}", {.path = {"7", ""}}), "/x/");
}

TEST(Template, RefusesToClimbOutOfItsFolder) {
  for (const char* id : {"..", ".", "%2e%2E", "%2e"})
    EXPECT_EQ(expand("/u/{id}/x", {.path = {id}}), std::nullopt) << id;
  for (const char* rest : {"a/../b", "..", "a/%2e%2e", "./a"}) {
    EXPECT_EQ(expand("/f/{rest}", {.path = {"1", rest}}), std::nullopt) << rest;
  }
  EXPECT_EQ(expand("/u/.{id}", {.path = {"."}}), std::nullopt);
  EXPECT_EQ(expand("/u/{id}", {.path = {"..."}}), "/u/...");
  EXPECT_EQ(expand("/u?x={id}", {.path = {".."}}), "/u?x=..");
}

TEST(Template, RefusesToBreakAHeader) {
  for (const char* value : {"a%0d%0aX: 1", "a%0a", "%00", "%7f"}) {
    EXPECT_EQ(expand("{id}", {.path = {value}}, Template::Place::header), std::nullopt) << value;
  }
  EXPECT_EQ(expand("{id}", {.path = {"a%09b"}}, Template::Place::header), "a\tb");
}

TEST(Template, KnowsTheClientHeadersThatInfluenceIt) {
  std::string problem;
  const auto compiled =
      Template::compile("/{header.X-A}?b={header.x-b}&a={header.x-a}", Template::Place::target, {}, problem);
  ASSERT_TRUE(compiled);
  EXPECT_EQ(compiled->headers(), (std::vector<std::string>{"x-a", "x-b"}));
}

TEST(Template, TakesScalarsOutOfTheJsonOfCalls) {
  const Client client{.json = R"({"s": "x", "n": 123456789012345678901234567890, "d": 1.10, "e": 1e400, "t": true,
    "f": false, "list": [{"k": "first"}, "second"], "a.b": "dot", "c/d": "slash", "~": "tilde", "": "empty",
    "\u0073\u0032": "name", "twice": 1, "twice": 2})"};
  EXPECT_EQ(expand("/{user.s}/{user.n}/{user.d}/{user.e}", client), "/x/123456789012345678901234567890/1.10/1e400");
  EXPECT_EQ(expand("/{user.t}/{user.f}?k={user.list.0.k}-{user.list.1}", client), "/true/false?k=first-second");
  EXPECT_EQ(expand("/{user:/a.b}/{user:/c~1d}/{user.c/d}/{user:/~0}/{user.~}", client), "/dot/slash/slash/tilde/tilde");
  EXPECT_EQ(expand("/{user:/}/{user:/list/0/k}/{user.s2}/{user.twice}", client), "/empty/first/name/2");
  EXPECT_EQ(expand("/{item.s}/{item:/list/1}", client), "/x/second");
  EXPECT_EQ(expand("/{orders}/{item}/{user:}", {.json = "\"all\""}), "/all/all/all");
  EXPECT_EQ(expand("{user.n} {user.d}", client, Template::Place::header), "123456789012345678901234567890 1.10");
}

TEST(Template, ResolvesEscapesAndEncodesForThePlace) {
  const auto in_path = [](std::string_view json) { return expand("/x/{item}/y", {.json = json}); };
  EXPECT_EQ(in_path(R"("a/b?c#d&e=f%41+g h")"), "/x/a%2Fb%3Fc%23d%26e%3Df%2541%2Bg%20h/y");
  EXPECT_EQ(in_path(R"("\u00e9\ud83d\ude00\/\"\\")"), "/x/%C3%A9%F0%9F%98%80%2F%22%5C/y");
  EXPECT_EQ(in_path("\"\xC3\xA9\""), "/x/%C3%A9/y");
  EXPECT_EQ(in_path(R"("a\r\nb\u0000")"), "/x/a%0D%0Ab%00/y");
  EXPECT_EQ(in_path(R"("...")"), "/x/.../y");
  EXPECT_EQ(expand("/?q={item}", {.json = R"("a&b=c+d")"}), "/?q=a%26b%3Dc%2Bd");
  EXPECT_EQ(expand("/?q={item}", {.json = R"("")"}), "/?q=");
  EXPECT_EQ(expand("{item}", {.json = R"("\u00e9 x")"}, Template::Place::header), "\xC3\xA9 x");
}

TEST(Template, FailsOnJsonThatCannotStandThere) {
  for (const char* json : {"null", "{}", "[]", R"("")", R"("..")", R"(".")", R"("\u002e.")", R"("\ud800")"}) {
    EXPECT_EQ(expand("/x/{item}", {.json = json}), std::nullopt) << json;
  }
  for (const char* json : {"null", R"("a\r\nX: 1")", R"("\n")", R"("\u0000")", R"("\u007f")"}) {
    EXPECT_EQ(expand("v{item}", {.json = json}, Template::Place::header), std::nullopt) << json;
  }
  const std::string most(8190, 'x');
  EXPECT_EQ(expand("/{item}", {.json = "\"" + most + "\""}), "/" + most);
  EXPECT_EQ(expand("/{item}", {.json = "\"" + most + "x\""}), std::nullopt);
  EXPECT_EQ(expand("/x/{user.a.b}", {.json = R"({"a": "b"})"}), std::nullopt);
  EXPECT_EQ(expand("/x/{user.01}", {.json = "[1, 2]"}), std::nullopt);
  EXPECT_EQ(expand("/x?a={user.a}&b=1&c={item}", {.json = "[]"}), "/x?b=1");
}

TEST(Template, TellsWhoseValueIsToBlame) {
  const auto culprit = [](std::string_view source, const Client& client) -> std::optional<std::size_t> {
    std::string problem, out;
    std::optional<std::size_t> blamed = 99;
    const auto compiled = Template::compile(source, Template::Place::target, names(), problem);
    EXPECT_FALSE(compiled.value().expand(values_of(client), out, &blamed));
    return blamed;
  };
  EXPECT_EQ(culprit("/{orders.a}", {}), 1U);
  EXPECT_EQ(culprit("/{item.a}", {}), JsonReference::kItem);
  EXPECT_EQ(culprit("/{query.a}/{user.a}", {}), std::nullopt);
  EXPECT_EQ(culprit("/{user.a}/{query.a}?b={query.b}", {}), 0U);
  EXPECT_EQ(culprit("/{id}/{orders}", {.json = "\"..\""}), 1U);
  EXPECT_EQ(culprit("/{id}/{orders}", {.path = {".."}, .json = "1"}), std::nullopt);
  EXPECT_EQ(culprit("/.{orders}", {.json = "\".\""}), 1U);
}

TEST(Template, KnowsWhatItReads) {
  std::string problem;
  const auto read =
      Template::compile("/{user.a}?b={item}&c={orders.b}&d={user.c}", Template::Place::target, names(), problem);
  ASSERT_TRUE(read) << problem;
  EXPECT_EQ(read->calls(), (std::vector<std::size_t>{0, 1}));
  EXPECT_TRUE(read->reads_item());
  EXPECT_TRUE(read->reads_target());
  const auto header = Template::compile("a {header.b}", Template::Place::header, names(), problem);
  ASSERT_TRUE(header);
  EXPECT_FALSE(header->reads_target());
  EXPECT_TRUE(header->calls().empty());
  EXPECT_TRUE(Template::compile("{user.b}", Template::Place::header, names(), problem)->reads_target());
  EXPECT_TRUE(Template::compile("/{rest}", Template::Place::target, names(), problem)->calls().empty())
      << "a path parameter wins over a call";
}

TEST(Template, SaysWhatIsWrongWithAReference) {
  EXPECT_EQ(mistake_among_calls("/{usr.x}"), "refers to \"{usr.x}\"; did you mean \"user\"?");
  EXPECT_EQ(mistake_among_calls("/{ids}"), "refers to \"{ids}\"; did you mean \"id\"?");
  EXPECT_EQ(mistake_among_calls("/{qurey.x}"), "refers to \"{qurey.x}\"; did you mean \"query\"?");
  EXPECT_EQ(mistake_among_calls("/{itm:/x}", true), "refers to \"{itm:/x}\"; did you mean \"item\"?");
  EXPECT_EQ(mistake_among_calls("/{unlike.x}"),
            "refers to \"{unlike.x}\", expected {id}, {rest}, {query.NAME}, {header.NAME} or {CALL.MEMBER}");
  EXPECT_EQ(mistake_among_calls("/{item.x}"), "refers to \"{item.x}\", which only a call with \"for_each\" has");
  for (const std::string bad : {"user.", "user..a", "user.a.", "user:a", "user:/~", "user:/~2"}) {
    EXPECT_EQ(mistake_among_calls("/{" + bad + "}"),
              "refers to \"" + bad + "\", expected user.MEMBER or user:/JSON/POINTER");
  }
  EXPECT_EQ(mistake_among_calls("/{user:/a/../b}/x?{user:/./?}"), "") << "what a reference names is no path";
  EXPECT_EQ(mistake_among_calls("/{user.a}/../x"), "must not have a segment \".\" or \"..\"");
}

TEST(Template, SaysWhatIsWrongWithItsSource) {
  EXPECT_EQ(mistake("users"), "must begin with \"/\"");
  EXPECT_EQ(mistake("/{id"), "has a \"{\" without its \"}\"");
  EXPECT_EQ(mistake("/id}"), "has a \"}\" without its \"{\"");
  EXPECT_EQ(mistake("/{ID}"), "refers to \"{ID}\", expected {id}, {rest}, {query.NAME} or {header.NAME}");
  EXPECT_EQ(mistake("/{query.}"), "refers to \"{query.}\", expected {id}, {rest}, {query.NAME} or {header.NAME}");
  EXPECT_EQ(mistake("/{header.a b}"), "refers to \"{header.a b}\", which is no header name");
  EXPECT_EQ(mistake("/{user.x}"), "refers to \"{user.x}\", expected {id}, {rest}, {query.NAME} or {header.NAME}");
  EXPECT_EQ(mistake("/a b"), "must be percent-encoded: \" \" cannot stand in a path or query as it is");
  EXPECT_EQ(mistake("/a#b"), "must be percent-encoded: \"#\" cannot stand in a path or query as it is");
  EXPECT_EQ(mistake("/100%"), "must be percent-encoded: \"%\" cannot stand in a path or query as it is");
  EXPECT_EQ(mistake("/a/../{id}"), "must not have a segment \".\" or \"..\"");
  EXPECT_EQ(mistake("a\nb", Template::Place::header), "must not contain a line break or another control character");
}

}  // namespace
}  // namespace sluice::gateway
