// Reads /proc for the process_* metrics.
#include "gateway/process_metrics.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <sys/resource.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

namespace sluice::gateway {
namespace {

using prometheus::MetricType;

// The fields of /proc/self/stat (proc(5)) from number 3 on, behind the name, which may hold blanks and brackets.
std::vector<double> stat_fields() {
  std::ifstream file("/proc/self/stat");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream rest(text.substr(name_end + 1));
  std::string state;
  rest >> state;
  std::vector<double> fields = {0};
  for (double field = 0; rest >> field;) fields.push_back(field);
  return fields;
}

// When the system started, in seconds since 1970.
std::optional<double> boot_time() {
  std::ifstream file("/proc/stat");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("btime ")) return std::stod(line.substr(6));
  }
  return std::nullopt;
}

std::optional<double> open_files() {
  std::error_code error;
  std::filesystem::directory_iterator files("/proc/self/fd", error);
  if (error) return std::nullopt;
  std::ptrdiff_t count = -1;  // the one that reads the directory does not count
  for (const std::filesystem::directory_iterator end; !error && files != end; files.increment(error)) ++count;
  return static_cast<double>(count);
}

}  // namespace

std::string process_metrics_text() {
  std::vector<prometheus::MetricFamily> families;
  const auto add = [&](const char* name, const char* help, MetricType type, double value) {
    prometheus::ClientMetric metric;
    (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
    families.push_back({name, help, type, {std::move(metric)}});
  };

  const auto fields = stat_fields();
  const auto field = [&](std::size_t number) { return fields[number - 3]; };
  if (fields.size() > 24 - 3) {
    const auto ticks_per_second = static_cast<double>(::sysconf(_SC_CLK_TCK));
    const auto page_bytes = static_cast<double>(::sysconf(_SC_PAGESIZE));
    add("process_cpu_seconds_total", "User and system CPU time spent.", MetricType::Counter,
        (field(14) + field(15)) / ticks_per_second);
    add("process_resident_memory_bytes", "Resident memory.", MetricType::Gauge, field(24) * page_bytes);
    add("process_virtual_memory_bytes", "Virtual memory.", MetricType::Gauge, field(23));
    add("process_threads", "Threads.", MetricType::Gauge, field(20));
    if (const auto boot = boot_time()) {
      add("process_start_time_seconds", "Start time since the Unix epoch.", MetricType::Gauge,
          *boot + field(22) / ticks_per_second);
    }
  }
  if (const auto count = open_files()) add("process_open_fds", "Open file descriptors.", MetricType::Gauge, *count);
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    add("process_max_fds", "Soft limit of open file descriptors.", MetricType::Gauge,
        static_cast<double>(limit.rlim_cur));
  }
  std::sort(families.begin(), families.end(), [](const auto& a, const auto& b) { return a.name < b.name; });

  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families);
  return std::move(out).str();
}

}  // namespace sluice::gateway
