// Many users at once: nobody ever gets what was made for another, whatever is stored, shared or cached on the way.
#include "concurrency/random.hpp"
#include "gateway/log.hpp"
#include "tests/support/gateway_fixture.hpp"

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

using Fields = std::map<std::string, std::string>;  // lower-case name, value

constexpr std::array<const char*, 3> kHeaders = {"x-user", "x-lang", "authorization"};

/// The value of the field `name` in a head; empty if it is not there.
std::string field_of(const std::string& head, const std::string& name) {
  std::string lower = head;
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  const auto at = lower.find("\r\n" + name + ": ");
  return at == std::string::npos ? ""
                                 : head.substr(at + name.size() + 4, head.find('\r', at + 2) - at - name.size() - 4);
}

/// An HTTP cache between users and the gateway, which does what Cache-Control, Age and Vary tell it to (RFC 9111).
class HttpCache {
 public:
  /// One for many users leaves `private` alone; one that they use in turn (a browser) does not.
  explicit HttpCache(bool is_shared) : is_shared_(is_shared) {}

  const RawResponse* find(const std::string& target, const Fields& asked, TimePoint now) const {
    for (const Stored& stored : stored_) {
      if (stored.target == target && now < stored.until && matches(stored, asked)) return &stored.response;
    }
    return nullptr;
  }
  void store(const std::string& target, const Fields& asked, const RawResponse& response, TimePoint now) {
    const std::string control = response.header("Cache-Control");
    const auto at = control.find("max-age=");
    const bool is_private = control.find("private") != std::string::npos;
    if (response.status != 200 || at == std::string::npos || (is_shared_ && is_private)) return;
    const std::string age = response.header("Age");
    const auto left = std::chrono::seconds(std::stoi(control.substr(at + 8)) - (age.empty() ? 0 : std::stoi(age)));
    stored_.push_back({target, asked, response, now + left});
  }

 private:
  struct Stored {
    std::string target;
    Fields asked;
    RawResponse response;
    TimePoint until;
  };

  static bool matches(const Stored& stored, const Fields& asked) {
    std::string vary = stored.response.header("Vary");
    while (!vary.empty()) {
      const std::string name = vary.substr(0, vary.find(", "));
      vary.erase(0, std::min(vary.size(), name.size() + 2));
      const auto value = [&](const Fields& fields) { return fields.contains(name) ? fields.at(name) : std::string(); };
      if (name == "*" || value(stored.asked) != value(asked)) return false;
    }
    return true;
  }

  const bool is_shared_;
  std::vector<Stored> stored_;
};

struct Request {
  explicit Request(concurrency::Loop& loop) : client(loop) {}
  RawClient client;
  std::string target;
  Fields fields;
  HttpCache* cache = nullptr;  // that it goes through
  RawResponse response;
  bool is_over = false;
};

class Users : public GatewayTest {
 protected:
  bool chance(std::uint32_t percent) { return random_.below(100) < percent; }
  std::uint32_t below(std::uint32_t bound) { return random_.below(bound); }

