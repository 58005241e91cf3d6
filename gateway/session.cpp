#include "gateway/session.hpp"

#include "concurrency/io.hpp"
#include "concurrency/park.hpp"
#include "concurrency/wait.hpp"
#include "gateway/client_stream.hpp"
#include "gateway/compression.hpp"
#include "gateway/endpoint.hpp"
#include "gateway/log.hpp"
#include "gateway/proxy.hpp"
#include "gateway/reply_headers.hpp"
#include "gateway/request_identity.hpp"
#include "gateway/turns.hpp"

#include <algorithm>

namespace sluice::gateway {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using concurrency::Context;
using concurrency::Duration;
using concurrency::Loop;
using concurrency::Task;
using State = RequestParser::State;

constexpr std::size_t kSmallBuffer = 4 * 1024;
constexpr Duration kLinger = std::chrono::seconds(2);
constexpr Duration kLongestWait = std::chrono::minutes(1);  // of a request to be read; else somebody set the clock
constexpr Duration kGlance = std::chrono::milliseconds(5);
constexpr unsigned kClientClosed = 499;  // as nginx logs it; never sent
constexpr std::size_t kLingerBytes = 1024 * 1024;

RequestLimits limits_of(const LimitsConfig& config) {
  return RequestLimits(config.max_header, config.max_target);
}

/// What is freed in turns, as it takes long.
struct Release {
  explicit Release(Reply& r) : reply(r) {}
  [[nodiscard]] bool run(Quantum& quantum) {
    return std::all_of(reply.calls.begin(), reply.calls.end(), [&](Call& call) { return call.release(quantum); });
  }
  Reply& reply;
};

bool is_long(const Release& release) {
  const auto& calls = release.reply.calls;
  return std::any_of(calls.begin(), calls.end(), [](const Call& call) {
    return call.fragment().shaped && call.fragment().shaped->slices.size() > Quantum::kBytes / Quantum::kStep;
  });
}

}  // namespace

Session::Session(backends::Socket socket, Worker& worker)
    : socket_(std::move(socket)),
      worker_(worker),
      parser_(limits_of(worker.deployment()->runtime->config.limits)),
      in_(kSmallBuffer) {
  error_code ec;
  const auto remote = socket_.remote_endpoint(ec);
  if (!ec) {
    client_address_ = plain(remote.address());
    client_ = client_address_.to_string();
  }
}

Task<> Session::run(std::shared_ptr<Session> self) {
  error_code ignored;
  self->socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  self->socket_.non_blocking(true, ignored);
  Next next = Next::request;
  for (bool is_first = true; next == Next::request; is_first = false) next = co_await self->serve_one(is_first);
  if (next == Next::linger && !self->gone_) co_await self->linger();
  self->gone_ = true;
  self->socket_.close(ignored);
}

