// The `process_*` metrics, as every Prometheus client library has them.
#pragma once

#include <string>

namespace sluice::gateway {

/// CPU time, memory, open files, start time and threads of this process, from /proc, as Prometheus text; what cannot
/// be read is left out. Reads files: not for workers. Thread: any.
std::string process_metrics_text();

}  // namespace sluice::gateway
