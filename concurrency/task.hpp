// Task<T>: a coroutine that runs on one Loop.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

namespace sluice::concurrency {

using Executor = boost::asio::io_context::executor_type;

/// Lazy: starts when awaited or spawned. Mixes with every Asio operation whose executor is Executor.
template <class T = void>
using Task = boost::asio::awaitable<T, Executor>;

}  // namespace sluice::concurrency
