#include "backends/connection.hpp"

#include "backends/pieces.hpp"
#include "concurrency/detail/recycled.hpp"
#include "concurrency/io.hpp"
#include "concurrency/wait.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include <boost/asio/post.hpp>

namespace sluice::backends {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using concurrency::Context;
using concurrency::Loop;
using concurrency::Task;

constexpr std::size_t kLargeBuffer = 68 * 1024;  // once what goes through it did not fit: 64 KiB and their head
constexpr std::size_t kMaxPlaced = 64 * 1024;    // at once, so that others have their turns
constexpr int kLooks = 32;                       // each up to kMaxPlaced, or a kGzipPiece
constexpr std::size_t kGzipPiece = 2 * 1024;     // may become two megabytes
constexpr std::size_t kMaxUntaken = 64 * 1024;   // of a streamed body, before reading pauses

bool is_gzip(const Headers& headers) {
  const auto coding = headers.find("Content-Encoding");
  return coding && headers.count("Content-Encoding") == 1 && (iequals(*coding, "gzip") || iequals(*coding, "x-gzip"));
}

bool is_redirect(unsigned status) {
  return (status >= 301 && status <= 303) || status == 307 || status == 308;
}

}  // namespace

Connection::Connection(Socket socket, std::string host, ResponseLimits limits)
    : socket_(std::move(socket)), host_(std::move(host)), limits_(limits), buffer_(kSmallBuffer) {}

void Connection::open() {
  idle_since_ = Loop::current().now();
  read();
}

void Connection::close() {
  if (state_ == State::closed) return;
  state_ = State::closed;
  error_code ignored;
  socket_.close(ignored);
}

void Connection::read() {
  if (begin_ == end_) {
    begin_ = end_ = 0;
    if (was_full_ && buffer_.size() < kLargeBuffer && awaited_in_body() == 0) buffer_.resize(kLargeBuffer);
  } else if (end_ == buffer_.size()) {
    if (begin_ != 0) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    } else {
      buffer_.resize(std::max(kLargeBuffer, buffer_.size() * 2));
    }
  }
  const bool is_due = state_ == State::busy && !finished_;
  where_ = {room_in_body(), asio::buffer(buffer_) + end_};
  if (where_[0].size() < awaited_in_body()) where_[1] = {};  // what it is for begins behind the body
  socket_.start_read(read_, shared_from_this(), where_, is_due);
}

/// How much of the body is to be read straight to where it belongs.
std::uint64_t Connection::awaited_in_body() const {
  return state_ == State::busy && !finished_ && !is_stream_ && begin_ == end_ ? parser_.awaited() : 0;
}

/// Room for it, of some times what has come: the length of a body is a claim, not a fact.
asio::mutable_buffer Connection::room_in_body() {
  const std::uint64_t awaited = awaited_in_body();
  if (awaited == 0) return {};
  const auto at = static_cast<std::size_t>(*parser_.content_length() - awaited);
  if (body_->bytes.size() == at) {
    body_->bytes.resize(at + std::min<std::uint64_t>(awaited, std::clamp(8 * at, kSmallBuffer, kMaxPlaced)));
  }
  return asio::buffer(body_->bytes) + at;
}

void Connection::on_read(error_code ec, std::size_t size) {
  if (state_ == State::closed) return;
  if (state_ == State::idle) {  // closed by the server, or it speaks unasked
    close();
    if (on_death_ != nullptr) on_death_(owner_, *this);
    return;
  }
  if (ec) {
    if (ec != asio::error::eof) {
      read_error_ = ec;
    } else {
      parse_failed_ = parser_.finish_eof() == ResponseParser::State::failed;
    }
    finish(false);
    return;
  }
  const std::size_t in_body = std::min(size, where_[0].size());
  end_ += size - in_body;
  was_full_ = end_ == buffer_.size();
  const std::size_t unparsed = end_ - begin_;
  if (is_stream_) last_progress_ = Loop::current().now();
  if (in_body == 0) {
    parse();
  } else {
    go_on(parser_.parse_placed({static_cast<const char*>(where_[0].data()), in_body}).state);
  }
  if (state_ == State::closed) return;
  if (!finished_ && body_->gunzip && begin_ != end_ && end_ - begin_ < unparsed) {
    // A piece at a time, so that others have their turns.
    asio::post(socket_.get_executor(), [self = shared_from_this(), body = body_] {
      if (self->body_ == body && self->state_ == State::busy && !self->finished_) self->on_read({}, 0);
    });
    return;
  }
  if (is_stream_) {
    if (has_head_) wake();
    paused_ = !in_buffer_.empty() || (!finished_ && body_->bytes.size() >= kMaxUntaken);
    if (paused_) return;
  }
  read();
}

