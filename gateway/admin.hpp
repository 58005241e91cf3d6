// The admin port: metrics, health, reload.
#pragma once

#include "concurrency/context.hpp"
#include "gateway/worker.hpp"

namespace sluice::gateway {

class Server;

/// Answers on `acceptor` until `ctx` is done, on the current loop: GET /metrics, /healthz, /readyz; POST /-/reload;
/// DELETE /api/v1/cache?backend=&prefix=. `server` outlives the loop.
void serve_admin(Server& server, Acceptor acceptor, concurrency::Context ctx);

}  // namespace sluice::gateway
