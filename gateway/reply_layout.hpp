// Where the calls of an endpoint stand in the reply that they are merged into: what their `into` say together.
#pragma once

#include "concurrency/detail/recycled.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::gateway {

struct CallConfig;
struct Shaped;

/// A text in pieces, which others own.
using Slices = std::vector<std::string_view, concurrency::detail::Recycled<std::string_view>>;

/// The order is that of the configuration: an object that several calls share stands where the first of them would, and
/// the members of a call that is merged into the top level where that call does. Of calls that give the same member the
/// last that has data does, and nothing of the others is written. *immutable*
class ReplyLayout {
 public:
  /// What a call has for the reply.
  struct Part {
    bool has_data = false;
    std::string_view bytes;          // one JSON value
    const Shaped* shaped = nullptr;  // instead of `bytes`
  };

  /// `calls` were checked: the `into` of none is inside that of another.
  explicit ReplyLayout(const std::vector<CallConfig>& calls);

  /// Every call is a member of its own at the top, in order: merged() writes that itself.
  [[nodiscard]] bool is_flat() const { return is_flat_; }

  /// Appends the reply to `body`, as slices of the parts, of this and of static text.
  void write(const std::vector<Part>& parts, Slices& body) const;
  /// The same bit by bit: see reply_writer.hpp.
  class Writer;

 private:
  struct Node {
    std::string name;                // token of `into`
    std::string member;              // `"name":`
    std::vector<std::size_t> calls;  // that are here as a whole
    std::vector<Node> children;
  };
  /// What stands at the top, in order: a member or the members of a call.
  struct Item {
    std::size_t index;  // of `members_`, or of the call
    bool is_spread;
  };

  bool is_flat_ = true;
  std::vector<Node> members_;
  std::vector<Item> items_;
};

}  // namespace sluice::gateway
