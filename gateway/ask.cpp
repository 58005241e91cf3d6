#include "gateway/ask.hpp"

#include "concurrency/loop.hpp"
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
using backends::Headers;
using backends::Reason;
using backends::Request;
using concurrency::Context;
using concurrency::Loop;
using concurrency::Result;
using concurrency::Task;

/// Makes of a 304 the stored answer with what it says of that; false if it is about another one.
bool renew(const StaleEntry& stored, CallResult& result) {
  auto headers = renewed_fields(stored, result->headers);
  if (!headers) return false;
  backends::Response response(stored.status, stored.body);
  response.headers = std::move(*headers);
  result = std::move(response);
  return true;
}

bool is_gone(const Failure& failure) {
  return failure.status == 404 || failure.status == 410;
}

/// Tells the store of what a backend answered.
CallAnswerPtr learn(const Question& what, CallResult result, TimePoint asked_at, bool does_fit) {
  Shared& shared = what.deployment->shared;
  auto answer = std::make_shared<CallAnswer>(std::move(result));
  if (answer->result.has_error()) {
    if (is_gone(answer->result.error())) shared.store.erase(what.key);
    return answer;
  }
  const Headers& headers = answer->result->headers;
  const unsigned status = answer->result->status;
  const Origin origin = origin_for(what, status, headers, asked_at);
  answer->age = origin.age;
  answer->lifetime = origin.refusal.empty() ? origin.allowed.ttl : Duration(0);
  if (!origin.refusal.empty()) {
    answer->is_for_one = is_for_one(origin.refusal);
    if (status == 404 || status == 410) shared.store.erase(what.key);
    refuse(what, origin.refusal);
    return answer;
  }
  // Else the call fails: what is stored stays.
  if (does_fit) keep(what, origin, status, headers, answer->result->body);
  return answer;
}

Task<CallAnswerPtr> attempt(const Context& ctx, Question what) {
  const bool is_conditional = can_validate(what);
  const std::shared_ptr<const Request> request = is_conditional ? conditional(what) : what.request;
  TimePoint asked_at = Loop::current().now();
  auto asking = what.plan->config.follow_redirects == 0
                    ? what.deployment->backend(what.plan->config.backend).call(ctx, request)
                    : call_following(ctx, what.deployment, *what.plan, request);
  CallResult result = co_await std::move(asking);
  bool is_renewed = is_conditional && result.has_value() && result->status == 304;
  if (is_renewed && !renew(*what.stored, result)) {  // §4.3.4: once more, without conditions
    is_renewed = false;
    asked_at = Loop::current().now();
    result = co_await what.deployment->backend(what.plan->config.backend).call(ctx, what.request);
  }
  bool does_fit = true;  // as what is renewed did before
  if (result.has_value() && !is_renewed) {
    does_fit = is_large(*result->body) ? co_await fits_in_turns(ctx, *what.plan, *result->body)
                                       : fits(*what.plan, *result->body);
  }
  co_return learn(what, std::move(result), asked_at, does_fit);
}

/// The attempt that is shared. No client's deadline is that of the others.
Task<Result<CallAnswerPtr>> fly(const Context& ctx, Question what) {
  const auto bounded = concurrency::with_timeout(ctx, what.plan->longest);
  CallAnswerPtr answer = co_await attempt(bounded.ctx, std::move(what));
  co_return answer;
}

/// A cookie that the reply takes over is for one client.
bool sets_a_cookie(const CallPlan& plan, const CallAnswer& answer) {
  const auto& taken = plan.taken_headers;
  return std::find(taken.begin(), taken.end(), "set-cookie") != taken.end() && answer.result.has_value() &&
         answer.result->headers.contains("Set-Cookie");
}

std::string flight_key(const Question& what) {
  return what.key + "\n#" + std::to_string(what.plan->alike);
}

/// A refresh that fails means that what is stored is used up without anybody seeing it.
Task<> keep_asking(Question what) {
  const auto bounded = concurrency::with_timeout(what.deployment->background, what.plan->longest);
  const std::string key = flight_key(what);
  const auto got = co_await what.deployment->flights().run(bounded.ctx, key, fly, what);
  const bool is_answer = got.has_value() && (got->value->result.has_value() || is_gone(got->value->result.error()));
  if (is_answer || what.deployment->background.is_done()) co_return;
  const CacheConfig& cache = *what.plan->config.cache;
  const Windows windows{cache.ttl, cache.stale_while_revalidate, cache.stale_if_error};
  what.plan->metrics->served_stale(Loop::current().now(), what.stored->usable_until(windows));
}

}  // namespace

bool fits(const CallPlan& plan, const backends::Body& body) {
  return plan.shape.is_identity() || plan.shape.fits(json_of(body));
}

Task<bool> fits_in_turns(const Context& ctx, const CallPlan& plan, const backends::Body& body) {
  if (plan.shape.is_identity()) co_return true;
  Shaping fitting(plan.shape, json_of(body), nullptr);
  const bool is_over = co_await in_turns(ctx, fitting);
  co_return is_over&& fitting.fits();
}

bool is_large(const backends::Body& body) {
  return body.bytes.size() > kAtOnceBytes;
}

std::optional<Duration> CallAnswer::fresh_for(Duration ttl) const {
  if (!lifetime) return std::nullopt;
  return std::max(Duration(0), std::min(ttl, *lifetime) - age);
}

Task<CallAnswerPtr> ask(const Context& ctx, Question what) {
  const CallPlan& plan = *what.plan;
  if (!plan.config.cache->coalesce || sends_credentials(plan, *what.request)) {
    CallAnswerPtr own = co_await attempt(ctx, what);
    co_return own;
  }
  CallFlights& flights = what.deployment->flights();
  const std::string key = flight_key(what);
  flights.forget_if_older(key, Loop::current().now() - plan.longest / 2);
  const bool joins = flights.is_under_way(key);
  const auto got = co_await flights.run(ctx, key, fly, what);
  if (got.has_error()) {
    const bool is_late = got.error() == concurrency::Error::deadline_exceeded;
    co_return std::make_shared<const CallAnswer>(
        Failure(is_late ? Reason::timeout : Reason::cancelled, "while waiting for the backend"));
  }
  CallAnswerPtr answer = got->value;
  if (!joins) co_return answer;
  if (answer->is_for_one || sets_a_cookie(plan, *answer)) {
    answer = co_await attempt(ctx, what);
  } else {
    what.deployment->runtime->backend_metrics[plan.config.backend]->coalesced.add();
  }
  co_return answer;
}

void refresh(Question what) {
  if (what.deployment->flights().is_under_way(flight_key(what))) return;
  boost::asio::co_spawn(Loop::current().executor(), keep_asking(std::move(what)), boost::asio::detached);
}

}  // namespace sluice::gateway
