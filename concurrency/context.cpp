#include "concurrency/context.hpp"

#include "concurrency/detail/recycled.hpp"
#include "concurrency/detail/thin_mutex.hpp"
#include "concurrency/loop.hpp"
#include "concurrency/wait.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>

#include <boost/asio/post.hpp>

namespace sluice::concurrency {

using boost::system::error_code;

namespace detail {

// One node of the tree. A node that only carries a value (or cuts cancellation off) has no state of its own:
// `state_` is the nearest node that can be cancelled, itself included, or null.
//
// Locks: a node's `mutex_` guards its children, its waiters and the writing of its end. No two are ever held at once.
// A child is reached from its parent without owning it; it leaves the parent's list under the parent's lock before it
// dies, and whoever finds it there takes a reference first, which fails for one that is dying.
class ContextNode {
 public:
  ContextNode(NodePtr parent, unsigned references) : refs_(references), parent_(std::move(parent)) {}
  ContextNode(const ContextNode&) = delete;
  ContextNode& operator=(const ContextNode&) = delete;

  static void* operator new(std::size_t size) { return allocate_recycled(size); }
  static void operator delete(void* node, std::size_t size) noexcept { free_recycled(node, size); }

  void add_ref() noexcept { refs_.fetch_add(1, std::memory_order_relaxed); }
  // A loop, since a chain of contexts may be longer than the stack is deep.
  static void release(ContextNode* node) noexcept {
    while (node != nullptr && (node->has_one_owner() || node->refs_.fetch_sub(1, std::memory_order_acq_rel) == 1)) {
      node->leave_parent();
      ContextNode* const parent = node->parent_.detach();
      delete node;
      node = parent;
    }
  }

  [[nodiscard]] ContextNode* state() const { return state_; }
  [[nodiscard]] bool is_done() const noexcept { return phase_.load(std::memory_order_acquire) != kOpen; }
  // It and all its descendants are done.
  [[nodiscard]] bool has_ended() const noexcept { return phase_.load(std::memory_order_acquire) == kEnded; }

  // The node starts to follow `ancestor`, at once done if that is.
  void follow(ContextNode* ancestor) {
    state_ = this;
    if (ancestor == nullptr) return;
    {
      const std::lock_guard lock(ancestor->mutex_);
      if (!ancestor->is_done()) {
        followed_ = ancestor;
        next_ = ancestor->children_;
        if (next_ != nullptr) next_->previous_ = this;
        ancestor->children_ = this;
        return;
      }
    }
    end(ancestor->err_, ancestor->cause_);
  }

  void end(const error_code& err, const error_code& cause) noexcept;

  // The deadline is armed in three steps, as any thread may end a node that follows a parent. arm() takes over a
  // reference that the node was made with.
  void prepare(Loop& loop) {
    timer_.emplace(*this);
    loop_.store(&loop, std::memory_order_relaxed);
  }
  void arm(Loop& loop, TimePoint deadline, TimePoint now);
  void disarm() noexcept;
  static void on_deadline(TimerEntry& entry, bool expired) noexcept;

  bool subscribe(ContextWaiter& waiter) {
    const std::lock_guard lock(mutex_);
    if (is_done()) return false;
    waiter.next_ = waiters_;
    waiter.previous_ = nullptr;
    if (waiters_ != nullptr) waiters_->previous_ = &waiter;
    waiters_ = &waiter;
    waiter.linked_ = true;
    return true;
  }

  bool unsubscribe(ContextWaiter& waiter) noexcept {
    const std::lock_guard lock(mutex_);
    if (!waiter.linked_) return false;
    waiter.linked_ = false;
    (waiter.previous_ != nullptr ? waiter.previous_->next_ : waiters_) = waiter.next_;
    if (waiter.next_ != nullptr) waiter.next_->previous_ = waiter.previous_;
    return true;
  }

 private:
  friend class sluice::concurrency::Context;
  friend Cancellable sluice::concurrency::with_deadline(const Context&, TimePoint, error_code);
  friend Context sluice::concurrency::with_value_erased(const Context&, const void*, std::shared_ptr<const void>);
  friend Context sluice::concurrency::without_cancel(const Context&);

  struct DeadlineEntry : TimerEntry {
    explicit DeadlineEntry(ContextNode& n) : TimerEntry(&ContextNode::on_deadline), node(n) {}
    ContextNode& node;
  };

  enum : int { kOpen, kEnding, kEnded };

  // Ends this node alone; false if it was done. Its living children, with a reference each, come before `children`.
  bool close(const error_code& err, const error_code& cause, ContextNode*& children) noexcept;
  void finish() noexcept {
    phase_.store(kEnded, std::memory_order_release);
    phase_.notify_all();
    disarm();
  }
  void disarm_here(Loop& loop) noexcept;

  // Whether the caller's reference is the last: only a parent that has this node in its list could make another.
  [[nodiscard]] bool has_one_owner() const noexcept {
    return refs_.load(std::memory_order_acquire) == 1 && followed_ == nullptr;
  }

