// The part of the table of keys that is about headers.
#include "gateway/config.hpp"
#include "gateway/detail/key_shapes.hpp"

namespace sluice::gateway {

using namespace std::chrono_literals;
using namespace detail;

const Section& headers_section() {
  using H = AddedHeaders;
  static const Section result{
      "headers",
      "Renames a header that the gateway adds to its replies or its calls, or turns it off with `null`.",
      {
          key("Sluice-Result", &H::result, text(kHeaderName), "The result of the request."),
          key("Sluice-Calls", &H::calls, text(kHeaderName), "The outcome of each call."),
          key("X-Request-Id", &H::request_id, text(kHeaderName), "Accepted from the client or made."),
          key("traceparent", &H::traceparent, text(kHeaderName),
              "Accepted from the client, with its `tracestate`, or made."),
          key("Cache-Status", &H::cache_status, text(kHeaderName),
              "What the store did for a `proxy` endpoint with a `cache` (RFC 9211), behind what the backend said."),
          key("Server-Timing", &H::server_timing, text(kHeaderName),
              "How long each call took, for browsers. Default: off."),
          key("X-Forwarded-For", &H::forwarded_for, text(kHeaderName),
              "Sent to backends: the client's address, behind what a trusted proxy said."),
          key("X-Forwarded-Proto", &H::forwarded_proto, text(kHeaderName),
              "Sent to backends: `http`, or what a trusted proxy said."),
          key("X-Forwarded-Host", &H::forwarded_host, text(kHeaderName),
              "Sent to backends: the Host that the client asked for, or what a trusted proxy said."),
          key("Forwarded", &H::forwarded, text(kHeaderName),
              "Sent to backends: the three together (RFC 7239). Default: off."),
          key("Via", &H::via, text(kHeaderName), "Sent to backends: `1.1 sluice`, behind what the client sent."),
      }};
  return result;
}

const Section& cors_section() {
  using C = CorsConfig;
  static const Section result{
      "cors",
      "Which pages of other origins may use an endpoint from a browser. The gateway answers the preflights.",
      {
          key("origins", &C::origins, list(text(kOrigin)),
              "`https://app.example.com`, `https://*.example.com` for every name below it, or `*` for all. Needed."),
          key("methods", &C::methods, list(methods()), "Methods that a page may use. Default: the endpoint's."),
          key("headers", &C::headers, list(text(kHeaderName)),
              "Headers that a page may send, or `[\"*\"]` for those it asks for."),
          key("expose", &C::expose, list(text(kHeaderName)), "Headers of the reply that a page may read."),
          key("credentials", &C::credentials, boolean(), "Whether a page may send cookies; not with the origin `*`."),
          key("max_age", &C::max_age, duration(0s, kDay),
              "How long a browser may remember the answer to a preflight. Default: the browser's own."),
      }};
  return result;
}

const Section& response_headers_section() {
  using R = ResponseHeadersConfig;
  static const Section result{
      "response_headers",
      "What is changed about the headers of an endpoint's replies, in the order `remove`, `from`, `add`.",
      {
          key("add", &R::add, map(kHeaderName, text(kHeaderValue)),
              "Constants, for errors too. One takes the place of a header of its name; `Set-Cookie` and `Vary` are "
              "added "
              "to what is there."),
          key("remove", &R::remove, list(text(kHeaderName)), "Names of headers to leave out."),
          key("from", &R::from, map(kName, list(text(kHeaderName), 1)),
              "By name of a call: headers to take from its response. Of stored responses all but `Set-Cookie`."),
      }};
  return result;
}

const Section& compression_section() {
  using C = CompressionConfig;
  static const Section result{"compression",
                              "Compresses replies for clients that accept gzip.",
                              {
                                  key("min_size", &C::min_size, size(0, kGiB), "Bodies below it go as they are."),
                              }};
  return result;
}

}  // namespace sluice::gateway
