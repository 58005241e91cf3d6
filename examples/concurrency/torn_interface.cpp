// A data race, on purpose: two implementations behind one interface, and the interface is two words.
//
// One thread writes {Ben's function, Ben}, the other {Jerry's function, Jerry}; whoever reads meanwhile may get Ben's
// function with Jerry as its object. It is built with ThreadSanitizer only, and its test demands the report:
//     WARNING: ThreadSanitizer: data race
// whole_interface.cpp is the cured program.
#include <cstdio>
#include <thread>

namespace {

struct IceCreamMaker {
  const char* name;
};

// As an interface of Go: what to call, and on whom.
struct Interface {
  bool (*hello)(const IceCreamMaker&);
  const IceCreamMaker* maker;
};

const IceCreamMaker ben{"Ben"};
const IceCreamMaker jerry{"Jerry"};

// Each speaks for one maker only: true if it was called on the right one.
bool ben_says_hello(const IceCreamMaker& maker) {
  return &maker == &ben;
}
bool jerry_says_hello(const IceCreamMaker& maker) {
  return &maker == &jerry;
}

Interface current{ben_says_hello, &ben};

void set_often(Interface own) {
  for (int i = 0; i < 10'000; ++i) current = own;
}

}  // namespace

int main() {
  std::thread one(set_often, Interface{ben_says_hello, &ben});
  std::thread other(set_often, Interface{jerry_says_hello, &jerry});
  int torn = 0;
  for (int i = 0; i < 10'000; ++i) {
    const Interface seen = current;
    if (!seen.hello(*seen.maker)) ++torn;
  }
  one.join();
  other.join();
  std::printf("somebody spoke under a false name %d times\n", torn);
}