Task<Session::Next> Session::serve_one(bool is_first) {
  came_at_ = {};  // what is here already has waited for the reply before it
  const bool has_head = co_await read_head(is_first);
  if (!has_head) co_return Next::close;
  streamed_.reset();
  note_arrival();
  Incoming incoming(parser_, worker_.deployment());
  const Runtime& runtime = *incoming.deployment->runtime;

  if (parser_.state() == State::need_more || parser_.state() == State::refused) {
    const Refusal refusal = parser_.state() == State::refused ? parser_.refusal() : Refusal();
    const Reply reply = parser_.state() == State::refused
                            ? problem(refusal.status, refusal.detail)
                            : problem(408, "The head of the request did not arrive in time.");
    identify_unread(incoming, Loop::current().random(), runtime.config.headers);
    co_await write_reply(reply, false, incoming);
    log(reply, nullptr, incoming, Duration(0));
    co_return Next::linger;
  }

  const RouteMatch match = runtime.router->find(parser_.method_text(), parser_.path());
  const EndpointPlan* endpoint =
      match.status == RouteMatch::Status::found ? &runtime.endpoints[match.endpoint] : nullptr;
  incoming.parameters = match.parameters();
  incoming.endpoint = endpoint;
  incoming.cors = cors_of(runtime, match, parser_);
  identify(incoming, Loop::current().random(), runtime.config.headers);
  if (endpoint != nullptr) {
    const bool is_trusted = !runtime.trusted_proxies.empty() && runtime.trusted_proxies.contains(client_address_);
    incoming.forwarding = forwarder_.of(parser_, client_, is_trusted, incoming.deployment->runtime, scratch_);
    write_common_lines(incoming, runtime.config.headers, scratch_);
  }
  const Duration deadline = endpoint != nullptr ? deadline_of(*endpoint, parser_, runtime.config.deadline_header,
                                                              worker_.shared().malformed_deadlines)
                                                : Duration(0);
  // A worker that was held up still has half of the time for each; one that stays behind could only be late with all.
  const concurrency::TimePoint began = Loop::current().turn_time();
  const concurrency::TimePoint due = std::max(arrived_ + deadline, began + deadline / 2);
  const bool is_known = came_at_ != std::chrono::system_clock::time_point();
  incoming.is_shed = is_known && worker_.backlog().is_standing(waited_, began) && waited_ > deadline / 2;
  // That of a proxy ends with the head of the response.
  const bool has_deadline = endpoint != nullptr && endpoint->config.strategy != Strategy::proxy;
  const auto bounded = has_deadline ? concurrency::with_deadline(Context(), due) : concurrency::with_cancel(Context());

  due_ = has_deadline ? due : concurrency::TimePoint::max();
  in_progress_ = &bounded.cancel;
  half_close_ = endpoint != nullptr && endpoint->config.half_close;
  glance_.arm(arrived_ + kGlance);
  read();
  Reply reply;
  try {
    co_await answer_request(bounded.ctx, endpoint, incoming, match, due, reply);
    reply.depends_on_coding = !streamed_ && is_compressible(reply, incoming);
    if (reply.depends_on_coding) co_await compress(bounded.ctx, reply, incoming);
  } catch (const std::exception& e) {
    log_error(std::string("a request ended with an exception: ") + e.what());
    reply = problem(500, "The gateway has failed.");
  }
  in_progress_ = nullptr;
  glance_.disarm();
  watching_ = false;
  if (gone_ && !(streamed_ && streamed_->is_whole)) reply.status = kClientClosed;

  if (streamed_) {
    log(reply, endpoint, incoming, deadline);
    co_return after_stream();
  }
  const bool is_whole = parser_.state() == State::complete;
  const bool keep_alive = is_whole && parser_.keep_alive() && !gone_ && !worker_.is_draining();
  if (!gone_) co_await write_reply(reply, keep_alive, incoming);
  log(reply, endpoint, incoming, deadline);
  Release release(reply);
  const Context nobody;
  if (is_long(release)) (void)co_await in_turns(nobody, release);
  if (gone_) co_return Next::close;
  if (keep_alive) co_return Next::request;
  co_return last_is_over();
}

Task<> Session::answer_request(const Context& ctx, const EndpointPlan* endpoint, Incoming& incoming,
                               const RouteMatch& match, concurrency::TimePoint deadline, Reply& reply) {
  if (endpoint == nullptr) {
    reply = answer_unmatched(match);
    co_return;
  }
  const auto hold = endpoint->metrics->in_flight();
  if (endpoint->config.strategy == Strategy::proxy) {
    parser_.limit_body(endpoint->config.max_body);
    if (parser_.state() != State::refused) {
      ClientStream client(*this, incoming);
      co_await proxy(ctx, *endpoint, incoming, client, deadline, reply);
      co_return;
    }
  } else if (parser_.state() == State::head && parser_.limit_body(endpoint->config.max_body) == State::head) {
    const bool arrived = co_await read_body(ctx);
    if (!arrived) {
      reply = problem(408, "The body of the request did not arrive in time.");
      co_return;
    }
  }
  if (parser_.state() == State::refused) {
    reply = problem(parser_.refusal().status, parser_.refusal().detail);
    co_return;
  }
  if (!parser_.body().empty()) incoming.body = std::make_shared<const std::string>(std::move(parser_.body()));
  co_await answer(ctx, *endpoint, incoming, reply);
}

