// sluice-load: the load generator's command line.
#include "loadtest/command_line.hpp"
#include "loadtest/format.hpp"
#include "loadtest/report.hpp"
#include "loadtest/runner.hpp"
#include "loadtest/scenario.hpp"
#include "loadtest/scenario_file.hpp"
#include "loadtest/socket.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

namespace sluice::loadtest {
namespace {

volatile std::sig_atomic_t interrupted = 0;

/// What the command line says. Options that a scenario file answers too are kept apart from those that overrule it.
struct Options {
  std::string file, json, html;
  bool allow_remote = false, is_quiet = false, shows_progress = isatty(STDERR_FILENO) == 1;
  std::optional<std::size_t> connections;
  std::optional<std::chrono::nanoseconds> timeout, duration, warm_up;
  std::optional<Limits> limits;
  std::vector<std::pair<double, double>> rates;  // from, to
  RequestKind request;
  std::uint64_t max_requests = 0;
  std::string not_with_file;  // the last option given that a file answers

  Limits& some_limits() { return limits ? *limits : limits.emplace(); }
};

std::pair<double, double> parse_rates(std::string_view text) {
  const std::size_t dots = text.find("..");
  const double from = parse_rate(text.substr(0, dots));
  return {from, dots == std::string_view::npos ? from : parse_rate(text.substr(dots + 2))};
}

void add_load_options(CommandLine& command, Options& options) {
  const auto add = [&](const char* name, const char* value, const char* help, auto set) {
    command.add(name, value, help, [&options, name, set](std::string_view v) {
      options.not_with_file = name;
      set(v);
    });
  };
  RequestKind& request = options.request;
  add("--rate", "N[..M]", "open loop: requests per second, or from N to M; again: the next phase",
      [&](auto v) { options.rates.push_back(parse_rates(v)); });
  add("--duration", "TIME", "send for so long in each phase (10s; with --requests 10m)",
      [&](auto v) { options.duration = parse_duration(v); });
  add("--warm-up", "TIME", "before that the same at the first rate, left out of totals and limits",
      [&](auto v) { options.warm_up = parse_duration(v); });
  add("--requests", "N", "send no more than these", [&](auto v) { options.max_requests = parse_count(v); });
  add("--method", "NAME", "GET", [&](auto v) {
    if (v.empty() || v.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ") != std::string_view::npos)
      throw std::invalid_argument("a method in capitals");
    request.method = v;
  });
  add("--header", "'NAME: VALUE'", "one more header, repeatable", [&](auto v) {
    const std::size_t colon = v.find(':');
    if (colon == 0 || colon == std::string_view::npos || v.find_first_of("\r\n") != std::string_view::npos)
      throw std::invalid_argument("'NAME: VALUE'");
    const std::size_t value = std::min(v.find_first_not_of(' ', colon + 1), v.size());
    request.headers.emplace_back(v.substr(0, colon), Template(v.substr(value)));
  });
  add("--body", "TEXT", "body to send", [&](auto v) { request.body.emplace(v); });
  add("--expect-status", "CODE[|..]", "status of every reply (200; any)", [&](auto v) {
    request.expect.statuses.clear();
    if (v == "any") return;
    for (const std::string& code : split(v, '|'))
      request.expect.statuses.push_back(static_cast<unsigned>(parse_count(code)));
  });
  add("--expect-json", "", "the body is valid JSON", [&](auto) { request.expect.json = true; });
  add("--expect-request-id", "", "sends an X-Request-Id, which the reply must carry",
      [&](auto) { request.expect.request_id = true; });
  add("--expect-result", "WORD[|..]", "Sluice-Result: complete, degraded, partial...",
      [&](auto v) { request.expect.results = split(v, '|'); });
  add("--expect-call", "NAME=OUTCOME[|..]", "that member in Sluice-Calls, repeatable", [&](auto v) {
    const std::size_t equals = v.find('=');
    if (equals == 0 || equals == std::string_view::npos) throw std::invalid_argument("NAME=OUTCOME|OUTCOME...");
    request.expect.calls.emplace_back(std::string(v.substr(0, equals)), split(v.substr(equals + 1), '|'));
  });
  add("--expect-text", "TEXT", "that text in the body, repeatable",
      [&](auto v) { request.expect.texts.emplace_back(v); });
}

void add_other_options(CommandLine& command, Options& options) {
  command.add("--scenario", "FILE", "requests, phases and checks from a file; the URL then replaces its target",
              [&](auto v) { options.file = v; });
  command.add("--connections", "N", "how many (64)", [&](auto v) { options.connections = parse_count(v); });
  command.add("--timeout", "TIME", "for connecting and for each reply (5s)",
              [&](auto v) { options.timeout = parse_duration(v); });
  static constexpr std::pair<const char*, double> kLatencies[] = {
      {"--max-p50", 50}, {"--max-p90", 90}, {"--max-p99", 99}, {"--max-p99.9", 99.9}, {"--max-latency", 100}};
  for (const auto& [name, percent] : kLatencies)
    command.add(name, "TIME", "exit 1 when it is longer", [&options, at = percent](auto v) {
      options.some_limits().latencies.emplace_back(at, parse_duration(v));
    });
  command.add("--max-errors", "N|N%", "exit 1 when there are more (0)", [&](auto v) {
    if (v.ends_with('%')) {
      options.some_limits().error_percent = parse_percent(v);
    } else {
      options.some_limits().errors = v == "0" ? 0 : parse_count(v);
    }
  });
  command.add("--min-rate", "N", "exit 1 when there are fewer replies per second",
              [&](auto v) { options.some_limits().rate = parse_rate(v); });
  command.add("--json", "FILE", "write the report as JSON (-: to standard output, instead of the table)",
              [&](auto v) { options.json = v; });
  command.add("--html", "FILE", "write the report as one page with plots", [&](auto v) { options.html = v; });
  command.add("--progress", "", "a line a second on standard error, also when that is no terminal",
              [&](auto) { options.shows_progress = true; });
  command.add("--quiet", "", "no progress, no table", [&](auto) { options.is_quiet = true; });
  command.add("--allow-remote", "", "allow addresses other than loopback", [&](auto) { options.allow_remote = true; });
}

Target target_from(const std::string& url) {
  try {
    return parse_url(url);
  } catch (const std::invalid_argument& error) {
    throw UsageError("expected " + std::string(error.what()) + ", got \"" + url + '"');
  }
}

Scenario scenario_from_file(const Options& options, const std::string& url) {
  if (!options.not_with_file.empty())
    throw UsageError(options.not_with_file + ": expected no such option beside --scenario, whose file says it");
  if (!url.empty() && target_from(url).path != "/")
    throw UsageError("expected http://HOST:PORT without a path beside --scenario, got \"" + url + '"');
  std::ifstream stream(options.file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  if (!stream) throw UsageError("--scenario: expected a file that can be read, got \"" + options.file + '"');
  return read_scenario(options.file, text, url);
}

Scenario scenario_from_options(Options& options, const std::string& url) {
  if (url.empty()) throw UsageError("expected one URL or --scenario FILE, found neither; see --help");
  const Target target = target_from(url);
  Scenario scenario;
  scenario.url = url;
  scenario.max_requests = options.max_requests;
  options.request.name = target.path;
  options.request.host = target.host_port;
  try {
    options.request.path = Template(target.path);
  } catch (const std::invalid_argument& error) {
    throw UsageError("expected " + std::string(error.what()) + ", got \"" + url + '"');
  }
  scenario.requests.push_back(options.request);
  Phase phase;
  if (options.max_requests > 0) phase.duration = std::chrono::minutes(10);
  if (options.duration) phase.duration = *options.duration;
  if (options.rates.empty()) options.rates.emplace_back(0, 0);
  for (const auto& [from, to] : options.rates) {
    phase.name.clear();
    if (from > 0) append(phase.name, from == to ? "%.10g/s" : "%.10g to %.10g/s", from, to);
    if (from == 0) phase.name = "closed loop";
    phase.rate = from;
    phase.rate_to = to;
    scenario.phases.push_back(phase);
  }
  if (options.warm_up) {
    Phase& warm_up = *scenario.phases.insert(scenario.phases.begin(), scenario.phases.front());
    warm_up.name = "warm-up";
    warm_up.duration = *options.warm_up;
    warm_up.rate_to = warm_up.rate;
    warm_up.is_warm_up = true;
  }
  return scenario;
}

void write_file(const std::string& path, const std::string& text) {
  if (path == "-") {
    std::fputs(text.c_str(), stdout);
    return;
  }
  std::ofstream stream(path, std::ios::binary);
  stream << text;
  if (!stream.flush()) throw std::runtime_error("cannot write " + path);
}

void print_progress(const Progress& progress) {
  const bool in_place = isatty(STDERR_FILENO) == 1;
  const double span = seconds(progress.since_last);
  const Histogram& latency = progress.latency;
  std::fprintf(stderr,
               "%s%7.1fs  %-16.16s %8.0f/s sent %8.0f/s replies  p50 %9s  p99 %9s  errors %llu  in flight %zu%s",
               in_place ? "\r\033[K" : "", seconds(progress.since_start), std::string(progress.phase).c_str(),
               static_cast<double>(progress.sent) / span, static_cast<double>(progress.replies) / span,
               readable(latency.percentile(50)).c_str(), readable(latency.percentile(99)).c_str(),
               static_cast<unsigned long long>(progress.errors), progress.in_flight, in_place ? "" : "\n");
}

int run(int argc, char** argv) {
  CommandLine command(
      "sluice-load", "[OPTION]... http://HOST:PORT/PATH | --scenario FILE [http://HOST:PORT]",
      "Sends requests, checks every reply, measures latencies. {n} in a path, header, body or expected text is\n"
      "the number of the request, {n%K} its remainder by K.\n"
      "Closed loop without --rate: each connection sends as soon as it has its reply. Open loop with it:\n"
      "latencies count from when a request should have been sent. Exit 1 when anything was not as expected.");
  Options options;
  add_load_options(command, options);
  add_other_options(command, options);
  return command.run([&] {
    const std::vector<std::string> rest = command.parse(argc, argv);
    if (rest.size() > 1) throw UsageError("expected one URL, found " + std::to_string(rest.size()) + "; see --help");
    const std::string url = rest.empty() ? "" : rest[0];
    Scenario scenario;
    try {
      scenario = options.file.empty() ? scenario_from_options(options, url) : scenario_from_file(options, url);
    } catch (const ScenarioError& error) {
      for (const std::string& problem : error.problems()) std::fprintf(stderr, "%s\n", problem.c_str());
      return 2;
    }
    if (options.connections) scenario.connections = *options.connections;
    if (options.timeout) scenario.timeout = *options.timeout;
    if (options.limits) scenario.limits = *options.limits;
    const std::string& host_port = scenario.requests.front().host;
    try {
      scenario.target = Address(host_port);
    } catch (const std::invalid_argument& error) {
      throw UsageError("expected " + std::string(error.what()) + ", got \"" + host_port + '"');
    }
    if (!options.allow_remote && !scenario.target.is_loopback())
      throw UsageError(scenario.target.to_string() +
                       " is not a loopback address; --allow-remote says that its owner agrees to the load");

    raise_file_limit();
    for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, [](int) { interrupted = 1; });
    const bool shows_progress = options.shows_progress && !options.is_quiet;
    const Report report =
        Runner(scenario).run(interrupted, shows_progress ? print_progress : std::function<void(const Progress&)>());
    if (shows_progress && isatty(STDERR_FILENO) == 1) std::fputs("\r\033[K", stderr);
    if (!options.is_quiet && options.json != "-") write_file("-", to_table(report, scenario.limits));
    if (!options.json.empty()) write_file(options.json, to_json(report, scenario.limits));
    if (!options.html.empty()) write_file(options.html, to_html(report, scenario.limits));
    if (std::fflush(stdout) != 0) throw std::runtime_error("cannot write the report");
    return broken_limits(report, scenario.limits).empty() ? 0 : 1;
  });
}

}  // namespace
}  // namespace sluice::loadtest

int main(int argc, char** argv) {
  return sluice::loadtest::run(argc, argv);
}
