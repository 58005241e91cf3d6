// Task distribution: an unbuffered channel gives each task to whichever worker is free; a reply channel travels along.
//
// Prints:
//     the worker that needs 30 ms a task did 4
//     the worker that needs 20 ms a task did 6
//     the worker that needs 10 ms a task did 12
//     22 answers, in 120 ms
#include "concurrency/channel.hpp"
#include "concurrency/context.hpp"
#include "concurrency/errgroup.hpp"
#include "concurrency/sleep.hpp"
#include "concurrency/virtual_time.hpp"

#include <chrono>
#include <cstdio>
#include <utility>

using namespace sluice::concurrency;
using namespace std::chrono_literals;

namespace {

constexpr int kTasks = 22;

struct Job {
  Job(int n, Channel<int> r) : number(n), reply(std::move(r)) {}
  int number;
  Channel<int> reply;
};

Task<> work(Channel<Job> jobs, int milliseconds) {
  for (int done = 0;; ++done) {
    Result<Job> job = co_await jobs.receive({});
    if (!job) {
      std::printf("the worker that needs %d ms a task did %d\n", milliseconds, done);
      co_return;
    }
    (void)co_await sleep({}, milliseconds * 1ms);
    (void)co_await job->reply.send({}, job->number);
  }
}

Task<> distribute(Channel<Job> jobs, Channel<int> replies) {
  for (int i = 0; i < kTasks; ++i) {
    Job job(i, replies);
    (void)co_await jobs.send({}, std::move(job));
  }
  (void)jobs.close();
}

Task<int> run_all() {
  auto [group, ctx] = ErrGroup::with_context(Context::background());
  const Channel<Job> jobs(0);
  const Channel<int> replies(kTasks);  // room for all: no worker waits for its answer to be taken
  for (const int milliseconds : {10, 20, 30}) group.go(work, jobs, milliseconds);
  group.go(distribute, jobs, replies);
  (void)co_await group.wait();
  co_return static_cast<int>(replies.size());
}

}  // namespace

int main() {
  VirtualTime time;
  const TimePoint start = time.now();
  const int answers = time.run(run_all());
  std::printf("%d answers, in %lld ms\n", answers, static_cast<long long>((time.now() - start) / 1ms));
}
