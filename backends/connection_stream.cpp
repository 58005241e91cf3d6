// The exchange whose bodies pass piece by piece.
#include "backends/connection.hpp"
#include "backends/pieces.hpp"
#include "concurrency/wait.hpp"

#include <algorithm>
#include <utility>

namespace sluice::backends {

namespace asio = boost::asio;
using concurrency::Context;
using concurrency::Loop;
using concurrency::Task;

/// Takes no copy of what the buffer has of a body whose length is known.
void Connection::look_at_body() {
  const std::size_t size = std::min<std::uint64_t>(parser_.awaited(), end_ - begin_);
  if (size == 0) return go_on(parser_.state());
  in_buffer_ = {buffer_.data() + begin_, size};
  begin_ += size;
  go_on(parser_.parse_placed(in_buffer_).state);
}

Task<bool> Connection::begin(const Context& ctx, const Request& request, InterimSink* interim) {
  if (!start(ctx, request, true)) co_return false;
  interim_ = interim;
  last_progress_ = Loop::current().turn_time();
  Buffers rest{asio::buffer(head_)};
  bool is_broken = false;
  co_await concurrency::detail::AfterOthers();
  if (!finished_ && !ctx.is_done()) write_now(rest, is_broken);
  if (!is_broken && asio::buffer_size(rest) != 0) co_await write_rest(ctx, rest);
  if (asio::buffer_size(rest) != 0) sending_ = true;  // not to be used again
  co_return true;
}

Task<bool> Connection::send(const Context& ctx, std::string_view bytes, bool is_last) {
  if (finished_ || state_ != State::busy) co_return false;
  const Frame frame(!request_->body_size, bytes.size(), is_last);
  Buffers rest{asio::buffer(frame.before()), asio::buffer(bytes), asio::buffer(frame.after())};
  bool is_broken = false;
  write_now(rest, is_broken);
  last_progress_ = Loop::current().turn_time();
  if (!is_broken && asio::buffer_size(rest) != 0) co_await write_rest(ctx, rest);
  if (asio::buffer_size(rest) != 0) co_return false;
  if (is_last) sending_ = false;
  co_return true;
}

/// False when `ctx` is done, which closes the connection.
Task<bool> Connection::wait_for_news(const Context& ctx) {
  concurrency::detail::Parked parked;
  concurrency::detail::ContextWake done(parked, 1);
  waiting_ = &parked;
  if (done.subscribe(ctx)) co_await parked.wait();
  waiting_ = nullptr;
  const bool is_woken = parked.source() == 0;
  if (!is_woken) close();
  co_return is_woken;
}

Task<boost::system::result<void, Failure>> Connection::receive_head(const Context& ctx) {
  while (!has_head_ && !finished_) {
    const bool is_woken = co_await wait_for_news(ctx);
    if (!is_woken) co_return failure_of(ctx);
  }
  static const boost::system::result<void, Failure> kGood;      // of a temporary g++ 12 warns, with -fsanitize=address
  auto why = finished_ || refused_ ? failure() : std::nullopt;  // of what came with the head, too
  if (why) co_return std::move(*why);
  co_return kGood;
}

Task<boost::system::result<bool, Failure>> Connection::receive(const Context& ctx, std::string_view& piece) {
  taken_.clear();
  if (!has_news()) go_on_reading();  // what was looked at in the buffer has been used
  while (!has_news()) {
    const bool is_woken = co_await wait_for_news(ctx);
    if (!is_woken) co_return failure_of(ctx);
  }
  if (!in_buffer_.empty()) {
    piece = std::exchange(in_buffer_, std::string_view());
  } else {
    std::swap(taken_, body_->bytes);
    piece = taken_;
    if (!finished_) go_on_reading();
  }
  if (!finished_) co_return false;
  auto why = failure();
  if (!why) co_return true;
  if (!piece.empty()) co_return false;  // first what came before it failed
  co_return std::move(*why);
}

std::size_t Connection::unsent_bytes() {
  return state_ == State::closed ? 0 : backends::unsent_bytes(socket_.native_handle());
}

void Connection::go_on_reading() {
  if (std::exchange(paused_, false)) read();
}

void Connection::finish_stream() {
  in_buffer_ = {};
  if (taken_.capacity() > kSmallBuffer) taken_ = std::string();
  if (state_ == State::busy) close();
  if (state_ == State::idle) go_on_reading();
  is_stream_ = false;
  used_ = true;
  request_ = nullptr;
  interim_ = nullptr;
  body_.reset();
}

}  // namespace sluice::backends