void Connection::parse() {
  for (;;) {
    if (is_stream_ && has_head_ && !refused_ && parser_.awaited() != 0) return look_at_body();
    const std::string_view all(buffer_.data() + begin_, end_ - begin_);
    const std::string_view some = body_->gunzip ? all.substr(0, kGzipPiece) : all;
    ResponseParser::Progress progress = parser_.parse(some);
    const bool is_cut = some.size() < all.size() && progress.state == ResponseParser::State::need_more;
    if (is_cut && progress.consumed == 0) progress = parser_.parse(all);  // a long line before a chunk
    begin_ += progress.consumed;
    switch (progress.state) {
      case ResponseParser::State::head:
        take_head();
        if (!refused_ && request_->decodes && is_gzip(parser_.headers())) {
          parser_.headers().remove("Content-Encoding");
          body_->gunzip = std::make_unique<Gunzip>();
        }
        if (!refused_ && request_->make_check != nullptr) body_->check = request_->make_check(parser_.headers());
        continue;
      case ResponseParser::State::interim:
        if (interim_ != nullptr) interim_->on_interim(parser_.status(), parser_.headers());
        continue;
      default:
        return go_on(progress.state);
    }
  }
}

/// When the parser has taken what it could, or the response is over.
void Connection::go_on(ResponseParser::State state) {
  switch (state) {
    case ResponseParser::State::complete:
      if (!has_head_) take_head();  // there is no body
      return finish(parser_.keep_alive() && begin_ == end_);
    case ResponseParser::State::failed:
      parse_failed_ = true;
      return finish(false);
    default:
      // Nobody wants the body: what of it has not arrived by now is not waited for.
      if (refused_) finish(false);
  }
}

void Connection::take_head() {
  has_head_ = true;
  refused_ = request_->accepts != nullptr && !request_->accepts(request_->accepted, parser_.status());
}

void Connection::finish(bool reusable) {
  finished_ = true;
  if (reusable && !writing_ && !sending_) {  // else closing ends the write, too: nobody wants the rest of the request
    state_ = State::idle;
    idle_since_ = is_stream_ ? last_progress_ : Loop::current().now();
  } else {
    close();
  }
  wake();
}

void Connection::wake() {
  if (waiting_ != nullptr && waiting_->claim(0)) waiting_->wake();
}

/// What has come by the deadline counts, also if there was no time yet to read it: else a gateway that has fallen
/// behind would take its own delay for the server's, and throw away connections and what was asked. Returns whether
/// there is what was waited for; the body of a stream is not.
bool Connection::look(const Context& ctx) {
  if (ctx.cause() != concurrency::Error::deadline_exceeded || (is_stream_ && has_head())) return false;
  for (int i = 0; i < kLooks && state_ == State::busy && !(is_stream_ ? has_head() : finished_); ++i) {
    if (socket_.read_now(read_)) continue;
    if (body_->gunzip == nullptr || begin_ == end_) break;
    const std::size_t before = begin_;
    on_read({}, 0);  // the next piece, whose turn is still to come
    if (begin_ == before) break;
  }
  return is_stream_ ? has_head() : finished_;
}

void Connection::write_head(const Context& ctx, const Request& request) {
  if (!writer_.start(request.method, request.target, host_)) {
    // Cannot happen for what templates expand to; a request that cannot be sent safely is answered by nobody.
    head_.clear();
    return;
  }
  writer_.add_all(request.headers);
  if (request.lines) writer_.add_lines(*request.lines);
  if (!request.deadline_header.empty()) {
    if (const auto deadline = ctx.deadline()) {
      const concurrency::Duration left = *deadline - Loop::current().turn_time();
      const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(left).count();
      writer_.add(request.deadline_header, static_cast<std::uint64_t>(std::max<decltype(ms)>(ms, 1)));
    }
  }
  if (request.body) {
    writer_.add("Content-Length", std::uint64_t{request.body->size()});
  } else if (request.body_size) {
    writer_.add("Content-Length", *request.body_size);
  } else if (request.is_streamed) {
    writer_.add("Transfer-Encoding", "chunked");
  }
  writer_.finish();
}

