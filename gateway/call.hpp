// One call of one request: from its template to a fragment of the reply.
#pragma once

#include "backends/request.hpp"
#include "concurrency/channel.hpp"
#include "concurrency/context.hpp"
#include "concurrency/detail/recycled.hpp"
#include "gateway/ask.hpp"
#include "gateway/cache_control.hpp"
#include "gateway/call_request.hpp"
#include "gateway/incoming.hpp"
#include "gateway/json_shape.hpp"
#include "gateway/outcome.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::gateway {

/// Why a call that others need has no data, or not the value that they need.
struct RootCause {
  RootCause(backends::Reason r, unsigned s) : reason(r), status(s) {}

  backends::Reason reason;
  unsigned status;  // of the reason `status`
};

/// What a call with `for_each` made of the elements.
struct Elements {
  Elements() = default;

  std::size_t count = 0;    // for which a call was made
  std::size_t missing = 0;  // of those
  bool is_cut = false;      // there were more than `max`
};

/// What a call contributes to the reply, and what the reply says of it.
struct Fragment {
  Fragment() = default;

  Outcome outcome = Outcome::skipped;
  std::optional<backends::Reason> reason;  // of stale, fallback and missing
  unsigned status = 0;                     // what the backend answered (or had, when it was stored); 0: nothing
  concurrency::Duration took{0};
  std::optional<concurrency::Duration> age;            // of stored data, since its origin made it
  std::optional<concurrency::TimePoint> usable_until;  // of stale data
  std::optional<concurrency::Duration> fresh_for;      // what is left of its ttl, if it has one
  std::string_view bytes;  // the body: for a merge its JSON value; lives as long as the fragment and the runtime
  std::unique_ptr<Shaped> shaped;     // what a merge takes of `bytes`; null: all of it
  std::string media_type;             // of `first`
  std::string headers;                // of the response, those that the reply takes (header_lines.hpp)
  std::shared_ptr<const void> owner;  // of `bytes`
  std::optional<RootCause> root;      // of the reason `dependency`; none: what the client sent
  std::optional<Elements> elements;   // of a call with `for_each`

  [[nodiscard]] bool has_data() const {
    return outcome == Outcome::fresh || outcome == Outcome::cached || outcome == Outcome::stale ||
           outcome == Outcome::fallback;
  }
  /// Why it is not fresh; nothing if all that was wrong is what the client sent.
  [[nodiscard]] std::optional<RootCause> root_cause() const;
};

class Call;
using Calls = std::vector<Call, concurrency::detail::Recycled<Call>>;

/// *one worker*. Must live, where it is, until fetch() has ended.
class Call {
 public:
  Call(const CallPlan& plan, const Incoming& incoming)
      : plan_(plan), incoming_(incoming), awaited_(plan.inputs.size()) {}
  /// For one element of an array: `item` is its JSON.
  Call(const CallPlan& plan, const Incoming& incoming, std::string_view item)
      : plan_(plan), incoming_(incoming), item_(item) {}
  Call(Call&&) = default;
  Call& operator=(const Call&) = delete;

  /// Gets the data from the backend, or what is stored while it may be used without asking; true if that gave any.
  /// Otherwise the failure stands in fragment().reason, and degrade() decides what takes its place.
  /// Ends at the latest when `ctx` is done. `calls` are all of the endpoint; those that it needs have ended.
  concurrency::Task<bool> fetch(const concurrency::Context& ctx, const Calls* calls);

  /// To be told once of each call that it needs; true when that was the last, and fetch() may begin.
  [[nodiscard]] bool input_ended() { return --awaited_ == 0; }

  /// After a fetch that failed: stale data, else the fallback, else nothing. Large stale data that could not be shaped
  /// in the time there was is not used.
  void degrade();

  /// In place of a fetch that threw.
  void fail(backends::Reason reason);

  /// In place of a fetch by whoever got the data in another way.
  void settle(Fragment fragment) { fragment_ = std::move(fragment); }

  // For a proxied request, which is not fetched: its parts in its own order.

