// The store in the way of one proxied request: what is answered from it, and what of a response goes into it.
#pragma once

#include "backends/stream.hpp"
#include "concurrency/context.hpp"
#include "concurrency/task.hpp"
#include "gateway/call.hpp"
#include "gateway/reply.hpp"
#include "gateway/turnstile.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::gateway {

/// Without a key in `made` it does nothing. *one worker*
class ProxyCache {
 public:
  ProxyCache(const EndpointPlan& endpoint, const Incoming& incoming, const CallRequest& made);

  /// Whether answer() is to be asked.
  [[nodiscard]] bool is_on() const { return is_on_; }
  /// The reply, if what is stored allows one before the backend's server has answered: at once, when another client's
  /// request has brought it, or after `stale_after`. Nothing: the request is to be sent.
  concurrency::Task<std::optional<Reply>> answer(const concurrency::Context& ctx);

  /// What is sent to the backend.
  [[nodiscard]] const std::shared_ptr<const backends::Request>& request() const { return sent_; }

  /// The reply in place of the response whose head is there. Nothing: that is passed on, piece by piece through feed(),
  /// and finish() after the last. Call before the headers are changed.
  std::optional<Reply> take_head(unsigned status, const backends::Headers& headers,
                                 std::optional<std::uint64_t> length);
  /// Then: whether the response was about something that is not stored, so that all is to be asked for once more.
  [[nodiscard]] bool asks_anew() const { return asks_anew_; }
  void feed(std::string_view piece);
  void finish();

  /// The reply when there is no response: stale, the fallback or a problem. `fragment` tells why.
  [[nodiscard]] Reply failed(Fragment fragment);

  /// The value of Cache-Status for a response that is passed on; empty: the header is not added.
  [[nodiscard]] const std::string& status() const { return status_; }

 private:
  /// A copy of the response that passes.
  struct Copy {
    Copy(Origin o, unsigned s, const backends::Headers& h, TimePoint now)
        : origin(std::move(o)), arrived_at(now), status(s), headers(h) {}
    Origin origin;
    TimePoint arrived_at;  // its head
    unsigned status;
    backends::Headers headers;
    std::string bytes;
  };

  [[nodiscard]] std::shared_ptr<const backends::Request> plain_request(const backends::Request& from) const;
  std::optional<Reply> at_once(bool has_waited);
  [[nodiscard]] bool shares() const;
  [[nodiscard]] bool has_come();
  void end_turn(bool is_of_use);
  Reply stored_reply(const StaleEntry& entry);
  Reply finished(Reply reply);
  void learn_from_head(unsigned status, const backends::Headers& headers);
  [[nodiscard]] std::size_t max_size() const;
  void tell(std::string_view what);

  const EndpointPlan& endpoint_;
  const Incoming& incoming_;
  const CallPlan& plan_;
  const std::shared_ptr<const backends::Request> asked_;  // by the client
  std::shared_ptr<const backends::Request> sent_;         // to the backend
  CallRequest whole_;                                     // asks for the whole, unconditionally, with GET
  Call call_;
  bool is_on_ = false;
  bool has_collapsed_ = false;
  bool validates_ = false;
  bool asks_anew_ = false;
  TimePoint asked_at_{};
  std::unique_ptr<Turnstile::Turn> turn_;
  std::optional<Copy> copy_;
  std::string status_;
};

}  // namespace sluice::gateway
