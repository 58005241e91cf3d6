// An ErrGroup: the first error cancels the other tasks and is what wait() returns; and Collect, where it does not.
//
// Prints:
//     users: has ended: fine
//     orders: has ended: Connection refused
//     recs: has ended: context canceled
//     the group: Connection refused
//     collected: users=10 orders: Connection refused recs=30
#include "concurrency/context.hpp"
#include "concurrency/errgroup.hpp"
#include "concurrency/sleep.hpp"
#include "concurrency/virtual_time.hpp"

#include <chrono>
#include <cstdio>

#include <boost/system/errc.hpp>

using namespace sluice::concurrency;
using namespace std::chrono_literals;

namespace {

constexpr const char* kNames[] = {"users", "orders", "recs"};

// The second of them fails.
Task<Result<int>> fetch(Context ctx, int i) {
  const Result<> answered = co_await sleep(ctx, (i + 1) * 10ms);
  if (!answered) co_return answered.error();
  if (i == 1) co_return boost::system::errc::make_error_code(boost::system::errc::connection_refused);
  co_return (i + 1) * 10;
}

Task<Result<>> fetch_and_say(Context ctx, int i) {
  const Result<int> answer = co_await fetch(ctx, i);
  std::printf("%s: has ended: %s\n", kNames[i], answer ? "fine" : answer.error().message().c_str());
  co_return answer ? Result<>() : answer.error();
}

Task<> all_or_nothing() {
  auto [group, ctx] = ErrGroup::with_context(Context::background());
  for (int i = 0; i < 3; ++i) group.go(fetch_and_say, ctx, i);
  const Result<> all = co_await group.wait();
  std::printf("the group: %s\n", all ? "fine" : all.error().message().c_str());
}

Task<> whatever_there_is() {
  Collect<int> calls(Context::background(), 3);
  for (int i = 0; i < 3; ++i) calls.go(fetch, calls.context(), i);
  std::printf("collected:");
  for (;;) {
    const auto outcome = co_await calls.next({});  // in order of completion
    if (!outcome) break;
    if (outcome->result) {
      std::printf(" %s=%d", kNames[outcome->index], *outcome->result);
    } else {
      std::printf(" %s: %s", kNames[outcome->index], outcome->result.error().message().c_str());
    }
  }
  std::printf("\n");
}

}  // namespace

int main() {
  VirtualTime time;
  time.run(all_or_nothing());
  time.run(whatever_there_is());
}
