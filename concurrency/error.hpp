// The errors that waiting can end with, as boost::system::error_code.
#pragma once

#include <type_traits>

#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>

namespace sluice::concurrency {

/// Equivalent to conditions of the system, so that code which knows only those can ask for a timeout.
enum class Error {
  canceled = 1,       ///< the context was cancelled; errc::operation_canceled
  deadline_exceeded,  ///< the context's deadline passed; errc::timed_out
  closed,             ///< the channel is closed (and, for a receiver, drained)
};

/// A value or a boost::system::error_code.
template <class T = void>
using Result = boost::system::result<T>;

const boost::system::error_category& error_category();

inline boost::system::error_code make_error_code(Error error) {
  return boost::system::error_code(static_cast<int>(error), error_category());
}

}  // namespace sluice::concurrency

template <>
struct boost::system::is_error_code_enum<sluice::concurrency::Error> : std::true_type {};
