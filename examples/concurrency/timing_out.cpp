// Timing out: give up on one word that takes too long, or on the whole conversation.
//
// Prints:
//     word 1
//     word 2
//     too slow: nothing for 80 ms
//     word 1
//     word 2
//     word 3
//     enough: 220 ms are over
#include "concurrency/channel.hpp"
#include "concurrency/context.hpp"
#include "concurrency/select.hpp"
#include "concurrency/sleep.hpp"
#include "concurrency/virtual_time.hpp"

#include <chrono>
#include <cstdio>
#include <optional>

using namespace sluice::concurrency;
using namespace std::chrono_literals;

namespace {

// Speaks ever more slowly: a word after 50 ms, the next after 70 ms, then 90 ms.
Task<> speak(Context ctx, Channel<int> words) {
  for (int word = 1;; ++word) {
    const Result<> thought = co_await sleep(ctx, 30ms + word * 20ms);
    if (!thought) co_return;
    const Result<> said = co_await words.send(ctx, word);
    if (!said) co_return;
  }
}

// Each select starts `per_word` anew; the context bounds them all.
Task<> listen(Context ctx, Channel<int> words, Duration per_word) {
  std::optional<int> word;
  for (;;) {
    switch (co_await select(when_received(words, word), after(per_word), when_done(ctx))) {
      case 0:
        std::printf("word %d\n", *word);
        break;
      case 1:
        std::puts("too slow: nothing for 80 ms");
        co_return;
      default:
        std::puts("enough: 220 ms are over");
        co_return;
    }
  }
}

void converse(Duration in_all, Duration per_word) {
  VirtualTime time;
  auto [ctx, cancel] = with_timeout(Context::background(), in_all);
  const Channel<int> words(0);
  time.spawn(speak(ctx, words));
  time.run(listen(ctx, words, per_word));
  cancel();
  time.settle();
}

}  // namespace

int main() {
  converse(1s, 80ms);
  converse(220ms, 1s);
}
