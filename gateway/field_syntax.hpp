// What values of fields look like that tell of a way or a name; what does not look so is not believed.
#pragma once

#include <string>
#include <string_view>

namespace sluice::gateway {

/// Takes a quoted string off the front of `text`; false if there is none that ends.
[[nodiscard]] bool take_quoted(std::string_view& text);

/// uri-host [":" port] of RFC 9110 §4.2, without user information; not empty.
[[nodiscard]] bool is_authority(std::string_view text);

/// The part of an X-Forwarded-For that can be believed: the last element that is no address (with a port or without),
/// `unknown` or a name that begins with an underscore (RFC 7239 §6) is dropped with all before it, which nobody vouches
/// for.
[[nodiscard]] std::string_view believable_addresses(std::string_view list);

/// Whether `list` is what a Forwarded may be (RFC 7239 §4).
[[nodiscard]] bool is_forwarded(std::string_view list);

/// Whether `list` is one scheme, or several.
[[nodiscard]] bool is_schemes(std::string_view list);
/// Whether `list` is one authority, or several.
[[nodiscard]] bool is_authorities(std::string_view list);

}  // namespace sluice::gateway
