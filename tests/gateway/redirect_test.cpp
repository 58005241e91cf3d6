#include "gateway/redirect.hpp"

#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

TEST(Redirected, ResolvesAsRfc3986Says) {
  const BackendConfig backend;
  // §5.4 of the RFC, as far as there is a path.
  const std::pair<std::string, std::string> cases[] = {
      {"g", "/b/c/g"},
      {"./g", "/b/c/g"},
      {"g/", "/b/c/g/"},
      {"/g", "/g"},
      {"?y", "/b/c/d;p?y"},
      {"g?y", "/b/c/g?y"},
      {"#s", "/b/c/d;p?q"},
      {"g#s", "/b/c/g"},
      {"g?y#s", "/b/c/g?y"},
      {";x", "/b/c/;x"},
      {"", "/b/c/d;p?q"},
      {".", "/b/c/"},
      {"./", "/b/c/"},
      {"..", "/b/"},
      {"../", "/b/"},
      {"../g", "/b/g"},
      {"../..", "/"},
      {"../../", "/"},
      {"../../g", "/g"},
      {"../../../g", "/g"},
      {"/./g", "/g"},
      {"/../g", "/g"},
      {"g.", "/b/c/g."},
      {"..g", "/b/c/..g"},
      {"./../g", "/b/g"},
      {"g/./h", "/b/c/g/h"},
      {"g/../h", "/b/c/h"},
      {"g;x=1/../y", "/b/c/y"},
      {"g?y/../x", "/b/c/g?y/../x"},
      {"/a:b", "/a:b"},
      {"./a:b", "/b/c/a:b"},
  };
  for (const auto& [location, target] : cases) {
    EXPECT_EQ(redirected("/b/c/d;p?q", location, backend).value_or("-"), target) << location;
  }
}

TEST(Redirected, LeadsToServersOfTheBackendOnly) {
  BackendConfig backend;
  backend.servers = {Address{"Users", 80}, Address{"::1", 8080}};
  backend.host_header = "api.example:8443";
  const auto to = [&](const std::string& location) { return redirected("/a?b", location, backend).value_or("-"); };
  EXPECT_EQ(to("http://users/x"), "/x");
  EXPECT_EQ(to("HTTP://USERS:80"), "/");
  EXPECT_EQ(to("http://users?y"), "/?y");
  EXPECT_EQ(to("//[::1]:8080/../x"), "/x");
  EXPECT_EQ(to("http://api.example:8443/x"), "/x");
  for (const char* location :
       {"http://users:81/x", "https://users/x", "http:/x", "http:x", "http://users@evil/x", "http://evil/users/x",
        "http://x@users/x", "http://users:80:80/x", "http:///x", "//", "mailto:x", "/\xc3\xa4", "/a b", "/a\tb",
        "\\\\evil", "\\evil", "/\\evil", "http:\\\\users", "/a\\..\\b"}) {
    EXPECT_EQ(to(location), "-") << location;
  }
}

}  // namespace
}  // namespace sluice::gateway
