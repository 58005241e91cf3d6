// Names of outcomes and results.
#include "gateway/outcome.hpp"

namespace sluice::gateway {

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::fresh:
      return "fresh";
    case Outcome::cached:
      return "cached";
    case Outcome::stale:
      return "stale";
    case Outcome::fallback:
      return "fallback";
    case Outcome::missing:
      return "missing";
    case Outcome::skipped:
      return "skipped";
  }
  return "";
}

std::string_view to_string(ResultKind result) {
  switch (result) {
    case ResultKind::complete:
      return "complete";
    case ResultKind::degraded:
      return "degraded";
    case ResultKind::partial:
      return "partial";
    case ResultKind::failed:
      return "failed";
    case ResultKind::rejected:
      return "rejected";
  }
  return "";
}

}  // namespace sluice::gateway
