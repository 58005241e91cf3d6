// Asks a backend for what is stored: one attempt for all who ask the same, and the store learns of its outcome.
#pragma once

#include "backends/request.hpp"
#include "concurrency/context.hpp"
#include "gateway/storing.hpp"

#include <memory>
#include <optional>
#include <utility>

namespace sluice::gateway {

/// What came of it. *immutable* once it is shared
struct CallAnswer {
  CallAnswer(backends::CallResult r) : result(std::move(r)) {}  // NOLINT(google-explicit-constructor): as for Failure

  /// How long it is fresh from now on, for a call with this `ttl`; none: nothing was to be stored.
  [[nodiscard]] std::optional<Duration> fresh_for(Duration ttl) const;

  backends::CallResult result;       // of an answer that was found unchanged the stored one
  std::optional<Duration> lifetime;  // the most that the origin allows
  Duration age{0};
  bool is_for_one = false;  // the origin says that it is not for others, even if they ask the same
};

using CallAnswerPtr = std::shared_ptr<const CallAnswer>;

/// Whether a body has what the call takes of it.
[[nodiscard]] bool fits(const CallPlan& plan, const backends::Body& body);
/// The same while others have their turn; false, too, if `ctx` is done before. `body` must live until this ends.
[[nodiscard]] concurrency::Task<bool> fits_in_turns(const concurrency::Context& ctx, const CallPlan& plan,
                                                    const backends::Body& body);
/// Whether going through a body, to find or take something of it, would make others late.
[[nodiscard]] bool is_large(const backends::Body& body);

/// Asks, unless the same is being asked on this worker: then that attempt is shared, if it is younger than half of the
/// time that the call may take at most, else a new one overtakes it.
///
/// Each who waits keeps its own deadline and cancellation; the attempt goes on while anybody waits, until
/// `plan.longest` after its start, and its end wakes all. An entry with a validator is validated, and renewed if it is
/// unchanged. A 404 or 410 removes the entry. Failures: those of Backend::call, timeout and cancelled from `ctx`.
[[nodiscard]] concurrency::Task<CallAnswerPtr> ask(const concurrency::Context& ctx, Question what);

/// Asks in the background, unless the same is being asked.
void refresh(Question what);

}  // namespace sluice::gateway
