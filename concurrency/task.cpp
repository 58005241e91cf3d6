#include "concurrency/task.hpp"

#include <utility>

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/post.hpp>

namespace sluice::concurrency::detail {

void start(const Executor& executor, Root root) {
  using Thread = boost::asio::detail::awaitable_thread<Executor>;
  const auto launch = [](const Executor& ex, Root& r) {
    const boost::asio::cancellation_slot nobody_cancels;
    Thread(std::move(r), ex, nobody_cancels, boost::asio::cancellation_state(nobody_cancels)).launch();
  };
  if (executor.running_in_this_thread()) {
    launch(executor, root);
  } else {
    boost::asio::post(executor, [executor, launch, r = std::move(root)]() mutable { launch(executor, r); });
  }
}

}  // namespace sluice::concurrency::detail
