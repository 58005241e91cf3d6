// The load generator's engine: one thread, one epoll, many connections.
#pragma once

#include "loadtest/reply_reader.hpp"
#include "loadtest/report.hpp"
#include "loadtest/request_mix.hpp"
#include "loadtest/scenario.hpp"
#include "loadtest/schedule.hpp"
#include "loadtest/socket.hpp"

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::loadtest {

/// How a run goes, for who watches it: of the time since the last of these.
struct Progress {
  std::chrono::nanoseconds since_start, since_last;
  std::string_view phase;
  std::uint64_t sent, replies, errors;
  std::size_t in_flight;
  const Histogram& latency;
};

/// Runs one scenario, once. All connections are opened first, then the clock starts.
///
/// Closed loop: each connection sends as soon as it has its reply. Open loop: each request goes out on the connection
/// that has been idle longest when the schedule says, or later, when one gets free, and its latency counts from when it
/// was meant to be sent: a stalled server is charged for every request that it delayed. Ends when what was to be sent
/// has been answered, or has timed out: at most `timeout` after the last phase, twice that in an open loop, which goes
/// on sending what is overdue.
class Runner {
 public:
  explicit Runner(const Scenario& scenario);

  /// Calls `watch` about every second. Stops sending when `*interrupted` turns non-zero.
  /// Errors: std::system_error when not one connection could be opened.
  [[nodiscard]] Report run(const volatile std::sig_atomic_t& interrupted,
                           const std::function<void(const Progress&)>& watch = {});

 private:
  using Clock = std::chrono::steady_clock;
  using TimePoint = Clock::time_point;

  struct Connection {
    enum class State { closed, connecting, idle, busy };
    Fd fd;
    State state = State::closed;
    bool in_idle_queue = false;
    std::uint64_t serial = 0;  // of the request it carries, or carried last; from 1
    std::size_t kind = 0, phase = 0;
    TimePoint intended;    // when that should have been sent
    TimePoint sent;        // when it was
    TimePoint idle_since;  // while idle
    std::string request;
    std::size_t written = 0;  // bytes of it
    ReplyReader reader;
  };
  struct InFlight {
    Connection* connection;
    std::uint64_t serial;
    TimePoint sent;
  };
  struct Reopening {
    Connection* connection;
    TimePoint when;
  };

  void open(Connection& connection);
  void open_all();
  /// Closes now and opens again at `when`, never while events of this turn may still name the connection.
  void reopen(Connection& connection, TimePoint when);
  void turn_idle(Connection& connection, TimePoint now);

  void wait(TimePoint until);
  void on_event(Connection& connection, std::uint32_t events);
  void on_connected(Connection& connection);
  void on_idle_input(Connection& connection);
  void write_request(Connection& connection);
  void read_reply(Connection& connection, bool ending);
  void finish(Connection& connection, TimePoint now);
  void fail(Connection& connection, Kind kind, std::string_view problem);
  void count_error(std::size_t phase, std::optional<std::size_t> request, Kind kind, std::string_view problem);

  [[nodiscard]] bool may_send(TimePoint now) const;
  /// When the next request is to be sent, a free connection provided; nullopt: not now, and by itself not later.
  [[nodiscard]] std::optional<TimePoint> next_due(TimePoint now) const;
  void send_due(TimePoint now);
  void send(Connection& connection, TimePoint intended, TimePoint now);
  void expire(TimePoint now);
  [[nodiscard]] TimePoint next_wake(TimePoint now) const;
  /// Goes to the phase of `now`, for what belongs to no request and for closed loops.
  void enter_phase(TimePoint now);
  void show(TimePoint now, const std::function<void(const Progress&)>& watch);
  void end_report();

  const Scenario& scenario_;
  const bool is_open_loop_;
  Schedule schedule_;
  RequestMix mix_;
  Report report_;
  Fd epoll_ = make_epoll();
  std::vector<Connection> connections_;
  std::deque<Connection*> idle_;    // longest idle first; those that are not idle any more are passed over
  std::deque<InFlight> in_flight_;  // in the order sent, so the first is the first to time out
  std::deque<Reopening> reopening_;
  std::size_t connecting_ = 0, busy_ = 0;
  bool has_started_ = false, is_stopped_ = false;
  int connect_error_ = 0;  // the last
  TimePoint start_, stop_, last_reply_, last_event_;
  std::uint64_t serial_ = 0;  // requests sent
  std::size_t phase_ = 0;     // by the clock
  TimePoint phase_end_;
  std::unique_ptr<char[]> buffer_;

  bool is_watched_ = false;
  TimePoint last_shown_;
  std::uint64_t shown_sent_ = 0, errors_ = 0, shown_errors_ = 0;
  Histogram recent_{4};  // latencies since then
};

}  // namespace sluice::loadtest
