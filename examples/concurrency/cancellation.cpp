// Cancellation: it reaches all that was started for a request, and nothing else.
//
// Prints:
//     at  40 ms, slow query: context deadline exceeded
//     at 100 ms, cache fill: context canceled, because: Connection reset by peer
//     at 100 ms, query: context canceled, because: Connection reset by peer
//     at 100 ms, clean-up after the request
//     at 150 ms, audit log: done
#include "concurrency/context.hpp"
#include "concurrency/loop.hpp"
#include "concurrency/sleep.hpp"
#include "concurrency/virtual_time.hpp"

#include <chrono>
#include <cstdio>

#include <boost/system/errc.hpp>

using namespace sluice::concurrency;
using namespace std::chrono_literals;

namespace {

void say(TimePoint start, const char* what) {
  std::printf("at %3lld ms, %s", static_cast<long long>((Loop::current().now() - start) / 1ms), what);
}

Task<> work(Context ctx, const char* name, TimePoint start) {
  const Result<> slept = co_await sleep(ctx, 150ms);
  say(start, name);
  if (slept) {
    std::puts(": done");
  } else if (ctx.cause() == ctx.err()) {
    std::printf(": %s\n", ctx.err().message().c_str());
  } else {
    std::printf(": %s, because: %s\n", ctx.err().message().c_str(), ctx.cause().message().c_str());
  }
}

}  // namespace

int main() {
  VirtualTime time;
  const TimePoint start = time.now();
  auto [request, hang_up] = with_cancel(Context::background());
  auto [hurried, cancel] = with_timeout(request, 40ms);
  (void)after_func(request, [start] { say(start, "clean-up after the request\n"); });
  time.spawn(work(hurried, "slow query", start));
  time.spawn(work(request, "query", start));
  time.spawn(work(request, "cache fill", start));
  time.spawn(work(without_cancel(request), "audit log", start));
  time.advance(100ms);
  hang_up(boost::system::errc::make_error_code(boost::system::errc::connection_reset));
  time.advance(1s);
}
