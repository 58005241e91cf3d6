// Why a call to a backend gave no usable response.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include <boost/assert/source_location.hpp>

namespace sluice::backends {

/// The closed vocabulary that configuration, metrics and reply headers share.
enum class Reason {
  timeout,
  slow,
  connect,
  reset,
  status,
  invalid,
  too_large,
  open,
  shed,
  dependency,
  cancelled,
  no_server,
};

inline constexpr std::size_t kReasonCount = 12;

/// The word users see: "timeout", "too_large", ...
std::string_view to_string(Reason reason);

/// One failed attempt or call. Value; has a constructor of its own, so it is safe inside a `co_await`.
struct Failure {
  Failure() = default;  // what a result without an error gives when it is asked for one
  Failure(Reason why, std::string text, bool may_retry = false)
      : reason(why), retriable(may_retry), detail(std::move(text)) {}

  Reason reason = Reason::invalid;
  unsigned status = 0;     ///< the backend's status when `reason` is `status`
  bool retriable = false;  ///< another attempt may succeed; says nothing about whether the request is idempotent
  std::string location;    ///< the Location of a refused redirect, as it was sent
  std::string detail;      ///< for the log; may name a server, so it never goes to a client
};

/// Lets `boost::system::result<T, Failure>::value()` throw: std::runtime_error, for programming errors only.
[[noreturn]] void throw_exception_from_error(const Failure& failure, const boost::source_location& where);

}  // namespace sluice::backends
