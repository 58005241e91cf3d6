// What the stand-in service answers when nothing goes wrong: realistic JSON, the same for the same seed and path.
#pragma once

#include "backends/demo/request_reader.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::backends::demo {

struct Answer {
  Answer(unsigned s, std::string b) : status(s), body(std::move(b)) {}

  unsigned status;
  std::string body;
};

/// The answer to `request`. `bytes`: make the body that long, as far as its kind allows (0 to a few hundred more).
///
///     /users/{id}                 one user            /json        an array of articles of `bytes` bytes
///     /orders?user=ID&limit=N     an array of orders  /echo        method, target, headers and body of the request
///     /recs/{segment}             an array of articles   /healthz  {"status":"ok"}
[[nodiscard]] Answer answer(const ReceivedRequest& request, std::uint64_t seed, std::optional<std::uint64_t> bytes);

/// `{"status":404,"error":"Not Found","message":"…"}`, without an empty message.
[[nodiscard]] Answer error_answer(unsigned status, std::string_view message = {});

/// The words of a status line for `status`; "Status" if it has none of its own.
[[nodiscard]] std::string_view reason_phrase(unsigned status);

/// Appends `text` as a JSON string; what is not UTF-8 becomes U+FFFD.
void append_json_string(std::string& out, std::string_view text);

}  // namespace sluice::backends::demo
