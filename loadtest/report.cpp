// The report as a table and as JSON.
#include "loadtest/report.hpp"

#include <cstdarg>
#include <cstdio>
#include <iterator>
#include <numeric>

namespace sluice::loadtest {
namespace {

struct Column {
  const char* name;
  double percent;
};
constexpr Column kColumns[] = {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99.9", 99.9}};

__attribute__((format(printf, 2, 3))) void append(std::string& text, const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  text += line;
}

double microseconds(std::chrono::nanoseconds duration) {
  return static_cast<double>(duration.count()) / 1e3;
}

double seconds(std::chrono::nanoseconds duration) {
  return static_cast<double>(duration.count()) / 1e9;
}

double per_second(std::uint64_t count, std::chrono::nanoseconds elapsed) {
  return elapsed.count() > 0 ? static_cast<double>(count) / seconds(elapsed) : 0;
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

void append_row(std::string& text, const char* name, const Histogram& histogram) {
  append(text, "%-10s%10s", name, readable(histogram.min()).c_str());
  for (const Column& column : kColumns) append(text, "%10s", readable(histogram.percentile(column.percent)).c_str());
  append(text, "%10s%10s\n", readable(histogram.max()).c_str(), readable(histogram.mean()).c_str());
}

void append_counts(std::string& text, const char* name, const Tally& tally, std::uint64_t total) {
  for (const auto& [value, count] : tally.counts())
    append(text, "%-10s%-22.100s%10llu%9.2f %%\n", name, value.c_str(), static_cast<unsigned long long>(count),
           100.0 * static_cast<double>(count) / static_cast<double>(total));
}

std::string json_string(std::string_view text) {
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) {
      append(json, "\\u%04x", static_cast<unsigned char>(c));
    } else {
      json += c;
    }
  }
  return json += '"';
}

std::string to_json(const Histogram& histogram) {
  std::string json;
  append(json, "{\"count\":%llu,\"min\":%.3f,\"mean\":%.3f", static_cast<unsigned long long>(histogram.count()),
         microseconds(histogram.min()), microseconds(histogram.mean()));
  for (const Column& column : kColumns)
    append(json, ",\"%s\":%.3f", column.name, microseconds(histogram.percentile(column.percent)));
  append(json, ",\"max\":%.3f}", microseconds(histogram.max()));
  return json;
}

std::string to_json(const Tally& tally) {
  std::string json = "{";
  for (const auto& [value, count] : tally.counts())
    json += (json.size() > 1 ? "," : "") + json_string(value) + ':' + std::to_string(count);
  return json += '}';
}

}  // namespace

void Tally::count(std::string_view name) {
  auto found = counts_.find(name);
  if (found == counts_.end()) found = counts_.try_emplace(std::string(counts_.size() < 100 ? name : "(others)")).first;
  ++found->second;
}

void Report::count_error(Kind kind, std::string_view problem) {
  ++errors[static_cast<std::size_t>(kind)];
  if (first_problem.empty()) first_problem = problem;
}

std::uint64_t Report::error_count() const {
  return std::accumulate(errors.begin(), errors.end(), std::uint64_t{0});
}

std::string to_table(const Report& report) {
  using Count = unsigned long long;
  std::string text = report.url + '\n';
  if (report.wanted_rate > 0) {
    append(text, "open loop at %.10g/s", report.wanted_rate);
  } else {
    text += "closed loop";
  }
  append(text, ", %zu connections, %.3f s\n\n", report.connections, seconds(report.elapsed));
  append(text, "sent      %10llu\n", static_cast<Count>(report.sent));
  append(text, "replies   %10llu%12.1f/s%12.1f MB/s of bodies\n", static_cast<Count>(report.replies),
         per_second(report.replies, report.elapsed), per_second(report.body_bytes, report.elapsed) / 1e6);
  append(text, "good      %10llu\n", static_cast<Count>(report.good));
  if (report.reconnects > 0) append(text, "reconnects%10llu\n", static_cast<Count>(report.reconnects));

  append(text, "\n%-10s%10s", "", "min");
  for (const Column& column : kColumns) append(text, "%10s", column.name);
  append(text, "%10s%10s\n", "max", "mean");
  append_row(text, "latency", report.latency);
  if (report.wanted_rate > 0) append_row(text, "sent late", report.lag);
  text += '\n';

  append_counts(text, "status", report.statuses, report.replies);
  append_counts(text, "result", report.results, report.replies);
  append_counts(text, "call", report.calls, report.replies);
  if (report.error_count() == 0) return text += "no errors\n";
  for (std::size_t i = 0; i < kKindNames.size(); ++i)
    if (report.errors[i] > 0)
      append(text, "%-10s%-22s%10llu\n", "error", std::string(kKindNames[i]).c_str(),
             static_cast<Count>(report.errors[i]));
  return text += "the first: " + report.first_problem + '\n';
}

std::string to_json(const Report& report) {
  using Count = unsigned long long;
  std::string json = "{\"url\":" + json_string(report.url);
  append(json, ",\"loop\":\"%s\",\"wanted_rate\":%.10g,\"connections\":%zu,\"elapsed_s\":%.6f",
         report.wanted_rate > 0 ? "open" : "closed", report.wanted_rate, report.connections, seconds(report.elapsed));
  append(json, ",\"sent\":%llu,\"replies\":%llu,\"good\":%llu,\"rate\":%.3f,\"body_bytes\":%llu,\"reconnects\":%llu",
         static_cast<Count>(report.sent), static_cast<Count>(report.replies), static_cast<Count>(report.good),
         per_second(report.replies, report.elapsed), static_cast<Count>(report.body_bytes),
         static_cast<Count>(report.reconnects));
  json += ",\"latency_us\":" + to_json(report.latency) + ",\"lag_us\":" + to_json(report.lag);
  json += ",\"statuses\":" + to_json(report.statuses) + ",\"results\":" + to_json(report.results) +
          ",\"calls\":" + to_json(report.calls) + ",\"errors\":{";
  for (std::size_t i = 0; i < kKindNames.size(); ++i)
    json += (i ? "," : "") + json_string(kKindNames[i]) + ':' + std::to_string(report.errors[i]);
  return json += "},\"first_problem\":" + json_string(report.first_problem) + "}\n";
}

}  // namespace sluice::loadtest
