// A random tree of contexts beside a simple model of what Go would do.
#include "concurrency/context.hpp"
#include "concurrency/virtual_time.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::concurrency {
namespace {

using namespace std::chrono_literals;
using boost::system::error_code;

struct Number {
  using value_type = int;
};

struct ModelNode {
  std::size_t parent = 0;  // 0 is the background
  bool follows = true;     // without_cancel does not
  bool can_end = false;    // made by with_cancel or with_deadline
  std::optional<TimePoint> deadline;
  error_code deadline_cause;
  std::optional<int> value;
  error_code err;
  error_code cause;
};

class ContextModel {
 public:
  ContextModel() : nodes_(1) {}

  std::size_t add(ModelNode node, TimePoint now) {
    const ModelNode& parent = nodes_[node.parent];
    if (node.follows) {
      if (!node.deadline || (parent.deadline && *parent.deadline <= *node.deadline)) {
        node.deadline = parent.deadline;
        node.deadline_cause = parent.deadline_cause;
      }
      node.err = parent.err;
      node.cause = parent.cause;
    }
    nodes_.push_back(node);
    fire(now);
    return nodes_.size() - 1;
  }

  void cancel(std::size_t i, error_code err, error_code cause) {
    if (nodes_[i].err || !nodes_[i].can_end) return;
    nodes_[i].err = err;
    nodes_[i].cause = cause ? cause : err;
    for (std::size_t child = i + 1; child < nodes_.size(); ++child) {  // a child comes after its parent
      ModelNode& node = nodes_[child];
      const ModelNode& parent = nodes_[node.parent];
      if (!node.follows || node.err || !parent.err) continue;
      node.err = parent.err;
      node.cause = parent.cause;
    }
  }

  void fire(TimePoint now) {
    for (;;) {
      std::size_t next = 0;
      for (std::size_t i = 1; i < nodes_.size(); ++i) {
        const ModelNode& node = nodes_[i];
        if (!node.can_end || node.err || !node.deadline || *node.deadline > now) continue;
        if (next == 0 || *node.deadline < *nodes_[next].deadline) next = i;
      }
      if (next == 0) return;
      cancel(next, Error::deadline_exceeded, nodes_[next].deadline_cause);
    }
  }

  [[nodiscard]] std::optional<int> value(std::size_t i) const {
    for (; i != 0; i = nodes_[i].parent) {
      if (nodes_[i].value) return nodes_[i].value;
    }
    return std::nullopt;
  }
  [[nodiscard]] const ModelNode& at(std::size_t i) const { return nodes_[i]; }

 private:
  std::vector<ModelNode> nodes_;
};

struct RealNode {
  explicit RealNode(Context c) : ctx(std::move(c)) {}
  explicit RealNode(Cancellable made) : ctx(std::move(made.ctx)), cancel(std::move(made.cancel)) {}
  Context ctx;
  std::optional<Cancel> cancel;
  std::shared_ptr<int> ran = std::make_shared<int>(0);  // how often its after_func ran
  std::optional<Stop> stop;
  bool stopped = false;
};

void expect_like_model(const RealNode& real, const ContextModel& model, std::size_t i, const std::string& where) {
  const ModelNode& node = model.at(i);
  ASSERT_EQ(real.ctx.err(), node.err) << where << " node " << i;
  ASSERT_EQ(real.ctx.cause(), node.cause) << where << " node " << i;
  ASSERT_EQ(real.ctx.is_done(), static_cast<bool>(node.err)) << where << " node " << i;
  ASSERT_EQ(real.ctx.deadline(), node.deadline) << where << " node " << i;
  const int* const value = real.ctx.value<Number>();
  ASSERT_EQ(value != nullptr ? std::optional(*value) : std::nullopt, model.value(i)) << where << " node " << i;
  if (real.stop) {
    ASSERT_EQ(*real.ran, node.err && !real.stopped ? 1 : 0) << where << " node " << i;
  }
}

TEST(ContextModel, ARandomTreeEndsAsGosWould) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    VirtualTime time(seed);
    Random random(seed);
    ContextModel model;
    std::vector<RealNode> real;
    real.emplace_back(Context());
    for (int step = 0; step < 200; ++step) {
      const auto i = static_cast<std::size_t>(random.below(static_cast<std::uint32_t>(real.size())));
      const error_code cause(static_cast<int>(random.below(3)), boost::system::generic_category());  // 0: none
      ModelNode node;
      node.parent = i;
      std::optional<RealNode> made;
      switch (random.below(10)) {
        case 0:
        case 1: {
          node.can_end = true;
          made.emplace(with_cancel(real[i].ctx));
          break;
        }
        case 2:
        case 3: {
          node.can_end = true;
          node.deadline = time.now() + (static_cast<int>(random.below(40)) - 3) * 1ms;
          node.deadline_cause = cause;
          made.emplace(with_deadline(real[i].ctx, *node.deadline, cause));
          break;
        }
        case 4:
          node.value = step;
          made.emplace(with_value<Number>(real[i].ctx, step));
          break;
        case 5:
          node.follows = false;
          made.emplace(without_cancel(real[i].ctx));
          break;
        case 6:
          if (real[i].cancel) {
            (*real[i].cancel)(cause);
            model.cancel(i, Error::canceled, cause);
          }
          break;
        case 7:
          if (real[i].stop && !real[i].stopped) real[i].stopped = (*real[i].stop)();
          break;
        default:
          time.advance(random.below(5) * 1ms);
          model.fire(time.now());
          break;
      }
      if (made) {
        model.add(node, time.now());
        if (random.below(2) == 0) {
          made->stop.emplace(after_func(made->ctx, [ran = made->ran] { ++*ran; }));
        }
        real.push_back(std::move(*made));
      }
      time.settle();
      const std::string where = "seed " + std::to_string(seed) + " step " + std::to_string(step);
      for (std::size_t n = 0; n < real.size(); ++n)
        ASSERT_NO_FATAL_FAILURE(expect_like_model(real[n], model, n, where));
    }
    while (!real.empty()) real.pop_back();
    time.settle();
    EXPECT_FALSE(time.loop().next_timer().has_value()) << "a timer is left";
  }
}

}  // namespace
}  // namespace sluice::concurrency
