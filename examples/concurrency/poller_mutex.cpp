// The resource poller, sharing memory: who polls what is written in the resources, under a mutex.
// Compare poller_channels.cpp, which does the same and prints the same.
//
// Prints:
//     /fast was polled 6 times
//     /medium was polled 4 times
//     /slow was polled 3 times
#include "concurrency/context.hpp"
#include "concurrency/loop.hpp"
#include "concurrency/mutex.hpp"
#include "concurrency/sleep.hpp"
#include "concurrency/virtual_time.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <vector>

using namespace sluice::concurrency;
using namespace std::chrono_literals;

namespace {

struct Resource {
  const char* url;
  Duration takes;
  bool is_polled = false;
  TimePoint last_polled{};
  int times = 0;
};

struct Resources {
  Mutex mutex;  // guards all of `list`, of which no address is kept
  std::vector<Resource> list{{"/fast", 7ms}, {"/medium", 20ms}, {"/slow", 31ms}};
};

// Takes what has waited longest and nobody polls at the moment: the bookkeeping is the larger part of it.
Task<> poll(Context ctx, Resources* resources) {
  while (!ctx.is_done()) {
    std::size_t chosen = 0;
    Duration takes{};
    {
      const auto held = co_await resources->mutex.hold({});
      std::vector<Resource>& list = resources->list;
      const auto next = std::min_element(list.begin(), list.end(), [](const Resource& a, const Resource& b) {
        return a.is_polled != b.is_polled ? b.is_polled : a.last_polled < b.last_polled;
      });
      next->is_polled = true;
      chosen = static_cast<std::size_t>(next - list.begin());
      takes = next->takes;
    }
    const Result<> polled = co_await sleep(ctx, takes);
    const auto held = co_await resources->mutex.hold({});
    resources->list[chosen].is_polled = false;
    resources->list[chosen].last_polled = Loop::current().now();
    if (polled) ++resources->list[chosen].times;
  }
}

}  // namespace

int main() {
  VirtualTime time;
  Resources resources;
  auto [ctx, cancel] = with_timeout(Context::background(), 115ms);
  for (int poller = 0; poller < 2; ++poller) time.spawn(poll(ctx, &resources));
  time.advance(1s);
  for (const Resource& resource : resources.list) {
    std::printf("%s was polled %d times\n", resource.url, resource.times);
  }
}
