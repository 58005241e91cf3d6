// A map shared by threads, by copy-on-write: an update of several keys is seen whole or not at all.
//
// Prints:
//     alice has 0, bob has 1000
//     sums other than 1000: 0
#include "concurrency/cow_map.hpp"

#include <atomic>
#include <cstdio>
#include <string>
#include <thread>

using sluice::concurrency::CowMap;

namespace {

using Accounts = CowMap<std::string, int>;

// Several writers queue; what one does in `update` is published at once, when it returns.
void transfer(Accounts& accounts, int times) {
  for (int i = 0; i < times; ++i) {
    accounts.update([](Accounts::Batch& batch) {
      batch.insert_or_assign("alice", *batch.find("alice") - 1);
      batch.insert_or_assign("bob", *batch.find("bob") + 1);
    });
  }
}

}  // namespace

int main() {
  Accounts accounts;
  accounts.update([](Accounts::Batch& batch) {
    batch.insert_or_assign("alice", 1000);
    batch.insert_or_assign("bob", 0);
  });
  std::atomic<int> wrong{0};
  std::thread reader([&] {
    for (int bob = 0; bob != 1000;) {
      const auto now = accounts.read();  // one version of the whole map, without a lock
      bob = *now->find("bob");
      if (*now->find("alice") + bob != 1000) ++wrong;
    }
  });
  std::thread one([&] { transfer(accounts, 500); });
  std::thread other([&] { transfer(accounts, 500); });
  for (std::thread* thread : {&one, &other, &reader}) thread->join();
  std::printf("alice has %d, bob has %d\n", accounts.find("alice").value(), accounts.find("bob").value());
  std::printf("sums other than 1000: %d\n", wrong.load());
}
