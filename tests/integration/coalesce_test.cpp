// Calls that ask the same at the same time.
#include "tests/support/gateway_fixture.hpp"

#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>

namespace sluice::support {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class Coalesce : public GatewayTest {
 protected:
  struct Asking {
    explicit Asking(concurrency::Loop& loop) : client(loop) {}
    [[nodiscard]] RawResponse reply() {
      EXPECT_TRUE(pending.done());
      auto got = pending.done() ? pending.get() : concurrency::Result<RawResponse>(concurrency::Error::canceled);
      return got.has_value() ? std::move(*got) : RawResponse();
    }
    RawClient client;
    concurrency::Spawned<concurrency::Result<RawResponse>> pending;
  };

  /// "/{id}" with a call `x` to the scripted backend and these members; "/a/1" the same to backend a.
  void serve_calls(const std::string& members) {
    serve(R"({"path": "/{id}", "deadline": "1s", "calls": [{"name": "x", "backend": "s", "path": "/{id}", )" + members +
          R"(}]}, {"path": "/a/1", "deadline": "1s", "calls": [{"name": "x", "backend": "a", "path": "/users/1", )" +
          members + "}]}");
  }
  /// A request of another client, which waits for its reply.
  Asking& ask(const std::string& target, const std::string& fields = {}) {
    asking_.push_back(std::make_unique<Asking>(time_.loop()));
    Asking& asking = *asking_.back();
    asking.pending = time_.spawn(asking.client.get(where_, target, fields));
    time_.settle();
    return asking;
  }
  /// The backend answers all that have asked it.
  void say(const std::string& body, const std::string& fields = {}, const std::string& status = "200 OK") {
    s_.say("HTTP/1.1 " + status + "\r\nContent-Type: application/json\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n" + fields + "\r\n" + body);
    time_.settle();
  }

