// Replies in gzip, for clients that accept it.
#pragma once

#include "concurrency/context.hpp"
#include "concurrency/task.hpp"
#include "gateway/incoming.hpp"
#include "gateway/reply.hpp"

namespace sluice::gateway {

/// What the Accept-Encoding of a request leaves to choose (RFC 9110 §12.5.3).
enum class Coding {
  identity,   // gzip is not wanted, or less than nothing at all
  gzip,       // or nothing
  gzip_only,  // no coding at all is refused
};
[[nodiscard]] Coding accepted_coding(const backends::Headers& headers);

/// Whether the endpoint compresses replies like this one for those who want it, so that `reply` depends on that.
[[nodiscard]] bool is_compressible(const Reply& reply, const Incoming& incoming);

/// Compresses the body, in place, if the client wants it and it gets shorter. Other work of the worker goes on in
/// between; at the end of `ctx` a body that is not done by then stays as it was. Do not move `reply` afterwards.
concurrency::Task<> compress(const concurrency::Context& ctx, Reply& reply, const Incoming& incoming);

}  // namespace sluice::gateway