  bool try_add_ref() noexcept {
    auto refs = refs_.load(std::memory_order_relaxed);
    while (refs != 0) {
      if (refs_.compare_exchange_weak(refs, refs + 1, std::memory_order_relaxed)) return true;
    }
    return false;
  }

  void leave_parent() noexcept {
    if (followed_ == nullptr) return;
    const std::lock_guard lock(followed_->mutex_);
    if (followed_->is_done()) return;  // the list was taken over by the parent's end()
    (previous_ != nullptr ? previous_->next_ : followed_->children_) = next_;
    if (next_ != nullptr) next_->previous_ = previous_;
    followed_ = nullptr;
  }

  std::atomic<unsigned> refs_;
  std::atomic<int> phase_{kOpen};    // kEnding until all descendants are done, too
  NodePtr parent_;                   // keeps values and ancestors alive
  ContextNode* state_ = nullptr;     // who knows whether this context is done
  ContextNode* followed_ = nullptr;  // whose children_ list this node was put into
  ContextNode* next_ = nullptr;
  ContextNode* previous_ = nullptr;

  ThinMutex mutex_;
  ContextNode* children_ = nullptr;
  ContextWaiter* waiters_ = nullptr;
  error_code err_;    // written once, before phase_
  error_code cause_;  // likewise

  TimePoint deadline_ = TimePoint::max();  // if there is one
  error_code deadline_cause_;
  std::atomic<Loop*> loop_{nullptr};  // where the deadline is armed, or about to be; the arming owns a reference
  std::optional<DeadlineEntry> timer_;

