// The page of the HTML report, from report_page.html, built in.
#pragma once

#include <string_view>

namespace sluice::loadtest {

/// Has one `/*REPORT*/ null`, where the report goes as JSON.
extern const std::string_view kReportPage;

}  // namespace sluice::loadtest
