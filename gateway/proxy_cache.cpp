#include "gateway/proxy_cache.hpp"

#include "concurrency/loop.hpp"
#include "gateway/invalidation.hpp"
#include "gateway/preconditions.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace sluice::gateway {
namespace {

using backends::Headers;
using backends::Reason;
using backends::Request;
using concurrency::Context;
using concurrency::Duration;
using concurrency::Loop;
using concurrency::Task;

constexpr const char* kOfPart[] = {"Range",    "If-Range",          "If-None-Match",
                                   "If-Match", "If-Modified-Since", "If-Unmodified-Since"};

std::int64_t whole_seconds(Duration duration) {
  return std::chrono::floor<std::chrono::seconds>(duration).count();
}

/// Whether what the client asks for is for the backend alone to judge.
bool is_for_backend(const Headers& asked) {
  return asked.contains("If-Match") || asked.contains("If-Unmodified-Since");
}

bool is_success(const void* set, unsigned status) {
  const auto& statuses = *static_cast<const StatusSet*>(set);
  return status < statuses.size() && statuses[status];
}

/// The lifetime that what is stored has left, less than nothing when it is stale.
Duration left_of(const StaleEntry& entry, const CallPlan& plan) {
  return std::min<Duration>(plan.config.cache->ttl, entry.allowed.ttl) - entry.age(Loop::current().now());
}

/// Whether others may have what is as old and no more: at once, or while it is refreshed. Else each asks for itself.
bool is_for_others(const Windows& allowed, Duration age, const CacheConfig& cache) {
  return age < allowed.ttl || std::min(cache.stale_while_revalidate, allowed.stale_while_revalidate) > Duration(0);
}

void remove_content(Headers& headers) {
  for (const char* name : {"Content-Type", "Content-Encoding", "Content-Language", "Content-Range"}) {
    headers.remove(name);
  }
}

}  // namespace

ProxyCache::ProxyCache(const EndpointPlan& endpoint, const Incoming& incoming, const CallRequest& made)
    : endpoint_(endpoint),
      incoming_(incoming),
      plan_(endpoint.calls.front()),
      asked_(made.request),
      sent_(made.request),
      call_(plan_, incoming),
      is_on_(!made.key.empty() && !is_for_backend(incoming.parser.headers())) {
  if (is_on_) {
    whole_.request = plain_request(*made.request);
    whole_.key = made.key;
    return;
  }
  if (plan_.config.cache && made.request) tell(made.key.empty() ? "fwd=method" : "fwd=bypass");
}

std::shared_ptr<const Request> ProxyCache::plain_request(const Request& from) const {
  auto request = std::make_shared<Request>(from);
  request->method = "GET";
  for (const char* name : kOfPart) request->headers.remove(name);
  request->accepts = &is_success;
  request->accepted = &plan_.accept_for_stored;
  return request;
}

/// Whether others may wait for what this request brings.
bool ProxyCache::shares() const {
  const CacheConfig& cache = *plan_.config.cache;
  const StaleEntry* stored = call_.stored().get();
  if (stored != nullptr && !is_for_others(stored->allowed, stored->age_when_stored, cache)) return false;
  return cache.coalesce && asked_->method == "GET" && !call_.wish().no_store && !asked_->headers.contains("Range") &&
         !sends_credentials(plan_, *asked_);
}

