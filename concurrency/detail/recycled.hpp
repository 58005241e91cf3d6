// Memory for what comes and goes often: coroutine frames, and the small objects of flights, contexts and tries.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <new>
#include <string>
#include <utility>

namespace sluice::concurrency::detail {

/// What a thread has freed and not used again, by size. Constant-initialised and trivially destroyed: reading it needs
/// no guard.
struct FreeBlocks {
  static constexpr std::size_t kStep = 32;
  static constexpr std::size_t kClasses = 129;             // blocks of up to 4 KiB
  static constexpr std::size_t kMostBytes = 256UL * 1024;  // kept of each class

  struct Block {
    Block* next;
  };

  std::array<Block*, kClasses> first{};
  std::array<std::size_t, kClasses> bytes{};
  bool is_open = false;  // from the first free on, until the thread ends
  bool has_ended = false;

  static constexpr std::size_t class_of(std::size_t size) { return (size + kStep - 1) / kStep; }
};
extern constinit thread_local FreeBlocks free_blocks;

/// Where nothing is kept: in large sizes, when there is enough, before the first free and after the thread's end.
void* allocate_anew(std::size_t size);
void free_or_keep(void* memory, std::size_t size) noexcept;

/// What this thread has freed lately of that size, else from operator new. *any thread*: one may free what another
/// allocated.
inline void* allocate_recycled(std::size_t size) {
  const std::size_t i = FreeBlocks::class_of(size);
  if (i >= FreeBlocks::kClasses || free_blocks.first[i] == nullptr) return allocate_anew(size);
  free_blocks.bytes[i] -= i * FreeBlocks::kStep;
  return std::exchange(free_blocks.first[i], free_blocks.first[i]->next);
}
inline void free_recycled(void* memory, std::size_t size) noexcept {
  const std::size_t i = FreeBlocks::class_of(size);
  if (i >= FreeBlocks::kClasses || !free_blocks.is_open || free_blocks.bytes[i] >= FreeBlocks::kMostBytes) {
    return free_or_keep(memory, size);
  }
  free_blocks.bytes[i] += i * FreeBlocks::kStep;
  free_blocks.first[i] = new (memory) FreeBlocks::Block{free_blocks.first[i]};
}

/// The same as an allocator. What needs more than the usual alignment comes from std::allocator.
template <class T>
class Recycled {
 public:
  using value_type = T;

  Recycled() = default;
  template <class U>
  // NOLINTNEXTLINE(google-explicit-constructor): what allocators are asked for
  Recycled(const Recycled<U>&) noexcept {}

  T* allocate(std::size_t count) {
    if constexpr (kIsAligned) return static_cast<T*>(allocate_recycled(count * sizeof(T)));
    return std::allocator<T>().allocate(count);
  }
  void deallocate(T* memory, std::size_t count) noexcept {
    if constexpr (kIsAligned) return free_recycled(memory, count * sizeof(T));
    std::allocator<T>().deallocate(memory, count);
  }

  friend bool operator==(const Recycled&, const Recycled&) { return true; }

 private:
  static constexpr bool kIsAligned = alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__;
};

/// std::make_shared in such memory.
template <class T, class... Args>
std::shared_ptr<T> make_recycled(Args&&... args) {
  return std::allocate_shared<T>(Recycled<T>(), std::forward<Args>(args)...);
}

using RecycledString = std::basic_string<char, std::char_traits<char>, Recycled<char>>;

}  // namespace sluice::concurrency::detail
