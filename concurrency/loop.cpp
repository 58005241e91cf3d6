#include "concurrency/loop.hpp"

#include "concurrency/detail/spin.hpp"
#include "concurrency/park.hpp"

#include <algorithm>
#include <atomic>
#include <random>
#include <stdexcept>
#include <utility>

#include <boost/asio/post.hpp>

namespace sluice::concurrency {
namespace {

constexpr int kTurnsInARow = 32;
constexpr auto kWatch = std::chrono::microseconds(20);  // about what it takes to sleep and to be woken
constexpr int kLooks = 16;                              // between two looks at the clock
constexpr unsigned kMostInVain = 8;
constexpr std::size_t kCachedBytes = 256 * 1024;
std::atomic<void (*)(const Loop::Leftover&)> report_leftover = nullptr;

std::uint64_t system_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32U) | device();
}

}  // namespace

constinit thread_local Loop* Loop::current_ = nullptr;

Loop::Entered::Entered(Loop& loop) : outer_(std::exchange(current_, &loop)) {}
Loop::Entered::~Entered() {
  current_ = outer_;
}

Loop::Loop(std::uint64_t seed)
    : random_(seed != 0 ? seed : system_seed()),
      wheel_(std::chrono::steady_clock::now()),
      io_(std::in_place, BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO),
      steady_(*io_),
      executor_(io_->get_executor()) {}

Loop::Loop(VirtualClock& clock, std::uint64_t seed)
    : clock_(&clock),
      random_(seed),
      wheel_(clock.now()),
      io_(std::in_place, BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO),
      steady_(*io_),
      executor_(io_->get_executor()) {}

void Loop::report_leftovers_to(void (*report)(const Leftover&)) {
  report_leftover = report;
}

Loop::~Loop() {
  const Entered entered(*this);
  const auto report = report_leftover.load();
  if (report != nullptr && (waiting_ != 0 || !wheel_.empty())) report(leftover());
  // Asio posts the unwinding of a frame whose handler dies, and runs it when the io_context is destroyed.
  while (parked_ != nullptr) parked_->destroy_frame();
  steady_.reset();
  io_.reset();
}

void Loop::throw_no_current() {
  throw std::logic_error("no Loop runs on this thread");
}

void Loop::arm(TimerEntry& entry, TimePoint expiry, TimePoint now) {
  wheel_.arm(entry, expiry, now);
  if (expiry < due_) drive();  // else that turn comes first, and sees to this one
}

void Loop::advance_timers() {
  const Entered entered(*this);
  fire_timers(now());
}

struct Loop::Urgent {
  explicit Urgent(Loop& l) : loop(l) { loop.is_urgent_ = true; }
  ~Urgent() { loop.is_urgent_ = false; }
  Loop& loop;
};

// What a deadline ends is late already, by up to a tick: it does not stand in line behind all that begins.
void Loop::fire_timers(TimePoint now) {
  const Urgent urgent(*this);
  wheel_.advance(now);
  drive();
}

void Loop::drive() {
  due_ = wheel_.next_turn().value_or(TimePoint::max());
  // A disarmed timer does not move the steady_timer back: one early turn costs less than a system call per request.
  if (clock_ != nullptr || due_ >= steady_expiry_) return;
  steady_expiry_ = due_;
  steady_->expires_at(due_);
  steady_->async_wait([this](const boost::system::error_code& ec) {
    if (ec) return;  // replaced by an earlier one
    steady_expiry_ = TimePoint::max();
    fire_timers(now());
  });
}

void Loop::run() {
  if (clock_ != nullptr) throw std::logic_error("a Loop in virtual time is polled, not run");
  const Entered entered(*this);
  auto work = boost::asio::make_work_guard(*io_);
  io_->run();
}

bool Loop::poll() {
  const Entered entered(*this);
  io_->restart();
  bool any = false;
  while (io_->poll() != 0) any = true;
  return any;
}

// Only pushed at the front, so that it does not matter if those behind are dead, as they may be while the loop dies.
void Loop::make_ready(detail::Parked& parked, detail::Parked*& list) {
  const bool is_first = !has_ready();
  parked.next_ready_ = std::exchange(list, &parked);
  if (is_first && !is_resuming_) post_turn();
}

void Loop::has_read(std::size_t bytes) {
  unused_bytes_ += bytes;
  if (unused_bytes_ >= kCachedBytes && !is_resuming_) resume_ready();
}

// One post, which may be a system call, for all that come before the loop's thread looks; none while it watches.
void Loop::make_ready_from_elsewhere(detail::Parked& parked) {
  detail::Parked* first = from_elsewhere_.load(std::memory_order_relaxed);
  do {
    parked.next_ready_ = first;
  } while (
      !from_elsewhere_.compare_exchange_weak(first, &parked, std::memory_order_acq_rel, std::memory_order_relaxed));
  if (first == nullptr) boost::asio::post(executor_, [this] { take_from_elsewhere(); });
}