Task<std::optional<Reply>> ProxyCache::answer(const Context& ctx) {
  asked_at_ = Loop::current().turn_time();
  auto stored = at_once(false);
  if (stored) co_return stored;
  if (call_.wish().only_if_cached) {
    tell("detail=only-if-cached");
    Fragment late;
    late.outcome = Outcome::missing;
    late.reason = Reason::timeout;
    co_return failed(std::move(late));
  }
  if (incoming_.is_shed) co_return std::nullopt;
  const CacheConfig& cache = *plan_.config.cache;
  const auto begun = Loop::current().now();
  if (call_.stored() && cache.stale_after && call_.may_replace_errors(begun + *cache.stale_after)) {
    const bool has_data = co_await call_.fetch_or_be_slow(ctx);
    if (!has_data) co_return failed(call_.take_fragment());
    const bool is_fresh = call_.fragment().outcome == Outcome::fresh;
    tell(is_fresh ? "fwd=stale" : "hit");
    if (!is_fresh) co_return finished(stored_reply(*call_.stored()));
    StaleEntry entry;
    const auto& got = call_.answer()->result;
    entry.status = got->status;
    entry.headers = whole_fields(got->headers);
    entry.body = got->body;
    entry.stored_at = Loop::current().now();
    entry.age_when_stored = call_.answer()->age;
    co_return finished(stored_reply(entry));
  }
  Turnstile& turnstile = incoming_.deployment->turnstile();
  while (shares()) {
    turn_ = turnstile.take(whole_.key, plan_.longest / 2);
    if (turn_) break;
    const bool is_of_use = co_await turnstile.wait(ctx, whole_.key, plan_.longest / 2);
    stored = at_once(true);
    if (stored) co_return stored;
    if (!is_of_use || ctx.is_done()) break;
  }
  asked_at_ = Loop::current().now();
  const Question what = call_.question();
  validates_ = asked_->method == "GET" && can_validate(what);
  const bool may_replace = call_.may_replace_errors(asked_at_);
  if (!validates_ && !may_replace) co_return std::nullopt;
  auto request = std::make_shared<Request>(validates_ ? *conditional(what) : *asked_);
  if (!validates_) request->accepts = &is_success;
  request->accepted = may_replace ? &plan_.accept_for_stored : &plan_.config.accept;
  sent_ = std::move(request);
  co_return std::nullopt;
}

/// What is stored now, if it may be used without asking.
std::optional<Reply> ProxyCache::at_once(bool has_waited) {
  call_.look_up(whole_);
  if (call_.wish().no_store) {
    is_on_ = false;
    tell("fwd=request");
    return std::nullopt;
  }
  const bool has_any = call_.stored() != nullptr;
  if (call_.use_stored_without_asking() || (has_waited && has_come())) {
    has_collapsed_ = has_waited;
    if (has_waited) incoming_.deployment->runtime->backend_metrics[plan_.config.backend]->coalesced.add();
    tell(has_waited ? "fwd=miss" : "hit");
    return finished(stored_reply(*call_.stored()));
  }
  const bool is_wish = has_any && left_of(*call_.stored(), plan_) > Duration(0);
  const bool has_variants = !plan_.config.cache->vary.empty();
  tell(is_wish ? "fwd=request" : has_any ? "fwd=stale" : has_variants ? "fwd=miss" : "fwd=uri-miss");
  return std::nullopt;
}

/// Takes what has come since this was asked for as if it had been asked for alone, also if the configured `ttl` keeps
/// it from those who come later.
bool ProxyCache::has_come() {
  const StaleEntry* stored = call_.stored().get();
  if (stored == nullptr || stored->stored_at < asked_at_) return false;
  const Duration age = stored->age(Loop::current().now());
  if (age >= stored->allowed.ttl || !call_.wish().accepts_fresh(age, Duration::max())) return false;
  call_.renew();
  return true;
}

