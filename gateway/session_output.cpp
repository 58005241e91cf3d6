// What a session writes to its client.
#include "concurrency/io.hpp"
#include "concurrency/park.hpp"
#include "gateway/reply_headers.hpp"
#include "gateway/session.hpp"
#include "gateway/turns.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include <boost/asio/deferred.hpp>

namespace sluice::gateway {
namespace {

constexpr std::size_t kCopiedBody = 16 * 1024;  // below this a copy costs less than a list of slices
constexpr std::size_t kMaxBuffers = 64;         // that one system call takes

}  // namespace

namespace asio = boost::asio;
using boost::system::error_code;
using concurrency::Context;
using concurrency::Loop;
using concurrency::Task;
using State = RequestParser::State;

Task<> Session::write_reply(const Reply& reply, bool keep_alive, const Incoming& incoming) {
  const Runtime& runtime = *incoming.deployment->runtime;
  const unsigned version =
      parser_.state() == State::need_more || parser_.state() == State::refused ? 11 : parser_.version();
  const bool has_date = reply.passed && reply.passed->contains("Date");
  writer_.start(reply.status, has_date ? std::string_view() : worker_.http_date(wall_time()));
  const std::uint64_t length = reply.content_length();
  if (reply.passed) {
    writer_.add_all(*reply.passed);
  } else if (reply.status != 204 && !reply.media_type.empty()) {
    writer_.add("Content-Type", reply.media_type);
  }
  write_identity(incoming);
  write_outcome(writer_, reply, runtime.config.headers, scratch_);
  write_configured(writer_, reply, incoming, scratch_);
  if (reply.status == 204 || reply.status == 304) {
    writer_.finish_without_body(keep_alive, version);
  } else {
    writer_.finish(length, keep_alive, version);
  }

  const bool has_body =
      parser_.state() == State::refused || parser_.state() == State::need_more || parser_.method() != Method::head;
  prepend_unsaid();
  out_.clear();
  if (has_body && length <= kCopiedBody) {
    for (const std::string_view part : reply.body) head_ += part;
    if (reply.body.empty()) head_ += reply.text;
  }
  put_out(head_);
  if (has_body && length > kCopiedBody) {
    for (const std::string_view part : reply.body) put_out(part);
  }
  const bool written = co_await write_all();
  if (!written) gone_ = true;
}

void Session::say(std::string_view interim) {
  if (streamed_) return;
  std::size_t size = 0;
  error_code ec;
  if (unsaid_.empty()) size = socket_.write_some(asio::buffer(interim), ec);
  unsaid_.append(interim.substr(size));
}

void Session::prepend_unsaid() {
  if (!unsaid_.empty()) head_.insert(0, std::exchange(unsaid_, std::string()));
}

void Session::write_identity(const Incoming& incoming) {
  if (incoming.common_lines) {
    return writer_.add_lines(std::string_view(*incoming.common_lines).substr(0, incoming.identity_size));
  }
  const AddedHeaders& names = incoming.deployment->runtime->config.headers;
  if (names.request_id && !incoming.request_id.empty()) writer_.add(*names.request_id, incoming.request_id);
  if (names.traceparent && !incoming.traceparent.empty()) writer_.add(*names.traceparent, incoming.traceparent);
}

/// Adds to what write_all() is to write, in pieces of which it need not write more than one at a time.
void Session::put_out(std::string_view bytes) {
  for (; !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), Quantum::kBytes))) {
    out_.push_back(asio::buffer(bytes.data(), std::min(bytes.size(), Quantum::kBytes)));
  }
}

/// Writes out_, tried at once; within `send_timeout` in total when the client reads slowly.
Task<bool> Session::write_all() {
  written_ = 0;
  concurrency::Cancel cancel;
  std::optional<Context> ctx;
  std::size_t done = 0;
  std::size_t since_pause = 0;
  // What is due does not let others go first.
  if (Loop::current().turn_time() < due_) co_await concurrency::detail::AfterOthers();
  while (done < out_.size()) {
    if (since_pause >= Quantum::kBytes) {
      since_pause = 0;
      co_await pause();
    }
    std::size_t end = done;
    for (std::size_t bytes = 0; end < out_.size() && end - done < kMaxBuffers; ++end) {
      bytes += out_[end].size();
      if (bytes > Quantum::kBytes && end != done) break;
    }
    const std::span<const asio::const_buffer> rest(&out_[done], end - done);
    error_code ec;
    std::size_t size = rest.size() == 1 ? socket_.write_some(rest.front(), ec) : socket_.write_some(rest, ec);
    if (ec == asio::error::would_block) {
      if (!ctx) {
        auto bounded = concurrency::with_timeout(Context(), worker_.deployment()->runtime->config.limits.send_timeout);
        ctx = bounded.ctx;
        cancel = std::move(bounded.cancel);
      }
      const auto result = co_await concurrency::io(*ctx, socket_.async_write_some(rest, asio::deferred));
      if (result.has_error()) co_return false;
      size = *result;
    } else if (ec) {
      co_return false;
    }
    written_ += size;
    since_pause += size;
    while (done < out_.size() && size >= out_[done].size()) size -= out_[done++].size();
    if (size != 0) out_[done] += size;
  }
  co_return true;
}

}  // namespace sluice::gateway
