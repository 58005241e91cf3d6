// What a session reads of its client.
#include "gateway/session.hpp"

#include <chrono>
#include <cstring>
#include <poll.h>

namespace sluice::gateway {
namespace {

constexpr std::size_t kLargeBuffer = 64 * 1024;  // once a request did not fit the small one
constexpr std::chrono::milliseconds kGlances{10};

}  // namespace

namespace asio = boost::asio;
using boost::system::error_code;
using concurrency::Context;
using concurrency::Task;
using State = RequestParser::State;

void Session::read(bool is_due) {
  if (reading_ || gone_ || ended_) return;
  if (begin_ == end_) begin_ = end_ = 0;
  if (end_ == in_.size()) {
    if (begin_ != 0) {
      std::memmove(in_.data(), in_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    } else if (in_.size() < kLargeBuffer) {
      in_.resize(kLargeBuffer);
    } else {
      return watch();  // full of what is to be answered first
    }
  }
  watching_ = false;
  reading_ = true;
  socket_.start_read(read_, shared_from_this(), {asio::buffer(in_.data() + end_, in_.size() - end_)}, is_due);
}

void Session::on_read(error_code ec, std::size_t size) {
  reading_ = false;
  if (ec == asio::error::eof && half_close_ && waiting_ == nullptr) {
    ended_ = true;
    watch();
  } else if (ec) {
    lose();
  } else {
    end_ += size;
    came_at_ = read_.came_at();
    if (in_progress_ != nullptr && waiting_ == nullptr) read();  // to notice that the client hangs up
  }
  if (waiting_ != nullptr && waiting_->claim(0)) waiting_->wake();
}

/// The client is gone.
void Session::lose() {
  gone_ = true;
  if (in_progress_ != nullptr) (*in_progress_)();
}

/// Notices a client that closes or resets the connection while nothing is read.
void Session::watch() {
  if (watching_ || in_progress_ == nullptr) return;
  watching_ = true;
  glance_.disarm();
  look();
}

/// Whether the client has left, as far as the system knows: of that no event may have told.
void Session::look() {
  const short end = POLLRDHUP;
  pollfd state{socket_.native_handle(), watching_ && !half_close_ ? end : short{0}, 0};
  if (::poll(&state, 1, 0) > 0) return lose();
  if (watching_) glance_.arm(concurrency::Loop::current().turn_time() + kGlances);
}

Session::Glance::Glance(Session& session)
    : TimerEntry([](TimerEntry& entry, bool expired) noexcept {
        if (expired) static_cast<Glance&>(entry).session_.look();
      }),
      session_(session),
      loop_(concurrency::Loop::current()) {}

Session::Glance::~Glance() {
  disarm();
}

void Session::Glance::arm(concurrency::TimePoint when) {
  loop_.arm(*this, when);
}

void Session::Glance::disarm() {
  loop_.disarm(*this);
}

bool Session::More::await_ready() {
  if (session_.ended_) session_.lose();  // what is missing never comes
  had_ = session_.end_ - session_.begin_;
  session_.read(had_ != 0 || !session_.parser_.untouched());
  if (!session_.reading_) return true;
  if (until_ != concurrency::TimePoint::max()) late_.arm(until_);
  session_.waiting_ = &parked_;
  return !done_.subscribe(ctx_);
}

State Session::parse() {
  const auto [consumed, state] = parser_.parse({in_.data() + begin_, end_ - begin_});
  begin_ += consumed;
  return state;
}

/// True when there is a request, or a refusal, to answer.
Task<bool> Session::read_head(bool is_first) {
  parser_.start();
  State state = parse();
  if (state != State::need_more) co_return true;
  const LimitsConfig& limits = worker_.deployment()->runtime->config.limits;
  const Context nobody;
  const auto in = [](concurrency::Duration time) {
    return concurrency::later(concurrency::Loop::current().turn_time(), time);
  };
  if (parser_.untouched() && begin_ == end_) {
    // What is accepted while draining has been promised an answer; other idle connections close.
    const Context& serving = is_first && worker_.is_draining() ? nobody : worker_.serving();
    const bool has_more = co_await more(serving, in(is_first ? limits.header_timeout : limits.keepalive_timeout));
    // A request may have come at the same time.
    error_code ec;
    if (!has_more && (gone_ || socket_.available(ec) == 0)) co_return false;
    state = parse();
  }
  if (state != State::need_more) co_return true;
  // The whole head within the timeout, however its bytes are spread.
  const concurrency::TimePoint end = in(limits.header_timeout);
  while (state == State::need_more) {
    const bool has_more = co_await more(nobody, end);
    if (!has_more) co_return !gone_ && !parser_.untouched();
    state = parse();
  }
  co_return true;
}

/// The body, by the deadline; false when it did not come.
Task<bool> Session::read_body(const Context& ctx) {
  State state = parser_.state();
  if (state == State::head && parser_.expects_continue() && begin_ == end_) {
    head_ = "HTTP/1.1 100 Continue\r\n\r\n";
    out_.assign(1, asio::buffer(head_));
    const bool written = co_await write_all();
    if (!written) co_return false;
  }
  for (;;) {
    state = parse();
    if (state == State::complete || state == State::refused) co_return true;
    if (state != State::need_more) continue;
    const bool has_more = co_await more(ctx);
    if (!has_more) co_return false;
  }
}

}  // namespace sluice::gateway
