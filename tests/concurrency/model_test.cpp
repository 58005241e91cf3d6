// Random operations on a Semaphore and a Channel beside simple models of what Go would do.
#include "concurrency/channel.hpp"
#include "concurrency/context.hpp"
#include "concurrency/semaphore.hpp"
#include "concurrency/virtual_time.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::concurrency {
namespace {

using boost::system::error_code;

// --------------------------------- Semaphore: weights, waits given up, trying

struct Asked {
  std::int64_t units = 0;
  std::optional<Cancellable> ctx;
  std::optional<Spawned<Result<>>> real;
  enum : std::uint8_t { waits, holds, gave_up, gave_back } is = waits;
};

TEST(SemaphoreModel, GrantsInOrderWhateverTheWeightsAndWhoGivesUp) {
  constexpr std::int64_t kCapacity = 7;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    VirtualTime time(seed);
    Random random(seed);
    Semaphore semaphore(kCapacity);
    std::deque<Asked> all;
    std::int64_t held = 0;
    const auto admit = [&] {
      for (Asked& asked : all) {
        if (asked.is != Asked::waits || asked.units > kCapacity) continue;  // too much stands in nobody's way
        if (asked.units > kCapacity - held) return;
        held += asked.units;
        asked.is = Asked::holds;
      }
    };
    const auto somebody_waits = [&] {
      return std::any_of(all.begin(), all.end(),
                         [](const Asked& a) { return a.is == Asked::waits && a.units <= kCapacity; });
    };
    for (int step = 0; step < 300; ++step) {
      const std::uint32_t what = random.below(10);
      const std::int64_t units = random.below(kCapacity + 2);
      if (what <= 4) time.settle();
      if (what < 4) {
        Asked& asked = all.emplace_back();
        asked.units = units;
        asked.ctx.emplace(with_cancel(Context()));
        asked.real.emplace(time.spawn(semaphore.acquire(asked.ctx->ctx, units)));
        admit();
      } else if (what == 4) {
        const bool expected = !somebody_waits() && units <= kCapacity - held;
        ASSERT_EQ(semaphore.try_acquire(units), expected) << "seed " << seed << " step " << step;
        if (expected) {
          held += units;
          all.emplace_back().units = units;
          all.back().is = Asked::holds;
        }
      } else if (!all.empty()) {
        Asked& asked = all[random.below(static_cast<std::uint32_t>(all.size()))];
        if (what < 7 && asked.is == Asked::waits) {
          asked.ctx->cancel();
          asked.is = Asked::gave_up;
          admit();
        } else if (asked.is == Asked::holds) {
          semaphore.release(asked.units);
          held -= asked.units;
          asked.is = Asked::gave_back;
          admit();
        }
      }
      // Not always: what is given up and given back within one turn must come to the same.
      if (what > 4 && random.below(2) == 0) continue;
      time.settle();
      for (std::size_t i = 0; i < all.size(); ++i) {
        if (!all[i].real) continue;
        ASSERT_EQ(all[i].real->done(), all[i].is != Asked::waits) << "seed " << seed << " step " << step << " #" << i;
      }
    }
    for (Asked& asked : all) {
      if (asked.is == Asked::waits) asked.ctx->cancel();
    }
    for (Asked& asked : all) {
      if (asked.is == Asked::holds) semaphore.release(asked.units);
    }
    time.settle();
    for (Asked& asked : all) {
      const bool granted = asked.is == Asked::holds || asked.is == Asked::gave_back;
      if (asked.real) {
        EXPECT_EQ(asked.real->get().has_value(), granted);
      }
    }
  }
}

// --------------------------------- Channel: a queue and two lines

struct Op {
  Op(bool s, int v) : sends(s), value(v) {}
  const bool sends;
  const int value;
  std::optional<Cancellable> ctx;
  std::optional<Spawned<Result<>>> sent;
  std::optional<Spawned<Result<int>>> received;
  bool waits = true;
  error_code error;
  int got = 0;
};

class ChannelModel {
 public:
  explicit ChannelModel(std::size_t capacity) : capacity_(capacity) {}

