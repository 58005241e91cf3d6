// One call for each element of an array.
#include "concurrency/errgroup.hpp"
#include "concurrency/loop.hpp"
#include "gateway/call.hpp"
#include "gateway/json_walk.hpp"
#include "gateway/log.hpp"

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
  Running(std::vector<Call>& p, const std::vector<Call>* c, std::size_t room) : parts(p), calls(c), room_bytes(room) {}

  std::vector<Call>& parts;
  const std::vector<Call>* calls;  // of the endpoint
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

}  // namespace

Task<bool> Call::fetch_each(Context ctx, const std::vector<Call>* calls) {
  const Fragment& input = (*calls)[plan_.array->call].fragment();
  const auto array = plan_.array->pointer.find(input.bytes);
  if (!array || kind_of(*array) != JsonKind::array) co_return lacks(input.root_cause());
  const ForEachConfig& config = *plan_.config.for_each;
  std::vector<std::string_view> items;
  bool is_cut = false;
  for (JsonWalk walk(*array); !is_cut && walk.next();) {
    is_cut = items.size() == config.max;
    if (!is_cut) items.push_back(walk.value());
  }
  auto parts = std::make_shared<std::vector<Call>>();
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
  co_return join(std::move(parts), is_cut);
}

/// Makes the fragment of those of the elements; false if there are some and all lack data.
bool Call::join(std::shared_ptr<const std::vector<Call>> parts, bool is_cut) {
  Fragment whole;
  Elements& elements = whole.elements.emplace();
  elements.count = parts->size();
  elements.is_cut = is_cut;
  whole.outcome = Outcome::fresh;
  whole.media_type = "application/json";
  whole.fresh_for = Duration::max();
  const Fragment* worst = nullptr;
  std::size_t size = 2 + 5 * parts->size();
  for (const Call& part : *parts) {
    const Fragment& fragment = part.fragment();
    size += fragment.bytes.size();
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
  if (has_data) {
    auto body = std::make_shared<std::string>();
    body->reserve(size);
    auto shaped = plan_.shape.is_identity() ? nullptr : std::make_unique<Shaped>();
    for (const Call& part : *parts) {
      const Fragment& fragment = part.fragment();
      const std::string_view comma = body->empty() ? "[" : ",";
      const std::string_view bytes = fragment.has_data() ? fragment.bytes : "null";
      body->append(comma).append(bytes);
      if (!shaped) continue;
      shaped->slices.push_back(comma);
      if (fragment.shaped) {
        shaped->slices.insert(shaped->slices.end(), fragment.shaped->slices.begin(), fragment.shaped->slices.end());
      } else {
        shaped->slices.push_back(bytes);
      }
    }
    *body += parts->empty() ? "[]" : "]";
    if (shaped) shaped->slices.push_back(parts->empty() ? "[]" : "]");
    whole.bytes = *body;
    whole.shaped = std::move(shaped);
    whole.owner = std::make_shared<std::pair<decltype(body), decltype(parts)>>(body, parts);
  }
  whole.took = concurrency::Loop::current().now() - start_;
  fragment_ = std::move(whole);
  return has_data;
}

}  // namespace sluice::gateway
