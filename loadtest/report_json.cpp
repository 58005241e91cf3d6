// The report as JSON, and as a page that holds that JSON and draws it.
#include "loadtest/format.hpp"
#include "loadtest/json.hpp"
#include "loadtest/report.hpp"
#include "loadtest/report_page.hpp"

#include <algorithm>
#include <cmath>
#include <map>

namespace sluice::loadtest {
namespace {

using Count = unsigned long long;

/// What is not valid UTF-8, as a reply's header may be, is taken for Latin-1.
std::string json_string(std::string_view text, bool is_latin1 = false) {
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == '<' || c == '\x7f' ||
               (is_latin1 && static_cast<unsigned char>(c) >= 0x80)) {  // no '<': it may stand in a script
      append(json, "\\u%04x", static_cast<unsigned char>(c));
    } else {
      json += c;
    }
  }
  json += '"';
  return is_latin1 || !find_json_problem(json) ? json : json_string(text, true);
}

std::string to_json(const Histogram& histogram) {
  constexpr std::pair<const char*, double> kPercentiles[] = {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99.9", 99.9}};
  std::string json;
  append(json, "{\"count\":%llu,\"min\":%.3f,\"mean\":%.3f", static_cast<Count>(histogram.count()),
         microseconds(histogram.min()), microseconds(histogram.mean()));
  for (const auto& [name, percent] : kPercentiles)
    append(json, ",\"%s\":%.3f", name, microseconds(histogram.percentile(percent)));
  append(json, ",\"max\":%.3f}", microseconds(histogram.max()));
  return json;
}

/// `[[percentile, microseconds], ...]`, ever denser towards 100.
std::string curve(const Histogram& histogram) {
  std::string json = "[";
  const auto point = [&](double percent) {
    append(json, "%s[%.8g,%.1f]", json.size() > 1 ? "," : "", percent, microseconds(histogram.percentile(percent)));
  };
  constexpr int kStepsEachTenth = 16;  // points for each tenth of what is left
  const double last = histogram.count() > 0 ? std::log10(static_cast<double>(histogram.count())) : -1;
  for (int i = 0; i <= std::floor(last * kStepsEachTenth); ++i) point(100 - 100 * std::pow(10, -i / 16.0));
  if (histogram.count() > 0) point(100);
  return json += ']';
}

std::string to_json(const Tally& tally) {
  std::string json = "{";
  for (const auto& [value, count] : tally.counts())
    json += (json.size() > 1 ? "," : "") + json_string(value) + ':' + std::to_string(count);
  return json += '}';
}

/// The members of a Stats, without braces.
std::string members(const Stats& stats) {
  std::string json;
  append(json, "\"sent\":%llu,\"replies\":%llu,\"good\":%llu,\"body_bytes\":%llu", static_cast<Count>(stats.sent),
         static_cast<Count>(stats.replies), static_cast<Count>(stats.good), static_cast<Count>(stats.body_bytes));
  json += ",\"latency_us\":" + to_json(stats.latency) + ",\"curve\":" + curve(stats.latency) + ",\"errors\":{";
  for (std::size_t i = 0; i < kKindNames.size(); ++i)
    json += (i ? "," : "") + json_string(kKindNames[i]) + ':' + std::to_string(stats.errors[i]);
  return json += '}';
}

std::string list(const std::vector<std::string>& lines) {
  std::string json = "[";
  for (const std::string& line : lines) json += (json.size() > 1 ? "," : "") + json_string(line);
  return json += ']';
}

/// One slice: counts by outcome, percentiles, and the cells of the heat map: row (of which there are four for each
/// doubling of a microsecond) and count in turns.
std::string to_json(const Timeline::Slice& slice) {
  std::string json = "{\"counts\":{";
  for (std::size_t i = 0; i < slice.counts.size(); ++i)
    if (slice.counts[i] > 0)
      json += (json.back() == '{' ? "" : ",") + json_string(kOutcomeNames[i]) + ':' + std::to_string(slice.counts[i]);
  const Histogram& latency = slice.latency;
  append(json, "},\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f,\"cells\":[", microseconds(latency.percentile(50)),
         microseconds(latency.percentile(99)), microseconds(latency.max()));
  std::map<int, std::uint64_t> rows;
  latency.each_bucket([&](std::chrono::nanoseconds longest, std::uint64_t count) {
    rows[static_cast<int>(std::floor(4 * std::log2(std::max(1.0, microseconds(longest)))))] += count;
  });
  for (const auto& [row, count] : rows)
    append(json, "%s%d,%llu", json.back() == '[' ? "" : ",", row, static_cast<Count>(count));
  return json += "]}";
}

}  // namespace

