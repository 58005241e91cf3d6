// A pipeline: each stage receives from the one before, and closes its channel behind the last value.
//
// Prints:
//     1 4 9 16 25 (channel closed)
//     1 4 9 and no more: every stage ended with 'context canceled'
#include "concurrency/channel.hpp"
#include "concurrency/context.hpp"
#include "concurrency/errgroup.hpp"
#include "concurrency/virtual_time.hpp"

#include <cstdio>

using namespace sluice::concurrency;

namespace {

Task<Result<>> count(Context ctx, int last, Channel<int> out) {
  for (int i = 1; i <= last; ++i) {
    const Result<> sent = co_await out.send(ctx, i);
    if (!sent) co_return sent;
  }
  co_return out.close();
}

Task<Result<>> square(Context ctx, Channel<int> in, Channel<int> out) {
  for (;;) {
    const Result<int> number = co_await in.receive(ctx);
    if (!number && number.error() == Error::closed) co_return out.close();
    if (!number) co_return number.error();
    const Result<> sent = co_await out.send(ctx, *number * *number);
    if (!sent) co_return sent;
  }
}

// Whoever leaves early must tell the stages, or they wait at their channels for ever.
Task<> print_squares(int numbers, int wanted) {
  auto [group, ctx] = ErrGroup::with_context(Context::background());
  const Channel<int> counted(0);
  Channel<int> squared(0);
  group.go(count, ctx, numbers, counted);
  group.go(square, ctx, counted, squared);
  for (int i = 0; i < wanted; ++i) {
    const Result<int> number = co_await squared.receive({});
    if (!number) {
      std::printf("(%s)\n", number.error().message().c_str());
      co_return;
    }
    std::printf("%d ", *number);
  }
  group.cancel();
  const Result<> ended = co_await group.wait();
  std::printf("and no more: every stage ended with '%s'\n", ended.error().message().c_str());
}

}  // namespace

int main() {
  VirtualTime time;
  time.run(print_squares(5, 100));
  time.run(print_squares(1000, 3));
}
