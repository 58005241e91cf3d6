// What backends are told of the client and of the way its request came: X-Forwarded-*, Forwarded, Via.
#pragma once

#include "backends/request.hpp"
#include "gateway/config.hpp"

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::gateway {

struct CallPlan;
struct Incoming;
class RequestParser;

class Runtime;

/// The values for one request, made once and added to each of its calls; empty: not sent. *immutable*
struct Forwarding {
  enum Field : std::size_t { forwarded_for, proto, host, forwarded, via };
  static constexpr std::size_t kFields = 5;

  std::array<concurrency::detail::RecycledString, kFields> values;
  bool is_trusted = false;                    // the client is a proxy whose word counts
  concurrency::detail::RecycledString lines;  // those of the fields that are sent
};

/// The configured name of a field; none: it is off.
[[nodiscard]] const std::optional<std::string>& name_of(Forwarding::Field field, const AddedHeaders& names);

/// Makes them for the requests of one connection: anew only when something of it differs from the request before, which
/// is seldom. *one worker*
class Forwarder {
 public:
  /// What a client sent is kept, and added to, if it is trusted, otherwise replaced; Via is added to in any case.
  /// `client`: the address that the connection came from, always the same. Overwrites `scratch`.
  [[nodiscard]] std::shared_ptr<const Forwarding> of(const RequestParser& request, const std::string& client,
                                                     bool is_trusted, const std::shared_ptr<const Runtime>& runtime,
                                                     std::string& scratch);

 private:
  std::shared_ptr<const Forwarding> last_;  // null: there is none that may serve again
  std::weak_ptr<const Runtime> runtime_;    // that it is for
  std::string host_;
  unsigned version_ = 0;
};

/// Makes the lines that most calls of a request send: X-Request-Id, traceparent, tracestate, and the fields above.
/// Overwrites `scratch`.
void write_common_lines(Incoming& incoming, const AddedHeaders& names, std::string& scratch);

/// Whether a call or its backend says itself what a header of these is, so that common_lines() do not fit.
[[nodiscard]] bool names_common(const CallConfig& call, const BackendConfig& backend, const AddedHeaders& names);

/// Adds all that to what a call sends, in place of what the client sent under these names: `plan` says how.
///
/// `is_stored`: who asks first decides what the others get, so a call whose answer is stored says nothing of its
/// client, but for what its cache names in `vary` or `vary_except`.
void add_common(const Incoming& incoming, const CallPlan& plan, bool is_stored, backends::Request& to);

/// The value that the call sends under `name`, for its key; nothing when the gateway does not make it.
[[nodiscard]] std::optional<std::string_view> forwarded_value(const Incoming& incoming, std::string_view name);

}  // namespace sluice::gateway