  std::vector<std::unique_ptr<Asking>> asking_;
};

TEST_F(Coalesce, OneAttemptAnswersAllWhoAskTheSame) {
  serve_calls(R"("cache": {"stale_if_error": "1h"})");
  for (int i = 0; i < 5; ++i) ask("/a");
  time_.advance(30ms);
  ASSERT_EQ(s_.heads().size(), 1U);
  say("1");
  for (const auto& asking : asking_) {
    const RawResponse reply = asking->reply();
    EXPECT_EQ(reply.body, R"({"x":1})");
    EXPECT_EQ(calls_of(reply), "x=fresh");
    EXPECT_EQ(milliseconds_of(reply, "x"), 30);
  }
  EXPECT_EQ(metric(R"(sluice_coalesced_total{backend="s"})"), 4U);
  EXPECT_EQ(metric(R"(sluice_backend_attempts_total{backend="s",code="200"})"), 1U);
  ask("/a");
  EXPECT_EQ(s_.heads().size(), 2U) << "what is over is not shared";
}

TEST_F(Coalesce, WhatIsNotTheSameIsAskedApart) {
  serve_calls(R"("forward": {"headers": ["x-user"]}, "cache": {"ttl": "1s", "vary": ["x-user"]})");
  ask("/a", "X-User: alice\r\n");
  ask("/a", "X-User: bob\r\n");
  ask("/b", "X-User: bob\r\n");
  EXPECT_EQ(s_.heads().size(), 3U);
}

TEST_F(Coalesce, CallsThatTakeOtherStatusesDoNotShare) {
  serve(R"({"path": "/a", "calls": [{"name": "x", "backend": "s", "path": "/p", "cache": {"ttl": "1s"}}]},
           {"path": "/b", "calls": [{"name": "x", "backend": "s", "path": "/p", "cache": {"ttl": "1s"}}]},
           {"path": "/c", "calls": [{"name": "x", "backend": "s", "path": "/p", "accept": [404],
                                     "cache": {"ttl": "1s"}}]})");
  ask("/a");
  ask("/b");
  ask("/c");
  ASSERT_EQ(s_.heads().size(), 2U);
  say("1", "", "404 Not Found");
  EXPECT_EQ(asking_[1]->reply().status, 502U);
  EXPECT_EQ(asking_[2]->reply().body, R"({"x":1})");
  EXPECT_EQ(get("/c").header("Sluice-Calls"), "x=cached;ms=0;age=0");
  ask("/a");
  EXPECT_EQ(s_.heads().size(), 3U) << "and what one has stored is nothing to the other";
}

TEST_F(Coalesce, CanBeTurnedOff) {
  serve_calls(R"("cache": {"ttl": "1s", "coalesce": false})");
  ask("/a");
  ask("/a");
  EXPECT_EQ(s_.heads().size(), 2U);
}

TEST_F(Coalesce, TheAttemptOutlivesTheClientThatBeganItWhileSomebodyWaits) {
  serve_calls(R"("cache": {"ttl": "10s"})");
  ask("/a").client.close();
  time_.advance(1ms);
  ask("/a");
  Asking& second = *asking_.back();
  EXPECT_EQ(s_.heads().size(), 2U) << "the first had gone before";
  Asking& third = ask("/a");
  second.client.close();
  time_.advance(10ms);
  EXPECT_EQ(s_.heads().size(), 2U);
  say("3");
  EXPECT_EQ(calls_of(third.reply()), "x=fresh");
}

TEST_F(Coalesce, TheAttemptEndsWithTheLastClient) {
  serve_calls(R"("cache": {"ttl": "10s"})");
  a_.set_faults("hang=header");
  Asking& first = ask("/a/1");
  Asking& second = ask("/a/1");
  first.client.close();
  time_.advance(10ms);
  EXPECT_EQ(a_.counters().cancelled, 0U);
  second.client.close();
  time_.advance(1ms);
  EXPECT_EQ(a_.counters().requests, 1U);
  EXPECT_EQ(a_.counters().cancelled, 1U);
  EXPECT_EQ(metric(R"(sluice_backend_attempts_total{backend="a",code="cancelled"})"), 1U);
}

TEST_F(Coalesce, EachClientKeepsItsOwnDeadline) {
  serve_calls(R"("cache": {"ttl": "10s"})");
  Asking& hasty = ask("/a", "X-Request-Timeout-Ms: 100\r\n");
  Asking& patient = ask("/a");
  time_.advance(100ms);
  EXPECT_EQ(hasty.reply().status, 504U);
  EXPECT_FALSE(patient.pending.done());
  time_.advance(200ms);
  say("1");
  EXPECT_EQ(milliseconds_of(patient.reply(), "x"), 300);
}

TEST_F(Coalesce, AnAttemptThatNobodyWaitsForAnyLongerCountsAsTimedOut) {
  serve_calls(R"("cache": {"ttl": "10s"})");
  a_.set_faults("hang=header");
  EXPECT_EQ(get("/a/1", "X-Request-Timeout-Ms: 100\r\n").status, 504U);
  time_.settle();
  EXPECT_EQ(a_.counters().cancelled, 1U);
  EXPECT_EQ(metric(R"(sluice_backend_attempts_total{backend="a",code="timeout"})"), 1U);
}

TEST_F(Coalesce, AFailureWakesAllAtOnce) {
  serve_calls(R"("cache": {"ttl": "10s"})");
  for (int i = 0; i < 3; ++i) ask("/a");
  time_.advance(20ms);
  say("", "", "500 X");
  for (const auto& asking : asking_) EXPECT_EQ(calls_of(asking->reply()), "x=missing;reason=status;status=500");
  EXPECT_EQ(s_.heads().size(), 1U);
}

TEST_F(Coalesce, ASlowAttemptIsOvertaken) {
  serve_calls(R"("cache": {"ttl": "10s"})");
  Asking& first = ask("/a");
  time_.advance(500ms);
  Asking& second = ask("/a");
  EXPECT_EQ(s_.heads().size(), 1U);
  time_.advance(1ms);
  Asking& third = ask("/a");
  EXPECT_EQ(s_.heads().size(), 2U);
  Asking& fourth = ask("/a");
  EXPECT_EQ(s_.heads().size(), 2U) << "the new attempt is shared in turn";
  time_.advance(499ms);
  EXPECT_EQ(first.reply().status, 504U);
  EXPECT_EQ(second.reply().status, 504U) << "it has shared the whole fate of the first";
  say("1");
  EXPECT_EQ(calls_of(third.reply()), "x=fresh");
  EXPECT_EQ(calls_of(fourth.reply()), "x=fresh");
}

TEST_F(Coalesce, WhoseTimeIsOverGetsWhatALaterAttemptHasBrought) {
  serve_calls(R"("cache": {"stale_if_error": "1h"})");
  s_.answer_by([this](const std::string&) {
    return ScriptedBackend::Said("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1", ScriptedBackend::After::keep,
                                 s_.heads().size() == 1 ? 1h : 0h);
  });
  Asking& first = ask("/a");
  time_.advance(600ms);
  EXPECT_EQ(calls_of(ask("/a").reply()), "x=fresh");
  time_.advance(400ms);
  const RawResponse reply = first.reply();
  EXPECT_EQ(calls_of(reply), "x=stale;age=0;reason=timeout");
  EXPECT_EQ(reply.body, R"({"x":1})");
}

TEST_F(Coalesce, OfProxiedRequestsOneMoreAsksAfterAWhileAndAllTakeWhatComesFirst) {
  serve(R"({"path": "/{id}", "strategy": "proxy", "deadline": "1s",
            "calls": [{"name": "x", "backend": "s", "path": "/{id}", "cache": {"ttl": "10s"}}]})");
  s_.answer_by([](const std::string&) {
    return ScriptedBackend::Said("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1", ScriptedBackend::After::keep, 800ms);
  });
  Asking& first = ask("/a");
  Asking& second = ask("/a");
  Asking& third = ask("/a");
  time_.advance(500ms);
  EXPECT_EQ(s_.heads().size(), 2U);
  time_.advance(300ms);
  EXPECT_EQ(first.reply().header("Cache-Status"), "Sluice;fwd=uri-miss;fwd-status=200;stored");
  EXPECT_EQ(third.reply().header("Cache-Status"), "Sluice;fwd=miss;collapsed;ttl=10");
  time_.advance(200ms);
  const RawResponse late = second.reply();
  EXPECT_EQ(calls_of(late), "x=stale;age=0;reason=timeout") << "its own attempt would have come later";
  EXPECT_EQ(late.body, "1");
}

