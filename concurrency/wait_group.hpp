// WaitGroup: waits until a number of things are done.
#pragma once

#include "concurrency/context.hpp"
#include "concurrency/task.hpp"
#include "concurrency/wait.hpp"

namespace sluice::concurrency {

/// Go's sync.WaitGroup. It may be used again once it is back at zero. It must outlive those who wait. *any thread*
class WaitGroup {
 public:
  /// Throws std::logic_error, and changes nothing, if the count would become negative or overflow.
  void add(long count);
  void done() { add(-1); }
  /// Ends when the count is zero, at once if it is. Errors: canceled, deadline_exceeded from `ctx`.
  [[nodiscard]] Task<Result<>> wait(Context ctx = {});

 private:
  detail::Gathering gathering_;
  long count_ = 0;
};

}  // namespace sluice::concurrency
