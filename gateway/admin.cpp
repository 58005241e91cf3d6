#include "gateway/admin.hpp"

#include "backends/connection.hpp"
#include "concurrency/io.hpp"
#include "concurrency/sleep.hpp"
#include "gateway/percent.hpp"
#include "gateway/request_parser.hpp"
#include "gateway/response_writer.hpp"
#include "gateway/server.hpp"

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/write.hpp>

namespace sluice::gateway {
namespace {

namespace asio = boost::asio;
using concurrency::Context;
using concurrency::Task;
using State = RequestParser::State;

constexpr std::chrono::seconds kRequestTimeout{30};

struct Answer {
  Answer(unsigned s, std::string_view type, std::string text) : status(s), media_type(type), body(std::move(text)) {}
  unsigned status;
  std::string_view media_type;
  std::string body;
};

Answer problem_answer(unsigned status, std::string_view detail) {
  Answer answer(status, "application/problem+json", {});
  append_problem(answer.body, status, detail);
  return answer;
}

/// The value of the first parameter of that name, decoded; "+" stands for itself, as in the targets that are stored.
std::optional<std::string> query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair.substr(0, pair.find('=')) == name) {
      std::string_view value = pair.substr(std::min(pair.size(), name.size() + 1));
      std::string decoded;
      while (!value.empty()) decoded.push_back(take_decoded(value));
      return decoded;
    }
  }
  return std::nullopt;
}

/// The name of a parameter that is none of `known`.
std::optional<std::string_view> unknown_parameter(std::string_view query,
                                                  std::initializer_list<std::string_view> known) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const std::string_view name = pair.substr(0, pair.find('='));
    if (!pair.empty() && std::find(known.begin(), known.end(), name) == known.end()) return name;
  }
  return std::nullopt;
}

Answer answer(Server& server, const RequestParser& request) {
  const std::string_view path = request.path();
  const bool is_read = request.method() == Method::get || request.method() == Method::head;
  if (path == "/metrics" && is_read) return {200, "text/plain; version=0.0.4; charset=utf-8", server.metrics_text()};
  if (path == "/healthz" && is_read) return {200, "text/plain", "ok\n"};
  if (path == "/readyz" && is_read) {
    return server.is_ready() ? Answer(200, "text/plain", "ready\n") : Answer(503, "text/plain", "not ready\n");
  }
  if (path == "/-/reload" && request.method() == Method::post) {
    const auto problems = server.reload();
    return problems ? Answer(422, "text/plain", *problems) : Answer(200, "text/plain", "reloaded\n");
  }
  if (path == "/api/v1/cache" && request.method() == Method::delete_) {
    // Without a parameter everything goes: a mistyped one must not be taken for none.
    if (const auto unknown = unknown_parameter(request.query(), {"backend", "prefix"})) {
      return problem_answer(400, "Unknown parameter \"" + std::string(*unknown) + "\", expected backend or prefix.");
    }
    const auto backend = query_value(request.query(), "backend");
    const auto prefix = query_value(request.query(), "prefix");
    if (backend && backend->empty()) return problem_answer(400, "The name of the backend is empty.");
    if (prefix && !backend) return problem_answer(400, "A prefix needs a backend.");
    const std::string key = backend ? *backend + ' ' + prefix.value_or("") : "";
    return {200, "application/json", "{\"removed\":" + std::to_string(server.purge(key)) + "}\n"};
  }
  for (const std::string_view known : {"/metrics", "/healthz", "/readyz", "/-/reload", "/api/v1/cache"}) {
    if (path == known) return problem_answer(405, "This path does not have this method.");
  }
  return problem_answer(404, "The admin port has no such path.");
}

Task<> serve_connection(backends::Socket socket, Server& server, Context lifetime) {
  RequestParser parser;
  std::string in;
  std::vector<char> chunk(8192);
  std::string head;
  for (bool keep_alive = true; keep_alive;) {
    const auto bounded = concurrency::with_timeout(lifetime, kRequestTimeout);
    parser.start();
    for (;;) {
      const auto [consumed, state] = parser.parse(in);
      in.erase(0, consumed);
      if (state == State::complete || state == State::refused) break;
      if (state == State::head) continue;
      const auto read =
          co_await concurrency::io(bounded.ctx, socket.async_read_some(asio::buffer(chunk), asio::deferred));
      if (read.has_error()) co_return;
      in.append(chunk.data(), *read);
    }
    const bool refused = parser.state() == State::refused;
    const Answer reply =
        refused ? problem_answer(parser.refusal().status, parser.refusal().detail) : answer(server, parser);
    keep_alive = !refused && parser.keep_alive();
    ResponseWriter writer(head);
    writer.start(reply.status, {});
    writer.add("Content-Type", reply.media_type);
    writer.add("Cache-Control", "no-store");
    writer.finish(reply.body.size(), keep_alive, refused ? 11 : parser.version());
    if (refused || parser.method() != Method::head) head += reply.body;
    const auto written =
        co_await concurrency::io(bounded.ctx, asio::async_write(socket, asio::buffer(head), asio::deferred));
    if (written.has_error()) co_return;
  }
}

Task<> accept(Acceptor acceptor, Server& server, Context lifetime) {
  while (!lifetime.is_done()) {
    backends::Socket socket(concurrency::Loop::current().executor());
    const auto accepted = co_await concurrency::io(lifetime, acceptor.async_accept(socket, asio::deferred));
    if (accepted.has_error()) {
      (void)co_await concurrency::sleep(lifetime, std::chrono::milliseconds(50));
      continue;
    }
    asio::co_spawn(concurrency::Loop::current().executor(), serve_connection(std::move(socket), server, lifetime),
                   asio::detached);
  }
}

}  // namespace

void serve_admin(Server& server, Acceptor acceptor, Context ctx) {
  asio::co_spawn(concurrency::Loop::current().executor(), accept(std::move(acceptor), server, ctx), asio::detached);
}

}  // namespace sluice::gateway
