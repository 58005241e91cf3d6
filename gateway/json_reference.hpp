// References of a call to JSON that it did not get itself: that of another call, or the element that it is made for.
#pragma once

#include "gateway/json_walk.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::gateway {

/// What a call's references may name.
struct ReferenceNames {
  ReferenceNames() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): often there is no more
  ReferenceNames(const std::vector<std::string>& of_path) : parameters(of_path) {}

  /// The nearest known name, as "; did you mean ...?"; empty if none is near.
  [[nodiscard]] std::string hint(std::string_view name) const;

  std::span<const std::string> parameters;  // path parameters of the endpoint in order, `{rest...}` as "rest..."
  std::span<const std::string> calls;       // of the endpoint, in order
  bool has_item = false;                    // whether the call is made for each element of an array
};

/// A value in the JSON of a call.
struct JsonReference {
  static constexpr std::size_t kItem = static_cast<std::size_t>(-1);

  /// `NAME` (all of it), `NAME.member.0` or `NAME:/json/pointer`; NAME is a call, or `item`, the element.
  ///
  /// Nothing if `text` is none; then `problem` says why, and is empty if NAME is not known.
  static std::optional<JsonReference> parse(std::string_view text, const ReferenceNames& names, std::string& problem);

  std::size_t call = 0;  // its index in the endpoint, or kItem
  JsonPointer pointer;
};

}  // namespace sluice::gateway
