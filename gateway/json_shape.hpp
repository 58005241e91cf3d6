// What a call takes from the JSON of its body: `pick`, `allow`, `deny`, `rename`, as slices of the original bytes.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::gateway {

class Quantum;
struct CallConfig;

/// The members that an entry of `allow`, `deny` or `rename` names, from the top of the value.
///
/// A dotted path ("items.id") is made of names only: it goes through an array into each of its elements. The tokens of
/// a JSON Pointer ("/items/0/id") name one member or one element each.
struct MemberPath {
  /// Nothing if `text` is neither, or the pointer to the whole value.
  static std::optional<MemberPath> parse(std::string_view text);

  std::vector<std::string> tokens;
  bool is_pointer = false;
};

/// What became of a value: one JSON value, or the members of an object that is to be merged into another.
/// Lives as long as what was shaped, and as the shape. *one worker*
struct Shaped {
  struct Member {
    std::string_view name;  // as written, without its quotes
    std::size_t begin, end;
  };

  Shaped() = default;
  Shaped(const Shaped&) = delete;
  Shaped& operator=(const Shaped&) = delete;

  /// Gives the memory back bit by bit; true when there is none left.
  [[nodiscard]] bool release(Quantum& quantum);

  // Of a large body they may be a million, and a vector would copy them all at once to grow.
  std::deque<std::string_view> slices;
  std::deque<Member> members;  // which of the slices each is; empty for one value
  std::string text;            // what slices point to instead, when they would be many small ones
};

/// The keys of one call, compiled. Numbers, escapes, white space, the order of members and members that share a name
/// stay as they are. Costs one pass over the value and one more for each token of `pick`; an object in which a rename
/// meets a member of the same name is gone through twice. *immutable*
class JsonShape {
 public:
  /// Leaves everything as it is.
  JsonShape() = default;
  /// `call` was checked.
  explicit JsonShape(const CallConfig& call);

  [[nodiscard]] bool is_identity() const { return rules_ == nullptr; }

  // `value` is text that a JsonScanner has accepted, without white space around it.

  /// Whether apply() can shape it: `pick` leads somewhere, and there are members if they are to be merged. `null`, what
  /// a response without a body counts as, has none and is good for that, too.
  [[nodiscard]] bool fits(std::string_view value) const;

  /// Puts what the reply gets into `out`, which is new; false if it does not fit.
  [[nodiscard]] bool apply(std::string_view value, Shaped& out) const;

 private:
  friend class Shaping;
  class Rules;
  class Pass;

  std::shared_ptr<const Rules> rules_;  // null: nothing to do
};

/// JsonShape::apply() bit by bit: `shape` and `value` must live as long, as must `out`, which is not to be looked at
/// before the end. Without `out` it is fits(). *one worker*
class Shaping {
 public:
  Shaping(const JsonShape& shape, std::string_view value, Shaped* out);
  ~Shaping();
  Shaping(const Shaping&) = delete;
  Shaping& operator=(const Shaping&) = delete;

  /// True when it is over.
  [[nodiscard]] bool run(Quantum& quantum);
  /// Then: whether the value could be shaped.
  [[nodiscard]] bool fits() const;

 private:
  struct Work;

  std::unique_ptr<Work> work_;  // null: nothing to do
};

}  // namespace sluice::gateway
