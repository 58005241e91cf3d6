// Large bodies: what is taken of them is right, and others have their turns meanwhile.
#include "gateway/turns.hpp"
#include "tests/support/gateway_fixture.hpp"
#include "tests/support/gzip.hpp"

#include <cstdint>
#include <string>

#include <gmock/gmock.h>

namespace sluice::support {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr std::size_t kLarge = std::size_t{4} << 20;

/// `[{"id":0,"x":"a"},...]`, or its ids alone.
std::string list_of(bool has_x) {
  std::string text = "[";
  std::size_t whole = 1;
  for (int i = 0; whole < kLarge; ++i) {
    const std::string id = R"({"id":)" + std::to_string(i);
    const std::string x = R"(,"x":"abcdefghijklmnop"})";
    whole += id.size() + x.size() + 1;
    text.append(i == 0 ? "" : ",").append(id).append(has_x ? x : "}");
  }
  return text += "]";
}

class LargeBodies : public GatewayTest {
 protected:
  void serve_x(const std::string& members, const std::string& endpoint = {}) {
    serve(R"({"path": "/", "deadline": "2s", )" + endpoint +
          R"("calls": [{"name": "x", "backend": "s", "path": "/", )" + members + "}]}");
  }
  /// How often others came on while "/" was answered.
  std::size_t turns_of_get(RawResponse& reply) {
    bool is_over = false;
    std::size_t turns = 0;
    const auto counting = time_.spawn(count(&is_over, &turns));
    reply = time_.run(get_all(&client_, where_, &is_over)).value();
    return turns;
  }

 private:
  static concurrency::Task<concurrency::Result<RawResponse>> get_all(RawClient* client, RawClient::Endpoint where,
                                                                     bool* is_over) {
    auto getting = client->get(where, "/");
    auto reply = co_await std::move(getting);
    *is_over = true;
    co_return reply;
  }
  static concurrency::Task<> count(const bool* is_over, std::size_t* turns) {
    for (; !*is_over; ++*turns) co_await gateway::pause();
  }
};

TEST_F(LargeBodies, AreShapedWhileOthersHaveTheirTurns) {
  s_.answer_json(list_of(true));
  serve_x(R"("allow": ["id"])");
  RawResponse reply;
  (void)get("/");  // connections and buffers are there
  const std::size_t shaped = turns_of_get(reply);
  EXPECT_EQ(calls_of(reply), "x=fresh");
  EXPECT_TRUE(reply.body == R"({"x":)" + list_of(false) + "}");
  EXPECT_GE(shaped, kLarge / gateway::Quantum::kBytes);
}

TEST_F(LargeBodies, AreUnzippedWhileOthersHaveTheirTurns) {
  std::string text = "\"";
  for (std::uint32_t i = 1; text.size() < std::size_t{1} << 20;) {
    i = i * 1664525 + 1013904223;
    text += "0123456789abcdef"[i >> 28];
  }
  text += '"';
  const std::string zipped = gzip(text);
  s_.answer("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: " + std::to_string(zipped.size()) +
            "\r\n\r\n" + zipped);
  serve_x(R"("method": "GET")");
  RawResponse reply;
  EXPECT_GE(turns_of_get(reply), zipped.size() / 2048);
  EXPECT_TRUE(reply.body == R"({"x":)" + text + "}");
}

TEST_F(LargeBodies, ThatDoNotFitAreInvalid) {
  s_.answer_json(list_of(true));
  serve_x(R"("pick": "/nothing", "fallback": 7)");
  const RawResponse reply = get("/");
  EXPECT_EQ(calls_of(reply), "x=fallback;reason=invalid");
  EXPECT_EQ(reply.body, R"({"x":7})");
}

TEST_F(LargeBodies, ThatAreStoredAreShapedForEachWhoGetsThem) {
  s_.answer_json(list_of(true), "Cache-Control: max-age=1\r\n");
  s_.answer("HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n");
  serve_x(R"("allow": ["id"], "cache": {"ttl": "1s", "stale_if_error": "1h", "ignore_origin": true})");
  const std::string expected = R"({"x":)" + list_of(false) + "}";
  EXPECT_TRUE(get("/").body == expected);
  const RawResponse cached = get("/");
  EXPECT_EQ(calls_of(cached), "x=cached;age=0");
  EXPECT_TRUE(cached.body == expected);
  time_.advance(5s);
  const RawResponse stale = get("/");
  EXPECT_EQ(calls_of(stale), "x=stale;age=5;reason=status;status=503");
  EXPECT_TRUE(stale.body == expected);
}

TEST_F(LargeBodies, ThatAreStoredAreThereAtTheDeadline) {
  s_.answer_json(list_of(true));
  s_.answer("", ScriptedBackend::After::stall);
  serve_x(R"("allow": ["id"], "cache": {"ttl": "1s", "stale_if_error": "1h", "ignore_origin": true})");
  EXPECT_EQ(get("/").status, 200U);
  time_.advance(5s);
  const RawResponse stale = get("/");
  EXPECT_EQ(calls_of(stale), "x=stale;age=7;reason=timeout");
  EXPECT_TRUE(stale.body == R"({"x":)" + list_of(false) + "}");
  EXPECT_LE(took_, 2005ms);
}

TEST_F(LargeBodies, GiveOtherCallsTheirValues) {
  const std::string large = R"({"list":)" + list_of(true) + R"(,"user":42,"ids":[1,2]})";
  s_.answer_by([&](const std::string& head) {
    const std::string body = head.starts_with("GET / ") ? large : "\"" + head.substr(4, head.find(' ', 4) - 4) + "\"";
    return ScriptedBackend::Said("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                                 body);
  });
  serve(R"({"path": "/", "deadline": "2s", "calls": [
    {"name": "x", "backend": "s", "path": "/", "pick": "/user"},
    {"name": "y", "backend": "s", "path": "/y/{x.user}"},
    {"name": "z", "backend": "s", "path": "/z/{item}/{x.user}", "for_each": {"in": "x.ids", "max": 10}}]})");
  EXPECT_EQ(get("/").body, R"({"x":42,"y":"/y/42","z":["/z/1/42","/z/2/42"]})");
}

}  // namespace
}  // namespace sluice::support
