// A gateway with one endpoint that proxies to a server in the hands of the test.
#pragma once

#include "tests/support/gateway_fixture.hpp"
#include "tests/support/raw_server.hpp"

#include <algorithm>
#include <string>
#include <string_view>

#include <gmock/gmock.h>

namespace sluice::support {

inline constexpr std::string_view kChunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
inline constexpr std::string_view kHttp10 = "GET /p HTTP/1.0\r\nHost: test\r\n\r\n";

class ProxyTest : public GatewayTest {
 protected:
  /// `/p` is answered by the server's `/b`. What is given ends in a comma. Again: a new configuration.
  void serve_proxy(const std::string& endpoint = {}, const std::string& call = {}, const std::string& backend = {},
                   const std::string& top = {}) {
    const std::string endpoints =
        R"({"path": "/p", "methods": ["GET", "POST", "PUT", "DELETE"], "strategy": "proxy", )" + endpoint +
        R"("calls": [{"name": "x", "backend": "r", )" + call + R"("path": "/b"}]})";
    const std::string rest = top + R"("defaults": {"endpoint": {"deadline": "100ms"}}, "backends": {"r": {)" + backend +
                             R"("servers": [")" + server_.url() + R"("]}})";
    if (worker_) {
      reload(endpoints, rest);
    } else {
      serve(endpoints, rest);
    }
  }

  /// Sends a request and lets it reach the server.
  void ask(const std::string& fields = {}, const std::string& method = "GET") {
    send(RawClient::text(method, "/p", fields));
    time_.settle();
  }
  void say(const std::string& bytes) {
    server_.say(bytes);
    time_.settle();
  }
  /// What has arrived at the client since the last time.
  std::string news() {
    const std::string all = arrived();
    std::string fresh = all.substr(std::min(seen_, all.size()));
    seen_ = all.size();
    return fresh;
  }
  /// The only line of the access log.
  std::string log_line() {
    const auto lines = log_lines();
    return lines.size() == 1 ? lines.front() : std::to_string(lines.size()) + " lines";
  }

  RawServer server_{time_.loop()};

 private:
  std::size_t seen_ = 0;
};

inline std::string response(const std::string& fields, const std::string& body = "body",
                            const std::string& status = "200 OK") {
  return "HTTP/1.1 " + status + "\r\n" + fields + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

/// The endpoint has a cache.
class ProxyCache : public ProxyTest {
 protected:
  void serve_cached(const std::string& cache = R"("ttl": "1h")", const std::string& call = {}) {
    serve_proxy("", R"("cache": {)" + cache + R"(}, "forward": {"query": ["*"]}, )" + call);
  }
  /// A request that the server answers; empty `answer`: it must not get there.
  RawResponse exchange(const std::string& answer, const std::string& fields = {}, const std::string& method = "GET") {
    server_.take();
    client_.close();  // it may have been idle for long
    ask(fields, method);
    if (answer.empty()) {
      EXPECT_THAT(server_.received(), ::testing::IsEmpty());
    } else {
      EXPECT_THAT(server_.received(), ::testing::StartsWith(method)) << "the server is asked";
      say(answer);
    }
    return receive(method == "HEAD");
  }
};

}  // namespace sluice::support
