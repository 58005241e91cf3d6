// Fan-out, fan-in: three workers take jobs from one channel and send to one channel, closed when the last has ended.
//
// Prints:
//     the squares of 1 to 9 add up to 285
//     9 jobs of 10 ms by 3 workers took 30 ms
#include "concurrency/channel.hpp"
#include "concurrency/context.hpp"
#include "concurrency/sleep.hpp"
#include "concurrency/virtual_time.hpp"
#include "concurrency/wait_group.hpp"

#include <chrono>
#include <cstdio>

using namespace sluice::concurrency;
using namespace std::chrono_literals;

namespace {

Task<> fill(Channel<int> jobs, int last) {
  for (int i = 1; i <= last; ++i) (void)co_await jobs.send({}, i);
  (void)jobs.close();
}

Task<> work(Channel<int> jobs, Channel<int> results, WaitGroup* working) {
  for (;;) {
    const Result<int> job = co_await jobs.receive({});
    if (!job) break;
    (void)co_await sleep({}, 10ms);
    (void)co_await results.send({}, *job * *job);
  }
  working->done();
}

Task<> close_after(WaitGroup* working, Channel<int> results) {
  (void)co_await working->wait();
  (void)results.close();
}

Task<int> sum(Channel<int> results) {
  for (int total = 0;;) {
    const Result<int> result = co_await results.receive({});
    if (!result) co_return total;
    total += *result;
  }
}

}  // namespace

int main() {
  VirtualTime time;
  const TimePoint start = time.now();
  const Channel<int> jobs(0);
  const Channel<int> results(0);
  WaitGroup working;
  working.add(3);
  time.spawn(fill(jobs, 9));
  for (int i = 0; i < 3; ++i) time.spawn(work(jobs, results, &working));
  time.spawn(close_after(&working, results));
  std::printf("the squares of 1 to 9 add up to %d\n", time.run(sum(results)));
  std::printf("9 jobs of 10 ms by 3 workers took %lld ms\n", static_cast<long long>((time.now() - start) / 1ms));
}
