// A program of somebody else: every header of the installed library that has a use of its own.
#include "concurrency/channel.hpp"
#include "concurrency/context.hpp"
#include "concurrency/cow_map.hpp"
#include "concurrency/errgroup.hpp"
#include "concurrency/io.hpp"
#include "concurrency/mutex.hpp"
#include "concurrency/once.hpp"
#include "concurrency/pool.hpp"
#include "concurrency/select.hpp"
#include "concurrency/semaphore.hpp"
#include "concurrency/single_flight.hpp"
#include "concurrency/sleep.hpp"
#include "concurrency/snapshot.hpp"
#include "concurrency/timer.hpp"
#include "concurrency/virtual_time.hpp"
#include "concurrency/wait_group.hpp"

#include <chrono>
#include <optional>
#include <string>

using namespace sluice::concurrency;
using namespace std::chrono_literals;

namespace {

Task<Result<>> send_late(Context ctx, Channel<std::string> out) {
  const Result<> slept = co_await sleep(ctx, 1s);
  if (!slept) co_return slept;
  co_return co_await out.send(ctx, "hello");
}

Task<bool> works() {
  auto [group, ctx] = ErrGroup::with_context(Context::background());
  Channel<std::string> words(0);
  group.go(send_late, ctx, words);
  std::optional<std::string> word;
  const std::size_t fired = co_await select(when_received(words, word), when_done(ctx), after(1h));
  const Result<> ended = co_await group.wait();
  co_return fired == 0 && word == "hello" && ended.has_value();
}

}  // namespace

int main() {
  VirtualTime time;
  CowMap<std::string, int> map;
  map.insert_or_assign("one", 1);
  return time.run(works()) && map.find("one") == 1 ? 0 : 1;
}
