#include "concurrency/select.hpp"

#include <algorithm>
#include <functional>
#include <mutex>
#include <numeric>

namespace sluice::concurrency::detail {

void Selector::lock() {
  for (ThinMutex* const mutex : mutexes_) mutex->lock();
}

void Selector::unlock() noexcept {
  for (ThinMutex* const mutex : mutexes_) mutex->unlock();
}

std::optional<std::size_t> Selector::start() {
  // Selects are short: sorting by insertion is quick.
  std::size_t count = 0;
  for (SelectCase* const c : cases_) {
    ThinMutex* const mutex = c->mutex();
    if (mutex == nullptr) continue;
    const auto end = mutexes_.begin() + static_cast<std::ptrdiff_t>(count);
    const auto place = std::lower_bound(mutexes_.begin(), end, mutex, std::less<>());
    if (place != end && *place == mutex) continue;
    std::copy_backward(place, end, end + 1);
    *place = mutex;
    ++count;
  }
  mutexes_ = mutexes_.first(count);
  std::iota(order_.begin(), order_.end(), std::uint8_t{0});
  Random& random = Loop::current().random();
  for (std::size_t i = order_.size(); i > 1; --i) {
    std::swap(order_[i - 1], order_[random.below(static_cast<std::uint32_t>(i))]);
  }

  struct Locked {
    explicit Locked(Selector& s) : selector(s) { selector.lock(); }
    ~Locked() { selector.unlock(); }
    Selector& selector;
  };
  Waiter* woken = nullptr;
  std::optional<std::size_t> fired;
  bool all_wait = true;
  {
    const Locked locked(*this);
    for (const std::uint8_t i : order_) {
      if (cases_[i]->try_locked(woken)) {
        fired = i;
        break;
      }
    }
    if (!fired) {
      const auto otherwise =
          std::find_if(cases_.begin(), cases_.end(), [](const SelectCase* c) { return c->is_default(); });
      if (otherwise != cases_.end()) fired = static_cast<std::size_t>(otherwise - cases_.begin());
    }
    // Under the locks, so that no channel can change between the look and the wait. A context may end meanwhile.
    while (!fired && all_wait && queued_ < cases_.size()) {
      all_wait = cases_[queued_]->enqueue_locked(parked_, static_cast<int>(queued_));
      if (!all_wait && parked_.claim(static_cast<int>(queued_))) fired = queued_;
      ++queued_;
    }
  }
  wake(woken);
  if (fired) cases_[*fired]->fired();
  return fired;
}

std::size_t Selector::finish() {
  leave();
  const auto index = static_cast<std::size_t>(parked_.source());
  cases_[index]->fired();
  return index;
}

void Selector::leave() noexcept {
  if (queued_ == 0) return;
  for (std::size_t i = 0; i < queued_; ++i) {
    ThinMutex* const mutex = cases_[i]->mutex();
    if (mutex != nullptr) {
      const std::lock_guard lock(*mutex);
      cases_[i]->dequeue_locked();
    } else {
      cases_[i]->dequeue_locked();
    }
  }
  queued_ = 0;
}

}  // namespace sluice::concurrency::detail