std::optional<Reply> ProxyCache::take_head(unsigned status, const Headers& headers,
                                           std::optional<std::uint64_t> length) {
  if (is_unsafe(asked_->method)) invalidate(incoming_, plan_, *asked_, status, headers);
  if (!status_.empty()) status_ += ";fwd-status=" + std::to_string(status);
  if (!is_on_) return std::nullopt;
  const Question what = call_.question();
  if (validates_ && status == 304) {
    auto fields = renewed_fields(*call_.stored(), headers);
    if (!fields) {
      incoming_.deployment->shared.store.erase(whole_.key);
      turn_.reset();
      asks_anew_ = true;
      return std::nullopt;
    }
    const Origin origin = origin_for(what, call_.stored()->status, *fields, asked_at_);
    if (origin.refusal.empty()) {
      keep(what, origin, call_.stored()->status, *fields, call_.stored()->body);
    } else {
      refuse(what, origin.refusal);
    }
    end_turn(origin.refusal.empty() && is_for_others(origin.allowed, origin.age, *plan_.config.cache));
    StaleEntry entry = *call_.stored();
    entry.headers = whole_fields(*fields);
    entry.stored_at = Loop::current().now();
    entry.age_when_stored = origin.age;
    entry.allowed = origin.allowed;
    call_.renew();
    return finished(stored_reply(entry));
  }
  if (asked_->method == "HEAD") learn_from_head(status, headers);
  if (asked_->method != "GET") return std::nullopt;
  const Origin origin = origin_for(what, status, headers, asked_at_);
  std::string_view refusal = origin.refusal;
  if (refusal.empty() && length.value_or(0) > max_size()) refusal = "too_large";
  // Without a length nobody knows whether it is whole.
  if (refusal.empty() && !length && !headers.contains("Transfer-Encoding") && status != 204) refusal = "partial";
  if (refusal.empty()) {
    copy_.emplace(origin, status, headers, Loop::current().now());
    copy_->bytes.reserve(static_cast<std::size_t>(length.value_or(0)));
    if (!is_for_others(origin.allowed, origin.age, *plan_.config.cache)) end_turn(false);
    status_ += ";stored";
    return std::nullopt;
  }
  if (status == 404 || status == 410) incoming_.deployment->shared.store.erase(whole_.key);
  // What nobody would expect to be stored is not worth a word.
  if (status != 304 && status != 206 && refusal != "status") refuse(what, refusal);
  end_turn(false);
  return std::nullopt;
}

void ProxyCache::end_turn(bool is_of_use) {
  if (turn_ && !is_of_use) turn_->is_in_vain();
  turn_.reset();
}

/// What is stored is updated if its validators are those of an answer to HEAD, and is not fresh any more if they differ
/// (RFC 9111 §4.3.5).
void ProxyCache::learn_from_head(unsigned status, const Headers& headers) {
  StaleStore& store = incoming_.deployment->shared.store;
  if (!call_.stored()) return;
  if (status == 404 || status == 410) store.erase(whole_.key);
  if (status != 200 || call_.stored()->status != 200) return;
  StaleEntry stored = *call_.stored();
  const Headers kept = fields_from(stored.headers);
  const std::string size = std::to_string(stored.body->bytes.size());
  bool has_validator = false;
  bool is_same = headers.find("Content-Length").value_or(size) == size;
  for (const char* name : {"ETag", "Last-Modified"}) {
    has_validator = has_validator || headers.contains(name);
    is_same = is_same && (!headers.contains(name) || headers.find(name) == kept.find(name));
  }
  if (!is_same) {
    stored.allowed.ttl = Duration(0);
    (void)store.put(whole_.key, stored, Loop::current().now());
  } else if (const auto fields = renewed_fields(stored, headers); has_validator && fields) {
    const Question what = call_.question();
    const Origin origin = origin_for(what, status, *fields, asked_at_);
    if (origin.refusal.empty()) keep(what, origin, status, *fields, stored.body);
  }
}

std::size_t ProxyCache::max_size() const {
  return incoming_.deployment->runtime->config.backends[plan_.config.backend].max_response;
}

void ProxyCache::feed(std::string_view piece) {
  if (!copy_) return;
  if (piece.size() <= max_size() - copy_->bytes.size()) {
    copy_->bytes += piece;
    return;
  }
  copy_.reset();
  refuse(call_.question(), "too_large");
  end_turn(false);
}

