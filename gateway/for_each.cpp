// One call for each element of an array.
#include "concurrency/errgroup.hpp"
#include "concurrency/loop.hpp"
#include "gateway/call.hpp"
#include "gateway/json_walk.hpp"
#include "gateway/log.hpp"
#include "gateway/turns.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace sluice::gateway {
namespace {

using backends::Reason;
using concurrency::Context;
using concurrency::Duration;
using concurrency::Task;

/// The elements' calls. *one worker*
struct Running {
  Running(Calls& p, const Calls* c, std::size_t room) : parts(p), calls(c), room_bytes(room) {}

  Calls& parts;
  const Calls* calls;  // of the endpoint
  std::size_t next = 0;
  std::size_t room_bytes;  // for data
};

/// Makes one call after the other, as long as there are any.
Task<> run(Context ctx, Running* running) {
  while (running->next < running->parts.size()) {
    Call& part = running->parts[running->next++];
    bool succeeded = false;
    try {
      succeeded = co_await part.fetch(ctx, running->calls);
    } catch (const std::exception& e) {
      log_error("call " + part.plan().config.name + ": " + e.what());
      part.fail(Reason::invalid);
    }
    if (!succeeded) part.degrade();
    const std::size_t size = part.fragment().bytes.size();
    if (size > running->room_bytes) {
      part.fail(Reason::too_large);
    } else {
      running->room_bytes -= size;
    }
  }
}

/// Finds the elements, at most `max`, bit by bit.
class ItemSearch {
 public:
  ItemSearch(const JsonPointer& pointer, std::string_view json, std::size_t max) : search_(pointer, json), max_(max) {}

  [[nodiscard]] bool run(Quantum& quantum) {
    if (!search_.run(quantum)) return false;
    if (!walk_) {
      is_array_ = search_.found() && kind_of(*search_.found()) == JsonKind::array;
      walk_.emplace(is_array_ ? *search_.found() : std::string_view());
    }
    for (;;) {
      const JsonWalk::Step step = walk_->step(quantum);
      if (step == JsonWalk::Step::pause) return false;
      is_cut_ = step == JsonWalk::Step::item && items_.size() == max_;
      if (step == JsonWalk::Step::end || is_cut_) return true;
      items_.push_back(walk_->value());
    }
  }
  [[nodiscard]] bool is_array() const { return is_array_; }
  [[nodiscard]] bool is_cut() const { return is_cut_; }
  [[nodiscard]] const std::vector<std::string_view>& items() const { return items_; }

 private:
  JsonSearch search_;
  std::size_t max_;
  std::optional<JsonWalk> walk_;
  bool is_array_ = false;
  bool is_cut_ = false;  // there are more
  std::vector<std::string_view> items_;
};

/// Writes the array of what the elements' calls gave, bit by bit, and what a merge takes of it.
class ArrayWriter {
 public:
  ArrayWriter(std::shared_ptr<const Calls> parts, bool is_shaped) : parts_(std::move(parts)) {
    std::size_t size = 2;
    for (const Call& part : *parts_) size += part.fragment().bytes.size() + kNull.size() + 1;
    body_->reserve(size);
    if (is_shaped) shaped_ = std::make_unique<Shaped>();
  }

  [[nodiscard]] bool run(Quantum& quantum) {
    for (; next_ < parts_->size(); ++next_) {
      if (quantum.is_spent()) return false;
      const Fragment& fragment = (*parts_)[next_].fragment();
      const std::string_view comma = next_ == 0 ? "[" : ",";
      const std::string_view bytes = fragment.has_data() ? fragment.bytes : kNull;
      body_->append(comma).append(bytes);
      quantum.spend(bytes.size() + Quantum::kStep);
      if (!shaped_) continue;
      shaped_->slices.push_back(comma);
      if (fragment.shaped) {
        shaped_->slices.insert(shaped_->slices.end(), fragment.shaped->slices.begin(), fragment.shaped->slices.end());
      } else {
        shaped_->slices.push_back(bytes);
      }
    }
    return true;
  }
  void finish(Fragment& whole) {
    const std::string_view end = parts_->empty() ? "[]" : "]";
    *body_ += end;
    if (shaped_) shaped_->slices.push_back(end);
    whole.bytes = *body_;
    whole.shaped = std::move(shaped_);
    whole.owner = std::make_shared<std::pair<decltype(body_), decltype(parts_)>>(body_, parts_);
  }

