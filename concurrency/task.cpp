#include "concurrency/task.hpp"

#include <array>
#include <new>
#include <utility>

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/post.hpp>

// AddressSanitizer sees a use after free only if frames are really freed.
#if defined(__SANITIZE_ADDRESS__)
#define SLUICE_KEEP_FRAMES 0
#else
#define SLUICE_KEEP_FRAMES 1
#endif

namespace sluice::concurrency::detail {
namespace {

constexpr std::size_t kStep = 64;
constexpr std::size_t kClasses = 65;             // frames of up to 4 KiB
constexpr std::size_t kMostBytes = 32UL * 1024;  // kept of each class

struct FreeFrame {
  FreeFrame* next;
};

struct FreeFrames {
  std::array<FreeFrame*, kClasses> first{};
  std::array<std::size_t, kClasses> bytes{};
  bool is_open = false;  // from the first free on, until the thread ends
  bool has_ended = false;
};

// Constant-initialised and trivially destroyed: reading it needs no guard.
constinit thread_local FreeFrames frames;

struct ThreadEnd {
  ThreadEnd() { frames.is_open = true; }
  ~ThreadEnd() {
    frames.is_open = false;
    frames.has_ended = true;
    for (FreeFrame*& first : frames.first) {
      while (first != nullptr) ::operator delete(std::exchange(first, first->next));
    }
  }
};

bool open() {
  if (frames.has_ended || SLUICE_KEEP_FRAMES == 0) return false;
  thread_local const ThreadEnd end_of_thread;
  static_cast<void>(&end_of_thread);
  return frames.is_open;
}

}  // namespace

void* allocate_frame(std::size_t size) {
  const std::size_t i = (size + kStep - 1) / kStep;
  if (i >= kClasses) return ::operator new(size);
  if (FreeFrame* const found = frames.first[i]; found != nullptr) {
    frames.first[i] = found->next;
    frames.bytes[i] -= i * kStep;
    return found;
  }
  return ::operator new(i * kStep);
}

void free_frame(void* frame, std::size_t size) noexcept {
  const std::size_t i = (size + kStep - 1) / kStep;
  if (i >= kClasses || (!frames.is_open && !open()) || frames.bytes[i] >= kMostBytes) {
    ::operator delete(frame);
    return;
  }
  frames.bytes[i] += i * kStep;
  frames.first[i] = new (frame) FreeFrame{frames.first[i]};
}

void start(const Executor& executor, Root root) {
  using Thread = boost::asio::detail::awaitable_thread<Executor>;
  const auto launch = [](const Executor& ex, Root& r) {
    const boost::asio::cancellation_slot nobody_cancels;
    Thread(std::move(r), ex, nobody_cancels, boost::asio::cancellation_state(nobody_cancels)).launch();
  };
  if (executor.running_in_this_thread()) {
    launch(executor, root);
  } else {
    boost::asio::post(executor, [executor, launch, r = std::move(root)]() mutable { launch(executor, r); });
  }
}

}  // namespace sluice::concurrency::detail
