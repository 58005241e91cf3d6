// The faults that the stand-in service can show, and the text that chooses them.
#pragma once

#include "concurrency/clock.hpp"
#include "concurrency/random.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::backends::demo {

/// How long an answer waits: uniform between two bounds, or lognormal.
struct Latency {
  Latency() = default;

  double low_ms = 0;  ///< of a lognormal one: the median
  double high_ms = 0;
  double sigma = 0;  ///< not zero: lognormal

  [[nodiscard]] concurrency::Duration pick(concurrency::Random& random) const;
};

/// Where in an exchange a fault strikes.
enum class Place { none, accept, header, head, body };

/// What goes wrong with one request (or, for Place::accept, one connection).
///
/// Chosen by `name=value` pairs:
///
///     latency_ms=20 | 20..80 | lognormal(20,0.5)   before the answer; uniform; lognormal (median, sigma)
///     status=404             this status; 3xx, 4xx and 5xx with an error object as body
///     error_rate=0.1         such an answer (503 without `status`) with this probability only
///     hang=accept            accept, and never read (not by request)
///     hang=header|head|body  nothing after the request's head; after the head; after half the body
///     reset=accept|header|body   the same places, with an RST (accept: not by request)
///     close=body             the end of the connection after half the body
///     drip_ms=300  drip_bytes=1  drip_from=head|body   pieces of the answer at intervals (the body only)
///     wrong_length=+10|-10   Content-Length is more or less than what is sent; the connection stays open
///     garbage=head|body      random bytes instead of the answer, which end the connection; instead of the body
///     not_json=1             a body cut short, with the right Content-Length
///     endless=1              a chunked body that never ends, as fast as the client reads or as drip_ms allows
///     chunked=1              chunks of odd sizes, with extensions and a trailer
///     bytes=N                a body of N bytes, at most 256 MiB
///     no_keepalive=1         the connection ends after the answer
///     no_date=1              no Date, whose seconds are those of the real clock
///     header=Name:Value      one more header; may be repeated
///
/// `0` or `none` takes a fault back that was set before.
struct Faults {
  Faults() = default;

  Latency latency;
  std::optional<double> error_rate;
  unsigned status = 0;
  Place hang = Place::none;
  Place reset = Place::none;
  Place close = Place::none;
  Place garbage = Place::none;
  concurrency::Duration drip{0};
  std::uint64_t drip_bytes = 1;
  Place drip_from = Place::head;
  std::int64_t wrong_length = 0;
  std::optional<std::uint64_t> bytes;
  bool not_json = false;
  bool endless = false;
  bool chunked = false;
  bool no_keepalive = false;
  bool no_date = false;
  std::vector<std::pair<std::string, std::string>> headers;

  /// Sets one fault. Returns what is wrong with it, empty if nothing; then nothing is changed.
  std::string set(std::string_view name, std::string_view value);
  /// Sets those in `name=value;name=value`, in order, up to the first bad one.
  std::string set_all(std::string_view text);
  /// Sets those in a query string, where names of no fault are somebody else's.
  std::string set_from_query(std::string_view query);
};

/// The value of `name` in a query string, percent-decoded.
[[nodiscard]] std::optional<std::string> query_value(std::string_view query, std::string_view name);
/// An undecodable escape stays as it is.
[[nodiscard]] std::string percent_decoded(std::string_view text);

}  // namespace sluice::backends::demo
