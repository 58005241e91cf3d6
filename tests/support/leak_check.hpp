// A leak check in the style of Go's goleak: linked into a test program, it fails every test that destroys a loop on
// which coroutines still wait or timers are still armed.
#pragma once

namespace sluice::test {

/// For tests that are about just that. *one thread*
class AllowLeftovers {
 public:
  AllowLeftovers();
  ~AllowLeftovers();
  AllowLeftovers(const AllowLeftovers&) = delete;
  AllowLeftovers& operator=(const AllowLeftovers&) = delete;
};

}  // namespace sluice::test
