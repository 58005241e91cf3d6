#include "support/leak_check.hpp"

#include "concurrency/loop.hpp"

#include <atomic>

#include <gtest/gtest.h>

namespace sluice::test {
namespace {

std::atomic<int> allowed = 0;

void fail(const concurrency::Loop::Leftover& leftover) {
  if (allowed > 0) return;
  ADD_FAILURE() << "a loop was destroyed with " << leftover.waiting << " waiting coroutines and " << leftover.timers
                << " armed timers";
}

[[maybe_unused]] const bool installed = [] {
  concurrency::Loop::report_leftovers_to(&fail);
  return true;
}();

}  // namespace

AllowLeftovers::AllowLeftovers() {
  ++allowed;
}
AllowLeftovers::~AllowLeftovers() {
  --allowed;
}

}  // namespace sluice::test