  const void* key_ = nullptr;
  std::shared_ptr<const void> value_;
};

void add_ref(ContextNode* node) noexcept {
  node->add_ref();
}
void release(ContextNode* node) noexcept {
  ContextNode::release(node);
}

bool ContextNode::close(const error_code& err, const error_code& cause, ContextNode*& children) noexcept {
  const std::lock_guard lock(mutex_);
  if (is_done()) return false;
  err_ = err;
  cause_ = cause;
  // Children that are dying meanwhile wait for this lock in leave_parent() and then see that the list is not theirs to
  // touch any more; those that live are kept alive, chained through next_.
  for (ContextNode* child = children_; child != nullptr;) {
    ContextNode* const following = child->next_;
    if (child->try_add_ref()) {
      child->next_ = children;
      children = child;
    }
    child = following;
  }
  children_ = nullptr;
  phase_.store(kEnding, std::memory_order_release);
  while (waiters_ != nullptr) {
    ContextWaiter& waiter = *waiters_;
    waiters_ = waiter.next_;
    if (waiters_ != nullptr) waiters_->previous_ = nullptr;
    waiter.linked_ = false;
    waiter.notify();
  }
  return true;
}

// Whoever cancels a node that another thread is ending waits until that one is through, as Go's mutex makes it. Waits
// only ever go down the tree, so none can be in a circle. A loop with lists, not a recursion: see release().
void ContextNode::end(const error_code& err, const error_code& given) noexcept {
  const error_code& cause = given ? given : err;
  ContextNode* pending = nullptr;
  if (!close(err, cause, pending)) {
    phase_.wait(kEnding, std::memory_order_acquire);
    return;
  }
  leave_parent();
  ContextNode* ended = nullptr;
  ContextNode* foreign = nullptr;  // ended by others
  while (pending != nullptr) {
    ContextNode* const node = pending;
    pending = node->next_;
    ContextNode*& list = node->close(err, cause, pending) ? ended : foreign;
    node->next_ = list;
    list = node;
  }
  const auto take = [](ContextNode*& list) { return std::exchange(list, list->next_); };
  while (foreign != nullptr) {
    ContextNode* const node = take(foreign);
    node->phase_.wait(kEnding, std::memory_order_acquire);
    release(node);
  }
  while (ended != nullptr) {
    ContextNode* const node = take(ended);
    node->finish();
    release(node);
  }
  finish();  // last: may drop the reference that keeps this node alive
}

void ContextNode::on_deadline(TimerEntry& entry, bool expired) noexcept {
  ContextNode& node = static_cast<DeadlineEntry&>(entry).node;
  node.loop_.store(nullptr, std::memory_order_release);
  if (expired) node.end(Error::deadline_exceeded, node.deadline_cause_);
  release(&node);
}

void ContextNode::arm(Loop& loop, TimePoint deadline, TimePoint now) {
  loop.arm(*timer_, deadline, now);
}

void ContextNode::disarm() noexcept {
  Loop* const loop = loop_.load(std::memory_order_acquire);
  if (loop == nullptr) return;
  if (loop == Loop::current_or_null()) {
    disarm_here(*loop);
    return;
  }
  add_ref();
  boost::asio::post(loop->executor(), [self = NodePtr(this), loop] { self->disarm_here(*loop); });
}

void ContextNode::disarm_here(Loop& loop) noexcept {
  loop_.store(nullptr, std::memory_order_relaxed);
  if (!timer_->is_armed()) return;
  loop.disarm(*timer_);
  release(this);
}

bool ContextWaiter::subscribe(const Context& ctx) {
  ContextNode* const node = ctx.node_.get();
  if (node == nullptr || node->state() == nullptr) return true;  // never done
  node_ = node->state();
  return node_->subscribe(*this);
}

bool ContextWaiter::unsubscribe() noexcept {
  ContextNode* const node = std::exchange(node_, nullptr);
  return node == nullptr || node->unsubscribe(*this);
}

AfterFunc::AfterFunc() : executor_(Loop::current().executor()) {}

void AfterFunc::start(const std::shared_ptr<AfterFunc>& self, const Context& ctx) {
  self->self_ = self;
  self->ctx_ = ctx;
  if (!self->subscribe(ctx)) {
    self->notify();
  } else if (!self->may_be_notified()) {
    self->self_.reset();
  }
}

void AfterFunc::notify() noexcept {
  boost::asio::post(executor_, [self = std::move(self_)] { self->run(); });
}

bool AfterFunc::stop() noexcept {
  if (stopped_.exchange(true) || !unsubscribe()) return false;
  ctx_ = Context();
  self_.reset();
  return true;
}

}  // namespace detail

bool Stop::operator()() const noexcept {
  return func_ != nullptr && func_->stop();
}

using detail::ContextNode;
using detail::NodePtr;

bool Context::node_is_done() const noexcept {
  const ContextNode* const state = node_->state();
  return state != nullptr && state->is_done();
}

error_code Context::err() const noexcept {
  return is_done() ? node_->state()->err_ : error_code();
}

error_code Context::cause() const noexcept {
  return is_done() ? node_->state()->cause_ : error_code();
}

std::optional<TimePoint> Context::deadline() const noexcept {
  const ContextNode* state = node_ ? node_->state() : nullptr;
  if (state == nullptr || state->deadline_ == TimePoint::max()) return std::nullopt;
  return state->deadline_;
}

std::optional<Duration> Context::remaining() const {
  const auto when = deadline();
  if (!when) return std::nullopt;
  return std::max(Duration(0), Duration(*when - Loop::current().now()));
}

Task<> Context::wait_until_done(Context ctx) {
  detail::Parked parked;
  detail::ContextWake waiter(parked, 0);
  if (waiter.subscribe(ctx)) co_await parked.wait();
}

const void* Context::find_value(const void* key) const noexcept {
  for (const ContextNode* node = node_.get(); node != nullptr; node = node->parent_.get()) {
    if (node->key_ == key) return node->value_.get();
  }
  return nullptr;
}

void Cancel::operator()(error_code cause) const noexcept {
  if (!ctx_.node_ || ctx_.node_->has_ended()) return;
  const Context keep = ctx_;  // whom this wakes on another thread may destroy the Cancel
  keep.node_->end(Error::canceled, cause);
}
Cancel::~Cancel() {
  if (ctx_.node_ && !ctx_.node_->has_ended()) ctx_.node_->end(Error::canceled, {});
}

Cancellable with_cancel(const Context& parent) {
  return with_deadline(parent, TimePoint::max(), {});
}

Cancellable with_deadline(const Context& parent, TimePoint deadline, error_code cause) {
  ContextNode* const ancestor = parent.node_ ? parent.node_->state() : nullptr;
  const TimePoint inherited = ancestor != nullptr ? ancestor->deadline_ : TimePoint::max();
  // A deadline that the parent's comes before needs no timer of its own.
  const bool own = deadline < inherited;
  Loop* const loop = own ? &Loop::current() : nullptr;
  constexpr unsigned kHandles = 2;  // the context and its Cancel
  auto* const node = new ContextNode(parent.node_, kHandles + (own ? 1U : 0U));
  node->deadline_ = own ? deadline : inherited;
  if (own) {
    node->deadline_cause_ = cause;
    node->prepare(*loop);
  }
  node->follow(ancestor);
  if (own) {
    const TimePoint now = loop->turn_time();
    if (deadline <= now) node->end(Error::deadline_exceeded, cause);
    if (node->is_done()) {
      ContextNode::release(node);
    } else {
      node->arm(*loop, deadline, now);
    }
  }
  return Cancellable(Context(NodePtr(node)), Cancel(Context(NodePtr(node))));
}

Cancellable with_timeout(const Context& parent, Duration timeout, error_code cause) {
  return with_deadline(parent, later(Loop::current().now(), timeout), cause);
}

Context with_value_erased(const Context& parent, const void* key, std::shared_ptr<const void> value) {
  NodePtr node(new ContextNode(parent.node_, 1));
  node->state_ = parent.node_ ? parent.node_->state() : nullptr;
  node->key_ = key;
  node->value_ = std::move(value);
  return Context(std::move(node));
}

Context without_cancel(const Context& parent) {
  return parent.node_ ? Context(NodePtr(new ContextNode(parent.node_, 1))) : parent;
}

}  // namespace sluice::concurrency
