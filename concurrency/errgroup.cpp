#include "concurrency/errgroup.hpp"

#include "concurrency/detail/recycled.hpp"

namespace sluice::concurrency {
namespace detail {

void GroupState::fail(boost::system::error_code ec, std::exception_ptr thrown) noexcept {
  {
    const std::lock_guard lock(mutex);
    if (error || exception != nullptr) return;
    error = ec;
    exception = std::move(thrown);
  }
  cancel_(ec);  // before those who wait wake up, so that theirs is not the cause
}

void GroupState::ended(boost::system::error_code ec, std::exception_ptr thrown) noexcept {
  if (ec || thrown != nullptr) fail(ec, std::move(thrown));
  if (running.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  const std::lock_guard lock(mutex);  // who is about to wait has either seen the end, or stands in the line
  if (running.load(std::memory_order_relaxed) == 0) wake_all();
}

}  // namespace detail

std::pair<ErrGroup, Context> ErrGroup::with_context(const Context& parent) {
  auto [ctx, cancel] = with_cancel(parent);
  return {ErrGroup(detail::make_recycled<detail::GroupState>(std::move(cancel))), ctx};
}

void ErrGroup::set_limit(std::int64_t most) {
  const std::lock_guard lock(state()->mutex);
  if (state_->running != 0) throw std::logic_error("ErrGroup: limit set while tasks run");
  state_->limit.reset();
  if (most >= 0) state_->limit.emplace(most);
}

Task<Result<>> ErrGroup::wait(Context ctx) {
  return wait_for(state(), std::move(ctx));
}

Task<Result<>> ErrGroup::wait_for(std::shared_ptr<detail::GroupState> state, Context ctx) {
  detail::Parked parked;
  detail::Waiter waiter(parked, 0);
  bool running = false;
  {
    const std::lock_guard lock(state->mutex);
    running = state->running.load(std::memory_order_acquire) != 0;
    if (running) state->waiters.push_back(waiter);
  }
  Result<> waited;
  if (running) waited = co_await detail::wait_for_turn(std::move(ctx), *state, waiter);
  state->cancel();
  if (!waited) co_return waited;
  if (state->exception != nullptr) std::rethrow_exception(state->exception);
  if (state->error) co_return state->error;
  co_return Result<>();
}

}  // namespace sluice::concurrency
