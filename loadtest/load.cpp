// sluice-load: the load generator's command line.
#include "loadtest/command_line.hpp"
#include "loadtest/report.hpp"
#include "loadtest/runner.hpp"
#include "loadtest/scenario.hpp"
#include "loadtest/socket.hpp"

#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::loadtest {
namespace {

volatile std::sig_atomic_t interrupted = 0;

struct Target {
  std::string host_port, path;
};

/// From `http://HOST[:PORT][/PATH]`. Errors: UsageError.
Target parse_url(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) throw UsageError("expected http://HOST:PORT/PATH, got \"" + std::string(url) + '"');
  const std::string_view rest = url.substr(kScheme.size());
  const std::size_t slash = std::min(rest.find_first_of("/?"), rest.size());
  Target target{std::string(rest.substr(0, slash)), std::string(rest.substr(slash))};
  if (!target.path.starts_with('/')) target.path.insert(0, "/");
  const bool has_port = target.host_port.rfind(':') != std::string::npos && !target.host_port.ends_with(']');
  if (!has_port) target.host_port += ":80";
  if (target.path.find_first_of(" \r\n") != std::string::npos)
    throw UsageError("expected a path without spaces, got \"" + target.path + '"');
  return target;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

int run(int argc, char** argv) {
  CommandLine command(
      "sluice-load", "[OPTION]... http://HOST:PORT/PATH",
      "Sends the same request again and again, checks every reply, measures latencies.\n"
      "Closed loop without --rate: each connection sends as soon as it has its reply. Open loop with it:\n"
      "latencies count from when a request should have been sent. Exit 1 when anything was not as expected.");
  Scenario scenario;
  std::string method = "GET", body, headers;
  bool as_json = false, allow_remote = false, has_duration = false;
  command.add("--rate", "N", "open loop: requests per second", [&](auto v) { scenario.rate = parse_rate(v); });
  command.add("--connections", "N", "how many (64)", [&](auto v) { scenario.connections = parse_count(v); });
  command.add("--duration", "TIME", "send for so long (10s; with --requests 10m)", [&](auto v) {
    scenario.duration = parse_duration(v);
    has_duration = true;
  });
  command.add("--requests", "N", "send no more than these", [&](auto v) { scenario.max_requests = parse_count(v); });
  command.add("--timeout", "TIME", "for connecting and for each reply (5s)",
              [&](auto v) { scenario.timeout = parse_duration(v); });
  command.add("--method", "NAME", "GET", [&](auto v) {
    if (v.empty() || v.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ") != std::string_view::npos)
      throw std::invalid_argument("a method in capitals");
    method = v;
  });
  command.add("--header", "'NAME: VALUE'", "one more header, repeatable", [&](auto v) {
    if (v.find(':') == std::string_view::npos || v.find_first_of("\r\n") != std::string_view::npos)
      throw std::invalid_argument("'NAME: VALUE'");
    headers.append(v).append("\r\n");
  });
  command.add("--body", "TEXT", "body to send", [&](auto v) { body = v; });
  command.add("--expect-status", "CODE", "status of every reply (200; any)",
              [&](auto v) { scenario.expect.status = v == "any" ? 0 : static_cast<unsigned>(parse_count(v)); });
  command.add("--expect-result", "WORD", "Sluice-Result: complete, degraded or partial", [&](auto v) {
    if (v != "complete" && v != "degraded" && v != "partial")
      throw std::invalid_argument("complete, degraded or partial");
    scenario.expect.result = v;
  });
  command.add("--expect-call", "NAME=OUTCOME[|..]", "that member in Sluice-Calls, repeatable", [&](auto v) {
    const std::size_t equals = v.find('=');
    if (equals == 0 || equals == std::string_view::npos) throw std::invalid_argument("NAME=OUTCOME|OUTCOME...");
    scenario.expect.calls.emplace_back(std::string(v.substr(0, equals)), split(v.substr(equals + 1), '|'));
  });
  command.add("--expect-text", "TEXT", "that text in the body, repeatable",
              [&](auto v) { scenario.expect.texts.emplace_back(v); });
  command.add("--json", "", "print the report as JSON", [&](auto) { as_json = true; });
  command.add("--allow-remote", "", "allow addresses other than loopback", [&](auto) { allow_remote = true; });

  return command.run([&] {
    const std::vector<std::string> rest = command.parse(argc, argv);
    if (rest.size() != 1) throw UsageError("expected one URL, found " + std::to_string(rest.size()) + "; see --help");
    const Target target = parse_url(rest[0]);
    scenario.url = rest[0];
    try {
      scenario.target = Address(target.host_port);
    } catch (const std::invalid_argument& error) {
      throw UsageError("expected " + std::string(error.what()) + ", got \"" + target.host_port + '"');
    }
    if (!allow_remote && !scenario.target.is_loopback())
      throw UsageError(scenario.target.to_string() +
                       " is not a loopback address; --allow-remote says that its owner agrees to the load");
    if (scenario.max_requests > 0 && !has_duration) scenario.duration = std::chrono::minutes(10);
    if (!body.empty()) headers += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    scenario.is_head_request = method == "HEAD";
    scenario.request =
        method + ' ' + target.path + " HTTP/1.1\r\nHost: " + target.host_port + "\r\n" + headers + "\r\n" + body;

    raise_file_limit();
    for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, [](int) { interrupted = 1; });
    const Report report = Runner(scenario).run(interrupted);
    std::fputs((as_json ? to_json(report) : to_table(report)).c_str(), stdout);
    if (std::fflush(stdout) != 0) throw std::runtime_error("cannot write the report");
    return report.error_count() == 0 && report.replies > 0 ? 0 : 1;
  });
}

}  // namespace
}  // namespace sluice::loadtest

int main(int argc, char** argv) {
  return sluice::loadtest::run(argc, argv);
}
