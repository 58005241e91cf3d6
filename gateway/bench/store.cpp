// What the store of degraded data promises, measured: store_bench [ENTRIES] (1,000,000).
//
// Pauses are the longest single operation of a thread: its time by the clock, the CPU time it took itself, and how
// often it had to wait for another (a voluntary switch). Time by the clock alone is that of whoever else wanted the
// processor; what a control of arithmetic shows of CPU time is the machine's own.
#include "concurrency/snapshot.hpp"
#include "gateway/huge_pages.hpp"
#include "gateway/stale_file.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <time.h>
#include <unistd.h>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace sluice::gateway;
using Clock = std::chrono::steady_clock;

std::chrono::nanoseconds thread_time() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

double microseconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

double resident_mib() {
  std::size_t pages = 0;
  std::size_t resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1 << 20);
}

std::string key_of(std::size_t i) {
  return "orders /orders?user=" + std::to_string(i) + "&limit=10";
}

StaleEntry entry_of(std::size_t i, std::size_t bytes) {
  StaleEntry entry;
  entry.media_type = "application/json";
  auto body = std::make_shared<sluice::backends::Body>();
  body->bytes.reserve(bytes);
  body->bytes = "\"" + std::to_string(i);
  body->bytes.resize(bytes - 1, 'x');
  body->bytes += '"';
  entry.body = std::move(body);
  entry.stored_at = Clock::now();
  return entry;
}

std::size_t next(std::uint64_t& state) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return static_cast<std::size_t>(state >> 33U);
}

/// The longest of many operations.
class Pauses {
 public:
  template <class F>
  void time(const F& operation) {
    rusage before{};
    rusage after{};
    ::getrusage(RUSAGE_THREAD, &before);
    const auto cpu = thread_time();
    const auto wall = Clock::now();
    operation();
    wall_ = std::max(wall_, std::chrono::nanoseconds(Clock::now() - wall));
    const auto took = thread_time() - cpu;
    cpu_ = std::max(cpu_, took);
    over_ += took > 1ms ? 1 : 0;
    ::getrusage(RUSAGE_THREAD, &after);
    waits_ += after.ru_nvcsw - before.ru_nvcsw;
    preempted_ += after.ru_nivcsw - before.ru_nivcsw;
    ++count_;
  }
  void print(const char* what) const {
    std::printf("  %-28s %8zu  CPU max %8.1f us, > 1 ms: %ld; by the clock max %8.1f us; waited %ld, preempted %ld\n",
                what, count_, microseconds(cpu_), over_, microseconds(wall_), waits_, preempted_);
  }

 private:
  std::size_t count_ = 0;
  std::chrono::nanoseconds cpu_{0};
  std::chrono::nanoseconds wall_{0};
  long over_ = 0;
  long waits_ = 0;
  long preempted_ = 0;
};

/// CPU time of one of `count` operations, in the round of five that was disturbed least.
template <class F>
double each_ns(std::size_t count, const F& operation) {
  double best = 1e9;
  for (int round = 0; round < 5; ++round) {
    const auto start = thread_time();
    for (std::size_t i = 0; i < count; ++i) operation(i);
    best = std::min(best, static_cast<double>((thread_time() - start).count()) / static_cast<double>(count));
  }
  return best;
}

void fill(StaleStore& store, std::size_t from, std::size_t to, std::size_t bytes) {
  for (std::size_t i = from; i < to; ++i) (void)store.put(key_of(i), entry_of(i, bytes), Clock::now());
}

