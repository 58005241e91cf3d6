#include "backends/connection.hpp"

#include "concurrency/io.hpp"
#include "concurrency/wait.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <boost/asio/buffer.hpp>

namespace sluice::backends {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using concurrency::Context;
using concurrency::Loop;
using concurrency::Task;

constexpr std::size_t kSmallBuffer = 8 * 1024;
constexpr std::size_t kLargeBuffer = 64 * 1024;  // once a response did not fit the small one

Failure failure_of(const Context& ctx, const std::string& host) {
  return ctx.err() == concurrency::Error::deadline_exceeded ? Failure(Reason::timeout, host + ": deadline exceeded")
                                                            : Failure(Reason::cancelled, host + ": cancelled");
}

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
  } else if (end_ == buffer_.size()) {
    if (begin_ != 0) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    } else {
      buffer_.resize(std::max(kLargeBuffer, buffer_.size() * 2));
    }
  }
  socket_.async_read_some(asio::buffer(buffer_.data() + end_, buffer_.size() - end_),
                          [self = shared_from_this()](error_code ec, std::size_t size) { self->on_read(ec, size); });
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
  end_ += size;
  const bool was_full = end_ == buffer_.size();
  parse();
  if (state_ == State::closed) return;
  if (was_full && begin_ == end_ && buffer_.size() < kLargeBuffer) {
    begin_ = end_ = 0;
    buffer_.resize(kLargeBuffer);
  }
  read();
}

void Connection::parse() {
  for (;;) {
    const auto [consumed, state] = parser_.parse({buffer_.data() + begin_, end_ - begin_});
    begin_ += consumed;
    switch (state) {
      case ResponseParser::State::head:
        refused_ = request_->accepts != nullptr && !request_->accepts(request_->accepted, parser_.status());
        if (!refused_ && request_->decodes && is_gzip(parser_.headers())) {
          parser_.headers().remove("Content-Encoding");
          body_->gunzip = std::make_unique<Gunzip>();
        }
        if (!refused_ && request_->make_check != nullptr) body_->check = request_->make_check(parser_.headers());
        continue;
      case ResponseParser::State::need_more:
        // Nobody wants the body: what of it has not arrived by now is not waited for.
        if (refused_) finish(false);
        return;
      case ResponseParser::State::complete:
        finish(parser_.keep_alive() && begin_ == end_);
        return;
      case ResponseParser::State::failed:
        parse_failed_ = true;
        finish(false);
        return;
    }
  }
}

void Connection::finish(bool reusable) {
  finished_ = true;
  if (reusable && !writing_) {  // else closing ends the write, too: nobody wants the rest of the request
    state_ = State::idle;
    idle_since_ = Loop::current().now();
  } else {
    close();
  }
  if (waiting_ != nullptr && waiting_->claim(0)) waiting_->wake();
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
    if (const auto left = ctx.remaining()) {
      const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(*left).count();
      writer_.add(request.deadline_header, static_cast<std::uint64_t>(std::max<decltype(ms)>(ms, 1)));
    }
  }
  if (request.body) writer_.add("Content-Length", std::uint64_t{request.body->size()});
  writer_.finish();
}

Task<CallResult> Connection::exchange(Context ctx, const Request& request) {
  if (ctx.is_done()) co_return failure_of(ctx, host_);
  write_head(ctx, request);
  if (head_.empty()) co_return Failure(Reason::invalid, host_ + ": the request cannot be written");
  state_ = State::busy;
  finished_ = parse_failed_ = refused_ = false;
  request_ = &request;
  body_ = std::make_shared<Body>();
  parser_.start(request.method == "HEAD", *body_, limits_);

  const std::string no_body;
  const std::string& body = request.body ? *request.body : no_body;
  std::array<asio::const_buffer, 2> rest{asio::buffer(head_), asio::buffer(body)};
  std::size_t left = head_.size() + body.size();
  error_code ec;
  // Tried at once; a write error is not the end: the server may have answered before it closed.
  while (left != 0 && !finished_) {
    std::size_t written = socket_.write_some(rest, ec);
    if (ec == asio::error::would_block) {
      writing_ = true;
      const auto waited = co_await concurrency::io(ctx, socket_.async_write_some(rest, asio::deferred));
      writing_ = false;
      if (ctx.is_done()) {
        close();
        co_return failure_of(ctx, host_);
      }
      ec = waited.has_error() ? waited.error() : error_code();
      written = waited.has_value() ? *waited : 0;
    }
    if (ec) break;
    left -= written;
    const std::size_t of_head = std::min(written, rest[0].size());
    rest[0] += of_head;
    rest[1] += written - of_head;
  }

  if (!finished_) {
    concurrency::detail::Parked parked;
    concurrency::detail::ContextWake done(parked, 1);
    waiting_ = &parked;
    if (done.subscribe(ctx)) co_await parked.wait();
    waiting_ = nullptr;
    if (!finished_) {
      close();
      co_return failure_of(ctx, host_);
    }
  }
  if (left != 0) close();  // answered before the whole request was sent: what follows would be read as its rest
  auto outcome = result(request);
  used_ = true;
  request_ = nullptr;
  body_.reset();
  co_return outcome;
}

CallResult Connection::result(const Request& request) {
  const bool went_stale = used_ && parser_.untouched();
  if (read_error_) return Failure(Reason::reset, host_ + ": " + read_error_.message(), went_stale);
  if (parse_failed_) {
    Failure failure = parser_.failure();
    failure.detail.insert(0, host_ + ": ");
    failure.retriable = failure.reason == Reason::reset && went_stale;
    return failure;
  }
  const unsigned status = parser_.status();
  if (request.accepts != nullptr && !request.accepts(request.accepted, status)) {
    Failure failure(Reason::status, host_ + ": status " + std::to_string(status));
    failure.status = status;
    if (is_redirect(status)) failure.location = parser_.headers().find("Location").value_or("");
    return failure;
  }
  Response response(status, std::move(body_));
  if (request.keep_headers) response.headers = parser_.headers();
  return response;
}

}  // namespace sluice::backends
