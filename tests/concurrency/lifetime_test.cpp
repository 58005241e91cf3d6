// Whoever gets a lock may end it, whatever those who freed it or gave it up did a moment before.
#include "concurrency/context.hpp"
#include "concurrency/detail/spin.hpp"
#include "concurrency/mutex.hpp"
#include "concurrency/semaphore.hpp"
#include "concurrency/wait_group.hpp"
#include "support/loop_threads.hpp"

#include <future>
#include <memory>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

namespace sluice::concurrency {
namespace {

using sluice::test::LoopThreads;

struct OfMutex {
  Task<Result<>> take() { return lock.lock({}); }
  Task<Result<>> want(Context ctx) { return lock.lock(std::move(ctx)); }
  bool try_last() { return lock.try_lock(); }
  void give() { lock.unlock(); }
  void give_wanted() { lock.unlock(); }
  Mutex lock;
};
struct OfSemaphore {
  Task<Result<>> take() { return lock.acquire({}, 3); }
  Task<Result<>> want(Context ctx) { return lock.acquire(std::move(ctx), 1); }
  bool try_last() { return lock.try_acquire(3); }
  void give() { lock.release(3); }
  void give_wanted() { lock.release(1); }
  Semaphore lock{3};
};
struct OfReader {
  Task<Result<>> take() { return lock.rlock({}); }
  Task<Result<>> want(Context ctx) { return lock.lock(std::move(ctx)); }
  bool try_last() { return lock.try_lock(); }
  void give() { lock.runlock(); }
  void give_wanted() { lock.unlock(); }
  RwLock lock;
};
struct OfWriter {
  Task<Result<>> take() { return lock.lock({}); }
  Task<Result<>> want(Context ctx) { return lock.rlock(std::move(ctx)); }
  bool try_last() { return lock.try_lock(); }
  void give() { lock.unlock(); }
  void give_wanted() { lock.runlock(); }
  RwLock lock;
};

Task<> nothing() {
  co_return;
}
template <class Of>
Task<> give_soon(Of* of, int pauses) {
  for (int i = 0; i < pauses; ++i) detail::pause();
  of->give();
  co_return;
}

// One holds it, another stands in line; it is given back while the other gives up; a third then ends it.
template <class Of>
void end_when_free() {
  LoopThreads loops(2);
  for (int i = 0; i < 3000; ++i) {
    auto of = std::make_unique<Of>();
    EXPECT_TRUE(loops.spawn(0, of->take()).get().has_value());
    auto [ctx, cancel] = with_cancel(Context());
    auto waiting = loops.spawn(1, of->want(ctx));
    loops.spawn(1, nothing()).get();  // it stands in line by now
    auto given = loops.spawn(0, give_soon(of.get(), i % 100));
    cancel();
    if (waiting.get()) of->give_wanted();
    while (!of->try_last()) std::this_thread::yield();
    of.reset();
    given.get();
  }
}

TEST(LifetimeThreads, AMutexMayEndOnceItIsFree) {
  end_when_free<OfMutex>();
}
TEST(LifetimeThreads, ASemaphoreMayEndOnceItIsFree) {
  end_when_free<OfSemaphore>();
}
TEST(LifetimeThreads, ALockMayEndOnceItsReadersHaveGone) {
  end_when_free<OfReader>();
}
TEST(LifetimeThreads, ALockMayEndOnceItsWriterHasGone) {
  end_when_free<OfWriter>();
}

Task<> finish(WaitGroup* group) {
  group->done();
  co_return;
}
Task<Result<>> wait_for(WaitGroup* group, Context ctx) {
  co_return co_await group->wait(std::move(ctx));
}

TEST(LifetimeThreads, AWaitGroupMayEndOnceWaitHasReturnedAlsoIfAnotherGaveUp) {
  LoopThreads loops(3);
  for (int i = 0; i < 2000; ++i) {
    auto group = std::make_unique<WaitGroup>();
    group->add(2);
    auto [ctx, cancel] = with_cancel(Context());
    auto waiting = loops.spawn(1, wait_for(group.get(), ctx));
    auto first = loops.spawn(0, finish(group.get()));
    auto second = loops.spawn(2, finish(group.get()));
    cancel();
    (void)waiting.get();
    EXPECT_TRUE(loops.spawn(1, wait_for(group.get(), {})).get().has_value());
    group.reset();
    first.get();
    second.get();
  }
}

}  // namespace
}  // namespace sluice::concurrency
