// Random failures: what a reply says of itself is true, and the metrics and the access log say the same.
#include "concurrency/random.hpp"
#include "gateway/log.hpp"
#include "tests/support/gateway_fixture.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace sluice::support {
namespace {

using namespace std::chrono_literals;
using concurrency::Duration;
using concurrency::TimePoint;
using nlohmann::json;

constexpr std::array<char, 3> kCalls = {'u', 'v', 'w'};

/// What a call was configured with.
struct Settings {
  Duration ttl{0};
  Duration while_revalidate{0};
  Duration if_error{0};
  bool has_cache = false;
  bool is_required = false;
  bool has_fallback = false;
};

/// One arrival of an answer: of the whole, or of a 304 for it.
struct Arrival {
  TimePoint at;
  Duration age{0};
  Duration max_age = Duration::max();
  bool may_be_stale = true;
  bool may_be_stored = true;
};

struct Reply {
  explicit Reply(concurrency::Loop& loop) : client(loop) {}
  RawClient client;
  std::string id;
  TimePoint asked;
  TimePoint answered;
  bool is_over = false;
  RawResponse response;
};

/// `u=stale;ms=5;age=3;reason=slow` as a map with "outcome".
std::map<char, std::map<std::string, std::string>> parsed_calls(const std::string& header) {
  std::map<char, std::map<std::string, std::string>> calls;
  for (std::size_t at = 0; at < header.size();) {
    const std::size_t end = std::min(header.find(", ", at), header.size());
    std::map<std::string, std::string> call;
    std::size_t begin = at + 2;
    while (begin < end) {
      const std::size_t stop = std::min(header.find(';', begin), end);
      const std::string part = header.substr(begin, stop - begin);
      const auto equals = part.find('=');
      if (equals == std::string::npos) {
        call["outcome"] = part;
      } else {
        call[part.substr(0, equals)] = part.substr(equals + 1);
      }
      begin = stop + 1;
    }
    calls[header[at]] = std::move(call);
    at = end + 2;
  }
  return calls;
}

Duration seconds_of(const std::string& text) {
  return std::chrono::seconds(std::stoll(text));
}

class Truthful : public GatewayTest {
 protected:
  template <class T>
  T one_of(std::initializer_list<T> choices) {
    return *(choices.begin() + random_.below(static_cast<std::uint32_t>(choices.size())));
  }
  bool chance(std::uint32_t percent) { return random_.below(100) < percent; }
  static std::string text(Duration d) { return std::to_string(d / 1ms) + "ms"; }

  std::string random_call(char name) {
    Settings& s = settings_[name] = Settings();
    std::string out = std::string(R"({"name": ")") + name + R"(", "backend": "s", "path": "/)" + name + R"(/{id}")";
    s.has_cache = chance(85);
    s.is_required = chance(25);
    s.has_fallback = chance(40);
    if (s.is_required) out += R"(, "required": true)";
    if (s.has_fallback) out += R"(, "fallback": {"n": 0})";
    if (chance(30)) out += R"(, "timeout": "300ms")";
    if (s.has_cache) {
      s.ttl = one_of<Duration>({0s, 1s, 3s});
      s.while_revalidate = one_of<Duration>({0s, 2s});
      s.if_error = one_of<Duration>({0s, 5s, 30s});
      out += R"(, "cache": {"ttl": ")" + text(s.ttl) + R"(", "stale_while_revalidate": ")" + text(s.while_revalidate) +
             R"(", "stale_if_error": ")" + text(s.if_error) + '"';
      if (chance(40)) out += R"(, "stale_after": "80ms")";
      if (chance(30)) out += R"(, "coalesce": false)";
      out += "}";
    }
    return out + "}";
  }

  std::string random_endpoint() {
    std::string calls;
    for (const char name : kCalls) calls += (calls.empty() ? "" : ", ") + random_call(name);
    return R"({"path": "/{id}", "name": "e", "deadline": "1s", "calls": [)" + calls + "]}";
  }

