// What is said of a run: limits, remarks, the timeline, and reports that other programs can read.
#include "loadtest/report.hpp"

#include <chrono>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace sluice::loadtest {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

/// 1000 replies of 1 to 1000 ms within 10 s.
Report some_report() {
  Report report;
  report.name = "a </script> name";
  report.url = "http://127.0.0.1:1/";
  report.is_open_loop = true;
  report.elapsed = report.run_elapsed = 10s;
  report.phases.push_back({{"steady", 10s, 100, 100, 0, false}, 0ns, Stats()});
  Stats& stats = report.phases[0].stats;
  for (int i = 1; i <= 1000; ++i) {
    stats.latency.record(std::chrono::milliseconds(i));
    report.timeline.record(std::chrono::milliseconds(10 * i), std::chrono::milliseconds(i));
    report.timeline.count(std::chrono::milliseconds(10 * i), outcome_of("complete"));
  }
  stats.sent = stats.replies = stats.good = 1000;
  report.sum_up();
  return report;
}

TEST(Limits, AreBrokenOnlyByWhatIsBeyondThem) {
  Report report = some_report();
  Limits limits;
  EXPECT_THAT(broken_limits(report, limits), IsEmpty());
  limits.latencies = {{50, 600ms}, {99, 900ms}, {100, 999ms}};
  EXPECT_THAT(broken_limits(report, limits), ElementsAre("p99 is 994.05ms, at most 900.00ms allowed",
                                                         "the longest latency is 1.000s, at most 999.00ms allowed"));
  limits = {};
  report.errors[0] = 10;
  EXPECT_THAT(broken_limits(report, limits), ElementsAre("10 errors (1 %), at most 0 allowed"));
  limits.errors = 10;
  EXPECT_THAT(broken_limits(report, limits), IsEmpty());
  limits = {};
  limits.error_percent = 0.5;
  EXPECT_THAT(broken_limits(report, limits), ElementsAre("10 errors (1 %), at most 0.5 % allowed"));
  limits.error_percent = 1;
  EXPECT_THAT(broken_limits(report, limits), IsEmpty());
  limits.rate = 101;
  EXPECT_THAT(broken_limits(report, limits), ElementsAre("100.0 replies per second, at least 101 wanted"));
  EXPECT_THAT(broken_limits(Report(), Limits()), ElementsAre("not one whole reply"));
}

TEST(Remarks, SayWhenTheGeneratorWasTheBottleneck) {
  Report report = some_report();
  EXPECT_THAT(remarks(report), IsEmpty());
  report.cpu = 9s;
  report.late = 2;
  report.queued = 3;
  ASSERT_EQ(remarks(report).size(), 3u);
  EXPECT_THAT(remarks(report)[0], testing::HasSubstr("90 % of a CPU"));
  EXPECT_THAT(remarks(report)[1], testing::HasSubstr("fell behind: 2 of 1000"));
  EXPECT_THAT(remarks(report)[2], testing::HasSubstr("3 of 1000 requests (0.3 %) waited for a free connection"));
}

TEST(Timeline, KeepsEveryCountWhileItsSlicesGetWider) {
  Timeline timeline;
  for (int i = 0; i < 2000; ++i) {
    timeline.record(i * 100ms, 1ms);
    timeline.count(i * 100ms, outcome_of(Kind::status));
  }
  EXPECT_EQ(timeline.width(), 400ms);
  EXPECT_EQ(timeline.slices().size(), 500u);
  for (const Timeline::Slice& slice : timeline.slices()) {
    EXPECT_EQ(slice.latency.count(), 4u);
    EXPECT_EQ(slice.counts[outcome_of(Kind::status)], 4u);
  }
  timeline.count(1h, outcome_of("odd"));
  EXPECT_LE(timeline.slices().size(), 600u);
  std::uint64_t counted = 0;
  for (const Timeline::Slice& slice : timeline.slices()) counted += slice.latency.count();
  EXPECT_EQ(counted, 2000u);
  EXPECT_EQ(timeline.slices().back().counts[0], 1u);
}

TEST(Reports, AreReadableByProgramsAndPeople) {
  Report report = some_report();
  report.first_problem = "Sluice-Result: \xff\"\n";
  const auto json = nlohmann::json::parse(to_json(report, Limits()));
  EXPECT_EQ(json["name"], report.name);
  EXPECT_EQ(json["first_problem"], "Sluice-Result: \xc3\xbf\"\n");
  EXPECT_EQ(json["rate"], 100);
  EXPECT_EQ(json["latency_us"]["max"], 1e6);
  EXPECT_EQ(json["curve"].back()[0], 100);
  EXPECT_EQ(json["phases"][0]["name"], "steady");
  EXPECT_EQ(json["timeline"]["slices"].size(), 101u);
  EXPECT_THAT(to_table(report, Limits()), testing::HasSubstr("no errors\n"));

  const std::string page = to_html(report, Limits());
  EXPECT_THAT(page, testing::StartsWith("<!doctype html>"));
  EXPECT_EQ(page.find("a </script>"), std::string::npos);
  EXPECT_EQ(page.find("/*REPORT*/"), std::string::npos);
  std::string without_names = page;  // of XML, which are no addresses to fetch
  for (const std::string_view name : {"http://www.w3.org/2000/svg", "http://127.0.0.1:1/"})
    for (std::size_t at; (at = without_names.find(name)) != std::string::npos;) without_names.erase(at, name.size());
  EXPECT_EQ(without_names.find("http"), std::string::npos) << "the page must fetch nothing";
}

}  // namespace
}  // namespace sluice::loadtest
