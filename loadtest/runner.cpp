// Sending by the clock, reading as replies come.
#include "loadtest/runner.hpp"

#include "loadtest/sluice_calls.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <ctime>
#include <limits>
#include <string>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <system_error>

namespace sluice::loadtest {
namespace {

using std::chrono::nanoseconds;

constexpr std::size_t kBufferSize = 256 * 1024;
constexpr auto kReconnectDelay = std::chrono::milliseconds(100);

std::string describe_error(int error) {
  return std::generic_category().message(error);
}

}  // namespace

Runner::Runner(const Scenario& scenario)
    : scenario_(scenario),
      is_open_loop_(scenario.rate > 0),
      connections_(scenario.connections),
      buffer_(std::make_unique_for_overwrite<char[]>(kBufferSize)) {
  report_.url = scenario.url;
  report_.wanted_rate = scenario.rate;
  report_.connections = scenario.connections;
}

Report Runner::run(const volatile std::sig_atomic_t& interrupted) {
  prctl(PR_SET_TIMERSLACK, 1UL);  // nanoseconds; the default, 50 us, would be seen in every latency
  open_all();
  has_started_ = true;
  start_ = last_reply_ = Clock::now();
  stop_ = start_ + scenario_.duration;
  planned_ = scenario_.max_requests > 0 ? scenario_.max_requests : std::numeric_limits<std::uint64_t>::max();
  if (is_open_loop_) {
    const double in_time = std::ceil(scenario_.rate * std::chrono::duration<double>(scenario_.duration).count());
    if (in_time < static_cast<double>(planned_)) planned_ = static_cast<std::uint64_t>(in_time);
  }
  for (;;) {
    const TimePoint now = Clock::now();
    if (interrupted) planned_ = report_.sent;
    expire(now);
    send_due(now);
    const bool may_send = report_.sent < planned_ && now < (is_open_loop_ ? stop_ + scenario_.timeout : stop_);
    if (!may_send && busy_ == 0) break;
    wait(next_wake(now));
  }
  if (is_open_loop_)
    for (std::uint64_t i = report_.sent; i < planned_; ++i)
      report_.count_error(Kind::unsent, "no connection became free in time");
  report_.elapsed = last_reply_ - start_;
  return std::move(report_);
}

void Runner::open(Connection& connection) {
  connection.fd = start_connect(scenario_.target);
  if (!connection.fd.is_open()) {
    connect_error_ = errno;
    report_.count_error(Kind::connect, "connect: " + describe_error(errno));
    reopen(connection, Clock::now() + kReconnectDelay);
    return;
  }
  connection.state = Connection::State::connecting;
  ++connecting_;
  watch(epoll_, connection.fd, EPOLLIN | EPOLLOUT, &connection);
}

void Runner::open_all() {
  for (Connection& connection : connections_) open(connection);
  const TimePoint limit = Clock::now() + scenario_.timeout;
  while (connecting_ > 0 && Clock::now() < limit) wait(limit);
  if (idle_.empty())
    throw std::system_error(connect_error_ ? connect_error_ : ETIMEDOUT, std::generic_category(),
                            "connect to " + scenario_.target.to_string());
}

void Runner::reopen(Connection& connection, TimePoint when) {
  connecting_ -= connection.state == Connection::State::connecting ? 1 : 0;
  busy_ -= connection.state == Connection::State::busy ? 1 : 0;
  connection.fd = Fd();
  connection.state = Connection::State::closed;
  reopening_.push_back({&connection, when});
}

void Runner::turn_idle(Connection& connection) {
  connection.state = Connection::State::idle;
  if (!connection.in_idle_queue) idle_.push_back(&connection);
  connection.in_idle_queue = true;
}

void Runner::wait(TimePoint until) {
  std::array<epoll_event, 256> events;
  const auto left = std::max(nanoseconds(0), std::chrono::duration_cast<nanoseconds>(until - Clock::now()));
  const timespec timeout{left.count() / 1'000'000'000, left.count() % 1'000'000'000};
  const int count = epoll_pwait2(epoll_.get(), events.data(), static_cast<int>(events.size()), &timeout, nullptr);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    on_event(*static_cast<Connection*>(event.data.ptr), event.events);
  }
}

void Runner::on_event(Connection& connection, std::uint32_t events) {
  const bool ending = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  switch (connection.state) {
    case Connection::State::closed:
      return;
    case Connection::State::connecting:
      return on_connected(connection);
    case Connection::State::idle:
      if (ending || (events & EPOLLIN) != 0) on_idle_input(connection);
      return;
    case Connection::State::busy:
      if (connection.written < scenario_.request.size()) write_request(connection);
      if (connection.state == Connection::State::busy && (ending || (events & EPOLLIN) != 0))
        read_reply(connection, ending);
  }
}

void Runner::on_connected(Connection& connection) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(connection.fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    connect_error_ = error;
    report_.count_error(Kind::connect, "connect: " + describe_error(error));
    return reopen(connection, Clock::now() + kReconnectDelay);
  }
  --connecting_;
  turn_idle(connection);
  if (has_started_) {
    ++report_.reconnects;
    send_due(Clock::now());
  }
}

void Runner::on_idle_input(Connection& connection) {
  const ssize_t got = recv(connection.fd.get(), buffer_.get(), kBufferSize, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got > 0) report_.count_error(Kind::malformed, "bytes that belong to no request");
  reopen(connection, Clock::now());  // the end of an idle connection is the server's right, not an error
}

void Runner::write_request(Connection& connection) {
  const std::string& request = scenario_.request;
  const ssize_t sent = ::send(connection.fd.get(), request.data() + connection.written,
                              request.size() - connection.written, MSG_NOSIGNAL);
  if (sent >= 0) {
    connection.written += static_cast<std::size_t>(sent);
  } else if (errno != EAGAIN && errno != EINTR) {
    fail(connection, Kind::closed, "send: " + describe_error(errno));
  }
}