/// Of a request that no endpoint answers.
Reply Session::answer_unmatched(const RouteMatch& match) const {
  const bool is_options = parser_.method() == Method::options;
  if (is_options && (match.status == RouteMatch::Status::no_method || parser_.path() == "*")) {
    Reply reply;
    reply.status = 204;
    reply.allow = parser_.path() == "*" ? "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS" : allow_header(match.allowed);
    return reply;
  }
  if (match.status == RouteMatch::Status::no_path) return problem(404, "No endpoint has this path.");
  if (parser_.method() == Method::other) return problem(501, "The method is not known.");
  Reply reply = problem(405, "The endpoint does not have this method.");
  reply.allow = allow_header(match.allowed);
  return reply;
}

/// The request arrived when its head had reached this machine, not when there was time to read it.
void Session::note_arrival() {
  arrived_ = Loop::current().renew_turn_time();
  arrived_at_ = std::chrono::system_clock::now();
  waited_ = std::chrono::duration_cast<Duration>(arrived_at_ - came_at_);
  if (waited_ < Duration(0) || waited_ > kLongestWait) waited_ = Duration(0);
  arrived_ -= waited_;
  arrived_at_ -= std::chrono::duration_cast<std::chrono::system_clock::duration>(waited_);
}

/// Now, without another look at a clock.
std::chrono::system_clock::time_point Session::wall_time() const {
  return arrived_at_ +
         std::chrono::duration_cast<std::chrono::system_clock::duration>(Loop::current().turn_time() - arrived_);
}

Session::Next Session::after_stream() {
  if (streamed_->is_whole && !gone_) {
    if (streamed_->keep_alive) return Next::request;
    return last_is_over();
  }
  // A reset, where the end of the connection would look like the end of the body, or nobody takes what was sent.
  if (!streamed_->ends_by_itself || streamed_->is_stuck) {
    error_code ignored;
    socket_.set_option(asio::socket_base::linger(true, 0), ignored);
  }
  return Next::close;
}

/// A client that did not expect the end may be sending the next request already.
Session::Next Session::last_is_over() const {
  const bool expects_end = parser_.state() == State::complete && !parser_.keep_alive();
  return expects_end && begin_ == end_ ? Next::close : Next::linger;
}

/// Lets the client read the reply before a close with unread bytes of its request resets the connection (RFC 9112
/// §9.6).
Task<> Session::linger() {
  error_code ignored;
  socket_.shutdown(asio::socket_base::shutdown_send, ignored);
  const auto bounded = concurrency::with_timeout(Context(), kLinger);
  std::size_t discarded = 0;
  while (discarded < kLingerBytes && !gone_) {
    discarded += end_ - begin_;
    begin_ = end_;
    const bool has_more = co_await more(bounded.ctx);
    if (!has_more) break;
  }
}

void Session::log(const Reply& reply, const EndpointPlan* endpoint, const Incoming& incoming, Duration deadline) {
  const Runtime& runtime = *incoming.deployment->runtime;
  const Duration took = Loop::current().turn_time() - arrived_;
  (endpoint != nullptr ? *endpoint->metrics : *runtime.unmatched)
      .observe(reply.status, reply.result, took, streamed_ ? Duration(0) : deadline);
  if (runtime.config.access_log == AccessLog::off) return;
  logged_calls_.clear();
  for (const Call& call : reply.calls) {
    const Fragment& fragment = call.fragment();
    AccessCall& entry = logged_calls_.emplace_back();
    entry.name = call.plan().config.name;
    entry.outcome = fragment.outcome;
    entry.duration = fragment.took;
    if (fragment.age) entry.age = std::chrono::duration_cast<std::chrono::seconds>(*fragment.age);
    entry.reason = fragment.reason;
    entry.status = fragment.status;
  }
  AccessRecord record;
  record.time = arrived_at_;
  record.request_id = incoming.request_id;
  record.client = client_;
  const bool has_head = parser_.state() == State::head || parser_.state() == State::complete;
  if (has_head) {
    record.method = parser_.method_text();
    record.target = parser_.target();
  }
  if (endpoint != nullptr) record.endpoint = endpoint->config.name;
  record.status = reply.status;
  record.result = reply.result;
  record.bytes = written_;
  record.duration = took;
  record.deadline = deadline;
  record.calls = logged_calls_;
  worker_.shared().access_log.write(
      worker_.number(), runtime.config.access_log == AccessLog::json ? LineFormat::json : LineFormat::text, record);
}

}  // namespace sluice::gateway
