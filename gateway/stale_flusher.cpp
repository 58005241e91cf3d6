#include "gateway/stale_flusher.hpp"

#include "gateway/log.hpp"

#include <exception>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <utility>

namespace sluice::gateway {

StaleFlusher::StaleFlusher(StaleStore& store, std::filesystem::path path, concurrency::Duration period,
                           Metrics& metrics)
    : store_(store),
      path_(std::move(path)),
      name_("cache_file \"" + path_.string() + "\": "),
      period_(period),
      metrics_(metrics) {
  read();
}

StaleFlusher::~StaleFlusher() {
  stop(Stop::now);
  if (thread_.joinable()) thread_.join();
}

void StaleFlusher::read() {
  using Found = StaleFileRead::Found;
  const StaleFileRead file = read_stale_file(path_, store_, Moment::current());
  switch (file.found) {
    case Found::nothing:
      log_info(name_ + "empty or not there yet, starting with nothing stored");
      return;
    case Found::foreign:
      log_error(name_ + file.problem + ": starting with nothing stored, and it stays: remove it, or name another file");
      return;
    case Found::other_version:
      log_warn(name_ + file.problem + ": starting with nothing stored; it will be overwritten");
      return;
    case Found::unreadable:
      log_error(name_ + file.problem + ": starting with nothing stored");
      return;
    case Found::ours:
      break;
  }
  std::string message = name_ + std::to_string(file.entries) + " entries read";
  if (file.expired > 0) message += ", " + std::to_string(file.expired) + " had expired";
  if (file.lost == 0 && file.problem.empty()) {
    log_info(message);
    return;
  }
  message += ", " + std::to_string(file.lost) + " dropped, as they are damaged, missing or too large";
  if (!file.problem.empty()) message += "; " + file.problem;
  log_warn(message);
}

void StaleFlusher::start() {
  thread_ = std::thread(&StaleFlusher::run, this);
}

void StaleFlusher::write_soon() {
  const std::lock_guard lock(mutex_);
  is_due_ = true;
  woken_.notify_one();
}

void StaleFlusher::finish() {
  stop(Stop::after_a_last_write);
}

void StaleFlusher::stop(Stop how) {
  const std::lock_guard lock(mutex_);
  stop_ = how;
  woken_.notify_one();
}

void StaleFlusher::run() {
  ::pthread_setname_np(::pthread_self(), "cache file");
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, nullptr);  // signals are for others
  (void)::setpriority(PRIO_PROCESS, 0, 19);       // on Linux of this thread only
  for (Stop stop = Stop::no; stop == Stop::no;) {
    {
      std::unique_lock lock(mutex_);
      woken_.wait_for(lock, period_, [this] { return stop_ != Stop::no || is_due_; });
      is_due_ = false;
      stop = stop_;
    }
    if (stop != Stop::now) write();
  }
  is_finished_ = true;
}

void StaleFlusher::write() {
  std::string problem;
  const Moment moment = Moment::current();
  try {
    problem = write_stale_file(path_, store_, moment).problem;
  } catch (const std::exception& e) {
    problem = e.what();
  }
  if (problem.empty()) {
    metrics_.written.add();
    metrics_.last_write.set(std::chrono::floor<std::chrono::seconds>(moment.wall).time_since_epoch().count());
    if (is_failing_) log_info(name_ + "can be written again");
  } else {
    metrics_.failed.add();
    if (!is_failing_) log_error(name_ + problem + ": stored data would not outlive a restart");
  }
  is_failing_ = !problem.empty();
}

}  // namespace sluice::gateway