void Runner::read_reply(Connection& connection, bool ending) {
  for (;;) {
    const ssize_t got = recv(connection.fd.get(), buffer_.get(), kBufferSize, 0);
    const TimePoint now = Clock::now();
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got < 0) return fail(connection, Kind::closed, "recv: " + describe_error(errno));
    ReplyReader& reader = connection.reader;
    const auto size = static_cast<std::size_t>(got);
    const bool has_ended = got == 0;
    std::size_t used = 0;
    if (has_ended) {
      if (!reader.has_begun()) return fail(connection, Kind::closed, "the connection ended before a reply");
      reader.feed_end();
      if (reader.state() == ReplyReader::State::malformed) return fail(connection, Kind::closed, reader.problem());
    } else {
      used = reader.feed({buffer_.get(), size});
    }
    if (reader.state() == ReplyReader::State::malformed) return fail(connection, Kind::malformed, reader.problem());
    if (reader.state() == ReplyReader::State::complete) {
      if (used < size) return fail(connection, Kind::malformed, "bytes after the reply");
      finish(connection, now);
      if (has_ended || ending || !reader.keeps_alive()) {
        reopen(connection, now);
      } else {
        turn_idle(connection);
      }
      return send_due(now);
    }
    if (size < kBufferSize && !ending) return;
  }
}

void Runner::finish(Connection& connection, TimePoint now) {
  last_reply_ = now;
  ++report_.replies;
  report_.body_bytes += connection.reader.body_size();
  report_.latency.record(now - connection.intended);
  check(connection.reader);
  connection.state = Connection::State::idle;
  --busy_;
}

void Runner::fail(Connection& connection, Kind kind, std::string_view problem) {
  report_.count_error(kind, problem);
  reopen(connection, Clock::now());
}

void Runner::check(const ReplyReader& reply) {
  const Expectations& expect = scenario_.expect;
  report_.statuses.count(std::to_string(reply.status()));
  if (!reply.result().empty()) report_.results.count(reply.result());
  const auto calls = parse_sluice_calls(reply.calls());
  for (const SluiceCall& call : calls) report_.calls.count(call.member);
  if (expect.status != 0 && reply.status() != expect.status)
    return report_.count_error(Kind::status, "status " + std::to_string(reply.status()));
  if (!expect.result.empty() && reply.result() != expect.result)
    return report_.count_error(Kind::result, "Sluice-Result: " + reply.result());
  for (const auto& [name, outcomes] : expect.calls) {
    const auto as_expected = [&, &wanted_name = name, &wanted = outcomes](const SluiceCall& call) {
      return call.name == wanted_name && std::find(wanted.begin(), wanted.end(), call.outcome) != wanted.end();
    };
    if (std::none_of(calls.begin(), calls.end(), as_expected))
      return report_.count_error(Kind::call, "Sluice-Calls: " + reply.calls());
  }
  for (const std::string& text : expect.texts)
    if (reply.body().find(text) == std::string::npos) return report_.count_error(Kind::text, "a body without " + text);
  ++report_.good;
}

Runner::TimePoint Runner::intended_time(std::uint64_t index) const {
  return start_ + nanoseconds(std::llround(static_cast<double>(index) * 1e9 / scenario_.rate));
}

bool Runner::is_due(TimePoint now) const {
  if (!has_started_ || report_.sent >= planned_) return false;
  return is_open_loop_ ? intended_time(report_.sent) <= now : now < stop_;
}

void Runner::send_due(TimePoint now) {
  while (!idle_.empty() && is_due(now)) {
    Connection& connection = *idle_.front();
    idle_.pop_front();
    connection.in_idle_queue = false;
    if (connection.state == Connection::State::idle)
      send(connection, is_open_loop_ ? intended_time(report_.sent) : now, now);
  }
}

void Runner::send(Connection& connection, TimePoint intended, TimePoint now) {
  connection.state = Connection::State::busy;
  ++busy_;
  connection.intended = intended;
  connection.serial = ++report_.sent;
  connection.written = 0;
  connection.reader.start(scenario_.is_head_request, !scenario_.expect.texts.empty());
  in_flight_.push_back({&connection, connection.serial, now});
  if (is_open_loop_) report_.lag.record(now - intended);
  write_request(connection);
}

void Runner::expire(TimePoint now) {
  while (!in_flight_.empty()) {
    const auto& [connection, serial, sent] = in_flight_.front();
    const bool is_over = connection->serial != serial || connection->state != Connection::State::busy;
    if (!is_over && sent + scenario_.timeout > now) break;
    if (!is_over) fail(*connection, Kind::timeout, "no whole reply in time");
    in_flight_.pop_front();
  }
  for (std::size_t i = reopening_.size(); i > 0; --i) {  // those that open() puts back are for the next turn
    const Reopening next = reopening_.front();
    reopening_.pop_front();
    if (next.when > now) {
      reopening_.push_back(next);
    } else {
      open(*next.connection);
    }
  }
}

Runner::TimePoint Runner::next_wake(TimePoint now) const {
  TimePoint wake = now + std::chrono::seconds(1);
  if (!in_flight_.empty()) wake = std::min(wake, in_flight_.front().sent + scenario_.timeout);
  for (const Reopening& next : reopening_) wake = std::min(wake, next.when);
  if (report_.sent >= planned_) return wake;
  if (!is_open_loop_) return std::min(wake, std::max(stop_, now));
  return idle_.empty() ? wake : std::min(wake, intended_time(report_.sent));
}

}  // namespace sluice::loadtest