  /// What the backend does with a request, by the fault of its call.
  ScriptedBackend::Said serve_request(const std::string& head) {
    using Said = ScriptedBackend::Said;
    using After = ScriptedBackend::After;
    const std::string& fault = faults_[head[5]];
    if (fault == "hang") return Said("", After::stall);
    if (fault == "reset") return Said("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{", After::close);
    if (fault == "garbage") return Said("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{]");
    if (fault == "500" || fault == "503" || fault == "404" || fault == "401") {
      return Said("HTTP/1.1 " + fault + " X\r\nContent-Length: 0\r\n\r\n");
    }
    const Duration delay = fault == "slow" ? Duration(std::chrono::milliseconds(50 + random_.below(400))) : 0s;
    Arrival arrival;
    arrival.at = time_.now() + delay;
    std::string fields;
    const std::string control =
        one_of<std::string>({"", "", "max-age=2", "max-age=2, must-revalidate", "no-store", "private"});
    if (!control.empty()) fields += "Cache-Control: " + control + "\r\n";
    if (control.starts_with("max-age")) arrival.max_age = 2s;
    arrival.may_be_stale = control.find("must") == std::string::npos;
    arrival.may_be_stored = control.empty() || control.starts_with("max-age");
    if (chance(20)) {
      fields += "Age: 1\r\n";
      arrival.age = 1s;
    }
    if (const auto tag = head.find("If-None-Match: \"n"); tag != std::string::npos && !control.empty() && chance(70)) {
      arrivals_[std::stoi(head.substr(tag + 17))].push_back(arrival);
      return Said("HTTP/1.1 304 Not Modified\r\n" + fields + "\r\n", After::keep, delay);
    }
    const int number = ++last_number_;
    arrivals_[number].push_back(arrival);
    if (chance(50)) fields += "ETag: \"n" + std::to_string(number) + "\"\r\n";
    const std::string body = R"({"n":)" + std::to_string(number) + "}";
    return Said("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + fields + "\r\n" + body,
                After::keep, delay);
  }

  static concurrency::Task<> ask(Reply* reply, RawClient::Endpoint where, std::string target) {
    const std::string id = "X-Request-Id: " + reply->id + "\r\n";
    auto got = co_await reply->client.get(where, std::move(target), id);
    if (got.has_value()) reply->response = std::move(*got);
    reply->answered = concurrency::Loop::current().now();
    reply->is_over = got.has_value();
  }

  /// Whether body `number` may have been served `after` its arrival with this age and window.
  bool is_true_age(int number, TimePoint when, Duration age, Duration ttl, Duration window) {
    const auto& arrivals = arrivals_[number];
    return std::any_of(arrivals.begin(), arrivals.end(), [&](const Arrival& arrival) {
      // Durations in the header are cut to milliseconds.
      const Duration exact = when - arrival.at + arrival.age;
      const Duration lifetime = std::min(ttl, arrival.max_age) + (arrival.may_be_stale ? window : 0s);
      const bool is_age = age == std::chrono::floor<std::chrono::seconds>(exact) ||
                          age == std::chrono::floor<std::chrono::seconds>(exact + 1ms);
      return arrival.may_be_stored && arrival.at <= when + 1ms && is_age && exact < lifetime;
    });
  }

  void check(const Reply& reply);
  void check_call(const Reply& reply, char name, const std::map<std::string, std::string>& call, const json& body);

