// Waiting for another thread without leaving the processor, for about a microsecond.
#pragma once

#include <thread>

namespace sluice::concurrency::detail {

/// Lets the other thread of the core go first, for a few dozen cycles.
inline void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Whether what is waited for can happen meanwhile.
inline bool is_worth_spinning() noexcept {
  static const bool several = std::thread::hardware_concurrency() > 1;
  return several;
}

}  // namespace sluice::concurrency::detail
