// The pieces of a request's path, each by itself, to count what it takes: gateway_pieces PIECE ROUNDS. Without
// arguments it lists them.
#include "backends/body.hpp"
#include "backends/request_writer.hpp"
#include "backends/response_parser.hpp"
#include "gateway/access_line.hpp"
#include "gateway/instruments.hpp"
#include "gateway/json_scanner.hpp"
#include "gateway/metrics.hpp"
#include "gateway/request_parser.hpp"
#include "gateway/response_writer.hpp"
#include "gateway/router.hpp"

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace sluice;
using namespace std::chrono_literals;

void expect(bool is_good) {
  if (!is_good) throw std::logic_error("the piece does not do its work");
}

/// About so many bytes of an object with strings, numbers, literals and an array.
std::string json(std::size_t bytes) {
  std::string text = R"({"items":[)";
  const std::string_view item =
      R"({"id":100000,"title":"Trail shoe","price":79.90,"tags":["outdoor","sale"],"in_stock":false,"note":null})";
  for (text += item; text.size() + item.size() + 3 <= bytes; text.append(",").append(item)) {
  }
  return text + "]}";
}

void parse_request(int rounds) {
  gateway::RequestParser parser{gateway::RequestLimits(16 * 1024, 8 * 1024)};
  for (int i = 0; i < rounds; ++i) {
    parser.start();
    (void)parser.parse(
        "GET /profile/17?limit=10 HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
        "Accept: application/json, text/plain, */*\r\nAccept-Language: en\r\nAccept-Encoding: gzip, deflate, br\r\n"
        "Referer: https://www.example.com/\r\nConnection: keep-alive\r\n\r\n");
    expect(parser.state() == gateway::RequestParser::State::complete);
  }
}

void route(int rounds) {
  std::vector<gateway::Router::Route> routes;
  std::string problem;
  for (int i = 0; i < 100; ++i) {
    routes.push_back({*gateway::Pattern::parse("/service" + std::to_string(i) + "/{id}/items", problem), {"GET"}});
  }
  const gateway::Router router(routes);
  for (int i = 0; i < rounds; ++i) expect(router.find("GET", "/service42/17/items").endpoint == 42);
}

void write_call_head(int rounds) {
  const std::string lines =
      "X-Request-Id: 4bf92f3577b34da6a3ce929d0e0e4736\r\nX-Forwarded-For: 10.0.0.9\r\nX-Forwarded-Proto: http\r\n"
      "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00\r\nX-Forwarded-Host: api.example.com\r\n";
  std::string head;
  backends::RequestWriter writer(head);
  for (int i = 0; i < rounds; ++i) {
    expect(writer.start("GET", "/users/17?limit=10", "users.internal:8080"));
    writer.add_lines(lines);
    expect(writer.add("X-Request-Timeout-Ms", std::uint64_t{497}));
    writer.finish();
  }
}

void parse_response(int rounds) {
  const std::string body = json(200);
  const std::string response =
      "HTTP/1.1 200 OK\r\nDate: Sat, 28 Nov 2026 18:00:00 GMT\r\nServer: example\r\nContent-Type: application/json\r\n"
      "Cache-Control: no-store\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body;
  backends::ResponseParser parser;
  backends::Body into;
  for (int i = 0; i < rounds; ++i) {
    into.bytes.clear();
    parser.start(false, into, backends::ResponseLimits(16 * 1024, 8 * 1024 * 1024));
    const std::size_t head = parser.parse(response).consumed;
    (void)parser.parse(std::string_view(response).substr(head));
    expect(parser.state() == backends::ResponseParser::State::complete);
  }
}

void validate(int rounds, std::size_t bytes) {
  const std::string text = json(bytes);
  for (int i = 0; i < rounds; ++i) {
    gateway::JsonScanner scanner;
    expect(scanner.feed(text) && scanner.finish());
  }
}

void write_reply_head(int rounds) {
  std::string head;
  gateway::ResponseWriter writer(head);
  for (int i = 0; i < rounds; ++i) {
    writer.start(200, "Sat, 28 Nov 2026 18:00:00 GMT");
    writer.add("Content-Type", "application/json");
    writer.add("X-Request-Id", "4bf92f3577b34da6a3ce929d0e0e4736");
    writer.add("Sluice-Result", "complete");
    writer.add("Sluice-Calls", "user=fresh;ms=12, orders=fresh;ms=9, recs=fresh;ms=3");
    writer.add("Cache-Control", "no-store");
    writer.finish(600, true, 11);
    expect(head.ends_with("\r\n\r\n"));
  }
}

void write_access_line(int rounds) {
  std::array<gateway::AccessCall, 3> calls;
  for (gateway::AccessCall& call : calls) {
    call.name = "orders";
    call.outcome = gateway::Outcome::fresh;
    call.duration = 12'345us;
    call.status = 200;
  }
  gateway::AccessRecord record;
  record.time = std::chrono::system_clock::time_point(1'700'000'000s);
  record.request_id = "4bf92f3577b34da6a3ce929d0e0e4736";
  record.client = "10.0.0.9";
  record.method = "GET";
  record.target = "/profile/17?limit=10";
  record.endpoint = "/profile/{id}";
  record.status = 200;
  record.bytes = 1234;
  record.duration = 12'567us;
  record.deadline = 500ms;
  record.calls = calls;
  gateway::AccessLine line;
  std::array<char, 2048> out;
  for (int i = 0; i < rounds; ++i) expect(line.format(gateway::LineFormat::json, record, out) != 0);
}

void count_in_metrics(int rounds) {
  gateway::Metrics metrics;
  metrics.enter(0);
  gateway::EndpointMetrics endpoint(metrics, "/profile/{id}");
  gateway::CallMetrics call(metrics, "/profile/{id}", "user");
  for (int i = 0; i < rounds; ++i) {
    call.observe(gateway::Outcome::fresh, std::nullopt, 12'345us, 0s);
    endpoint.observe(200, gateway::ResultKind::complete, 12'567us, 500ms);
  }
}

const std::map<std::string_view, void (*)(int rounds)> kPieces = {
    {"request head parsed", &parse_request},
    {"route found, of 100", &route},
    {"call head written", &write_call_head},
    {"response parsed, 200 B", &parse_response},
    {"JSON validated, 200 B", [](int rounds) { validate(rounds, 200); }},
    {"JSON validated, 4 KiB", [](int rounds) { validate(rounds, 4096); }},
    {"reply head written", &write_reply_head},
    {"access line written, 3 calls", &write_access_line},
    {"metrics of a request and a call", &count_in_metrics},
};

}  // namespace

int main(int argc, char** argv) {
  if (argc == 1) {
    for (const auto& [name, piece] : kPieces) std::printf("%s\n", std::string(name).c_str());
    return 0;
  }
  const auto piece = argc == 3 ? kPieces.find(argv[1]) : kPieces.end();
  if (piece == kPieces.end()) {
    std::fputs("usage: gateway_pieces [PIECE ROUNDS]\n", stderr);
    return 2;
  }
  piece->second(std::atoi(argv[2]));
  return 0;
}