bool Connection::start(const Context& ctx, const Request& request, bool is_stream) {
  write_head(ctx, request);
  if (head_.empty()) return false;
  state_ = State::busy;
  finished_ = parse_failed_ = refused_ = has_head_ = paused_ = false;
  is_stream_ = is_stream;
  sending_ = request.is_streamed;
  request_ = &request;
  body_ = concurrency::detail::make_recycled<Body>();
  const std::uint64_t max_body = is_stream ? ResponseLimits::kAnyBody : limits_.max_body;
  parser_.start(request.method == "HEAD", *body_, ResponseLimits(limits_.max_header, max_body));
  return true;
}

/// Writes what the socket takes at once.
void Connection::write_now(Buffers& rest, bool& is_broken) {
  error_code ec;
  const bool is_one = rest[1].size() + rest[2].size() == 0;
  consume(rest, is_one ? socket_.write_some(rest[0], ec) : socket_.write_some(rest, ec));
  is_broken = ec && ec != asio::error::would_block;
  if (is_broken) read_what_is_left();
}

/// The connection was reset. If that came with the last bytes that were read, no event tells the pending read: waiting
/// for errors makes the system tell again of what there is.
void Connection::read_what_is_left() {
  socket_.async_wait(Socket::wait_error, [self = shared_from_this()](const error_code&) {});
}

/// Ends early when the response is over, the connection broke, or `ctx` is done.
Task<> Connection::write_rest(const Context& ctx, Buffers& rest) {
  while (asio::buffer_size(rest) != 0 && !finished_) {
    writing_ = true;
    const auto written = co_await concurrency::io(ctx, socket_.async_write_some(rest, asio::deferred));
    writing_ = false;
    if (written.has_error()) co_return;
    consume(rest, *written);
    last_progress_ = Loop::current().now();
  }
}

Task<CallResult> Connection::exchange(const Context& ctx, const Request& request) {
  if (ctx.is_done()) co_return failure_of(ctx);
  if (!start(ctx, request, false)) co_return Failure(Reason::invalid, host_ + ": the request cannot be written");

  Buffers rest{asio::buffer(head_)};
  if (request.body) rest[1] = asio::buffer(*request.body);
  // Tried at once; a write error is not the end: the server may have answered before it closed.
  bool is_broken = false;
  co_await concurrency::detail::AfterOthers();
  if (!finished_ && !ctx.is_done()) write_now(rest, is_broken);
  if (!is_broken && asio::buffer_size(rest) != 0) co_await write_rest(ctx, rest);

  if (!finished_) {
    concurrency::detail::Parked parked;
    concurrency::detail::ContextWake done(parked, 1);
    waiting_ = &parked;
    if (done.subscribe(ctx)) co_await parked.wait();
    waiting_ = nullptr;
    if (!finished_ && !look(ctx)) {
      close();
      co_return failure_of(ctx);
    }
  }
  // Answered before the whole request was sent: what follows would be read as its rest.
  if (asio::buffer_size(rest) != 0) close();
  auto why = failure();
  auto body = std::move(body_);
  used_ = true;
  request_ = nullptr;
  if (why) co_return std::move(*why);
  Response response(parser_.status(), std::move(body));
  if (request.keep_headers) response.headers = parser_.headers();
  co_return response;
}

Failure Connection::failure_of(const Context& ctx) const {
  return ctx.cause() == concurrency::Error::deadline_exceeded ? Failure(Reason::timeout, host_ + ": deadline exceeded")
                                                              : Failure(Reason::cancelled, host_ + ": cancelled");
}

/// Of a response that is over; none: it is whole, and accepted.
std::optional<Failure> Connection::failure() const {
  const bool went_stale = used_ && parser_.untouched();
  if (read_error_) return Failure(Reason::reset, host_ + ": " + read_error_.message(), went_stale);
  if (parse_failed_) {
    Failure failure = parser_.failure();
    failure.detail.insert(0, host_ + ": ");
    failure.retriable = failure.reason == Reason::reset && went_stale;
    return failure;
  }
  if (!refused_) return std::nullopt;
  Failure failure(Reason::status, host_ + ": status " + std::to_string(parser_.status()));
  failure.status = parser_.status();
  if (is_redirect(failure.status)) failure.location = parser_.headers().find("Location").value_or("");
  return failure;
}

}  // namespace sluice::backends
