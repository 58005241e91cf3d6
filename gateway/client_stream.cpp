#include "gateway/client_stream.hpp"

#include "backends/pieces.hpp"
#include "concurrency/io.hpp"
#include "concurrency/park.hpp"
#include "gateway/reply_headers.hpp"
#include "gateway/session.hpp"

#include <utility>

namespace sluice::gateway {

namespace asio = boost::asio;
using boost::system::error_code;
using concurrency::Context;
using concurrency::Loop;
using concurrency::Task;
using State = RequestParser::State;

constexpr std::size_t kCopiedPiece = 16UL * 1024;  // below this a copy costs less than a list of buffers

ClientStream::ClientStream(Session& session, const Incoming& incoming) : session_(session), incoming_(incoming) {
  session_.parser_.stream_body();
}

Task<ClientStream::Body> ClientStream::receive(const Context& ctx, std::string& piece) {
  Session& client = session_;
  piece.clear();
  const bool waits_for_us = client.parser_.state() == State::head && client.parser_.expects_continue();
  if (waits_for_us && client.begin_ == client.end_) client.say("HTTP/1.1 100 Continue\r\n\r\n");
  for (;;) {
    const State state = client.parse();
    if (state == State::refused) co_return Body::refused;
    client.read();  // there is room again
    std::swap(piece, client.parser_.body());
    if (!piece.empty() || state == State::complete) {
      last_progress_ = Loop::current().turn_time();
      co_return state == State::complete ? Body::last : Body::more;
    }
    is_waited_for_ = true;
    const bool has_more = co_await client.more(ctx);
    is_waited_for_ = false;
    if (!has_more) co_return Body::ended;
  }
}

void ClientStream::on_interim(unsigned status, backends::Headers& headers) {
  if (session_.parser_.version() != 11) return;
  headers.remove_hop_by_hop();
  std::string head;
  ResponseWriter writer(head);
  writer.start(status, {});
  writer.add_all(headers);
  writer.finish_without_body(true, 11);
  session_.say(head);
}

void ClientStream::start(const Reply& reply, backends::Headers& headers, std::optional<std::uint64_t> length) {
  Session& client = session_;
  const AddedHeaders& added = incoming_.deployment->runtime->config.headers;
  const unsigned version = client.parser_.version();
  const bool is_to_head = client.parser_.method() == Method::head;
  is_bodyless_ = is_to_head || reply.status == 204 || reply.status == 304;
  is_chunked_ = !is_bodyless_ && !length && version == 11;
  const bool ends_by_itself = is_bodyless_ || length || is_chunked_;
  // What a client has not sent by now of its request may never come.
  const bool is_whole = client.parser_.state() == State::complete;
  const bool keep_alive = ends_by_itself && is_whole && client.parser_.keep_alive() && !client.worker_.is_draining();

  headers.remove_hop_by_hop();
  for (const auto* name : {&added.result, &added.calls, &added.request_id, &added.traceparent}) {
    if (*name) headers.remove(**name);
  }
  ResponseWriter& writer = client.writer_;
  writer.start(reply.status,
               headers.contains("Date") ? std::string_view() : client.worker_.http_date(client.wall_time()));
  writer.add_all(headers);
  client.write_identity(incoming_);
  write_result(writer, reply, added, client.scratch_);
  if (added.cache_status && !reply.cache_status.empty()) writer.add(*added.cache_status, reply.cache_status);
  write_configured(writer, reply, incoming_, client.scratch_);
  if (is_to_head && length && reply.status != 204 && reply.status != 304) {
    writer.finish(*length, keep_alive, version);
  } else if (is_bodyless_) {
    writer.finish_without_body(keep_alive, version);
  } else if (length) {
    writer.finish(*length, keep_alive, version);
  } else {
    writer.finish_stream(keep_alive, version);
  }
  client.prepend_unsaid();
  client.written_ = 0;
  Session::Streamed streamed;
  streamed.keep_alive = keep_alive;
  streamed.ends_by_itself = ends_by_itself;
  client.streamed_ = streamed;
  last_progress_ = Loop::current().turn_time();
}

void ClientStream::put(std::string_view piece, bool is_last) {
  if (is_bodyless_) piece = {};  // to a HEAD that was made a GET
  is_last_ = is_last;
  const backends::Frame& frame = frame_.emplace(is_chunked_, piece.size(), is_last);
  rest_ = {asio::buffer(session_.head_), asio::buffer(frame.before()), asio::buffer(piece),
           asio::buffer(frame.after())};
  if (std::exchange(is_head_sent_, true)) {
    rest_[0] = {};
  } else if (piece.size() <= kCopiedPiece) {
    session_.head_.append(frame.before()).append(piece).append(frame.after());
    rest_ = {asio::buffer(session_.head_)};
  }
}

/// What `size` bytes that were written come to.
void ClientStream::count(std::size_t size) {
  backends::consume(rest_, size);
  session_.written_ += size;
  last_progress_ = Loop::current().turn_time();
  if (is_last_ && asio::buffer_size(rest_) == 0) session_.streamed_->is_whole = true;
}

bool ClientStream::send() {
  error_code ec;
  if (session_.gone_) return false;
  const bool is_one = rest_[1].size() + rest_[2].size() + rest_[3].size() == 0;
  count(is_one ? session_.socket_.write_some(rest_[0], ec) : session_.socket_.write_some(rest_, ec));
  return asio::buffer_size(rest_) == 0;
}

Task<bool> ClientStream::send_rest(const Context& ctx) {
  while (asio::buffer_size(rest_) != 0) {
    if (session_.gone_) co_return false;
    const auto written = co_await concurrency::io(ctx, session_.socket_.async_write_some(rest_, asio::deferred));
    if (written.has_error()) co_return false;
    count(*written);
  }
  co_return true;
}

std::size_t ClientStream::unsent_bytes() const {
  return backends::unsent_bytes(session_.socket_.native_handle());
}

void ClientStream::give_up() {
  session_.gone_ = true;
  session_.streamed_->is_stuck = true;
}

}  // namespace sluice::gateway
