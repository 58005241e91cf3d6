// Waiting for time to pass.
#pragma once

#include "concurrency/context.hpp"
#include "concurrency/task.hpp"

namespace sluice::concurrency {

/// Ends after `duration` (never early, up to 1 ms late; at once if it is not positive).
/// Errors: canceled, deadline_exceeded from `ctx`.
[[nodiscard]] Task<Result<>> sleep(Context ctx, Duration duration);
[[nodiscard]] Task<Result<>> sleep_until(Context ctx, TimePoint when);

}  // namespace sluice::concurrency
