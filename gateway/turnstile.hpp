// Who asks a backend for what several want, while the others wait for it to be stored.
#pragma once

#include "concurrency/clock.hpp"
#include "concurrency/context.hpp"
#include "concurrency/loop.hpp"
#include "concurrency/select.hpp"
#include "concurrency/task.hpp"

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

namespace sluice::gateway {

/// One turn a key at a time, which a newer one takes over from when it is too old. Outlives its turns. *one worker*
class Turnstile {
 public:
  /// The right to ask for others, too. Its end wakes those who wait.
  class Turn {
   public:
    ~Turn() {
      const auto found = turnstile_.by_key_.find(key_);
      const bool is_there = found != turnstile_.by_key_.end();
      if (is_there && found->second != state_)
        found->second->news.reset();  // it was overtaken, and may bring what they want
      if (is_there && found->second == state_) turnstile_.by_key_.erase(found);
      state_->news.reset();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    /// There will be nothing for the others: they need not wait for each other either.
    void is_in_vain() { state_->is_in_vain = true; }

   private:
    friend class Turnstile;
    struct State {
      std::optional<concurrency::Cancellable> news;  // of those who wait now: its end wakes them
      const concurrency::TimePoint since = concurrency::Loop::current().now();
      bool is_in_vain = false;
    };
    Turn(Turnstile& turnstile, std::string key, std::shared_ptr<State> state)
        : turnstile_(turnstile), key_(std::move(key)), state_(std::move(state)) {}

    Turnstile& turnstile_;
    const std::string key_;
    const std::shared_ptr<State> state_;
  };

  /// Null if somebody has the turn of `key`, and for less than `longest`.
  [[nodiscard]] std::unique_ptr<Turn> take(const std::string& key, concurrency::Duration longest) {
    std::shared_ptr<Turn::State>& place = by_key_[key];
    if (place != nullptr && concurrency::Loop::current().now() - place->since < longest) return nullptr;
    place = std::make_shared<Turn::State>();
    return std::unique_ptr<Turn>(new Turn(*this, key, place));
  }

  /// Ends with the turn of `key` (at once without one) or one that it took over from, when it has lasted `longest`, or
  /// with `ctx`. False: it was in vain.
  [[nodiscard]] concurrency::Task<bool> wait(const concurrency::Context& ctx, std::string key,
                                             concurrency::Duration longest) const {
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) co_return true;
    const std::shared_ptr<Turn::State> state = found->second;
    const auto left = state->since + longest - concurrency::Loop::current().now();
    if (!state->news) state->news.emplace(concurrency::with_cancel(concurrency::Context()));
    const concurrency::Context news = state->news->ctx;
    (void)co_await concurrency::select(concurrency::when_done(news), concurrency::when_done(ctx),
                                       concurrency::after(left));
    co_return !state->is_in_vain;
  }

 private:
  std::unordered_map<std::string, std::shared_ptr<Turn::State>> by_key_;
};

}  // namespace sluice::gateway
