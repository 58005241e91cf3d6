// Context: a deadline, a cancellation and values, carried through everything that may wait.
#pragma once

#include "concurrency/clock.hpp"
#include "concurrency/error.hpp"
#include "concurrency/task.hpp"

#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include <boost/system/error_code.hpp>

namespace sluice::concurrency {

class Cancel;
class Context;
struct Cancellable;

namespace detail {

class ContextNode;
class AfterFunc;
void add_ref(ContextNode* node) noexcept;
void release(ContextNode* node) noexcept;

/// A counted pointer to a node of the tree; null is the background context.
class NodePtr {
 public:
  NodePtr() = default;
  /// Adopts one reference.
  explicit NodePtr(ContextNode* node) : node_(node) {}
  NodePtr(const NodePtr& other) noexcept : node_(other.node_) {
    if (node_ != nullptr) add_ref(node_);
  }
  NodePtr(NodePtr&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  NodePtr& operator=(NodePtr other) noexcept {
    std::swap(node_, other.node_);
    return *this;
  }
  ~NodePtr() {
    if (node_ != nullptr) release(node_);
  }
  [[nodiscard]] ContextNode* get() const { return node_; }
  ContextNode* operator->() const { return node_; }
  explicit operator bool() const { return node_ != nullptr; }
  /// Gives the reference up to the caller.
  [[nodiscard]] ContextNode* detach() noexcept { return std::exchange(node_, nullptr); }

 private:
  ContextNode* node_ = nullptr;
};

template <class Key>
inline constexpr char key_address = 0;

/// Something to be told when a context is done. Linked into its node, which somebody else keeps alive meanwhile.
class ContextWaiter {
 public:
  ContextWaiter() = default;
  ContextWaiter(const ContextWaiter&) = delete;
  ContextWaiter& operator=(const ContextWaiter&) = delete;

  /// False if the context is done already: then `notify` is not called.
  bool subscribe(const Context& ctx);
  /// Afterwards `notify` neither runs nor will. Returns false if it ran, or was chosen to run, before.
  bool unsubscribe() noexcept;

 protected:
  ~ContextWaiter() = default;
  /// Whether `notify` is ever to be expected: not so for a context that can never be done.
  [[nodiscard]] bool may_be_notified() const { return node_ != nullptr; }

 private:
  friend class ContextNode;
  /// Called once at most, under the node's lock, on the thread that cancels: only marks and posts.
  virtual void notify() noexcept = 0;

  ContextNode* node_ = nullptr;
  ContextWaiter* next_ = nullptr;
  ContextWaiter* previous_ = nullptr;
  bool linked_ = false;
};

}  // namespace detail

/// A cheap handle, passed by value as the first parameter of what may wait. *any thread*
///
/// Contexts form a tree: a child is done when its parent is, and its deadline is never later than its parent's.
/// Deadlines belong to the loop on whose thread they were made.
class Context {
 public:
  /// The root: never done, no deadline, no values.
  Context() = default;
  static Context background() { return {}; }

  [[nodiscard]] bool is_done() const noexcept { return node_ && node_is_done(); }
  /// No error while not done, then Error::canceled or Error::deadline_exceeded.
  [[nodiscard]] boost::system::error_code err() const noexcept;
  /// What the one who cancelled gave as cause; without one the same as err().
  [[nodiscard]] boost::system::error_code cause() const noexcept;
  [[nodiscard]] std::optional<TimePoint> deadline() const noexcept;
  /// What is left until the deadline (never negative), seen from the current loop; empty without a deadline.
  [[nodiscard]] std::optional<Duration> remaining() const;

  /// Ends when the context is done. In a select use `when_done(ctx)`.
  [[nodiscard]] Task<> done() const { return wait_until_done(*this); }

  /// The value set for `Key` (a type with a member type `value_type`) by the nearest with_value; null if there is none.
  template <class Key>
  [[nodiscard]] const typename Key::value_type* value() const noexcept {
    return static_cast<const typename Key::value_type*>(find_value(&detail::key_address<Key>));
  }

  friend bool operator==(const Context& a, const Context& b) { return a.node_.get() == b.node_.get(); }

 private:
  friend class Cancel;
  friend class detail::ContextNode;
  friend class detail::ContextWaiter;
  friend Cancellable with_deadline(const Context&, TimePoint, boost::system::error_code);
  friend Context with_value_erased(const Context&, const void*, std::shared_ptr<const void>);
  friend Context without_cancel(const Context&);

