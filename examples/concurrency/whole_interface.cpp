// The cure of torn_interface.cpp: the two words are published as one immutable object.
//
// Prints:
//     somebody spoke under a false name 0 times
#include "concurrency/snapshot.hpp"

#include <cstdio>
#include <memory>
#include <thread>

using sluice::concurrency::Snapshot;

namespace {

struct IceCreamMaker {
  const char* name;
};

struct Interface {
  bool (*hello)(const IceCreamMaker&);
  const IceCreamMaker* maker;
};

const IceCreamMaker ben{"Ben"};
const IceCreamMaker jerry{"Jerry"};

bool ben_says_hello(const IceCreamMaker& maker) {
  return &maker == &ben;
}
bool jerry_says_hello(const IceCreamMaker& maker) {
  return &maker == &jerry;
}

void set_often(Snapshot<Interface>& current, Interface own) {
  for (int i = 0; i < 1'000; ++i) current.publish(std::make_shared<const Interface>(own));
}

}  // namespace

int main() {
  Snapshot<Interface> current(std::make_shared<const Interface>(Interface{ben_says_hello, &ben}));
  std::thread one([&] { set_often(current, Interface{ben_says_hello, &ben}); });
  std::thread other([&] { set_often(current, Interface{jerry_says_hello, &jerry}); });
  int torn = 0;
  for (int i = 0; i < 10'000; ++i) {
    const auto seen = current.read();
    if (!seen->hello(*seen->maker)) ++torn;
  }
  one.join();
  other.join();
  std::printf("somebody spoke under a false name %d times\n", torn);
}
