// What a call does with large bodies: in turns, so that other requests of the worker are not late.
#include "concurrency/loop.hpp"
#include "gateway/call.hpp"
#include "gateway/json_check.hpp"
#include "gateway/turns.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace sluice::gateway {

using backends::Reason;
using concurrency::Context;
using concurrency::Duration;
using concurrency::Loop;
using concurrency::Task;

/// Whether a reference leads into the JSON of a call that is large.
bool Call::needs_search(const Calls& calls) const {
  return std::any_of(plan_.inputs.begin(), plan_.inputs.end(),
                     [&](std::size_t input) { return calls[input].fragment().bytes.size() > kAtOnceBytes; });
}

/// Looks up what the templates need of large JSON; false if `ctx` is done before.
Task<bool> Call::search(const Context& ctx, const Calls* calls, Found* found) {
  const auto add = [&](std::size_t call, const JsonPointer& pointer) {
    if (call != JsonReference::kItem) found->emplace_back(&pointer, (*calls)[call].fragment().bytes);
  };
  plan_.path.for_each_json(add);
  for (const auto& header : plan_.headers) header.second.for_each_json(add);
  for (auto& [pointer, value] : *found) {
    JsonSearch searching(*pointer, *value);
    const bool is_over = co_await in_turns(ctx, searching);
    if (!is_over) co_return false;
    value = searching.found();
  }
  co_return true;
}

/// Whether what is stored, and is large, is of use.
Task<> Call::check_stored(const Context& ctx) {
  const bool does_fit = co_await fits_in_turns(ctx, plan_, *stored_->body);
  if (!does_fit) stored_.reset();
}

/// Begins to shape what is stored, and is large, in case that it is needed.
void Call::shape_stored(const Context& ctx) {
  if (!plan_.is_json || plan_.shape.is_identity() || plan_.config.cache->stale_if_error == Duration(0)) return;
  stored_shape_ = std::make_shared<StoredShape>(stored_, incoming_.deployment, plan_);
  boost::asio::co_spawn(Loop::current().executor(), run_shaping(ctx, stored_shape_), boost::asio::detached);
}

Task<> Call::run_shaping(Context ctx, std::shared_ptr<StoredShape> stored) {
  Shaping shaping(stored->plan.shape, json_of(*stored->entry->body), stored->shaped.get());
  const bool is_over = co_await in_turns(ctx, shaping);
  stored->is_done = is_over && shaping.fits();
  stored->is_over = true;
}

/// Shapes what is large: the data that was got, or else the stored data that may replace it.
Task<bool> Call::finish(const Context& ctx, bool succeeded) {
  if (!succeeded) {
    while (stored_shape_ && !stored_shape_->is_over && !ctx.is_done()) co_await pause();
    co_return false;
  }
  if (unshaped_ == nullptr) co_return true;
  auto shaped = std::make_unique<Shaped>();
  Shaping shaping(*std::exchange(unshaped_, nullptr), fragment_.bytes, shaped.get());
  const bool is_over = co_await in_turns(ctx, shaping);
  if (!is_over) co_return is_late(ctx);
  if (!shaping.fits()) {
    const unsigned status = fragment_.status;
    fail(Reason::invalid);
    fragment_.status = status;
    co_return false;
  }
  fragment_.shaped = std::move(shaped);
  fragment_.took = Loop::current().now() - start_;
  co_return true;
}

}  // namespace sluice::gateway
