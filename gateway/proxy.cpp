#include "gateway/proxy.hpp"

#include "backends/stream.hpp"
#include "concurrency/errgroup.hpp"
#include "concurrency/loop.hpp"
#include "gateway/call_request.hpp"
#include "gateway/invalidation.hpp"
#include "gateway/proxy_cache.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sluice::gateway {
namespace {

using backends::Failure;
using backends::Reason;
using backends::Stream;
using concurrency::Cancel;
using concurrency::Cancellable;
using concurrency::Context;
using concurrency::Duration;
using concurrency::ErrGroup;
using concurrency::Loop;
using concurrency::Task;
using concurrency::TimePoint;
using Body = ClientStream::Body;

/// Cuts a stream off when no byte has passed for too long, or its time is over.
class Watch final : private concurrency::TimerEntry {
 public:
  /// `begun`: since when `stream_timeout` counts.
  Watch(const EndpointConfig& config, TimePoint begun, const ClientStream& client, const Stream& stream,
        const Cancel& cut)
      : TimerEntry([](TimerEntry& entry, bool expired) noexcept {
          if (expired) static_cast<Watch&>(entry).look();
        }),
        idle_timeout_(config.stream_idle_timeout),
        client_(client),
        stream_(stream),
        cut_(cut) {
    if (config.stream_timeout) end_ = begun + *config.stream_timeout;
    arm();  // without asking the kernel: most are over before the first look
  }
  ~Watch() { loop_.disarm(*this); }

  [[nodiscard]] bool is_idle() const { return is_idle_; }
  [[nodiscard]] bool is_over() const { return is_over_; }

 private:
  [[nodiscard]] TimePoint idle_until() const {
    return std::max({client_.last_progress(), stream_.last_progress(), last_taken_}) + idle_timeout_;
  }
  [[nodiscard]] std::size_t unsent_bytes() const { return client_.unsent_bytes() + stream_.unsent_bytes(); }
  void arm() { loop_.arm(*this, std::min({idle_until(), end_, loop_.turn_time() + idle_timeout_ / 4})); }
  void look() {
    if (unsent_bytes() < unsent_) last_taken_ = loop_.now();
    is_over_ = loop_.now() >= end_;
    is_idle_ = loop_.now() >= idle_until();
    if (is_over_ || is_idle_) {
      cut_();
    } else {
      unsent_ = unsent_bytes();
      arm();
    }
  }

  Loop& loop_ = Loop::current();
  const Duration idle_timeout_;
  TimePoint end_ = TimePoint::max();
  TimePoint last_taken_{};  // by a side that is slow to empty the buffers of the kernel, as far as is known
  std::size_t unsent_ = 0;  // at the last look
  const ClientStream& client_;
  const Stream& stream_;
  const Cancel& cut_;
  bool is_idle_ = false;
  bool is_over_ = false;
};

/// The way of the request's body to the backend.
struct Upload {
  Upload(ClientStream& c, Stream& s, const Cancel& f) : client(c), stream(s), cut(f) {}

  ClientStream& client;
  Stream& stream;
  const Cancel& cut;
  bool is_refused = false;  // in the middle: it is too large, or malformed
};

/// Ends early when the backend takes no more: it may have answered already.
Task<> pass_request(const Context& ctx, Upload* upload) {
  std::string piece;
  for (;;) {
    const Body body = co_await upload->client.receive(ctx, piece);
    if (body == Body::refused) {
      upload->is_refused = true;
      upload->cut();
    }
    if (body == Body::refused || body == Body::ended) co_return;
    const bool is_sent = co_await upload->stream.send(ctx, piece, body == Body::last);
    if (!is_sent || body == Body::last) co_return;
  }
}

/// Nothing, if the response was passed on whole or the client has left it; else what cut it off.
Task<std::optional<Failure>> pass_response(const Context& ctx, std::optional<Cancellable>& flow,
                                           const EndpointConfig& config, ClientStream& client, Stream& stream,
                                           ProxyCache* cache) {
  std::optional<Watch> watch;
  const TimePoint begun = Loop::current().turn_time();
  const auto watched = [&]() -> const Context& {
    if (!flow) flow = concurrency::with_cancel(ctx);
    if (!watch) watch.emplace(config, begun, client, stream, flow->cancel);
    return flow->ctx;
  };
  std::string_view piece;
  bool is_sent = true;
  bool is_last = false;
  std::optional<Failure> cut_off;
  while (is_sent && !is_last) {
    const bool has_news = stream.has_news();
    if (!has_news && client.is_head_sent()) {
      const bool is_woken = co_await stream.news(watched());
      if (is_woken) continue;
      cut_off = stream.failure_of(flow->ctx);
      break;
    }
    piece = {};
    if (has_news) {  // else the head goes alone
      auto received = stream.receive(piece);
      if (received.has_error()) {
        cut_off = std::move(received).error();
        break;
      }
      is_last = *received;
      if (cache != nullptr) cache->feed(piece);
      if (cache != nullptr && is_last) cache->finish();
    }
    client.put(piece, is_last);
    co_await concurrency::detail::AfterOthers();
    is_sent = client.send();
    if (!is_sent) is_sent = co_await client.send_rest(watched());
    if (!is_last) (void)watched();  // most responses are over before there is anything to watch
  }
  if (is_sent && !cut_off) co_return std::nullopt;
  const bool is_idle = watch && watch->is_idle();
  if (watch && watch->is_over()) co_return Failure(Reason::timeout, "stream_timeout");
  if (cut_off) {
    if (is_idle) co_return Failure(Reason::timeout, "stream_idle_timeout");
    co_return cut_off;
  }
  if (flow && flow->ctx.is_done() && !is_idle) co_return Failure(Reason::cancelled, "the request is malformed");
  client.give_up();
  co_return std::nullopt;
}

/// Reads a body that nobody is sent.
Task<Body> discard(const Context& ctx, ClientStream& client) {
  std::string piece;
  Body body = Body::more;
  while (body == Body::more) body = co_await client.receive(ctx, piece);
  co_return body;
}

Reply refused(const Incoming& incoming) {
  const Refusal refusal = incoming.parser.refusal();
  return problem(refusal.status, refusal.detail);
}

Reply late() {
  return problem(408, "The body of the request did not arrive in time.");
}

Fragment missing(Reason reason, unsigned status, Duration took) {
  Fragment fragment;
  fragment.outcome = Outcome::missing;
  fragment.reason = reason;
  fragment.status = status;
  fragment.took = took;
  return fragment;
}

}  // namespace

