// Sending by the clock, reading as replies come.
#include "loadtest/runner.hpp"

#include "loadtest/checks.hpp"
#include "loadtest/sluice_calls.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <limits>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <system_error>

namespace sluice::loadtest {
namespace {

using std::chrono::nanoseconds;

constexpr std::size_t kBufferSize = 256 * 1024;
constexpr std::size_t kOpeningAtOnce = 128;  // more would overflow many a server's accept queue
constexpr auto kReconnectDelay = std::chrono::milliseconds(100);
constexpr auto kLate = std::chrono::milliseconds(1);

std::string describe_error(int error) {
  return std::generic_category().message(error);
}

nanoseconds cpu_time() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& time) {
    return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

std::string date_and_time() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  std::array<char, 40> text{};
  return std::string(text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S %z", &local));
}

}  // namespace

Runner::Runner(const Scenario& scenario)
    : scenario_(scenario),
      is_open_loop_(scenario.phases.front().rate > 0),
      schedule_(scenario.phases,
                scenario.max_requests > 0 ? scenario.max_requests : std::numeric_limits<std::uint64_t>::max()),
      mix_(scenario.requests),
      connections_(scenario.connections),
      buffer_(std::make_unique_for_overwrite<char[]>(kBufferSize)) {
  report_.name = scenario.name;
  report_.url = scenario.url;
  report_.is_open_loop = is_open_loop_;
  report_.connections = scenario.connections;
  nanoseconds begin{};
  for (const Phase& phase : scenario.phases) {
    report_.phases.push_back({phase, begin, Stats()});
    begin += phase.duration;
  }
  for (const RequestKind& kind : scenario.requests) report_.requests.emplace_back(kind.name, Stats());
}

Report Runner::run(const volatile std::sig_atomic_t& interrupted, const std::function<void(const Progress&)>& watch) {
  prctl(PR_SET_TIMERSLACK, 1UL);  // nanoseconds; the default, 50 us, would be seen in every latency
  report_.began = date_and_time();
  is_watched_ = static_cast<bool>(watch);
  phase_end_ = TimePoint::max();
  open_all();
  has_started_ = true;
  const nanoseconds cpu_before = cpu_time();
  start_ = stop_ = last_reply_ = last_event_ = last_shown_ = Clock::now();
  for (const Phase& phase : scenario_.phases) stop_ += phase.duration;
  phase_end_ = start_ + scenario_.phases[0].duration;
  for (;;) {
    const TimePoint now = Clock::now();
    if (interrupted) is_stopped_ = report_.is_interrupted = true;
    enter_phase(now);
    expire(now);
    send_due(now);
    if (is_watched_ && now >= last_shown_ + std::chrono::seconds(1)) show(now, watch);
    if (!may_send(now) && busy_ == 0) break;
    wait(next_wake(now));
  }
  report_.cpu = cpu_time() - cpu_before;
  end_report();
  return std::move(report_);
}

void Runner::end_report() {
  if (is_open_loop_ && !is_stopped_)
    for (; schedule_.next(); schedule_.advance())
      count_error(schedule_.next()->phase, std::nullopt, Kind::unsent, "no connection became free in time");
  report_.sum_up();
  report_.run_elapsed = last_event_ - start_;
  report_.elapsed = last_reply_ - start_;
  for (const PhaseReport& phase : report_.phases)
    if (phase.phase.is_warm_up) report_.elapsed = std::max(nanoseconds(0), report_.elapsed - phase.phase.duration);
}

void Runner::enter_phase(TimePoint now) {
  while (now >= phase_end_ && phase_ + 1 < scenario_.phases.size()) phase_end_ += scenario_.phases[++phase_].duration;
}

void Runner::show(TimePoint now, const std::function<void(const Progress&)>& watch) {
  watch({now - start_, now - last_shown_, scenario_.phases[phase_].name, serial_ - shown_sent_, recent_.count(),
         errors_ - shown_errors_, busy_, recent_});
  last_shown_ = now;
  shown_sent_ = serial_;
  shown_errors_ = errors_;
  recent_ = Histogram(4);
}

void Runner::open(Connection& connection) {
  connection.fd = start_connect(scenario_.target);
  if (!connection.fd.is_open()) {
    connect_error_ = errno;
    count_error(phase_, std::nullopt, Kind::connect, "connect: " + describe_error(errno));
    reopen(connection, Clock::now() + kReconnectDelay);
    return;
  }
  connection.state = Connection::State::connecting;
  ++connecting_;
  watch(epoll_, connection.fd, EPOLLIN | EPOLLOUT, &connection);
}

void Runner::open_all() {
  const TimePoint limit = Clock::now() + scenario_.timeout;
  for (Connection& connection : connections_) {
    open(connection);
    while (connecting_ >= kOpeningAtOnce && Clock::now() < limit) wait(limit);
  }
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

void Runner::turn_idle(Connection& connection, TimePoint now) {
  connection.state = Connection::State::idle;
  connection.idle_since = now;
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
      if (connection.written < connection.request.size()) write_request(connection);
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
    count_error(phase_, std::nullopt, Kind::connect, "connect: " + describe_error(error));
    return reopen(connection, Clock::now() + kReconnectDelay);
  }
  --connecting_;
  const TimePoint now = Clock::now();
  turn_idle(connection, now);
  if (has_started_) {
    ++report_.reconnects;
    send_due(now);
  }
}

void Runner::on_idle_input(Connection& connection) {
  const ssize_t got = recv(connection.fd.get(), buffer_.get(), kBufferSize, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got > 0) count_error(phase_, std::nullopt, Kind::malformed, "bytes that belong to no request");
  reopen(connection, Clock::now());  // the end of an idle connection is the server's right, not an error
}

void Runner::write_request(Connection& connection) {
  const std::string& request = connection.request;
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
        turn_idle(connection, now);
      }
      return send_due(now);
    }
    if (size < kBufferSize && !ending) return;
  }
}

