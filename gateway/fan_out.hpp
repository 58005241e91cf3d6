// Runs the calls of one request side by side until the reply can be made.
#pragma once

#include "concurrency/context.hpp"
#include "concurrency/task.hpp"
#include "gateway/call.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

namespace sluice::gateway {

/// Runs all calls, each from when those that it needs have their outcome. Ends when each has one, at once when a
/// required one has no data, and at the latest when `ctx` is done; calls that are then not over are cancelled and have
/// degraded outcomes, too. With a `quorum` it ends, too, when so many have succeeded and each required one has its
/// outcome; the others are cancelled and skipped.
concurrency::Task<> fan_out_merge(const concurrency::Context& ctx, Calls& calls, std::optional<std::size_t> quorum);

/// Starts the calls in order, each when the one before has failed or `stagger` after it (all at once without); ends
/// with the first that succeeds, the others cancelled and skipped. If none does, each has its degraded outcome.
/// Gives the index of the call that is the reply; none if there is no data at all.
concurrency::Task<std::optional<std::size_t>> fan_out_first(const concurrency::Context& ctx, Calls& calls,
                                                            std::optional<std::chrono::nanoseconds> stagger);

}  // namespace sluice::gateway
