// Holds a large heap in huge pages, so that going through it does not wait for the tables that say where it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sluice::gateway {

/// Goes round the process's large mappings of memory, a block of 2 MiB at a time, and has the kernel put each that is
/// in use, but for a sixteenth at most, into one page (MADV_COLLAPSE, Linux 6.1).
///
/// Nobody who allocates waits for a huge page to be cleared or found, and small heaps stay small.
/// Does nothing where the kernel cannot, or transparent huge pages are set to `never`.
/// Thread: any one at a time. While a block is moved, some 0.5 ms, threads that touch it wait.
class HugePages {
 public:
  static constexpr std::size_t kBytes = std::size_t{2} << 20U;

  /// Looks at the next block; false if there is none left in this round. The next call begins another.
  bool advance();

 private:
  struct Mapping {
    std::uintptr_t begin;
    std::uintptr_t end;
  };

  void find_mappings();

  std::vector<Mapping> mappings_;  // what is left of them in this round
};

}  // namespace sluice::gateway
