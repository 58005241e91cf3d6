// The resource poller, sharing by communicating: who has a resource owns it, so there is nothing to lock.
// Compare poller_mutex.cpp, which does the same and prints the same.
//
// Prints:
//     /fast was polled 6 times
//     /medium was polled 4 times
//     /slow was polled 3 times
#include "concurrency/channel.hpp"
#include "concurrency/context.hpp"
#include "concurrency/sleep.hpp"
#include "concurrency/virtual_time.hpp"

#include <chrono>
#include <cstdio>
#include <vector>

using namespace sluice::concurrency;
using namespace std::chrono_literals;

namespace {

struct Resource {
  const char* url;
  Duration takes;
  int times = 0;
};

// Takes what has waited longest, polls it, and puts it back in line.
Task<> poll(Context ctx, Channel<Resource*> pending) {
  for (;;) {
    const Result<Resource*> received = co_await pending.receive(ctx);
    if (!received) co_return;
    Resource& mine = **received;
    const Result<> polled = co_await sleep(ctx, mine.takes);
    if (polled) ++mine.times;
    (void)co_await pending.send({}, &mine);
  }
}

}  // namespace

int main() {
  VirtualTime time;
  std::vector<Resource> resources{{"/fast", 7ms}, {"/medium", 20ms}, {"/slow", 31ms}};
  Channel<Resource*> pending(resources.size());
  for (Resource& resource : resources) (void)pending.try_send(&resource);
  auto [ctx, cancel] = with_timeout(Context::background(), 115ms);
  for (int poller = 0; poller < 2; ++poller) time.spawn(poll(ctx, pending));
  time.advance(1s);
  for (const Resource& resource : resources) {
    std::printf("%s was polled %d times\n", resource.url, resource.times);
  }
}