Task<> proxy(const Context& ctx, const EndpointPlan& endpoint, const Incoming& incoming, ClientStream& client,
             TimePoint deadline, Reply& reply) {
  const CallPlan& plan = endpoint.calls.front();
  const TimePoint start = Loop::current().turn_time();
  const auto took = [start] { return Loop::current().turn_time() - start; };
  std::optional<std::size_t> culprit;
  const auto made = make_request(plan, incoming, TemplateValues(), culprit);
  std::optional<ProxyCache> cache;  // most endpoints have no use for one
  const auto cache_of = [&]() -> ProxyCache& {
    return cache ? *cache : cache.emplace(endpoint, incoming, made ? *made : CallRequest());
  };
  if (!made) {
    reply = cache_of().failed(missing(Reason::dependency, 0, Duration(0)));
    co_return;
  }
  std::optional<Cancellable> flow;  // of the bodies, so that they can be cut off without the client being gone
  if (made->request->is_streamed) flow = concurrency::with_cancel(ctx);
  const TimePoint call_end = plan.config.timeout ? start + *plan.config.timeout : deadline;
  const auto to_head = concurrency::with_deadline(flow ? flow->ctx : ctx, std::min(deadline, call_end));

  if (incoming.parser.state() == RequestParser::State::head && !made->request->is_streamed) {
    const Body body = co_await discard(to_head.ctx, client);
    if (body == Body::refused) reply = refused(incoming);
    if (body == Body::ended) reply = late();
    if (body != Body::last) co_return;
  }
  if (plan.config.cache || is_unsafe(made->request->method)) (void)cache_of();
  if (cache && cache->is_on()) {
    auto stored = co_await cache->answer(to_head.ctx);
    if (stored) {
      reply = std::move(*stored);
      co_return;
    }
  }
  if (incoming.is_shed) {
    reply = cache_of().failed(missing(Reason::shed, 0, took()));
    co_return;
  }
  const auto& asked = cache ? cache->request() : made->request;
  auto opened = co_await incoming.deployment->backend(plan.config.backend).stream(to_head.ctx, asked, &client);
  if (opened.has_error()) {
    const Failure& failure = opened.error();
    reply = cache_of().failed(missing(failure.reason, failure.status, took()));
    co_return;
  }
  Stream& stream = *opened;
  std::optional<Upload> upload;
  std::optional<ErrGroup> uploading;
  if (made->request->is_streamed) {  // else there is the head already
    upload.emplace(client, stream, flow->cancel);
    auto [group, upload_ctx] = ErrGroup::with_context(flow->ctx);
    group.go(pass_request, upload_ctx, &*upload);
    uploading.emplace(std::move(group));
    const auto failure = co_await stream.receive_head(to_head.ctx);
    if (failure) {
      const bool is_client_late = failure->reason == Reason::timeout && client.is_waited_for();
      Fragment fragment = missing(failure->reason, failure->status, took());
      uploading->cancel();
      (void)co_await uploading->wait();
      reply = upload->is_refused ? refused(incoming) : is_client_late ? late() : cache_of().failed(std::move(fragment));
      co_return;
    }
  }
  std::optional<Reply> instead;
  if (cache) instead = cache->take_head(stream.status(), stream.headers(), stream.content_length());
  if (instead || (cache && cache->asks_anew())) {  // of a request without a body
    std::string_view nothing;
    (void)stream.receive(nothing);
    if (cache->asks_anew()) {
      {
        const Stream ended = std::move(stream);
      }  // its connection may be the only one
      co_return co_await proxy(ctx, endpoint, incoming, client, deadline, reply);
    }
    reply = std::move(*instead);
    co_return;
  }

  Fragment fragment;
  fragment.outcome = Outcome::fresh;
  fragment.status = stream.status();
  fragment.took = took();
  reply.endpoint = &endpoint;
  reply.status = stream.status();
  if (cache) reply.cache_status = cache->status();
  Call& call = reply.calls.emplace_back(plan, incoming);
  call.settle(std::move(fragment));
  client.start(reply, stream.headers(), stream.content_length());
  const auto why = co_await pass_response(ctx, flow, endpoint.config, client, stream, cache ? &*cache : nullptr);
  if (uploading) {
    uploading->cancel();
    (void)co_await uploading->wait();
  }
  // Who leaves a stream finds no fault with it.
  if (why && !ctx.is_done()) {
    call.settle(missing(why->reason, stream.status(), call.fragment().took));
    reply.result = ResultKind::failed;
    stream.fail(*why);
  }
  call.count();
}

}  // namespace sluice::gateway