  concurrency::Random random_{1};
  std::map<char, Settings> settings_;
  std::map<char, std::string> faults_;
  std::map<int, std::vector<Arrival>> arrivals_;  // of the body with this number
  int last_number_ = 0;
  std::map<std::string, std::uint64_t> counted_;  // series of the metrics, as the replies say
  std::map<std::string, json> said_;              // what the log must say of each request
};

void Truthful::check_call(const Reply& reply, char name, const std::map<std::string, std::string>& call,
                          const json& body) {
  const Settings& s = settings_[name];
  const std::string& outcome = call.at("outcome");
  const bool is_stored = outcome == "cached" || outcome == "stale";
  const bool has_data = is_stored || outcome == "fresh" || outcome == "fallback";
  EXPECT_EQ(call.contains("age"), is_stored);
  EXPECT_EQ(call.contains("reason"), outcome == "stale" || outcome == "fallback" || outcome == "missing");
  EXPECT_EQ(call.contains("status"), call.contains("reason") && call.at("reason") == "status");
  if (reply.response.status == 200) {
    EXPECT_EQ(body.contains(std::string(1, name)), has_data);
    const int number = has_data ? body.at(std::string(1, name)).at("n").get<int>() : -1;
    EXPECT_EQ(number == 0, outcome == "fallback");
    const TimePoint when = reply.asked + std::chrono::milliseconds(std::stoi(call.at("ms")));
    if (outcome == "fresh") {
      const auto& arrivals = arrivals_[number];
      EXPECT_TRUE(std::any_of(arrivals.begin(), arrivals.end(),
                              [&](const Arrival& a) { return a.at >= reply.asked && a.at <= reply.answered; }));
    } else if (is_stored) {
      const Duration window = outcome == "stale" ? s.if_error : s.while_revalidate;
      EXPECT_TRUE(is_true_age(number, when, seconds_of(call.at("age")), s.ttl, window));
    }
  } else {
    EXPECT_EQ(body.at("calls").at(std::string(1, name)).at("outcome"), outcome);
  }
  const std::string reason = call.contains("reason") ? call.at("reason") : "";
  ++counted_[std::string(R"(sluice_calls_total{endpoint="e",call=")") + name + R"(",outcome=")" + outcome +
             R"(",reason=")" + reason + "\"}"];
}

void Truthful::check(const Reply& reply) {
  const RawResponse& response = reply.response;
  ASSERT_TRUE(reply.is_over);
  EXPECT_LE(reply.answered - reply.asked, 1s);
  const auto calls = parsed_calls(response.header("Sluice-Calls"));
  ASSERT_EQ(calls.size(), kCalls.size());
  const json body = json::parse(response.body);
  bool lacks_required = false;
  bool has_any = false;
  bool lacks_any = false;
  bool is_degraded = false;
  std::int64_t oldest = -1;
  for (const auto& [name, call] : calls) {
    check_call(reply, name, call, body);
    const std::string& outcome = call.at("outcome");
    lacks_required = lacks_required || (outcome == "missing" && settings_[name].is_required);
    lacks_any = lacks_any || outcome == "missing";
    has_any = has_any || outcome != "missing";
    is_degraded = is_degraded || outcome == "stale" || outcome == "fallback";
    if (call.contains("age")) oldest = std::max<std::int64_t>(oldest, std::stoll(call.at("age")));
  }
  const bool is_failed = lacks_required || !has_any;
  const std::string result = is_failed ? "failed" : lacks_any ? "partial" : is_degraded ? "degraded" : "complete";
  EXPECT_EQ(response.header("Sluice-Result"), result);
  EXPECT_EQ(response.status == 200, !is_failed);
  EXPECT_EQ(response.header("Content-Type"), is_failed ? "application/problem+json" : "application/json");
  EXPECT_EQ(response.header("Age"), is_failed || oldest < 0 ? "" : std::to_string(oldest));
  const std::string control = response.header("Cache-Control");
  if (result != "complete") {
    EXPECT_EQ(control, "no-store");
  } else if (control != "no-store") {
    ASSERT_TRUE(control.starts_with("max-age=")) << control;
    const Duration left = seconds_of(control.substr(8)) - std::max<Duration>(0s, std::chrono::seconds(oldest));
    for (const auto& [name, call] : calls) {
      const Duration age = call.contains("age") ? seconds_of(call.at("age")) : Duration(0);
      EXPECT_LE(left, settings_[name].ttl - age + 1s) << name;
      EXPECT_TRUE(settings_[name].has_cache);
    }
  }
  ++counted_[R"(sluice_requests_total{endpoint="e",code=")" + std::to_string(response.status) + R"(",result=")" +
             result + "\"}"];
  json& said = said_[reply.id];
  said["status"] = response.status;
  said["result"] = result;
  for (const auto& [name, call] : calls) {
    std::string line = std::string(1, name) + "=" + call.at("outcome") + ";ms=" + call.at("ms");
    for (const char* member : {"age", "reason"}) {
      if (call.contains(member)) line += std::string(";") + member + "=" + call.at(member);
    }
    said["calls"].push_back(line);
  }
}

