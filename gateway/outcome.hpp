// What became of a call, and of a request: the words of headers, metrics and logs.
#pragma once

#include <string_view>

namespace sluice::gateway {

/// Where the data of a call came from.
enum class Outcome {
  fresh,     // a backend, now
  cached,    // stored, within `ttl` or `stale_while_revalidate`
  stale,     // stored, older, because the call failed or was slow
  fallback,  // the configured constant
  missing,   // nowhere: there is none
  skipped,   // not needed any more
};

/// How good the reply to a request was.
enum class ResultKind {
  complete,  // every call fresh, cached or skipped
  degraded,  // nothing missing, but something stale or fallback
  partial,   // an optional call is missing
  failed,    // no usable reply
  rejected,  // the gateway's own 4xx
};

/// The name as users see it, for example "fresh".
std::string_view to_string(Outcome outcome);
std::string_view to_string(ResultKind result);

}  // namespace sluice::gateway