  /// A call that sends some of the client's headers, each part of the key if anything is stored.
  std::string random_call(std::uint32_t endpoint, const std::string& name, bool is_neutral) {
    std::string forwarded;
    std::string headers;
    std::string vary;
    for (const std::string header : kHeaders) {
      const std::uint32_t how = below(4);
      if (is_neutral || how >= 2) continue;
      if (how == 0) {
        forwarded += (forwarded.empty() ? "\"" : ", \"") + header + "\"";
      } else {
        headers += (headers.empty() ? "\"" : ", \"") + header + R"(": "{header.)" + header + "}\"";
      }
      vary += (vary.empty() ? "\"" : ", \"") + header + "\"";
      sent_[endpoint][name].push_back(header);
    }
    std::string call = R"({"name": ")" + name + R"(", "backend": "s", "path": "/p/{id}", "headers": {)" + headers +
                       R"(}, "forward": {"headers": [)" + forwarded + "]}";
    if (chance(80)) {
      call += R"(, "cache": {"vary": [)" + vary + R"(], "ttl": ")" + std::to_string(below(4) * 10) + "s\"";
      if (chance(50)) call += R"(, "stale_while_revalidate": "3s")";
      if (chance(50)) call += R"(, "stale_if_error": "20s")";
      if (chance(30)) call += R"(, "stale_after": "50ms")";
      if (chance(20)) call += R"(, "ignore_origin": true)";
      call += "}";
    }
    return call + "}";
  }

  std::string random_endpoints() {
    std::string endpoints;
    sent_.clear();
    for (std::uint32_t i = 0; i < 3; ++i) {
      const std::string number = std::to_string(i);
      const bool is_neutral = chance(30);
      endpoints += (i == 0 ? R"({"path": "/)" : R"(, {"path": "/)") + number +
                   R"(/{id}", "deadline": "1s", "calls": [)" + random_call(i, "x", is_neutral) + ", " +
                   random_call(i, "y", is_neutral) + "]}";
    }
    return endpoints;
  }

  /// The backend answers with what it was sent of the user, sooner or later, or fails.
  ScriptedBackend::Said echo(const std::string& head) {
    using Said = ScriptedBackend::Said;
    if (chance(15)) return Said("HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n");
    if (chance(5)) return Said("", ScriptedBackend::After::stall);
    json body;
    body["target"] = head.substr(4, head.find(' ', 4) - 4);
    for (const std::string header : kHeaders) body[header] = field_of(head, header);
    const std::string tag = "\"" + std::to_string(std::hash<std::string>()(body.dump())) + "\"";
    const Duration delay = std::chrono::milliseconds(below(3) * 40);
    std::string fields = "ETag: " + tag + "\r\n";
    constexpr std::array<const char*, 7> kControl = {
        "", "", "", "private", "max-age=20", "no-cache", "public, max-age=30"};
    const std::string control = kControl[below(kControl.size())];
    if (!control.empty()) fields += "Cache-Control: " + control + "\r\n";
    if (chance(20)) fields += "Vary: X-User, Accept-Encoding\r\n";
    if (field_of(head, "if-none-match") == tag) {
      return Said("HTTP/1.1 304 Not Modified\r\n" + fields + "\r\n", ScriptedBackend::After::keep, delay);
    }
    const std::string text = body.dump();
    return Said("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(text.size()) + "\r\n" + fields + "\r\n" + text,
                ScriptedBackend::After::keep, delay);
  }

  Fields random_user() {
    Fields fields;
    constexpr std::array<const char*, 3> kNames = {"alice", "bob", "eve"};
    constexpr std::array<const char*, 2> kLanguages = {"de", "en"};
    const std::string name = kNames[below(kNames.size())];
    if (chance(80)) fields["x-user"] = name;
    if (chance(50)) fields["x-lang"] = kLanguages[below(kLanguages.size())];
    if (chance(50)) fields["authorization"] = "Bearer " + name;
    return fields;
  }

  static concurrency::Task<> ask(Request* request, RawClient::Endpoint where) {
    std::string lines;
    for (const auto& [name, value] : request->fields) lines.append(name).append(": ").append(value).append("\r\n");
    auto got = co_await request->client.get(where, request->target, lines);
    request->is_over = got.has_value();
    if (!request->is_over) co_return;
    request->response = std::move(*got);
    if (request->cache == nullptr) co_return;
    request->cache->store(request->target, request->fields, request->response, concurrency::Loop::current().now());
  }

  /// Whether a reply has only what this user would have been sent.
  void check(const std::string& target, const Fields& fields, const RawResponse& response, const std::string& how) {
    if (response.status != 200) return;
    const auto& sent = sent_[static_cast<std::uint32_t>(target[1] - '0')];
    const json reply = json::parse(response.body);
    for (const auto& [name, part] : reply.items()) {
      EXPECT_EQ(part.at("target"), "/p" + target.substr(2));
      for (const std::string header : kHeaders) {
        const auto call = sent.find(name);
        const bool is_sent =
            call != sent.end() && std::find(call->second.begin(), call->second.end(), header) != call->second.end();
        const std::string own = fields.contains(header) ? fields.at(header) : "";
        EXPECT_EQ(part.at(header), is_sent ? own : "") << how << ' ' << target << ' ' << header;
      }
      ++parts_[how];
    }
    const bool is_personal = !sent.empty();
    const std::string control = response.header("Cache-Control");
    if (is_personal && control != "no-store") {
      EXPECT_THAT(control, ::testing::HasSubstr("private"));
    }
    for (const auto& [name, headers] : sent) {
      for (const std::string& header : headers) EXPECT_THAT(response.header("Vary"), ::testing::HasSubstr(header));
    }
  }

  concurrency::Random random_{7};
  std::map<std::uint32_t, std::map<std::string, std::vector<std::string>>> sent_;  // by endpoint and call
  std::map<std::string, int> parts_;                                               // checked, by how they came
};

TEST_F(Users, NobodyGetsWhatWasMadeForAnother) {
  gateway::set_log_level(gateway::LogLevel::error);
  s_.answer_by([this](const std::string& head) { return echo(head); });
  for (int round = 0; round < 80; ++round) {
    const std::string endpoints = random_endpoints();
    if (round == 0) {
      serve(endpoints);
    } else {
      reload(endpoints);
    }
    HttpCache shared(true);
    HttpCache browser(false);
    for (int step = 0; step < 15; ++step) {
      std::vector<std::unique_ptr<Request>> requests;
      for (std::uint32_t i = 1 + below(4); i > 0; --i) {
        const std::string target = "/" + std::to_string(below(3)) + "/" + std::to_string(below(2));
        const Fields fields = random_user();
        HttpCache* cache = std::array<HttpCache*, 3>{nullptr, &shared, &browser}[below(3)];
        if (const RawResponse* found = cache ? cache->find(target, fields, time_.now()) : nullptr) {
          check(target, fields, *found, cache == &shared ? "from a shared cache" : "from a browser's cache");
          continue;
        }
        Request& request = *requests.emplace_back(std::make_unique<Request>(time_.loop()));
        request.target = target;
        request.fields = fields;
        request.cache = cache;
        (void)time_.spawn(ask(&request, where_));
        time_.advance(std::chrono::milliseconds(below(40)));
        if (chance(10)) request.client.close();
      }
      time_.advance(1100ms);
      for (const auto& request : requests) {
        if (request->is_over) check(request->target, request->fields, request->response, "from the gateway");
      }
      if (HasFailure()) FAIL() << "round " << round << ", step " << step << '\n' << endpoints;
      time_.advance(std::chrono::milliseconds(below(1500)));
    }
  }
  for (const char* how : {"from the gateway", "from a shared cache", "from a browser's cache"}) {
    EXPECT_GT(parts_[how], 20) << how;
  }
  EXPECT_GT(metric(R"(sluice_coalesced_total{backend="s"})"), 10U);
  EXPECT_GT(metric(R"(sluice_cache_lookups_total{result="hit"})"), 50U);
}

}  // namespace
}  // namespace sluice::support
