// Moving on: ask three replicas and take the first answer; and what then becomes of the other two.
//
// Prints:
//     unbuffered: replica 1 won, 2 others wait for ever
//     a buffer of one: replica 1 won, 0 others wait for ever
//     a context: replica 1 won, 0 others wait for ever
#include "concurrency/channel.hpp"
#include "concurrency/context.hpp"
#include "concurrency/sleep.hpp"
#include "concurrency/virtual_time.hpp"

#include <chrono>
#include <cstdio>

using namespace sluice::concurrency;
using namespace std::chrono_literals;

namespace {

// The classic bug: nobody receives any more once the first answer is there, so the losers never end.
Task<> send_for_ever(Context, int replica, Channel<int> answers) {
  (void)co_await sleep({}, replica * 10ms);
  (void)co_await answers.send({}, replica);
}

// The first cure: the winner's answer has room, even if nobody is receiving yet; a later one is dropped if it has none.
Task<> send_or_drop(Context, int replica, Channel<int> answers) {
  (void)co_await sleep({}, replica * 10ms);
  (void)answers.try_send(replica);
}

// The second: the losers end at once, also if they are not yet at the channel.
Task<> send_while_wanted(Context ctx, int replica, Channel<int> answers) {
  const Result<> arrived = co_await sleep(ctx, replica * 10ms);
  if (!arrived) co_return;
  (void)co_await answers.send(ctx, replica);
}

void race(const char* name, Task<> (*ask)(Context, int, Channel<int>), const Channel<int>& answers) {
  VirtualTime time;
  auto [ctx, cancel] = with_cancel(Context::background());
  for (int replica = 1; replica <= 3; ++replica) time.spawn(ask(ctx, replica, answers));
  const int winner = time.run(answers.receive({})).value();
  cancel();
  time.advance(1h);
  std::printf("%s: replica %d won, %zu others wait for ever\n", name, winner, time.loop().leftover().waiting);
}

}  // namespace

int main() {
  race("unbuffered", send_for_ever, Channel<int>(0));
  race("a buffer of one", send_or_drop, Channel<int>(1));
  race("a context", send_while_wanted, Channel<int>(0));
}