void reads_and_writes(std::size_t entries) {
  std::puts("CPU time of a look-up and of a write (of an entry that is there), by the number of entries:");
  StaleStore store(std::size_t{64} << 30U, 1);
  std::size_t filled = 0;
  for (std::size_t size = 1000; size <= entries; size *= 10) {
    fill(store, filled, size, 200);
    filled = size;
    std::vector<std::string> keys;
    std::uint64_t random = 1;
    for (int i = 0; i < 1000; ++i) keys.push_back(key_of(next(random) % size));
    std::vector<std::string> all;
    for (int i = 0; i < 200'000; ++i) all.push_back(key_of(next(random) % size));
    std::size_t found = 0;
    HugePages huge_pages;
    while (huge_pages.advance()) {  // as the gateway, within a minute
    }
    const auto now = Clock::now();
    const double popular =
        each_ns(200'000, [&](std::size_t i) { found += store.find(keys[i % keys.size()], now) != nullptr; });
    const double any = each_ns(all.size(), [&](std::size_t i) { found += store.find(all[i], now) != nullptr; });
    if (found != 5 * (200'000 + all.size())) std::abort();
    const StaleEntry entry = entry_of(0, 200);
    const double write = each_ns(100'000, [&](std::size_t i) { (void)store.put(all[i], entry, now); });
    std::printf("  %8zu entries: read %5.0f ns (of 1000 popular keys), %5.0f ns (of all); write %5.2f us\n", size,
                popular, any, write / 1000);
  }
}

void pauses_beside_a_flush(std::size_t entries, const std::filesystem::path& path) {
  std::printf("Longest operation, %zu entries, two threads, while the file is written again and again:\n", entries);
  StaleStore store(std::size_t{64} << 30U, 1);
  fill(store, 0, entries, 200);
  std::atomic<bool> is_over{false};
  Pauses finds;
  Pauses puts;
  Pauses control;
  std::thread reader([&] {
    std::uint64_t random = 2;
    while (!is_over) {
      const std::string key = key_of(next(random) % entries);
      finds.time([&] { (void)store.find(key, Clock::now()); });
    }
  });
  std::thread writer([&] {
    std::uint64_t random = 3;
    while (!is_over) {
      const std::size_t i = next(random) % (entries + entries / 10);
      const StaleEntry entry = entry_of(i, 200);
      const std::string key = key_of(i);
      puts.time([&] { (void)store.put(key, entry, Clock::now()); });
      control.time([&] {
        for (int step = 0; step < 5000; ++step) (void)next(random);  // some puts long
      });
    }
  });
  std::thread tender([&] {  // as the gateway's control thread
    HugePages huge_pages;
    while (!is_over) {
      while (store.reclaim()) std::this_thread::sleep_for(1ms);
      for (int i = 0; i < 20 && huge_pages.advance(); ++i) {
      }
      std::this_thread::sleep_for(1s);
    }
  });
  for (int i = 0; i < 3; ++i) {
    const auto start = Clock::now();
    const auto cpu = thread_time();
    const StaleFileWritten written = write_stale_file(path, store, Moment::current());
    std::printf("  file: %llu entries in %.0f ms, CPU %.0f ms %s\n", static_cast<unsigned long long>(written.entries),
                microseconds(Clock::now() - start) / 1000, microseconds(thread_time() - cpu) / 1000,
                written.problem.c_str());
  }
  is_over = true;
  reader.join();
  writer.join();
  tender.join();
  finds.print("find");
  puts.print("put (lock included)");
  control.print("arithmetic, as a control");
}

void start_up(const std::filesystem::path& path) {
  StaleStore store(std::size_t{64} << 30U, 1);
  fill(store, 0, 100'000, 1000);
  (void)write_stale_file(path, store, Moment::current());
  StaleStore again(std::size_t{64} << 30U, 1);
  const auto start = Clock::now();
  const auto cpu = thread_time();
  const StaleFileRead read = read_stale_file(path, again, Moment::current());
  std::printf("Start-up with 100,000 entries of 1 kB: %.0f ms, CPU %.0f ms (%llu read)\n",
              microseconds(Clock::now() - start) / 1000, microseconds(thread_time() - cpu) / 1000,
              static_cast<unsigned long long>(read.entries));
}

void memory_of(std::size_t bytes, std::size_t entries) {
  constexpr std::size_t kBound = std::size_t{256} << 20U;
  const double before = resident_mib();
  const auto resident = [&] { return resident_mib() - before; };
  const auto counted = [](const StaleStore& store) { return static_cast<double>(store.stats().bytes) / (1 << 20); };
  StaleStore store(kBound, 1);
  const std::size_t count = std::min(entries, 2 * kBound / bytes);
  fill(store, 0, count, bytes);
  std::printf("  bodies of %5zu B: counted %.1f MiB (bound 256), resident %+.1f MiB", bytes, counted(store),
              resident());
  fill(store, count, 2 * count, bytes);
  std::printf("; after as many others %.1f, %+.1f", counted(store), resident());
  const auto start = thread_time();
  const std::size_t removed = store.erase_prefix("");
  while (store.reclaim()) {
  }
  std::printf("; after a purge of %zu (CPU %.0f ms) %.1f, %+.1f", removed, microseconds(thread_time() - start) / 1000,
              counted(store), resident());
  fill(store, 0, count, bytes);
  std::printf("; filled again %.1f, %+.1f\n", counted(store), resident());
}

/// A process for each size: what one freed, the next would use.
void memory(std::size_t entries) {
  std::puts("Resident memory beside what the store counts:");
  for (const std::size_t bytes : {std::size_t{20}, std::size_t{1000}, std::size_t{20'000}}) {
    const pid_t child = ::fork();
    if (child == 0) {
      memory_of(bytes, entries);
      std::fflush(stdout);
      ::_exit(0);
    }
    if (child > 0) ::waitpid(child, nullptr, 0);
  }
}

void eviction() {
  StaleStore store(std::size_t{16} << 20U, 1);
  Pauses puts;
  std::size_t hits = 0;
  std::size_t asked = 0;
  auto now = Clock::now();
  std::uint64_t random = 4;
  for (std::size_t i = 0; i < 200'000; ++i) {
    if (i % 500 == 0) now += 1s;
    const std::string key = key_of(i % 2 == 0 ? next(random) % 2000 : 10'000 + i);  // half of it is popular
    if (i % 2 == 0) {
      ++asked;
      if (store.find(key, now)) {
        ++hits;
        continue;
      }
    }
    const StaleEntry entry = entry_of(i, 1000);
    puts.time([&] { (void)store.put(key, entry, now); });
  }
  std::printf(
      "Eviction: 2000 popular keys, each second 250 of them asked for and 250 others stored, in 16 MiB: %.1f %% hits\n",
      100.0 * static_cast<double>(hits) / static_cast<double>(asked));
  puts.print("put that evicts");
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const std::size_t entries = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("store_bench." + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  memory(entries);
  eviction();
  start_up(folder / "cache");
  reads_and_writes(entries);
  pauses_beside_a_flush(entries, folder / "cache");
  std::filesystem::remove_all(folder);
}
