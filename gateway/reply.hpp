// A reply before it is written: status, headers that depend on the outcome, and slices of bodies.
#pragma once

#include "gateway/call.hpp"
#include "gateway/outcome.hpp"
#include "gateway/response_writer.hpp"
#include "gateway/runtime.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::gateway {

/// Owns what its slices point to, together with the runtime that the request has pinned. *one worker*
struct Reply {
  Reply() = default;
  Reply(Reply&&) = default;
  Reply& operator=(Reply&&) = default;

  [[nodiscard]] std::uint64_t content_length() const;

  unsigned status = 200;
  ResultKind result = ResultKind::complete;
  std::string_view media_type = "application/json";
  Slices body;  // in order; none: the body is `text`
  std::string text;
  std::string_view coding;                  // of the body; empty: none
  bool depends_on_coding = false;           // another client may get another coding
  std::optional<backends::Headers> passed;  // the fields of a stored response, in place of `media_type`
  std::string cache_status;                 // value of Cache-Status; empty: none
  std::string allow;                        // value of an Allow header; empty: none
  Calls calls;                              // empty for the gateway's own answers
  const EndpointPlan* endpoint = nullptr;
};

/// An answer of the gateway's own: problem+json. `members` are further JSON members of it.
[[nodiscard]] Reply problem(unsigned status, std::string_view detail, std::string_view members = {});

/// The reply that the outcomes of `calls` make, when each is a member of its own.
[[nodiscard]] Reply merged_flat(const EndpointPlan& endpoint, Calls calls);
/// The same by the layout of the endpoint. Of large bodies that takes turns; those that are
/// not merged when `ctx` is done are left out: `missing`, `timeout`.
[[nodiscard]] concurrency::Task<Reply> merged(const concurrency::Context& ctx, const EndpointPlan& endpoint,
                                              Calls calls);
/// The same for `first`: the call number `winner`, none if there is no data.
[[nodiscard]] Reply chosen(const EndpointPlan& endpoint, Calls calls, std::optional<std::size_t> winner);

/// Writes Sluice-Result and Sluice-Calls.
void write_result(ResponseWriter& writer, const Reply& reply, const AddedHeaders& names, std::string& scratch);

/// Writes the headers that tell of the outcome: Sluice-Result, Sluice-Calls, Cache-Control, Age, Retry-After.
void write_outcome(ResponseWriter& writer, const Reply& reply, const AddedHeaders& names, std::string& scratch);

}  // namespace sluice::gateway
