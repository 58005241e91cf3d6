// Routes: which endpoint answers, with which parameters, and when none does.
#include "gateway/router.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

Router::Route route(std::string_view path, std::vector<std::string> methods = {"GET"}) {
  std::string problem;
  const auto pattern = Pattern::parse(path, problem);
  EXPECT_TRUE(pattern) << path << ": " << problem;
  return {pattern.value_or(Pattern()), std::move(methods)};
}

// The pattern's text and its values, "405" with the methods, or "404".
class Table {
 public:
  explicit Table(std::vector<std::string> paths) : paths_(std::move(paths)), router_(routes(paths_)) {}

  std::string find(std::string_view path, std::string_view method = "GET") const {
    const RouteMatch match = router_.find(method, path);
    if (match.status == RouteMatch::Status::no_path) return "404";
    if (match.status == RouteMatch::Status::no_method) return "405 " + allow_header(match.allowed);
    std::string text = paths_[match.endpoint];
    for (std::string_view value : match.parameters()) text.append(" ").append(value);
    return text;
  }

 private:
  // "POST /a" has its methods in front; the default is GET.
  static std::vector<Router::Route> routes(const std::vector<std::string>& paths) {
    std::vector<Router::Route> result;
    for (const std::string& path : paths) {
      const std::size_t space = path.find(' ');
      const bool has_method = space != std::string::npos;
      result.push_back(route(has_method ? path.substr(space + 1) : path, {has_method ? path.substr(0, space) : "GET"}));
    }
    return result;
  }

  std::vector<std::string> paths_;
  Router router_;
};

TEST(Router, TakesLiteralsBeforeParametersBeforeTheRest) {
  const Table table({"/{rest...}", "/users/{id}", "/users/me", "/users/{id}/orders", "/"});
  EXPECT_EQ(table.find("/users/me"), "/users/me");
  EXPECT_EQ(table.find("/users/7"), "/users/{id} 7");
  EXPECT_EQ(table.find("/users/me/orders"), "/users/{id}/orders me");
  EXPECT_EQ(table.find("/users/7/other"), "/{rest...} users/7/other");
  EXPECT_EQ(table.find("/users"), "/{rest...} users");
  EXPECT_EQ(table.find("/"), "/");
}

TEST(Router, CountsATrailingSlash) {
  const Table table({"/a", "/b/", "/c/{id}", "/d/{rest...}"});
  EXPECT_EQ(table.find("/a/"), "404");
  EXPECT_EQ(table.find("/b"), "404");
  EXPECT_EQ(table.find("/b/"), "/b/");
  EXPECT_EQ(table.find("/c/"), "404") << "a parameter is never empty";
  EXPECT_EQ(table.find("/c/1/"), "404");
  EXPECT_EQ(table.find("/d"), "404");
  EXPECT_EQ(table.find("/d/"), "/d/{rest...} ");
  EXPECT_EQ(table.find("/d//x/"), "/d/{rest...} /x/");
}

TEST(Router, ComparesLiteralsDecodedOnceAndLeavesValuesEncoded) {
  const Table table({"/caf\xC3\xA9/x", "/a%2Fb", "/p/{id}", "/q/%41"});
  EXPECT_EQ(table.find("/caf%c3%A9/%78"), "/caf\xC3\xA9/x");
  EXPECT_EQ(table.find("/a%2fb"), "/a%2Fb");
  EXPECT_EQ(table.find("/a/b"), "404") << "an encoded slash separates nothing, and the other way round";
  EXPECT_EQ(table.find("/p/x%2Fy"), "/p/{id} x%2Fy");
  EXPECT_EQ(table.find("/q/A"), "/q/%41");
  EXPECT_EQ(table.find("/q/%2541"), "404");
  EXPECT_EQ(table.find("/p/%"), "/p/{id} %");
  EXPECT_EQ(table.find("/q/" + std::string(300, 'A') + "%41"), "404");
}

