// Redirects of a backend to itself.
#pragma once

#include "backends/request.hpp"
#include "concurrency/context.hpp"
#include "concurrency/task.hpp"
#include "gateway/config.hpp"
#include "gateway/deployment.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::gateway {

/// The target that `location`, the answer to a request for `target`, leads to (RFC 3986 §5.2, without the fragment).
/// Nothing when it leads anywhere but to one of the servers of `backend`, or its Host, or cannot be asked for.
[[nodiscard]] std::optional<std::string> redirected(std::string_view target, std::string_view location,
                                                    const BackendConfig& backend);

/// Calls the plan's backend, and follows its redirects of a GET or HEAD, at most `follow_redirects` of them. The one
/// that is not followed is the failure, `status`. `plan` belongs to `deployment`.
concurrency::Task<backends::CallResult> call_following(const concurrency::Context& ctx,
                                                       std::shared_ptr<const Deployment> deployment,
                                                       const CallPlan& plan,
                                                       std::shared_ptr<const backends::Request> request);

}  // namespace sluice::gateway