  void start(Op& op) {
    line_.push_back(&op);
    if (closed_ && op.sends) end(op, Error::closed);
    match();
  }
  void cancel(Op& op) {
    if (op.waits) end(op, Error::canceled);
    match();
  }
  void close() {
    closed_ = true;
    for (Op* op : line_) {
      if (op->waits && op->sends) end(*op, Error::closed);
    }
    match();
  }
  [[nodiscard]] bool is_closed() const { return closed_; }
  [[nodiscard]] std::size_t size() const { return buffer_.size(); }
  [[nodiscard]] bool would_send() { return buffer_.size() < capacity_ || first(false) != nullptr; }
  [[nodiscard]] bool would_receive() { return !buffer_.empty() || first(true) != nullptr; }

 private:
  static void end(Op& op, error_code error) {
    op.waits = false;
    op.error = error;
  }
  Op* first(bool sends) {
    for (Op* op : line_) {
      if (op->waits && op->sends == sends) return op;
    }
    return nullptr;
  }
  void match() {
    for (;;) {
      Op* const sender = first(true);
      Op* const receiver = first(false);
      if (receiver != nullptr && !buffer_.empty()) {
        receiver->got = buffer_.front();
        buffer_.pop_front();
        end(*receiver, {});
      } else if (sender != nullptr && buffer_.size() < capacity_) {
        buffer_.push_back(sender->value);
        end(*sender, {});
      } else if (sender != nullptr && receiver != nullptr && capacity_ == 0) {
        receiver->got = sender->value;
        end(*sender, {});
        end(*receiver, {});
      } else if (receiver != nullptr && closed_) {
        end(*receiver, Error::closed);
      } else {
        return;
      }
    }
  }

  std::size_t capacity_;
  bool closed_ = false;
  std::deque<int> buffer_;
  std::vector<Op*> line_;
};

void expect_like_model(Op& op, const std::string& where) {
  const bool done = op.sends ? op.sent->done() : op.received->done();
  ASSERT_EQ(done, !op.waits) << where;
  if (!done) return;
  if (op.sends) {
    const Result<> result = op.sent->get();
    ASSERT_EQ(result.has_error() ? result.error() : error_code(), op.error) << where;
    return;
  }
  const Result<int> result = op.received->get();
  ASSERT_EQ(result.has_error() ? result.error() : error_code(), op.error) << where;
  if (result) {
    ASSERT_EQ(*result, op.got) << where;
  }
}

TEST(ChannelModel, RandomOperationsComeToTheSame) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    VirtualTime time(seed);
    Random random(seed);
    const std::size_t capacity = random.below(4);
    Channel<int> channel(capacity);
    ChannelModel model(capacity);
    std::deque<Op> ops;
    std::deque<Op> tried_ops;
    for (int step = 0; step < 250; ++step) {
      const std::string where = "seed " + std::to_string(seed) + " step " + std::to_string(step);
      const std::uint32_t what = random.below(40);
      if (what < 26) {
        Op& op = ops.emplace_back(what < 13, step);
        op.ctx.emplace(with_cancel(Context()));
        if (op.sends) {
          op.sent.emplace(time.spawn(channel.send(op.ctx->ctx, step)));
        } else {
          op.received.emplace(time.spawn(channel.receive(op.ctx->ctx)));
        }
        model.start(op);
      } else if (what < 32 && !ops.empty()) {
        Op& op = ops[random.below(static_cast<std::uint32_t>(ops.size()))];
        op.ctx->cancel();
        model.cancel(op);
      } else if (what < 35) {
        const Result<bool> tried = channel.try_send(step);
        ASSERT_EQ(tried.has_error(), model.is_closed()) << where;
        if (tried) {
          ASSERT_EQ(*tried, model.would_send()) << where;
          if (*tried) model.start(tried_ops.emplace_back(true, step));
        }
      } else if (what < 38) {
        const Result<std::optional<int>> tried = channel.try_receive();
        ASSERT_EQ(tried.has_error(), model.is_closed() && !model.would_receive()) << where;
        if (tried) {
          ASSERT_EQ(tried->has_value(), model.would_receive()) << where;
          if (tried->has_value()) {
            Op& op = tried_ops.emplace_back(false, step);
            model.start(op);
            ASSERT_EQ(**tried, op.got) << where;
          }
        }
      } else if (step > 200 && what == 39) {
        ASSERT_EQ(channel.close().has_error(), model.is_closed()) << where;
        if (!model.is_closed()) model.close();
      }
      time.settle();
      ASSERT_EQ(channel.size(), model.size()) << where;
      for (Op& op : ops) ASSERT_NO_FATAL_FAILURE(expect_like_model(op, where));
    }
    for (Op& op : ops) op.ctx->cancel();
    time.settle();
  }
}

}  // namespace
}  // namespace sluice::concurrency
