#include "concurrency/semaphore.hpp"

#include <stdexcept>

namespace sluice::concurrency {

struct Semaphore::Request : detail::Waiter {
  Request(detail::Parked& p, std::int64_t n) : Waiter(p, 0), units(n) {}
  const std::int64_t units;
};

/// Leaves the line, and lets those behind move up: whoever leaves may have been what held them back. Units that were
/// granted to a coroutine which is destroyed instead of resumed are given back.
class Semaphore::Line {
 public:
  Line(Semaphore& semaphore, Request& request) : semaphore_(semaphore), request_(request) {}
  ~Line() {
    const std::lock_guard lock(semaphore_.line_.mutex);
    semaphore_.line_.waiters.remove(request_);
    if (request_.ok && !taken_) semaphore_.held_.fetch_sub(request_.units);
    semaphore_.admit_locked();
    if (semaphore_.line_.waiters.empty()) semaphore_.held_.fetch_and(~kLine);
  }
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  void take() { taken_ = true; }

 private:
  Semaphore& semaphore_;
  Request& request_;
  bool taken_ = false;
};

Semaphore::Semaphore(std::int64_t capacity) : capacity_(capacity) {
  if (capacity < 0) throw std::invalid_argument("Semaphore: negative capacity");
  if (capacity >= kLine) throw std::invalid_argument("Semaphore: capacity of 2^62 or more");
}

void Semaphore::admit_locked() noexcept {
  while (detail::Waiter* const waiter = line_.waiters.front()) {
    auto& request = static_cast<Request&>(*waiter);
    // A large request at the front holds back the small ones behind it; it would starve otherwise.
    if (request.units > capacity_ - (held_.load() & ~kLine)) return;
    line_.waiters.remove(request);
    if (!request.parked.claim(request.source)) continue;
    held_.fetch_add(request.units);
    request.ok = true;
    request.parked.wake();
  }
}

Task<Result<>> Semaphore::wait_and_acquire(Context ctx, std::int64_t units) {
  if (units < 0) throw_negative();
  if (ctx.is_done()) co_return ctx.err();
  if (units > capacity_) {
    // Doomed; standing in line it would only block others.
    co_await ctx.done();
    co_return ctx.err();
  }
  detail::Parked parked;
  Request request(parked, units);
  {
    const std::lock_guard lock(line_.mutex);
    line_.waiters.push_back(request);
    held_.fetch_or(kLine);
    admit_locked();
  }
  Line line(*this, request);
  const Result<> turn = co_await detail::wait_for_turn(std::move(ctx), line_, request);
  if (turn) line.take();
  co_return turn;
}

void Semaphore::throw_negative() {
  throw std::invalid_argument("Semaphore: negative units");
}

bool Semaphore::try_acquire_beside_line(std::int64_t units) {
  const std::lock_guard lock(line_.mutex);
  if (line_.waiters.has_claimable()) return false;
  std::int64_t held = held_.load();
  do {
    if (units > capacity_ - (held & ~kLine)) return false;
  } while (!held_.compare_exchange_weak(held, held + units));
  return true;
}

void Semaphore::release_to_line(std::int64_t units) {
  if (units < 0) throw_negative();
  for (std::int64_t held = held_.load();;) {
    if (units > (held & ~kLine)) throw std::logic_error("Semaphore: released more than held");
    if ((held & kLine) == 0) {
      if (held_.compare_exchange_weak(held, held - units)) return;
      continue;
    }
    const std::lock_guard lock(line_.mutex);
    held = held_.load();
    if ((held & kLine) == 0 || units > (held & ~kLine)) continue;
    held_.fetch_sub(units);
    return admit_locked();
  }
}

Task<Result<Permit>> Semaphore::wait_and_permit(Context ctx, std::int64_t units) {
  const Result<> acquired = co_await wait_and_acquire(std::move(ctx), units);
  if (!acquired) co_return acquired.error();
  co_return Permit(*this, units);
}

Permit::~Permit() {
  if (semaphore_ != nullptr) semaphore_->release(units_);
}

}  // namespace sluice::concurrency
