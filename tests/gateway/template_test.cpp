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

struct Client {
  std::vector<std::string_view> path = {"7", "a/b"};
  std::string_view query = {};
  HeaderList headers = {};
};

std::optional<std::string> expand(std::string_view source, const Client& client,
                                  Template::Place place = Template::Place::target) {
  std::string problem;
  const auto compiled = Template::compile(source, place, kParameters, problem);
  EXPECT_TRUE(compiled) << problem;
  std::string out = "kept:";
  if (!compiled || !compiled->expand({client.path, client.query, &client.headers, find_header}, out)) {
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

TEST(Template, SaysWhatIsWrongWithItsSource) {
  EXPECT_EQ(mistake("users"), "must begin with \"/\"");
  EXPECT_EQ(mistake("/{id"), "has a \"{\" without its \"}\"");
  EXPECT_EQ(mistake("/id}"), "has a \"}\" without its \"{\"");
  EXPECT_EQ(mistake("/{ID}"), "refers to \"{ID}\", expected {id}, {rest}, {query.NAME} or {header.NAME}");
  EXPECT_EQ(mistake("/{query.}"), "refers to \"{query.}\", expected {id}, {rest}, {query.NAME} or {header.NAME}");
  EXPECT_EQ(mistake("/{header.a b}"), "refers to \"{header.a b}\", which is no header name");
  EXPECT_EQ(mistake("/{user.segment}"),
            "refers to \"{user.segment}\": references to other calls are not supported yet");
  EXPECT_EQ(mistake("/{user:/a/0}"), "refers to \"{user:/a/0}\": references to other calls are not supported yet");
  EXPECT_EQ(mistake("/a b"), "must be percent-encoded: \" \" cannot stand in a path or query as it is");
  EXPECT_EQ(mistake("/a#b"), "must be percent-encoded: \"#\" cannot stand in a path or query as it is");
  EXPECT_EQ(mistake("/100%"), "must be percent-encoded: \"%\" cannot stand in a path or query as it is");
  EXPECT_EQ(mistake("/a/../{id}"), "must not have a segment \".\" or \"..\"");
  EXPECT_EQ(mistake("a\nb", Template::Place::header), "must not contain a line break or another control character");
}

}  // namespace
}  // namespace sluice::gateway
