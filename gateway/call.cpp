#include "gateway/call.hpp"

#include "concurrency/loop.hpp"
#include "concurrency/select.hpp"
#include "gateway/header_lines.hpp"
#include "gateway/invalidation.hpp"
#include "gateway/json_check.hpp"
#include "gateway/redirect.hpp"
#include "gateway/turns.hpp"

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace sluice::gateway {
namespace {

using backends::CallResult;
using backends::Failure;
using backends::Reason;
using concurrency::Channel;
using concurrency::Context;
using concurrency::Duration;
using concurrency::Loop;
using concurrency::Task;
using concurrency::TimePoint;

Windows windows_of(const CacheConfig& cache) {
  return Windows{cache.ttl, cache.stale_while_revalidate, cache.stale_if_error};
}

}  // namespace

std::optional<RootCause> Fragment::root_cause() const {
  if (!reason) return RootCause(Reason::invalid, 0);  // there is data, but not what another call needs of it
  if (*reason == Reason::dependency) return root;
  return RootCause(*reason, status);
}

/// Fails the call for a value that it needs; false.
bool Call::lacks(std::optional<RootCause> root) {
  fail(Reason::dependency);
  fragment_.root = root;
  return false;
}

/// Fails the call because `ctx` is done, or the request is shed; false.
bool Call::is_late(const Context& ctx) {
  if (incoming_.is_shed) {
    fail(Reason::shed);
    return false;
  }
  fail(ctx.err() == concurrency::Error::deadline_exceeded ? Reason::timeout : Reason::cancelled);
  return false;
}

bool Call::prepare(const Calls& calls, const Found& found) {
  TemplateValues values;
  values.found = found;
  values.calls = &calls;
  values.json_of_call = [](const void* all, std::size_t call) {
    return (*static_cast<const Calls*>(all))[call].fragment().bytes;
  };
  values.item = item_;
  std::optional<std::size_t> culprit;
  auto made = make_request(plan_, incoming_, values, culprit);
  if (!made) {
    if (culprit == JsonReference::kItem) culprit = plan_.array->call;
    return lacks(culprit ? calls[*culprit].fragment().root_cause() : std::nullopt);
  }
  look_up(std::move(*made));
  return true;
}

void Call::look_up(CallRequest made) {
  if (start_ == TimePoint()) start_ = Loop::current().now();
  request_ = std::move(made.request);
  key_ = std::move(made.key);
  if (key_.empty()) return;
  const TimePoint now = Loop::current().now();
  if (plan_.config.cache->honor_request) wish_ = CacheWish(incoming_.parser.headers());
  if (wish_.no_store) key_.clear();  // of whoever says that nothing is stored, nor used
  stored_ = find_stored(now);
  if (stored_) standing_ = stored_->freshness(windows_of(*plan_.config.cache), now);
}

std::shared_ptr<const StaleEntry> Call::find_stored(TimePoint now) const {
  if (key_.empty()) return nullptr;
  auto found = incoming_.deployment->shared.store.find(key_, now);
  // Calls of several endpoints share what is stored: this one may have no use for it.
  const bool is_of_use =
      found && plan_.config.accept[found->status] && (is_large(*found->body) || fits(plan_, *found->body));
  return is_of_use ? found : nullptr;
}

Task<bool> Call::fetch(const Context& parent, const Calls* calls) {
  start_ = Loop::current().turn_time();
  for (std::size_t input : plan_.inputs) {
    const Fragment& needed = (*calls)[input].fragment();
    if (!needed.has_data()) co_return lacks(needed.root_cause());
  }
  // While it waited for others: what is stored may be served, but no server has to do with that.
  const bool is_over = parent.is_done() || incoming_.is_shed;
  if (is_over && !plan_.config.cache) co_return is_late(parent);
  if (is_for_each()) co_return co_await fetch_each(parent, calls);
  Found found;
  if (needs_search(*calls)) {
    const bool is_searched = co_await search(parent, calls, &found);
    if (!is_searched) co_return is_late(parent);
  }
  if (!prepare(*calls, found)) co_return false;
  const bool is_large_stored = stored_ && is_large(*stored_->body);
  if (is_large_stored) co_await check_stored(parent);
  if (use_stored_without_asking()) {
    if (unshaped_ == nullptr) co_return true;
    co_return co_await finish(parent, true);
  }
  if (is_over) co_return is_late(parent);
  if (wish_.only_if_cached) {
    fail(Reason::timeout);
    co_return false;
  }
  if (is_large_stored && stored_) shape_stored(parent);
  std::optional<concurrency::Cancellable> bounded;
  if (plan_.config.timeout && item_.empty()) {  // that of all elements together is over them
    bounded = concurrency::with_timeout(parent, *plan_.config.timeout);
  }
  const Context& ctx = bounded ? bounded->ctx : parent;
  // Of `first` another call may still be fresh: there stale data is for the end.
  if (plan_.is_json && stored_ && plan_.config.cache->stale_after &&
      may_replace_errors(start_ + *plan_.config.cache->stale_after)) {
    const bool succeeded = co_await fetch_or_be_slow(ctx);
    co_return co_await finish(ctx, succeeded);
  }
  if (key_.empty()) {  // nothing is stored of it
    auto asking = plan_.config.follow_redirects == 0
                      ? incoming_.deployment->backend(plan_.config.backend).call(ctx, request_)
                      : call_following(ctx, incoming_.deployment, plan_, request_);
    const CallAnswer answer = co_await std::move(asking);
    const bool succeeded = take(answer);
    if (unshaped_ == nullptr) co_return succeeded;
    co_return co_await finish(ctx, succeeded);
  }
  const CallAnswerPtr answer = co_await ask(ctx, question());
  const bool succeeded = take(*answer);
  if (unshaped_ == nullptr && !stored_shape_) co_return succeeded;
  co_return co_await finish(ctx, succeeded);
}

bool Call::use_stored_without_asking() {
  if (key_.empty()) return false;
  const CacheMetrics& metrics = incoming_.deployment->shared.cache_metrics;
  if (!stored_) {
    metrics.misses.add();
    return false;
  }
  const bool is_fresh = standing_ == Freshness::fresh;
  (is_fresh ? metrics.hits : metrics.stale_hits).add();
  if (!suits_the_client()) return false;
  (void)use_stored(Outcome::cached);
  if (is_fresh) {
    fragment_.fresh_for = std::min(plan_.config.cache->ttl, stored_->allowed.ttl) - *fragment_.age;
  } else if (standing_ == Freshness::while_revalidate && !incoming_.is_shed) {
    refresh(question());
  }
  return true;
}

/// Whether what is stored will do without asking, by the windows and the wish of the client.
bool Call::suits_the_client() const {
  const Duration age = stored_->age(Loop::current().now());
  const Duration left = std::min(plan_.config.cache->ttl, stored_->allowed.ttl) - age;
  if (standing_ == Freshness::fresh) return wish_.accepts_fresh(age, left);
  if (standing_ == Freshness::while_revalidate) return wish_.accepts_fresh(age, Duration(0));
  return standing_ == Freshness::if_error && wish_.accepts_stale(age, -left);
}

Task<bool> Call::fetch_or_be_slow(const Context& ctx) {
  Channel<CallAnswerPtr> answer(1);
  auto [call_ctx, cancel_call] = concurrency::with_timeout(incoming_.deployment->background, plan_.longest);
  const auto cancel = std::make_shared<const concurrency::Cancel>(std::move(cancel_call));
  boost::asio::co_spawn(Loop::current().executor(), ask_for(call_ctx, question(), answer, cancel),
                        boost::asio::detached);
  std::optional<CallAnswerPtr> result;
  const auto fired =
      co_await concurrency::select(concurrency::when_received(answer, result), concurrency::when_done(ctx),
                                   concurrency::after(*plan_.config.cache->stale_after));
  if (fired == 0) {
    answer_ = *result;
    co_return take(*answer_);
  }
  if (fired == 1) {
    const bool timed_out = ctx.err() == concurrency::Error::deadline_exceeded;
    if (!timed_out) (*cancel)();
    const CallAnswer none(Failure(timed_out ? Reason::timeout : Reason::cancelled, "while waiting for the backend"));
    co_return take(none);
  }
  fragment_.reason = Reason::slow;
  (void)use_stored(Outcome::stale);
  co_return true;
}

Task<> Call::ask_for(Context ctx, Question what, Channel<CallAnswerPtr> answer,
                     std::shared_ptr<const concurrency::Cancel> cancel) {
  CallAnswerPtr result = co_await ask(ctx, std::move(what));
  (void)answer.try_send(std::move(result));
  cancel.reset();  // kept until now, as its end cancels
}

Question Call::question() const {
  return Question(incoming_.deployment, plan_, request_, key_, stored_);
}

bool Call::take(const CallAnswer& answer) {
  const CallResult& result = answer.result;
  fragment_.took = Loop::current().turn_time() - start_;
  if (result.has_value()) {
    if (is_unsafe(request_->method)) invalidate(incoming_, plan_, *request_, result->status, result->headers);
    fragment_.status = result->status;
    if (!use(plan_.is_json ? json_of(*result->body) : std::string_view(result->body->bytes), plan_.shape)) {
      fragment_.outcome = Outcome::missing;
      fragment_.reason = Reason::invalid;
      return false;
    }
    fragment_.outcome = Outcome::fresh;
    fragment_.media_type = std::string(result->headers.find("Content-Type").value_or(""));
    if (!plan_.taken_headers.empty()) append_lines(result->headers, plan_.taken_headers, fragment_.headers);
    fragment_.owner = result->body;
    if (plan_.config.cache) fragment_.fresh_for = answer.fresh_for(plan_.config.cache->ttl);
    return true;
  }
  fragment_.outcome = Outcome::missing;
  fragment_.reason = result.error().reason;
  fragment_.status = result.error().status;
  return false;
}

bool Call::may_replace_errors(TimePoint when) const {
  if (!stored_) return false;
  const Freshness standing = stored_->freshness(windows_of(*plan_.config.cache), when);
  return standing != Freshness::expired &&
         (standing != Freshness::while_revalidate || plan_.config.cache->stale_if_error > Duration(0));
}

/// False if it is large and not shaped, which is then left to finish().
bool Call::use_stored(Outcome outcome) {
  fragment_.outcome = outcome;
  fragment_.took = Loop::current().now() - start_;
  fragment_.status = stored_->status;
  fragment_.age = stored_->age(Loop::current().now());
  if (outcome == Outcome::stale) fragment_.usable_until = stored_->usable_until(windows_of(*plan_.config.cache));
  (void)use(plan_.is_json ? json_of(*stored_->body) : std::string_view(stored_->body->bytes), plan_.shape);
  if (unshaped_ != nullptr && stored_shape_ && stored_shape_->is_done) {
    fragment_.shaped = std::move(stored_shape_->shaped);
    unshaped_ = nullptr;
  }
  fragment_.media_type = stored_->media_type;
  for_each_line(stored_->headers, [&](std::string_view name, std::string_view value) {
    const auto& taken = plan_.taken_headers;
    const bool is_taken =
        std::any_of(taken.begin(), taken.end(), [&](const auto& t) { return backends::iequals(t, name); });
    if (is_taken) fragment_.headers.append(name).append(": ").append(value).append(1, '\n');
  });
  fragment_.owner = stored_;
  return unshaped_ == nullptr;
}

/// Makes `bytes` the data of the fragment; false if they do not have what the shape asks for. What is large is left to
/// finish().
bool Call::use(std::string_view bytes, const JsonShape& shape) {
  std::unique_ptr<Shaped> shaped;
  unshaped_ = nullptr;
  if (!shape.is_identity() && bytes.size() > kAtOnceBytes) {
    unshaped_ = &shape;
  } else if (!shape.is_identity()) {
    shaped = std::make_unique<Shaped>();
    if (!shape.apply(bytes, *shaped)) return false;
  }
  fragment_.bytes = bytes;
  fragment_.shaped = std::move(shaped);
  return true;
}

void Call::renew() {
  use_stored(Outcome::fresh);
  fragment_.age.reset();
}

void Call::degrade() {
  const CallConfig& config = plan_.config;
  const Reason reason = fragment_.reason.value_or(Reason::cancelled);
  if (fragment_.took == Duration(0) && start_ != TimePoint()) {
    fragment_.took = Loop::current().now() - start_;
  }
  // Others may have brought something newer meanwhile; of what is large only what is shaped by now is of use.
  const auto newer = stored_shape_ ? nullptr : find_stored(Loop::current().now());
  if (newer) stored_ = newer;
  if (may_replace_errors(Loop::current().now()) && plan_.serves_stale_on(reason, fragment_.status)) {
    const unsigned failed_with = fragment_.status;
    const bool is_shaped = use_stored(Outcome::stale);
    fragment_.status = reason == Reason::status ? failed_with : 0;
    if (is_shaped) return;
    const Duration took = fragment_.took;
    fail(reason);
    fragment_.status = failed_with;
    fragment_.took = took;
  }
  if (config.fallback && !is_for_each()) {  // it stands in for single elements
    fragment_.outcome = Outcome::fallback;
    fragment_.bytes = *config.fallback;
    if (!plan_.fallback_shape.is_identity()) {
      auto shaped = std::make_unique<Shaped>();
      (void)plan_.fallback_shape.apply(fragment_.bytes, *shaped);
      fragment_.shaped = std::move(shaped);
    }
    fragment_.media_type = "application/json";
    return;
  }
  fragment_.outcome = Outcome::missing;
}

void Call::fail(Reason reason) {
  fragment_ = Fragment();
  fragment_.outcome = Outcome::missing;
  fragment_.reason = reason;
}

void Call::skip() {
  const bool has_failed = fragment_.outcome == Outcome::missing && fragment_.reason != Reason::cancelled;
  if (has_failed) return;
  fragment_ = Fragment();
  fragment_.outcome = Outcome::skipped;
}

void Call::count() const {
  if (fragment_.usable_until) plan_.metrics->served_stale(Loop::current().now(), *fragment_.usable_until);
  plan_.metrics->observe(fragment_.outcome, fragment_.reason, fragment_.took, fragment_.age.value_or(Duration(0)));
}

}  // namespace sluice::gateway