TEST_F(Coalesce, NoProxiedRequestWaitsForTheNextWhenNoneMayBeServedAgain) {
  const std::pair<const char*, std::size_t> cases[] = {
      {R"("ttl": "0s", "stale_if_error": "1h")", 1},  // its backend does not mind
      {R"("ttl": "1h", "origin_decides": true)", 5},
  };
  s_.answer_by([](const std::string&) {
    return ScriptedBackend::Said("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1", ScriptedBackend::After::keep, 100ms);
  });
  std::string endpoints;
  for (const auto& [cache, asked] : cases) {
    endpoints += (endpoints.empty() ? "" : ", ") + (R"({"path": "/)" + std::to_string(asked)) +
                 R"(", "strategy": "proxy", "deadline": "1s", "calls": [{"name": "x", "backend": "s", "path": "/)" +
                 std::to_string(asked) + R"(", "cache": {)" + cache + "}}]}";
  }
  serve(endpoints);
  for (const auto& [cache, asked] : cases) {
    for (const auto wait : {200ms, 100ms}) {  // for the first; then what is stored tells that it is of no use to others
      asking_.clear();
      const std::size_t before = s_.heads().size();
      for (int i = 0; i < 5; ++i) ask("/" + std::to_string(asked));
      time_.advance(wait);
      for (const auto& asking : asking_) EXPECT_EQ(calls_of(asking->reply()), "x=fresh") << cache;
      EXPECT_EQ(s_.heads().size(), before + asked) << cache;
    }
  }
}