void Loop::resume_from_elsewhere() {
  detail::Parked* oldest = nullptr;
  detail::Parked* newest = from_elsewhere_.exchange(nullptr, std::memory_order_acquire);
  while (newest != nullptr && newest != watching()) {
    detail::Parked* const parked = std::exchange(newest, newest->next_ready_);
    parked->next_ready_ = std::exchange(oldest, parked);
  }
  while (oldest != nullptr) {
    detail::Parked* const parked = std::exchange(oldest, oldest->next_ready_);
    parked->next_ready_ = std::exchange(ready_, parked);
  }
  resume_ready();
}

void Loop::take_from_elsewhere() {
  resume_from_elsewhere();
  if (clock_ != nullptr || !detail::is_worth_spinning()) return;
  if (unwatched_ > 0) {
    --unwatched_;
    return;
  }
  bool was_worth_it = false;
  for (const TimePoint until = now() + kWatch; !has_ready() && !io_->stopped() && watch(until);) {
    was_worth_it = true;
    resume_from_elsewhere();
  }
  in_vain_ = was_worth_it ? 0 : std::min(in_vain_ + 1, kMostInVain);
  unwatched_ = (1U << in_vain_) - 1;
  if (was_worth_it) boost::asio::post(executor_, [this] { take_from_elsewhere(); });  // after the sockets' turn
}

// Stands in from_elsewhere_ for nobody, so that who is woken meanwhile is not the first.
detail::Parked* Loop::watching() {
  return reinterpret_cast<detail::Parked*>(this);
}

bool Loop::watch(TimePoint until) {
  detail::Parked* nobody = nullptr;
  if (!from_elsewhere_.compare_exchange_strong(nobody, watching(), std::memory_order_relaxed)) return false;
  do {
    for (int i = 0; i < kLooks; ++i) {
      if (from_elsewhere_.load(std::memory_order_relaxed) != watching()) return true;
      detail::pause();
    }
  } while (now() < until);
  nobody = watching();
  return !from_elsewhere_.compare_exchange_strong(nobody, nullptr, std::memory_order_relaxed);
}

void Loop::post_turn() {
  boost::asio::post(executor_, [this] { resume_ready(); });
}

// Those that get ready meanwhile have their turn after those that are; after some such turns the sockets have theirs,
// for which Asio asks the system each time.
void Loop::resume_ready() {
  struct Resuming {
    explicit Resuming(Loop& l) : loop(l) {
      loop.is_resuming_ = true;
      loop.unused_bytes_ = 0;
    }
    ~Resuming() {
      loop.is_resuming_ = false;
      if (loop.has_ready()) loop.post_turn();
    }
    Loop& loop;
  } const resuming(*this);
  for (int turn = 0; turn < kTurnsInARow && has_ready(); ++turn) resume_turn();
}

// All of a list.
struct Loop::Turn {
  Turn(Loop& l, detail::Parked*& from) : loop(l), list(from) {
    for (detail::Parked* newest = std::exchange(list, nullptr); newest != nullptr;) {
      detail::Parked* const parked = newest;
      newest = parked->next_ready_;
      parked->next_ready_ = std::exchange(oldest, parked);
    }
  }
  ~Turn() {  // there are any left only after an exception
    while (oldest != nullptr) loop.make_ready(take(), list);
  }
  detail::Parked& take() { return *std::exchange(oldest, oldest->next_ready_); }

  Loop& loop;
  detail::Parked*& list;
  detail::Parked* oldest = nullptr;
};

// Between any two, as far as the time is known anyway, deadlines are seen to: a turn may be of hundreds.
void Loop::resume_turn() {
  Turn turn(*this, ready_);
  for (;;) {
    is_in_mid_turn_ = turn.oldest != nullptr;
    if (turn_time_ >= due_) fire_timers(turn_time_);
    if (urgent_ != nullptr) resume_urgent();
    if (turn.oldest == nullptr) return;
    turn_time_ = TimePoint();
    detail::Parked& parked = turn.take();
    is_in_mid_turn_ = turn.oldest != nullptr;
    parked.resume();
  }
}

void Loop::resume_urgent() {
  const Urgent urgent(*this);
  const bool has_others = is_in_mid_turn_;
  for (int i = 0; i < kTurnsInARow && urgent_ != nullptr; ++i) {
    for (Turn turn(*this, urgent_); turn.oldest != nullptr;) {
      turn_time_ = TimePoint();
      detail::Parked& parked = turn.take();
      is_in_mid_turn_ = has_others || turn.oldest != nullptr;
      parked.resume();
    }
  }
}

namespace detail {

Parked::~Parked() {
  if (link_ != nullptr) unlink();
}

void Parked::link() {
  next_ = loop_.parked_;
  if (next_ != nullptr) next_->link_ = &next_;
  link_ = &loop_.parked_;
  loop_.parked_ = this;
  ++loop_.waiting_;
}

void Parked::unlink() {
  *link_ = next_;
  if (next_ != nullptr) next_->link_ = link_;
  link_ = nullptr;
  --loop_.waiting_;
}

void Parked::wake() noexcept {
  if (Loop::current_or_null() == &loop_) {
    loop_.make_ready(*this);
  } else {
    loop_.make_ready_from_elsewhere(*this);
  }
}

}  // namespace detail
}  // namespace sluice::concurrency
