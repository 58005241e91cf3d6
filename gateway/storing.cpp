#include "gateway/storing.hpp"

#include "concurrency/loop.hpp"
#include "gateway/log.hpp"

#include <algorithm>

#include <boost/asio/post.hpp>

namespace sluice::gateway {
namespace {

using backends::Headers;
using backends::Request;
using concurrency::Loop;

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& n) { return backends::iequals(n, name); });
}

bool forwards(const CallPlan& plan, std::string_view name) {
  return plan.config.forward.headers.all || contains(plan.config.forward.headers.list, name);
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
  if (contains(vary, name)) return false;
  // The gateway's own wish, whatever the client's was.
  if (!plan.is_proxy && backends::iequals(name, "Accept-Encoding")) return false;
  return forwards(plan, name) || what.request->headers.contains(name) ||
         backends::iequals(what.request->deadline_header, name);
}

/// Why a response that would be passed on with all its fields is not stored, apart from what Cache-Control says.
std::string_view refusal_of_whole(unsigned status, const Headers& headers, const Origin& origin) {
  constexpr unsigned kByDefault[] = {200, 203, 204, 300, 301, 308};
  if (status == 206 || status == 304) return "partial";
  if (headers.contains("Set-Cookie")) return "set_cookie";
  const bool is_default = std::find(std::begin(kByDefault), std::end(kByDefault), status) != std::end(kByDefault);
  return is_default || origin.names_lifetime || origin.is_public ? "" : "status";
}

/// In turns of the loop, where room has to be made.
void store(std::shared_ptr<const Deployment> deployment, std::string key, StaleEntry entry) {
  if (deployment->shared.store.put(key, entry, entry.stored_at) != StaleStore::Put::again) return;
  boost::asio::post(Loop::current().executor(), [d = std::move(deployment), k = std::move(key), e = std::move(entry)] {
    const auto other = d->shared.store.find(k, e.stored_at);
    if (!other || other->stored_at <= e.stored_at) store(d, k, e);
  });
}

bool is_accepted_or_not_modified(const void* set, unsigned status) {
  const auto& statuses = *static_cast<const StatusSet*>(set);
  return status == 304 || (status < statuses.size() && statuses[status]);
}

std::string_view opaque(std::string_view tag) {
  return tag.starts_with("W/") ? tag.substr(2) : tag;
}

}  // namespace

bool sends_credentials(const CallPlan& plan, const Request& request) {
  constexpr std::string_view kName = "authorization";
  if (contains(plan.config.cache->vary, kName)) return false;
  const auto is_made_of_it = [&](const auto& header) { return contains(header.second.headers(), kName); };
  return std::any_of(plan.headers.begin(), plan.headers.end(), is_made_of_it) ||
         (forwards(plan, kName) && request.headers.contains(kName));
}

Origin origin_for(const Question& what, unsigned status, const Headers& headers, TimePoint asked_at) {
  const CacheConfig& cache = *what.plan->config.cache;
  Origin origin = origin_of(headers, status, cache.targeted, Loop::current().now() - asked_at);
  if (cache.ignore_origin) {  // how old it is stays true
    Origin silent;
    silent.age = origin.age;
    origin = silent;
  }
  if (what.plan->is_proxy) {
    if (origin.refusal.empty()) origin.refusal = refusal_of_whole(status, headers, origin);
    // An error with a lifetime is as good as any while that lasts, and nothing to stand in for another.
    const bool is_error = what.plan->serves_stale_on(backends::Reason::status, status);
    if (is_error) origin.allowed.stale_while_revalidate = origin.allowed.stale_if_error = Duration(0);
  }
  if (cache.ignore_origin || !origin.refusal.empty()) return origin;
  headers.find_all("Vary", [&](std::string_view list) {
    while (const auto name = backends::next_list_element(list)) {
      if (may_differ(what, *name)) origin.refusal = "vary";
    }
  });
  if (!origin.allows_authorized && sends_credentials(*what.plan, *what.request)) origin.refusal = "authorization";
  if (cache.origin_decides && !origin.names_lifetime) origin.allowed.ttl = Duration(0);
  if (cache.origin_decides && !origin.names_revalidate) origin.allowed.stale_while_revalidate = Duration(0);
  return origin;
}

bool is_for_one(std::string_view refusal) {
  return !refusal.empty() && refusal != "no_store" && refusal != "no_cache" && refusal != "status";
}

void refuse(const Question& what, std::string_view reason) {
  const CallPlan& plan = *what.plan;
  const std::string& backend = what.deployment->runtime->config.backends[plan.config.backend].name;
  what.deployment->shared.cache_metrics.refused(backend, reason).add();
  if (plan.has_warned->test_and_set()) return;
  const bool is_ours = reason == "too_large" || reason == "partial" || reason == "set_cookie" || reason == "status";
  log_warn("endpoint \"" + plan.endpoint_name + "\", call \"" + plan.config.name + "\": an answer of backend \"" +
           backend + "\" is not stored: " + std::string(reason) +
           (is_ours ? "" : "; \"ignore_origin\" in \"cache\" stores it nevertheless"));
}

void keep(const Question& what, const Origin& origin, unsigned status, const Headers& headers,
          std::shared_ptr<const backends::Body> body) {
  const Runtime& runtime = *what.deployment->runtime;
  StaleEntry entry;
  entry.status = status;
  entry.media_type = std::string(headers.find("Content-Type").value_or(""));
  entry.headers = what.plan->is_proxy ? whole_fields(headers)
                                      : kept_fields(headers, runtime.kept_headers[what.plan->config.backend]);
  entry.body = std::move(body);
  entry.stored_at = Loop::current().now();
  entry.age_when_stored = origin.age;
  entry.allowed = origin.allowed;
  if (what.deployment->shared.store.can_hold(what.key, entry)) {
    store(what.deployment, what.key, std::move(entry));
  } else {
    refuse(what, "too_large");
  }
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

std::shared_ptr<const Request> conditional(const Question& what) {
  auto request = std::make_shared<Request>(*what.request);
  const Headers kept = fields_from(what.stored->headers);
  if (const auto tag = kept.find("ETag")) request->headers.add("If-None-Match", *tag);
  if (const auto date = kept.find("Last-Modified")) request->headers.add("If-Modified-Since", *date);
  request->accepts = &is_accepted_or_not_modified;
  return request;
}

std::optional<Headers> renewed_fields(const StaleEntry& stored, const Headers& not_modified) {
  Headers headers = fields_from(stored.headers);
  const auto tag = not_modified.find("ETag");
  const auto had = headers.find("ETag");
  if (tag && had && opaque(*tag) != opaque(*had)) return std::nullopt;
  // What comes without a Date is of now.
  if (!not_modified.contains("Date")) headers.remove("Date");
  headers = update_fields(headers, not_modified);
  if (!stored.media_type.empty()) headers.set("Content-Type", stored.media_type);
  return headers;
}

}  // namespace sluice::gateway
