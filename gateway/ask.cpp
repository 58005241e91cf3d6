#include "gateway/ask.hpp"

#include "concurrency/loop.hpp"
#include "gateway/json_check.hpp"
#include "gateway/log.hpp"
#include "gateway/origin.hpp"
#include "gateway/redirect.hpp"

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>

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

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& n) { return backends::iequals(n, name); });
}

bool forwards(const CallPlan& plan, std::string_view name) {
  return plan.config.forward.headers.all || contains(plan.config.forward.headers.list, name);
}

/// Whether a client's credentials are sent although they are not part of the key (RFC 9111 §3.5).
bool sends_credentials(const CallPlan& plan, const Request& request) {
  constexpr std::string_view kName = "authorization";
  if (contains(plan.config.cache->vary, kName)) return false;
  const auto is_made_of_it = [&](const auto& header) { return contains(header.second.headers(), kName); };
  return std::any_of(plan.headers.begin(), plan.headers.end(), is_made_of_it) ||
         (forwards(plan, kName) && request.headers.contains(kName));
}

/// Whether the header `name`, which the origin's Vary names, may differ between requests of the same key.
bool may_differ(const Question& what, std::string_view name) {
  const CallPlan& plan = *what.plan;
  const Config& config = what.deployment->runtime->config;
  const std::vector<std::string>& vary = plan.config.cache->vary;
  for (const HeaderTemplate& constant : config.backends[plan.config.backend].headers) {
    if (backends::iequals(constant.name, name)) return false;
  }
  for (const auto& [header, source] : plan.headers) {
    if (!backends::iequals(header, name)) continue;
    const auto& of_client = source.headers();  // whatever else it is made of is in the key
    return !std::all_of(of_client.begin(), of_client.end(), [&](const auto& n) { return contains(vary, n); });
  }
  // The gateway's own wish, whatever the client's was.
  if (contains(vary, name) || backends::iequals(name, "Accept-Encoding")) return false;
  return forwards(plan, name) || what.request->headers.contains(name) ||
         backends::iequals(what.request->deadline_header, name);
}

Origin origin_for(const Question& what, const Headers& headers) {
  if (what.plan->config.cache->ignore_origin) return Origin();
  Origin origin = origin_of(headers);
  if (!origin.refusal.empty()) return origin;
  headers.find_all("Vary", [&](std::string_view list) {
    while (const auto name = backends::next_list_element(list)) {
      if (may_differ(what, *name)) origin.refusal = "vary";
    }
  });
  if (!origin.allows_authorized && sends_credentials(*what.plan, *what.request)) origin.refusal = "authorization";
  return origin;
}

void refuse(const Question& what, std::string_view reason) {
  const CallPlan& plan = *what.plan;
  const std::string& backend = what.deployment->runtime->config.backends[plan.config.backend].name;
  what.deployment->shared.cache_metrics.refused(backend, reason).add();
  if (plan.has_warned->test_and_set()) return;
  log_warn("endpoint \"" + plan.endpoint_name + "\", call \"" + plan.config.name + "\": an answer of backend \"" +
           backend + "\" is not stored: " + std::string(reason) +
           (reason == "too_large" ? "" : "; \"ignore_origin\" in \"cache\" stores it nevertheless"));
}

/// In turns of the loop, where room has to be made: no request waits for that.
void store(std::shared_ptr<const Deployment> deployment, std::string key, StaleEntry entry) {
  if (deployment->shared.store.put(key, entry, entry.stored_at) != StaleStore::Put::again) return;
  boost::asio::post(Loop::current().executor(), [d = std::move(deployment), k = std::move(key), e = std::move(entry)] {
    const auto other = d->shared.store.find(k, e.stored_at);
    if (!other || other->stored_at <= e.stored_at) store(d, k, e);
  });
}

/// A redirect may lead elsewhere than it did: then a date says nothing of what is stored.
bool can_validate(const Question& what) {
  const CallConfig& config = what.plan->config;
  const Headers& headers = what.request->headers;
  if (!what.stored || !config.accept[what.stored->status] || config.follow_redirects != 0) return false;
  if (headers.contains("If-None-Match") || headers.contains("If-Modified-Since")) return false;
  const Headers kept = fields_from(what.stored->headers);
  return kept.contains("ETag") || kept.contains("Last-Modified");
}

bool is_accepted_or_not_modified(const void* set, unsigned status) {
  const auto& statuses = *static_cast<const StatusSet*>(set);
  return status == 304 || (status < statuses.size() && statuses[status]);
}