 private:
  static constexpr std::string_view kNull = "null";

  std::shared_ptr<const Calls> parts_;
  std::shared_ptr<std::string> body_ = std::make_shared<std::string>();
  std::unique_ptr<Shaped> shaped_;
  std::size_t next_ = 0;
};

}  // namespace

Task<bool> Call::fetch_each(Context ctx, const Calls* calls) {
  const Fragment& input = (*calls)[plan_.array->call].fragment();
  const ForEachConfig& config = *plan_.config.for_each;
  ItemSearch search(plan_.array->pointer, input.bytes, config.max);
  if (Quantum at_once(kAtOnceBytes); !search.run(at_once)) {
    const bool is_over = co_await in_turns(ctx, search);
    if (!is_over) co_return is_late(ctx);
  }
  if (!search.is_array()) co_return lacks(input.root_cause());
  const std::vector<std::string_view>& items = search.items();
  auto parts = std::make_shared<Calls>();
  parts->reserve(items.size());  // they must not move
  for (const std::string_view item : items) parts->emplace_back(plan_, incoming_, item);
  if (!parts->empty()) {
    concurrency::Cancel cancel;
    if (plan_.config.timeout) {
      auto bounded = concurrency::with_timeout(ctx, *plan_.config.timeout);
      ctx = bounded.ctx;
      cancel = std::move(bounded.cancel);
    }
    Running running(*parts, calls, incoming_.deployment->runtime->config.backends[plan_.config.backend].max_response);
    auto [group, parts_ctx] = concurrency::ErrGroup::with_context(ctx);
    const std::size_t parallel = std::min(config.parallel, parts->size());
    for (std::size_t i = 0; i < parallel; ++i) group.go(run, parts_ctx, &running);
    (void)co_await group.wait();
  }
  const bool has_data = join(parts, search.is_cut());
  if (!has_data) co_return false;
  ArrayWriter writer(parts, !plan_.shape.is_identity());
  // Also at the deadline: what is there is for the reply, and this is no more than a copy of at most `max_response`.
  for (Quantum quantum; !writer.run(quantum); quantum = Quantum()) co_await pause();
  writer.finish(fragment_);
  fragment_.took = concurrency::Loop::current().now() - start_;
  co_return true;
}

/// Makes the fragment of those of the elements, but for its JSON; false if there are some and all lack data.
bool Call::join(const std::shared_ptr<const Calls>& parts, bool is_cut) {
  Fragment whole;
  Elements& elements = whole.elements.emplace();
  elements.count = parts->size();
  elements.is_cut = is_cut;
  whole.outcome = Outcome::fresh;
  whole.media_type = "application/json";
  whole.fresh_for = Duration::max();
  const Fragment* worst = nullptr;
  for (const Call& part : *parts) {
    const Fragment& fragment = part.fragment();
    if (!fragment.has_data()) {
      ++elements.missing;
      continue;
    }
    if (worst == nullptr || fragment.outcome > worst->outcome) worst = &fragment;
    if (fragment.age) whole.age = std::max(*fragment.age, whole.age.value_or(Duration(0)));
    const auto& until = fragment.usable_until;
    if (until) whole.usable_until = std::min(*until, whole.usable_until.value_or(*until));
    if (whole.fresh_for) whole.fresh_for = std::min(*whole.fresh_for, fragment.fresh_for.value_or(Duration(0)));
  }
  const bool has_data = worst != nullptr || parts->empty();
  if (!has_data) worst = &parts->front().fragment();
  if (worst != nullptr) {
    whole.outcome = worst->outcome;
    whole.reason = worst->reason;
    whole.status = worst->status;
    whole.root = worst->root;
  }
  whole.took = concurrency::Loop::current().now() - start_;
  fragment_ = std::move(whole);
  return has_data;
}

}  // namespace sluice::gateway