  explicit Context(detail::NodePtr node) : node_(std::move(node)) {}
  [[nodiscard]] bool node_is_done() const noexcept;
  static Task<> wait_until_done(Context ctx);
  [[nodiscard]] const void* find_value(const void* key) const noexcept;

  detail::NodePtr node_;
};

/// Cancels a context, from any thread, any number of times; the first counts. Destroying it cancels, too.
class Cancel {
 public:
  Cancel() = default;
  Cancel(Cancel&&) noexcept = default;
  Cancel& operator=(Cancel&& other) noexcept {
    if (this != &other) {
      (*this)();
      ctx_ = std::move(other.ctx_);
    }
    return *this;
  }
  ~Cancel();

  /// All descendants are done when this returns, also if another thread cancels at the same time. `cause` is what
  /// cause() tells; none: the same as err().
  void operator()(boost::system::error_code cause = {}) const noexcept;

 private:
  friend Cancellable with_deadline(const Context&, TimePoint, boost::system::error_code);
  explicit Cancel(Context ctx) : ctx_(std::move(ctx)) {}

  Context ctx_;
};

/// `auto [ctx, cancel] = with_cancel(parent);`
struct Cancellable {
  Cancellable(Context c, Cancel f) : ctx(std::move(c)), cancel(std::move(f)) {}
  Context ctx;
  Cancel cancel;
};

[[nodiscard]] Cancellable with_cancel(const Context& parent);
/// Done with Error::deadline_exceeded (and `cause`, if given) at `deadline`, or when the parent is. Needs a current
/// Loop.
[[nodiscard]] Cancellable with_deadline(const Context& parent, TimePoint deadline,
                                        boost::system::error_code cause = {});
[[nodiscard]] Cancellable with_timeout(const Context& parent, Duration timeout, boost::system::error_code cause = {});

/// Go's names for the same: here each Cancel takes a cause, and each deadline may have one.
[[nodiscard]] inline Cancellable with_cancel_cause(const Context& parent) {
  return with_cancel(parent);
}
[[nodiscard]] inline Cancellable with_deadline_cause(const Context& parent, TimePoint deadline,
                                                     boost::system::error_code cause) {
  return with_deadline(parent, deadline, cause);
}
[[nodiscard]] inline Cancellable with_timeout_cause(const Context& parent, Duration timeout,
                                                    boost::system::error_code cause) {
  return with_timeout(parent, timeout, cause);
}

[[nodiscard]] Context with_value_erased(const Context& parent, const void* key, std::shared_ptr<const void> value);
/// A child that carries `value`; it shadows the parent's value of the same Key.
template <class Key>
[[nodiscard]] Context with_value(const Context& parent, typename Key::value_type value) {
  return with_value_erased(parent, &detail::key_address<Key>,
                           std::make_shared<const typename Key::value_type>(std::move(value)));
}
/// The parent's values without its cancellation and deadline.
[[nodiscard]] Context without_cancel(const Context& parent);

/// Stops an after_func. Dropping it stops nothing. *any thread*
class Stop {
 public:
  explicit Stop(std::shared_ptr<detail::AfterFunc> func) : func_(std::move(func)) {}
  /// True if this call kept the function from running; false if it has run, is about to, was stopped before, or if
  /// this was moved from.
  bool operator()() const noexcept;

 private:
  std::shared_ptr<detail::AfterFunc> func_;
};

/// Calls `f()` once `ctx` is done, on the loop that is current now, in a turn of its own (also if `ctx` is done
/// already). That loop must live until then, or until stopped. `f` may be move-only and must not throw.
template <class F>
Stop after_func(const Context& ctx, F f);

namespace detail {

/// Keeps itself alive for as long as it waits.
class AfterFunc : public ContextWaiter {
 public:
  virtual ~AfterFunc() = default;
  static void start(const std::shared_ptr<AfterFunc>& self, const Context& ctx);
  bool stop() noexcept;

 protected:
  AfterFunc();

 private:
  virtual void run() = 0;
  void notify() noexcept override;

  Executor executor_;
  std::atomic<bool> stopped_{false};
  Context ctx_;
  std::shared_ptr<AfterFunc> self_;
};

template <class F>
class AfterFuncOf final : public AfterFunc {
 public:
  explicit AfterFuncOf(F f) : f_(std::move(f)) {}

 private:
  void run() override { f_(); }
  F f_;
};

}  // namespace detail

template <class F>
Stop after_func(const Context& ctx, F f) {
  auto func = std::make_shared<detail::AfterFuncOf<F>>(std::move(f));
  detail::AfterFunc::start(func, ctx);
  return Stop(std::move(func));
}

}  // namespace sluice::concurrency
