// One writer and four readers of a configuration, on five threads, through a Snapshot: no reader ever waits.
//
// Prints:
//     4 readers have seen version 1000
//     mixtures of two versions: 0, steps back: 0
#include "concurrency/snapshot.hpp"

#include <atomic>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

using sluice::concurrency::Snapshot;

namespace {

constexpr int kLast = 1000;

struct Config {
  int version;
  int limit;  // always ten times the version
};

struct Seen {
  std::atomic<int> last{0};
  std::atomic<int> mixtures{0};
  std::atomic<int> steps_back{0};
};

void read_until_last(const Snapshot<Config>& current, Seen& seen) {
  for (int version = 0; version != kLast;) {
    const auto config = current.read();  // stays as it is for as long as `config` lives
    if (config->limit != 10 * config->version) ++seen.mixtures;
    if (config->version < version) ++seen.steps_back;
    version = config->version;
  }
  ++seen.last;
}

}  // namespace

int main() {
  Snapshot<Config> current(std::make_shared<const Config>(Config{0, 0}));
  Seen seen;
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { read_until_last(current, seen); });
  for (int version = 1; version <= kLast; ++version) {
    current.publish(std::make_shared<const Config>(Config{version, 10 * version}));
  }
  for (std::thread& thread : threads) thread.join();
  std::printf("%d readers have seen version %d\n", seen.last.load(), kLast);
  std::printf("mixtures of two versions: %d, steps back: %d\n", seen.mixtures.load(), seen.steps_back.load());
}
