#include "gateway/request_identity.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace sluice::gateway {
namespace {

/// Sixteen digits that stand for `value`, eight at once: each half-byte to a byte of its own, then '0' added, or
/// 'a' - 10 where it is more than nine. Their order is that of the machine: the value is random.
void append_random(concurrency::detail::RecycledString& out, std::uint64_t value) {
  constexpr std::uint64_t kOnes = 0x0101010101010101U;
  std::array<std::uint64_t, 2> digits{value & kOnes * 0x0f, value >> 4U & kOnes * 0x0f};
  for (std::uint64_t& eight : digits) {
    const std::uint64_t letters = (eight + kOnes * 6) >> 4U & kOnes;
    eight += kOnes * '0' + letters * ('a' - 10 - '0');
  }
  std::array<char, sizeof digits> text;
  std::memcpy(text.data(), digits.data(), sizeof digits);
  out.append(text.data(), text.size());
}

bool is_id(std::string_view text) {
  return !text.empty() && text.size() <= 128 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

/// Lower-case hexadecimal digits, not all zero.
bool is_hex(std::string_view text) {
  const bool all =
      std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  return all && text.find_first_not_of('0') != std::string_view::npos;
}

/// "00-TRACEID-PARENTID-FLAGS"
bool is_traceparent(std::string_view text) {
  return text.size() == 55 && text.substr(0, 3) == "00-" && text[35] == '-' && text[52] == '-' &&
         is_hex(text.substr(3, 32)) && is_hex(text.substr(36, 16)) &&
         (is_hex(text.substr(53)) || text.substr(53) == "00");
}

}  // namespace

void identify_unread(Incoming& incoming, concurrency::Random& random, const AddedHeaders& names) {
  if (!names.request_id) return;
  incoming.request_id.reserve(32);
  append_random(incoming.request_id, random());
  append_random(incoming.request_id, random());
}

void identify(Incoming& incoming, concurrency::Random& random, const AddedHeaders& names) {
  if (names.request_id) {
    const auto given = incoming.parser.headers().find(*names.request_id);
    if (given && is_id(*given)) {
      incoming.request_id = *given;
    } else {
      identify_unread(incoming, random, names);
    }
  }
  if (names.traceparent) {
    const auto given = incoming.parser.headers().find(*names.traceparent);
    const bool goes_on = given && is_traceparent(*given);
    auto& out = incoming.traceparent;
    out.reserve(55);
    out = "00-";
    if (goes_on) {
      out += given->substr(3, 32);
    } else {
      append_random(out, random());
      append_random(out, random() | 1U);  // never all zero
    }
    out += '-';
    append_random(out, random() | 1U);
    out += goes_on ? given->substr(52) : "-00";
    if (!goes_on) return;
    incoming.parser.headers().find_all("tracestate", [&](std::string_view value) {
      incoming.tracestate.append(incoming.tracestate.empty() ? "" : ",").append(value);
    });
  }
}

std::optional<std::chrono::milliseconds> milliseconds_from(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  constexpr std::int64_t kDay = 24 * 60 * 60 * 1000;
  if (error == std::errc::result_out_of_range) return std::chrono::milliseconds(kDay);
  if (error != std::errc() || end != text.data() + text.size() || value < 1) return std::nullopt;
  return std::chrono::milliseconds(std::min(value, kDay));
}

}  // namespace sluice::gateway