TEST_F(Truthful, WhateverFailsTheReplyTheMetricsAndTheLogTellTheSame) {
  gateway::set_log_level(gateway::LogLevel::error);
  s_.answer_by([this](const std::string& head) { return serve_request(head); });
  int number = 0;
  for (int round = 0; round < 40; ++round) {
    const std::string endpoint = random_endpoint();
    if (round == 0) {
      serve(endpoint);
    } else {
      reload(endpoint);
    }
    for (int step = 0; step < 15; ++step) {
      for (const char name : kCalls) {
        if (!chance(50)) continue;
        faults_[name] =
            one_of<std::string>({"", "", "", "slow", "slow", "hang", "reset", "garbage", "500", "503", "404", "401"});
      }
      std::vector<std::unique_ptr<Reply>> replies;
      for (std::uint32_t i = 1 + 2 * random_.below(2); i > 0; --i) {
        Reply& reply = *replies.emplace_back(std::make_unique<Reply>(time_.loop()));
        reply.id = std::to_string(++number);
        reply.asked = time_.now();
        (void)time_.spawn(ask(&reply, where_, "/" + std::to_string(random_.below(2))));
        time_.advance(std::chrono::milliseconds(random_.below(100)));
      }
      time_.advance(1100ms);
      for (const auto& reply : replies) {
        check(*reply);
        if (HasFailure()) {
          FAIL() << "round " << round << ", step " << step << '\n'
                 << endpoint << '\n'
                 << reply->response.head << reply->response.body;
        }
      }
      time_.advance(std::chrono::milliseconds(random_.below(4000)));
    }
  }

  const std::string text = metrics_.text();
  for (const std::string family : {"sluice_calls_total{", "sluice_requests_total{endpoint=\"e\""}) {
    for (auto at = text.find("\n" + family); at != std::string::npos; at = text.find("\n" + family, at + 1)) {
      const std::string line = text.substr(at + 1, text.find('\n', at + 1) - at - 1);
      const auto space = line.rfind(' ');
      EXPECT_EQ(std::stoull(line.substr(space + 1)), counted_[line.substr(0, space)]) << line;
      counted_.erase(line.substr(0, space));
    }
  }
  for (const auto& [series, count] : counted_) EXPECT_EQ(count, 0U) << series << " is not in the metrics";

  for (const std::string& line : log_lines()) {
    const json logged = json::parse(line);
    const json& said = said_.at(logged.at("request_id").get<std::string>());
    EXPECT_EQ(logged.at("status"), said.at("status")) << line;
    EXPECT_EQ(logged.at("result"), said.at("result")) << line;
    json calls = json::array();
    for (const json& call : logged.at("calls")) {
      std::string word = call.at("name").get<std::string>() + "=" + call.at("outcome").get<std::string>() +
                         ";ms=" + std::to_string(static_cast<int>(call.at("ms").get<double>()));
      if (call.contains("age")) word += ";age=" + std::to_string(call.at("age").get<int>());
      if (call.contains("reason")) word += ";reason=" + call.at("reason").get<std::string>();
      calls.push_back(word);
    }
    EXPECT_EQ(calls, said.at("calls")) << line;
    said_.erase(logged.at("request_id").get<std::string>());
  }
  EXPECT_TRUE(said_.empty()) << "requests that are not in the log";
}

}  // namespace
}  // namespace sluice::support
