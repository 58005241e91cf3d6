// Sums, limits, and the table.
#include "loadtest/report.hpp"

#include "loadtest/format.hpp"

#include <algorithm>
#include <iterator>
#include <numeric>

namespace sluice::loadtest {
namespace {

using Count = unsigned long long;

constexpr std::pair<const char*, double> kColumns[] = {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99.9", 99.9}};
constexpr int kNameWidth = 22;

double per_second(std::uint64_t count, std::chrono::nanoseconds elapsed) {
  return elapsed.count() > 0 ? static_cast<double>(count) / seconds(elapsed) : 0;
}

std::string percent(std::uint64_t part, std::uint64_t whole) {
  std::string text;
  append(text, "%.3g %%", whole > 0 ? 100 * static_cast<double>(part) / static_cast<double>(whole) : 0.0);
  return text;
}

/// A name in the first column; a long one is cut.
void append_name(std::string& text, std::string_view name) {
  append(text, "%-*.*s", kNameWidth, std::min(static_cast<int>(name.size()), kNameWidth - 1), name.data());
}

void append_row(std::string& text, std::string_view name, const Histogram& histogram) {
  append_name(text, name);
  append(text, "%10s", readable(histogram.min()).c_str());
  for (const auto& [title, at] : kColumns) append(text, "%10s", readable(histogram.percentile(at)).c_str());
  append(text, "%10s%10s", readable(histogram.max()).c_str(), readable(histogram.mean()).c_str());
}

void append_counts(std::string& text, const char* name, const Tally& tally, std::uint64_t total) {
  for (const auto& [value, count] : tally.counts())
    append(text, "%-10s%-30.100s%10llu%12s\n", name, value.c_str(), static_cast<Count>(count),
           percent(count, total).c_str());
}

void append_stats(std::string& text, std::string_view name, const Stats& stats) {
  append_row(text, name, stats.latency);
  append(text, "%10llu%8llu\n", static_cast<Count>(stats.replies), static_cast<Count>(stats.error_count()));
}

}  // namespace

void Tally::count(std::string_view name) {
  auto found = counts_.find(name);
  if (found == counts_.end()) found = counts_.try_emplace(std::string(counts_.size() < 100 ? name : "(others)")).first;
  ++found->second;
}

void Stats::add(const Stats& other) {
  sent += other.sent;
  replies += other.replies;
  good += other.good;
  body_bytes += other.body_bytes;
  for (std::size_t i = 0; i < errors.size(); ++i) errors[i] += other.errors[i];
  latency.add(other.latency);
}

std::uint64_t Stats::error_count() const {
  return std::accumulate(errors.begin(), errors.end(), std::uint64_t{0});
}

void Report::sum_up() {
  for (const PhaseReport& phase : phases)
    if (!phase.phase.is_warm_up) add(phase.stats);
}

std::vector<std::string> broken_limits(const Report& report, const Limits& limits) {
  std::vector<std::string> broken;
  for (const auto& [at, most] : limits.latencies) {
    const auto found = at < 100 ? report.latency.percentile(at) : report.latency.max();
    std::string line;
    if (at < 100) {
      append(line, "p%g", at);
    } else {
      line = "the longest latency";
    }
    if (found > most) broken.push_back(line + " is " + readable(found) + ", at most " + readable(most) + " allowed");
  }
  const std::uint64_t errors = report.error_count();
  const std::uint64_t unsent = report.errors[static_cast<std::size_t>(Kind::unsent)];
  const auto share = limits.error_percent / 100 * static_cast<double>(report.sent + unsent);
  if (errors > limits.errors && static_cast<double>(errors) > share) {
    std::string line;
    append(line, "%llu errors (%s), at most ", static_cast<Count>(errors),
           percent(errors, report.sent + unsent).c_str());
    if (limits.error_percent > 0) {
      append(line, "%g %% allowed", limits.error_percent);
    } else {
      append(line, "%llu allowed", static_cast<Count>(limits.errors));
    }
    broken.push_back(std::move(line));
  }
  if (const double rate = per_second(report.replies, report.elapsed); rate < limits.rate) {
    std::string line;
    append(line, "%.1f replies per second, at least %g wanted", rate, limits.rate);
    broken.push_back(std::move(line));
  }
  if (report.replies == 0) broken.emplace_back("not one whole reply");
  return broken;
}

std::vector<std::string> remarks(const Report& report) {
  std::vector<std::string> lines;
  const double busy = report.run_elapsed.count() > 0 ? seconds(report.cpu) / seconds(report.run_elapsed) : 0;
  if (busy > 0.85)
    append(lines.emplace_back(), "the load generator used %.0f %% of a CPU: it may be what limits the rate",
           100 * busy);
  if (report.late * 1000 > report.sent)
    append(lines.emplace_back(),
           "the load generator fell behind: %llu of %llu requests (%s) were sent more than 1 ms late "
           "although a connection was free; these latencies include its own delay",
           static_cast<Count>(report.late), static_cast<Count>(report.sent), percent(report.late, report.sent).c_str());
  if (report.queued * 1000 > report.sent)
    append(lines.emplace_back(),
           "%llu of %llu requests (%s) waited for a free connection: the server was slower than the rate, "
           "or there were too few connections",
           static_cast<Count>(report.queued), static_cast<Count>(report.sent),
           percent(report.queued, report.sent).c_str());
  if (report.is_interrupted) lines.emplace_back("interrupted before its end");
  return lines;
}

std::string readable(std::chrono::nanoseconds duration) {
  std::string text;
  const double us = microseconds(duration);
  if (us < 1e3) {
    append(text, "%.1fus", us);
  } else if (us < 1e6) {
    append(text, "%.2fms", us / 1e3);
  } else {
    append(text, "%.3fs", us / 1e6);
  }
  return text;
}

std::string to_table(const Report& report, const Limits& limits) {
  std::string text = (report.name.empty() ? "" : report.name + ": ") + report.url + '\n';
  append(text, "%s, %zu connections, %.3f s\n\n", report.is_open_loop ? "open loop" : "closed loop", report.connections,
         seconds(report.elapsed));
  append(text, "sent      %12llu\n", static_cast<Count>(report.sent));
  append(text, "replies   %12llu%12.1f/s%12.1f MB/s of bodies\n", static_cast<Count>(report.replies),
         per_second(report.replies, report.elapsed), per_second(report.body_bytes, report.elapsed) / 1e6);
  append(text, "good      %12llu\n", static_cast<Count>(report.good));
  if (report.reconnects > 0) append(text, "reconnects%12llu\n", static_cast<Count>(report.reconnects));
  const std::uint64_t all_sent = report.sent + (report.phases.empty() ? 0 : [&] {
                                   std::uint64_t warm_up = 0;
                                   for (const PhaseReport& phase : report.phases)
                                     warm_up += phase.phase.is_warm_up ? phase.stats.sent : 0;
                                   return warm_up;
                                 }());
  if (all_sent > 0)
    append(text, "generator %12.1f us of CPU a request, %.0f %% of one CPU\n",
           microseconds(report.cpu) / static_cast<double>(all_sent),
           100 * seconds(report.cpu) / std::max(1e-9, seconds(report.run_elapsed)));

  append(text, "\n%-*s%10s", kNameWidth, "", "min");
  for (const auto& [title, at] : kColumns) append(text, "%10s", title);
  append(text, "%10s%10s%10s%8s\n", "max", "mean", "replies", "errors");
  append_stats(text, "latency", report);
  if (report.is_open_loop) {
    append_row(text, "sent late", report.lag);
    append_row(text, "since sent", report.since_sent);
    text += '\n';
  }
  if (report.phases.size() > 1)
    for (const PhaseReport& phase : report.phases)
      append_stats(text, phase.phase.name + (phase.phase.is_warm_up ? " *" : ""), phase.stats);
  if (report.phases.size() > 1 && report.phases.front().phase.is_warm_up) text += "* not in the totals\n";
  if (report.requests.size() > 1)
    for (const auto& [name, stats] : report.requests) append_stats(text, name, stats);
  text += '\n';

  append_counts(text, "status", report.statuses, report.replies);
  append_counts(text, "result", report.results, report.replies);
  append_counts(text, "call", report.calls, report.replies);
  for (std::size_t i = 0; i < kKindNames.size(); ++i)
    if (report.errors[i] > 0)
      append(text, "%-10s%-30s%10llu\n", "error", std::string(kKindNames[i]).c_str(),
             static_cast<Count>(report.errors[i]));
  text += report.error_count() == 0 ? "no errors\n" : "the first: " + report.first_problem + '\n';
  for (const std::string& line : remarks(report)) text += "NOTE   " + line + '\n';
  for (const std::string& line : broken_limits(report, limits)) text += "FAILED " + line + '\n';
  return text;
}

}  // namespace sluice::loadtest