TEST(Router, GivesWayToTheNextMatchThatHasTheMethod) {
  const Table table({"POST /users/me", "/users/{id}", "DELETE /users/{id}", "PUT /{rest...}"});
  EXPECT_EQ(table.find("/users/me"), "/users/{id} me");
  EXPECT_EQ(table.find("/users/me", "POST"), "POST /users/me");
  EXPECT_EQ(table.find("/users/me", "DELETE"), "DELETE /users/{id} me");
  EXPECT_EQ(table.find("/users/me", "PUT"), "PUT /{rest...} users/me");
  EXPECT_EQ(table.find("/users/me", "PATCH"), "405 GET, HEAD, POST, PUT, DELETE, OPTIONS");
  EXPECT_EQ(table.find("/users/7", "BREW"), "405 GET, HEAD, PUT, DELETE, OPTIONS");
}

TEST(Router, AnswersHeadWhereverGetIs) {
  const Table table({"/a", "POST /b"});
  EXPECT_EQ(table.find("/a", "HEAD"), "/a");
  EXPECT_EQ(table.find("/b", "HEAD"), "405 POST, OPTIONS");
}

TEST(Router, FindsNothingForTargetsThatAreNoPath) {
  const Table table({"/{rest...}"});
  for (const char* path : {"", "*", "a/b", "http://x/"}) EXPECT_EQ(table.find(path), "404") << path;
}

TEST(Router, KeepsManyRoutesApart) {
  std::vector<std::string> paths;
  for (int i = 0; i < 2000; ++i) paths.push_back("/v" + std::to_string(i % 7) + "/r" + std::to_string(i) + "/{id}");
  const Table table(paths);
  for (int i = 0; i < 2000; ++i) {
    const std::string path = paths[static_cast<std::size_t>(i)];
    EXPECT_EQ(table.find(path.substr(0, path.find('{')) + "9"), path + " 9");
  }
}

TEST(Router, ReportsRoutesThatMatchTheSameRequests) {
  const std::vector<Router::Route> routes = {route("/a/{x}", {"GET", "POST"}), route("/a/{y}", {"PUT"}),
                                             route("/a/{z}", {"POST", "PUT"}), route("/a/{r...}"), route("/a/{s...}")};
  const Router router(routes);
  ASSERT_EQ(router.conflicts().size(), 3U);
  EXPECT_EQ(router.conflicts()[0].first, 0U);
  EXPECT_EQ(router.conflicts()[0].second, 2U);
  EXPECT_EQ(router.conflicts()[0].methods, method_set("POST"));
  EXPECT_EQ(router.conflicts()[1].first, 1U);
  EXPECT_EQ(router.conflicts()[2].second, 4U);
  EXPECT_EQ(router.conflicts()[2].methods, method_set("GET") | method_set("HEAD"));
}

TEST(Pattern, SaysWhatIsWrongWithAPath) {
  const auto mistake = [](std::string_view path) {
    std::string problem;
    return Pattern::parse(path, problem) ? "" : problem;
  };
  EXPECT_EQ(mistake("users"), "must begin with \"/\"");
  EXPECT_EQ(mistake("/a//b"), "has an empty segment");
  EXPECT_EQ(mistake("/x{id}"), "has \"x{id}\", expected \"{NAME}\" to be a whole segment");
  EXPECT_EQ(mistake("/{}"), "has \"{}\", expected a name of letters, digits, \"_\" and \"-\" between the braces");
  EXPECT_EQ(mistake("/{a}/{a}"), "has the parameter \"a\" twice");
  EXPECT_EQ(mistake("/{a...}/b"), "has \"{a...}\", which can only be the last segment");
  EXPECT_EQ(mistake("/a?b"), "has \"?\", expected a path whose special characters are percent-encoded");
  EXPECT_EQ(mistake("/100%"), "has \"%\", expected a path whose special characters are percent-encoded");
  EXPECT_EQ(mistake("/a/%2e./b"), "must not have a segment \".\" or \"..\"");
  std::string many;
  for (int i = 0; i < 17; ++i) many += "/{p" + std::to_string(i) + "}";
  EXPECT_EQ(mistake(many), "has 17 parameters, expected at most 16");
}

}  // namespace
}  // namespace sluice::gateway