  /// Looks up what is stored for `made`; again, if that may have changed.
  void look_up(CallRequest made);
  /// Makes what is stored the data of the call, if that may be done without asking.
  [[nodiscard]] bool use_stored_without_asking();
  /// Whether what is stored may stand in for an answer at the time `when`.
  [[nodiscard]] bool may_replace_errors(concurrency::TimePoint when) const;
  /// Asks, but takes what is stored after `stale_after`. As fetch().
  [[nodiscard]] concurrency::Task<bool> fetch_or_be_slow(const concurrency::Context& ctx);
  [[nodiscard]] Question question() const;
  /// What is stored was found unchanged: it is the data, and fresh.
  void renew();
  /// What is stored; null: nothing.
  [[nodiscard]] const std::shared_ptr<const StaleEntry>& stored() const { return stored_; }
  /// Of fetch_or_be_slow(), if the data is fresh.
  [[nodiscard]] const CallAnswerPtr& answer() const { return answer_; }
  [[nodiscard]] const CacheWish& wish() const { return wish_; }

  [[nodiscard]] Fragment take_fragment() { return std::move(fragment_); }

  /// The endpoint has no more use for the call: it was cancelled, or has not begun. One that has failed stays so.
  void skip();

  /// The reply is written: gives back bit by bit what the data was shaped to; true when there is none left.
  [[nodiscard]] bool release(Quantum& quantum) { return !fragment_.shaped || fragment_.shaped->release(quantum); }

  /// Counts the outcome. Call once, when it is final.
  void count() const;

  [[nodiscard]] const CallPlan& plan() const { return plan_; }
  [[nodiscard]] const Fragment& fragment() const { return fragment_; }

 private:
  /// What pointers into large JSON lead to.
  using Found = std::vector<std::pair<const JsonPointer*, std::optional<std::string_view>>>;
  /// Stored data that is large, and is shaped while the backend is asked.
  struct StoredShape;

  [[nodiscard]] bool needs_search(const Calls& calls) const;
  [[nodiscard]] concurrency::Task<bool> search(const concurrency::Context& ctx, const Calls* calls, Found* found);
  [[nodiscard]] bool prepare(const Calls& calls, const Found& found);
  [[nodiscard]] concurrency::Task<> check_stored(const concurrency::Context& ctx);
  void shape_stored(const concurrency::Context& ctx);
  static concurrency::Task<> run_shaping(concurrency::Context ctx, std::shared_ptr<StoredShape> stored);
  [[nodiscard]] concurrency::Task<bool> finish(const concurrency::Context& ctx, bool succeeded);
  [[nodiscard]] bool lacks(std::optional<RootCause> root);
  [[nodiscard]] bool is_late(const concurrency::Context& ctx);
  [[nodiscard]] bool is_for_each() const { return plan_.array && item_.empty(); }
  [[nodiscard]] concurrency::Task<bool> fetch_each(concurrency::Context ctx, const Calls* calls);
  bool join(const std::shared_ptr<const Calls>& parts, bool is_cut);
  [[nodiscard]] std::shared_ptr<const StaleEntry> find_stored(concurrency::TimePoint now) const;
  [[nodiscard]] bool suits_the_client() const;
  bool take(const CallAnswer& answer);
  bool use_stored(Outcome outcome);
  bool use(std::string_view bytes, const JsonShape& shape);
  static concurrency::Task<> ask_for(concurrency::Context ctx, Question what,
                                     concurrency::Channel<CallAnswerPtr> answer,
                                     std::shared_ptr<const concurrency::Cancel> cancel);

  const CallPlan& plan_;
  const Incoming& incoming_;
  std::string_view item_;    // empty: none
  std::size_t awaited_ = 0;  // calls that it needs and that have not ended
  std::shared_ptr<const backends::Request> request_;
  std::string key_;  // empty: nothing is stored
  CacheWish wish_;   // of the client, if it counts
  std::shared_ptr<const StaleEntry> stored_;
  CallAnswerPtr answer_;
  Freshness standing_ = Freshness::expired;  // of `stored_`, when the call began
  std::shared_ptr<StoredShape> stored_shape_;
  const JsonShape* unshaped_ = nullptr;  // what finish() has still to do with the data of the fragment
  concurrency::TimePoint start_{};
  Fragment fragment_;
};

/// What is stored and large, shaped while the backend is asked.
struct Call::StoredShape {
  StoredShape(std::shared_ptr<const StaleEntry> e, std::shared_ptr<const Deployment> d, const CallPlan& p)
      : entry(std::move(e)), deployment(std::move(d)), plan(p) {}

  const std::shared_ptr<const StaleEntry> entry;
  const std::shared_ptr<const Deployment> deployment;  // keeps `plan`
  const CallPlan& plan;
  std::unique_ptr<Shaped> shaped = std::make_unique<Shaped>();
  bool is_over = false;
  bool is_done = false;  // and it could be shaped
};

}  // namespace sluice::gateway