void ProxyCache::finish() {
  if (!copy_) return;
  auto body = std::make_shared<backends::Body>();
  body->bytes = std::move(copy_->bytes);
  if (body->bytes.capacity() - body->bytes.size() > body->bytes.size() / 4) body->bytes.shrink_to_fit();
  copy_->origin.age += Loop::current().now() - copy_->arrived_at;
  keep(call_.question(), copy_->origin, copy_->status, copy_->headers, std::move(body));
  copy_.reset();
  turn_.reset();
}

Reply ProxyCache::failed(Fragment fragment) {
  const bool tells_status = status_.find(";fwd-status") != std::string::npos;
  if (!status_.empty() && !tells_status && fragment.status != 0) {
    status_ += ";fwd-status=" + std::to_string(fragment.status);
  } else if (!status_.empty() && !tells_status && fragment.reason && !call_.wish().only_if_cached) {
    status_.append(";detail=").append(to_string(*fragment.reason));
  }
  turn_.reset();
  call_.settle(std::move(fragment));
  call_.degrade();
  if (call_.fragment().outcome == Outcome::stale) return finished(stored_reply(*call_.stored()));
  std::optional<std::size_t> winner;
  if (call_.fragment().has_data()) winner = 0;
  call_.count();
  Calls calls;
  calls.push_back(std::move(call_));
  Reply reply = chosen(endpoint_, std::move(calls), winner);
  reply.cache_status = status_;
  return reply;
}

/// `entry` as a reply: all of it, or that the client has it.
Reply ProxyCache::stored_reply(const StaleEntry& entry) {
  Reply reply;
  reply.endpoint = &endpoint_;
  reply.status = entry.status;
  reply.passed = fields_from(entry.headers);
  Headers& headers = *reply.passed;
  const AddedHeaders& added = incoming_.deployment->runtime->config.headers;
  for (const auto* name : {&added.result, &added.calls, &added.request_id, &added.traceparent}) {
    if (*name) headers.remove(**name);
  }
  const Duration age = entry.age(Loop::current().now());
  const bool is_own = call_.fragment().outcome == Outcome::fresh && age < std::chrono::seconds(1);
  if (!is_own) headers.set("Age", std::to_string(whole_seconds(age)));
  if (call_.fragment().outcome == Outcome::stale) {
    reply.result = ResultKind::degraded;
    headers.set("Cache-Control", "no-store");
    for (const char* name : {"Expires", "CDN-Cache-Control", "Surrogate-Control"}) headers.remove(name);
    for (const std::string& name : plan_.config.cache->targeted) headers.remove(name);
  }
  if (!status_.empty()) {
    if (has_collapsed_) status_ += ";collapsed";
    status_ += ";ttl=" + std::to_string(whole_seconds(left_of(entry, plan_)));
  }
  if (entry.status == 200 && is_not_modified(incoming_.parser.headers(), headers)) {
    reply.status = 304;
    remove_content(headers);
    return reply;
  }
  const std::string_view bytes = entry.body->bytes;
  const bool may_be_part = entry.status == 200 && asked_->method == "GET";
  const auto range =
      may_be_part ? wanted_range(incoming_.parser.headers(), headers, bytes.size()) : std::optional<ByteRange>();
  if (!range) {
    reply.body.emplace_back(bytes);
    return reply;
  }
  const std::string all = "/" + std::to_string(bytes.size());
  if (range->size == 0) {
    reply.status = 416;
    remove_content(headers);
    headers.add("Content-Range", "bytes *" + all);
    return reply;
  }
  reply.status = 206;
  headers.set("Content-Range",
              "bytes " + std::to_string(range->begin) + "-" + std::to_string(range->begin + range->size - 1) + all);
  reply.body.emplace_back(bytes.substr(range->begin, range->size));
  return reply;
}

/// Ends the call, and gives it to the reply.
Reply ProxyCache::finished(Reply reply) {
  call_.count();
  reply.cache_status = status_;
  reply.calls.push_back(std::move(call_));
  return reply;
}

void ProxyCache::tell(std::string_view what) {
  status_.assign("Sluice;").append(what);
}

}  // namespace sluice::gateway
