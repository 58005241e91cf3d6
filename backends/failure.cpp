#include "backends/failure.hpp"

#include <stdexcept>

namespace sluice::backends {

std::string_view to_string(Reason reason) {
  switch (reason) {
    case Reason::timeout:
      return "timeout";
    case Reason::slow:
      return "slow";
    case Reason::connect:
      return "connect";
    case Reason::reset:
      return "reset";
    case Reason::status:
      return "status";
    case Reason::invalid:
      return "invalid";
    case Reason::too_large:
      return "too_large";
    case Reason::open:
      return "open";
    case Reason::shed:
      return "shed";
    case Reason::dependency:
      return "dependency";
    case Reason::cancelled:
      return "cancelled";
    case Reason::no_server:
      return "no_server";
  }
  return "";
}

void throw_exception_from_error(const Failure& failure, const boost::source_location&) {
  throw std::runtime_error(std::string(to_string(failure.reason)) + ": " + failure.detail);
}

}  // namespace sluice::backends