void Runner::finish(Connection& connection, TimePoint now) {
  const ReplyReader& reply = connection.reader;
  const nanoseconds latency = now - connection.intended;
  PhaseReport& phase = report_.phases[connection.phase];
  const bool is_measured = !phase.phase.is_warm_up;
  last_reply_ = last_event_ = now;
  connection.state = Connection::State::idle;
  --busy_;
  report_.timeline.record(now - start_, latency);
  if (is_watched_) recent_.record(latency);
  const auto count = [&](Stats& stats) {
    ++stats.replies;
    stats.body_bytes += reply.body_size();
    stats.latency.record(latency);
  };
  count(phase.stats);
  if (is_measured) {
    count(report_.requests[connection.kind].second);
    report_.statuses.count(std::to_string(reply.status()));
    if (is_open_loop_) report_.since_sent.record(now - connection.sent);
    if (!reply.result().empty()) report_.results.count(reply.result());
    for (const SluiceCall& call : parse_sluice_calls(reply.calls())) report_.calls.count(call.member);
  }
  if (const auto fault = find_fault(mix_[connection.kind].expect, reply, connection.serial - 1))
    return count_error(connection.phase, connection.kind, fault->kind, fault->problem);
  ++phase.stats.good;
  if (is_measured) ++report_.requests[connection.kind].second.good;
  report_.timeline.count(now - start_, outcome_of(reply.result()));
}

void Runner::fail(Connection& connection, Kind kind, std::string_view problem) {
  count_error(connection.phase, connection.kind, kind, problem);
  reopen(connection, Clock::now());
}

void Runner::count_error(std::size_t phase, std::optional<std::size_t> request, Kind kind, std::string_view problem) {
  ++errors_;
  ++report_.phases[phase].stats.errors[static_cast<std::size_t>(kind)];
  if (report_.first_problem.empty()) report_.first_problem = problem;
  if (has_started_) {
    last_event_ = Clock::now();
    report_.timeline.count(last_event_ - start_, outcome_of(kind));
  }
  if (request && !report_.phases[phase].phase.is_warm_up)
    ++report_.requests[*request].second.errors[static_cast<std::size_t>(kind)];
}

bool Runner::may_send(TimePoint now) const {
  if (is_stopped_) return false;
  if (is_open_loop_) return schedule_.next() && now < stop_ + scenario_.timeout;
  return now < stop_ && (scenario_.max_requests == 0 || serial_ < scenario_.max_requests);
}

std::optional<Runner::TimePoint> Runner::next_due(TimePoint now) const {
  if (!has_started_ || !may_send(now)) return std::nullopt;
  if (is_open_loop_) return start_ + schedule_.next()->when;
  const std::size_t most = scenario_.phases[phase_].connections;
  if (most > 0 && busy_ >= most) return std::nullopt;
  return now;
}

void Runner::send_due(TimePoint now) {
  while (!idle_.empty()) {
    const auto due = next_due(now);
    if (!due || *due > now) return;
    Connection& connection = *idle_.front();
    idle_.pop_front();
    connection.in_idle_queue = false;
    if (connection.state == Connection::State::idle) send(connection, *due, now);
  }
}

void Runner::send(Connection& connection, TimePoint intended, TimePoint now) {
  connection.serial = ++serial_;
  connection.kind = mix_.choose(serial_ - 1);
  connection.phase = is_open_loop_ ? schedule_.next()->phase : phase_;
  connection.intended = intended;
  connection.sent = now;
  PhaseReport& phase = report_.phases[connection.phase];
  ++phase.stats.sent;
  if (is_open_loop_) schedule_.advance();
  if (!phase.phase.is_warm_up) {
    ++report_.requests[connection.kind].second.sent;
    if (is_open_loop_) {
      report_.lag.record(now - intended);
      if (connection.idle_since > intended) ++report_.queued;
      if (now - std::max(intended, connection.idle_since) > kLate) ++report_.late;
    }
  }
  mix_.render(connection.request, connection.kind, serial_ - 1);
  connection.state = Connection::State::busy;
  ++busy_;
  connection.written = 0;
  connection.reader.start(mix_[connection.kind].method == "HEAD", mix_.keeps_body(connection.kind));
  in_flight_.push_back({&connection, connection.serial, now});
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
  if (is_watched_) wake = std::min(wake, last_shown_ + std::chrono::seconds(1));
  if (!in_flight_.empty()) wake = std::min(wake, in_flight_.front().sent + scenario_.timeout);
  for (const Reopening& next : reopening_) wake = std::min(wake, next.when);
  if (!may_send(now)) return wake;
  if (!is_open_loop_) return std::min(wake, std::max(phase_end_, now));
  return idle_.empty() ? wake : std::min(wake, start_ + schedule_.next()->when);
}

}  // namespace sluice::loadtest
