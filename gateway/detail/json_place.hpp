// Where in the grammar of a JSON document its scanner is.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::gateway::detail {

struct JsonPlace {
  static constexpr std::size_t kMaxDepth = 512;

  /// What the next byte is for. White space may stand before the token that the states up to `done` wait for.
  enum class State : std::uint8_t {
    value,
    first_element,
    first_member,
    member,
    colon,
    after_value,
    done,
    string,
    escape,
    hex_digit,
    continuation,
    literal,
    minus,
    zero,
    integer,
    point,
    fraction,
    exponent,
    exponent_sign,
    exponent_digits,
    failed,
  };

  /// A container begins; there must be less than kMaxDepth of them.
  void open(bool is_object) {
    std::uint64_t& word = outer_in_object[depth / 64];
    const std::uint64_t bit = std::uint64_t{1} << depth % 64;
    word = in_object ? word | bit : word & ~bit;
    ++depth;
    in_object = is_object;
    state = is_object ? State::first_member : State::first_element;
  }
  /// The innermost one ends.
  void close() {
    --depth;
    in_object = (outer_in_object[depth / 64] >> depth % 64 & 1U) != 0;
    state = depth == 0 ? State::done : State::after_value;
  }

  State state = State::value;
  bool in_object = false;                           // the innermost open container is an object
  std::size_t depth = 0;                            // open containers
  std::uint64_t outer_in_object[kMaxDepth / 64]{};  // in_object of the containers further out
};

}  // namespace sluice::gateway::detail
