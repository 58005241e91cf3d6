// What a call sends to a backend, and what it gets.
#pragma once

#include "backends/body.hpp"
#include "backends/failure.hpp"
#include "backends/headers.hpp"
#include "concurrency/detail/recycled.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/system/result.hpp>

namespace sluice::backends {

/// One request; every attempt of a call sends the same one. *immutable* once it is sent.
struct Request {
  Request() = default;

  std::string method = "GET";
  std::string target = "/";
  Headers headers;  ///< without Host, Content-Length and hop-by-hop fields
  std::shared_ptr<const concurrency::detail::RecycledString>
      lines;                                ///< more fields, whole lines by HeadWriter; null: none
  std::shared_ptr<const std::string> body;  ///< null: none
  bool is_streamed = false;                 ///< a body follows piece by piece, by Stream::send
  std::optional<std::uint64_t> body_size;   ///< of that; none: it is sent in chunks
  std::string_view deadline_header;         ///< carries the remaining milliseconds; outlives the call; empty: not sent
  bool (*accepts)(const void* set, unsigned status) = nullptr;  ///< other statuses fail at once; null: all are fine
  const void* accepted = nullptr;                               ///< given to `accepts`; outlives the call
  /// Makes what judges the body of an accepted response with these headers; null, or a null result: any bytes will do.
  std::unique_ptr<BodyCheck> (*make_check)(const Headers& headers) = nullptr;
  std::optional<bool> idempotent;            ///< whether it may be sent twice; none: if its method may
  std::optional<std::uint64_t> server_hash;  ///< requests with the same go to the same server, whatever the balancing
  bool keep_headers = false;                 ///< whether Response::headers is wanted
  bool decodes = false;                      ///< whether a body in gzip is decoded, and loses its Content-Encoding
};

struct Response {
  Response(unsigned s, std::shared_ptr<const Body> b) : status(s), body(std::move(b)) {}

  unsigned status;
  Headers headers;
  std::shared_ptr<const Body> body;
};

using CallResult = boost::system::result<Response, Failure>;

}  // namespace sluice::backends
