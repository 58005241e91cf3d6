#include "concurrency/detail/recycled.hpp"

// AddressSanitizer sees a use after free only if memory is really freed.
#if defined(__SANITIZE_ADDRESS__)
#define SLUICE_RECYCLE 0
#else
#define SLUICE_RECYCLE 1
#endif

namespace sluice::concurrency::detail {

constinit thread_local FreeBlocks free_blocks;

namespace {

struct ThreadEnd {
  ThreadEnd() { free_blocks.is_open = true; }
  ~ThreadEnd() {
    free_blocks.is_open = false;
    free_blocks.has_ended = true;
    for (FreeBlocks::Block*& first : free_blocks.first) {
      while (first != nullptr) ::operator delete(std::exchange(first, first->next));
    }
  }
};

bool open() {
  if (free_blocks.has_ended || SLUICE_RECYCLE == 0) return false;
  thread_local const ThreadEnd end_of_thread;
  static_cast<void>(&end_of_thread);
  return free_blocks.is_open;
}

}  // namespace

void* allocate_anew(std::size_t size) {
  const std::size_t i = FreeBlocks::class_of(size);
  return ::operator new(i < FreeBlocks::kClasses ? i * FreeBlocks::kStep : size);
}

void free_or_keep(void* memory, std::size_t size) noexcept {
  if (FreeBlocks::class_of(size) < FreeBlocks::kClasses && !free_blocks.is_open && open()) {
    free_recycled(memory, size);
  } else {
    ::operator delete(memory);
  }
}

}  // namespace sluice::concurrency::detail