std::string to_json(const Report& report, const Limits& limits) {
  std::string json = "{\"name\":" + json_string(report.name) + ",\"url\":" + json_string(report.url) +
                     ",\"began\":" + json_string(report.began);
  std::uint64_t all_sent = 0;
  for (const PhaseReport& phase : report.phases) all_sent += phase.stats.sent;
  append(json, ",\"loop\":\"%s\",\"connections\":%zu,\"elapsed_s\":%.6f,\"run_s\":%.6f,\"rate\":%.3f",
         report.is_open_loop ? "open" : "closed", report.connections, seconds(report.elapsed),
         seconds(report.run_elapsed),
         report.elapsed.count() > 0 ? static_cast<double>(report.replies) / seconds(report.elapsed) : 0.0);
  append(json, ",\"reconnects\":%llu,\"late\":%llu,\"queued\":%llu,\"cpu_s\":%.6f,\"cpu_us_per_request\":%.3f,",
         static_cast<Count>(report.reconnects), static_cast<Count>(report.late), static_cast<Count>(report.queued),
         seconds(report.cpu), all_sent > 0 ? microseconds(report.cpu) / static_cast<double>(all_sent) : 0.0);
  json += members(report) + ",\"lag_us\":" + to_json(report.lag) + ",\"since_sent_us\":" + to_json(report.since_sent);
  json += ",\"statuses\":" + to_json(report.statuses) + ",\"results\":" + to_json(report.results) +
          ",\"calls\":" + to_json(report.calls) + ",\"first_problem\":" + json_string(report.first_problem) +
          ",\"remarks\":" + list(remarks(report)) + ",\"failed\":" + list(broken_limits(report, limits));
  json += ",\"phases\":[";
  for (const PhaseReport& phase : report.phases) {
    json += (&phase == &report.phases.front() ? "{\"name\":" : ",{\"name\":") + json_string(phase.phase.name);
    append(json, ",\"begin_s\":%.6f,\"duration_s\":%.6f,\"wanted_rate\":%.10g,\"wanted_rate_to\":%.10g",
           seconds(phase.begin), seconds(phase.phase.duration), phase.phase.rate, phase.phase.rate_to);
    append(json, ",\"connections\":%zu,\"warm_up\":%s,",
           phase.phase.connections ? phase.phase.connections : report.connections,
           phase.phase.is_warm_up ? "true" : "false");
    json += members(phase.stats) + '}';
  }
  json += "],\"requests\":[";
  for (const auto& [name, stats] : report.requests)
    json += (json.back() == '[' ? "{\"name\":" : ",{\"name\":") + json_string(name) + ',' + members(stats) + '}';
  append(json, "],\"timeline\":{\"width_s\":%.3f,\"slices\":[", seconds(report.timeline.width()));
  for (const Timeline::Slice& slice : report.timeline.slices())
    json += (json.back() == '[' ? "" : ",") + to_json(slice);
  return json += "]}}\n";
}

std::string to_html(const Report& report, const Limits& limits) {
  std::string page(kReportPage);
  constexpr std::string_view kData = "/*REPORT*/ null";
  return page.replace(page.find(kData), kData.size(), to_json(report, limits));
}

}  // namespace sluice::loadtest
