// The exchange whose bodies pass piece by piece.
#include "backends/connection.hpp"
#include "backends/pieces.hpp"

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

bool Connection::begin(const Context& ctx, const Request& request, InterimSink* interim) {
  if (!start(ctx, request, true)) return false;
  interim_ = interim;
  last_progress_ = Loop::current().turn_time();
  return true;
}

bool Connection::send_head(const Context& ctx) {
  unsent_ = {asio::buffer(head_)};
  bool is_broken = false;
  if (!finished_ && !ctx.is_done()) write_now(unsent_, is_broken);
  const bool is_sent = asio::buffer_size(unsent_) == 0;
  if (!is_sent) sending_ = true;  // not to be used again
  return is_sent || is_broken;
}

Task<> Connection::send_rest_of_head(const Context& ctx) {
  co_await write_rest(ctx, unsent_);
  if (asio::buffer_size(unsent_) == 0) sending_ = request_->is_streamed;
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

std::optional<Failure> Connection::failure_of_head() const {
  return finished_ || refused_ ? failure() : std::nullopt;
}

boost::system::result<bool, Failure> Connection::receive(std::string_view& piece) {
  if (!in_buffer_.empty()) {
    piece = std::exchange(in_buffer_, std::string_view());
  } else {
    taken_.clear();
    std::swap(taken_, body_->bytes);
    piece = taken_;
    if (!finished_) go_on_reading();
  }
  if (!finished_) return false;
  auto why = failure();
  if (!why) return true;
  if (!piece.empty()) return false;  // first what came before it failed
  return std::move(*why);
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
