// `sluice demo`: a tour of the gateway before three stand-in backends on loopback.
#pragma once

namespace sluice::gateway {

/// Starts three stand-ins and a gateway, each a process of its own, and shows a merged reply, a degraded one, a partial
/// one and the metrics that tell them apart. Then serves until Ctrl-C; with `once` it ends after the tour.
/// Returns the exit code: 1 if a reply was not what the tour says.
int run_demo(bool once);

}  // namespace sluice::gateway