std::shared_ptr<const Request> conditional(const Question& what) {
  auto request = std::make_shared<Request>(*what.request);
  const Headers kept = fields_from(what.stored->headers);
  if (const auto tag = kept.find("ETag")) request->headers.add("If-None-Match", *tag);
  if (const auto date = kept.find("Last-Modified")) request->headers.add("If-Modified-Since", *date);
  request->accepts = &is_accepted_or_not_modified;
  return request;
}

std::string_view opaque(std::string_view tag) {
  return tag.starts_with("W/") ? tag.substr(2) : tag;
}

/// The stored answer with what a 304 says of it; a failure if that means another one.
CallResult renewed(const StaleEntry& stored, const Headers& not_modified) {
  Headers headers = fields_from(stored.headers);
  const auto tag = not_modified.find("ETag");
  const auto had = headers.find("ETag");
  if (tag && had && opaque(*tag) != opaque(*had)) {
    Failure failure(Reason::status, "status 304 for another entity tag");
    failure.status = 304;
    return failure;
  }
  backends::Response response(stored.status, stored.body);
  response.headers = update_fields(headers, not_modified);
  if (!stored.media_type.empty()) response.headers.set("Content-Type", stored.media_type);
  return response;
}

bool is_gone(const Failure& failure) {
  return failure.status == 404 || failure.status == 410;
}

/// Tells the store of what a backend answered.
CallAnswerPtr learn(const Question& what, CallResult result, bool was_conditional) {
  Shared& shared = what.deployment->shared;
  if (was_conditional && result.has_value() && result->status == 304) result = renewed(*what.stored, result->headers);
  auto answer = std::make_shared<CallAnswer>(std::move(result));
  if (answer->result.has_error()) {
    if (is_gone(answer->result.error())) shared.store.erase(what.key);
    return answer;
  }
  const Headers& headers = answer->result->headers;
  const Origin origin = origin_for(what, headers);
  answer->age = origin.age;
  answer->lifetime = origin.refusal.empty() ? origin.allowed.ttl : Duration(0);
  if (!origin.refusal.empty()) {
    answer->is_for_one = origin.refusal != "no_store" && origin.refusal != "no_cache";
    refuse(what, origin.refusal);
    return answer;
  }
  if (!fits(*what.plan, *answer->result->body)) return answer;  // the call fails: what is stored stays
  StaleEntry entry;
  entry.status = answer->result->status;
  entry.media_type = std::string(headers.find("Content-Type").value_or(""));
  const Runtime& runtime = *what.deployment->runtime;
  entry.headers = kept_fields(headers, runtime.kept_headers[what.plan->config.backend]);
  entry.body = answer->result->body;
  entry.stored_at = Loop::current().now();
  entry.age_when_stored = origin.age;
  entry.allowed = origin.allowed;
  if (shared.store.can_hold(what.key, entry)) {
    store(what.deployment, what.key, std::move(entry));
  } else {
    refuse(what, "too_large");
  }
  return answer;
}

Task<CallAnswerPtr> attempt(Context ctx, Question what) {
  const bool is_conditional = can_validate(what);
  const std::shared_ptr<const Request> request = is_conditional ? conditional(what) : what.request;
  auto asking = what.plan->config.follow_redirects == 0
                    ? what.deployment->backend(what.plan->config.backend).call(ctx, request)
                    : call_following(ctx, what.deployment, *what.plan, request);
  CallResult result = co_await std::move(asking);
  co_return learn(what, std::move(result), is_conditional);
}

/// The attempt that is shared. No client's deadline is that of the others.
Task<Result<CallAnswerPtr>> fly(Context ctx, Question what) {
  const auto bounded = concurrency::with_timeout(ctx, what.plan->longest);
  CallAnswerPtr answer = co_await attempt(bounded.ctx, std::move(what));
  co_return answer;
}

/// A cookie that the reply takes over is for one client.
bool sets_a_cookie(const CallPlan& plan, const CallAnswer& answer) {
  return contains(plan.taken_headers, "set-cookie") && answer.result.has_value() &&
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

std::optional<Duration> CallAnswer::fresh_for(Duration ttl) const {
  if (!lifetime) return std::nullopt;
  return std::max(Duration(0), std::min(ttl, *lifetime) - age);
}

Task<CallAnswerPtr> ask(Context ctx, Question what) {
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