TEST_F(Coalesce, ARefreshThatIsUnderWayIsJoined) {
  serve_calls(R"("cache": {"ttl": "1s", "stale_while_revalidate": "1s"})");
  Asking& first = ask("/a");
  say("1");
  EXPECT_EQ(calls_of(first.reply()), "x=fresh");
  time_.advance(1900ms);
  EXPECT_EQ(calls_of(get("/a")), "x=cached;age=1");
  time_.advance(200ms);
  Asking& late = ask("/a");
  EXPECT_EQ(s_.heads().size(), 2U);
  say("2");
  EXPECT_EQ(late.reply().body, R"({"x":2})");
  EXPECT_EQ(calls_of(get("/a")), "x=cached;age=0");
}

TEST_F(Coalesce, ACallThatGoesOnAfterServingStaleDataIsJoined) {
  serve_calls(R"("cache": {"stale_if_error": "1h", "stale_after": "80ms"})");
  ask("/a");
  say("1");
  for (int i = 0; i < 3; ++i) {
    Asking& asking = ask("/a");
    time_.advance(80ms);
    EXPECT_EQ(calls_of(asking.reply()), "x=stale;age=0;reason=slow");
  }
  EXPECT_EQ(s_.heads().size(), 2U);
  Asking& last = ask("/a");
  say("2");
  EXPECT_EQ(last.reply().body, R"({"x":2})");
}

TEST_F(Coalesce, WhatTheOriginKeepsForOneClientIsNotShared) {
  serve_calls(R"("cache": {"ttl": "10s"})");
  for (int i = 0; i < 3; ++i) ask("/a");
  ASSERT_EQ(s_.heads().size(), 1U);
  say("1", "Cache-Control: private\r\n");
  EXPECT_EQ(asking_[0]->reply().body, R"({"x":1})");
  EXPECT_EQ(s_.heads().size(), 3U);
  say("2");
  EXPECT_EQ(asking_[1]->reply().body, R"({"x":2})");
  EXPECT_EQ(asking_[2]->reply().body, R"({"x":2})");
  EXPECT_EQ(metric(R"(sluice_coalesced_total{backend="s"})"), 0U);
}

TEST_F(Coalesce, AReloadEndsNoAttemptAndSharesNone) {
  serve(R"({"path": "/a", "deadline": "1s", "calls": [{"name": "x", "backend": "s", "path": "/a",
            "cache": {"ttl": "10s"}}]})");
  ask("/a");
  reload(R"({"path": "/a", "deadline": "1s", "calls": [{"name": "y", "backend": "s", "path": "/a",
             "cache": {"ttl": "10s"}}]})");
  ask("/a");
  EXPECT_EQ(s_.heads().size(), 2U);
  say("1");
  EXPECT_EQ(calls_of(asking_[0]->reply()), "x=fresh");
  EXPECT_EQ(calls_of(asking_[1]->reply()), "y=fresh");
}

TEST_F(Coalesce, ACookieIsForOneClient) {
  serve(R"({"path": "/a", "deadline": "1s", "response_headers": {"from": {"x": ["set-cookie"]}},
            "calls": [{"name": "x", "backend": "s", "path": "/a", "cache": {"stale_if_error": "1h"}}]})");
  ask("/a");
  ask("/a");
  say("1", "Set-Cookie: id=1\r\n");
  say("2", "Set-Cookie: id=2\r\n");
  EXPECT_EQ(asking_[0]->reply().header("Set-Cookie"), "id=1");
  EXPECT_EQ(asking_[1]->reply().header("Set-Cookie"), "id=2");
}

TEST_F(Coalesce, CredentialsThatAreNotPartOfTheKeyAreAskedForApart) {
  serve_calls(R"("forward": {"headers": ["authorization"]},
                 "cache": {"ttl": "10s", "vary_except": ["authorization"]})");
  ask("/a", "Authorization: alice\r\n");
  ask("/a", "Authorization: bob\r\n");
  EXPECT_EQ(s_.heads().size(), 2U);
}

}  // namespace
}  // namespace sluice::support
