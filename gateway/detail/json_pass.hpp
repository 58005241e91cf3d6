// How a shape is applied: what its keys say, and the pass over the text that takes what is to stay.
#pragma once

#include "gateway/config.hpp"
#include "gateway/detail/json_paths.hpp"
#include "gateway/detail/json_tokens.hpp"
#include "gateway/json_shape.hpp"
#include "gateway/json_walk.hpp"
#include "gateway/turns.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::gateway {

class JsonShape::Rules {
 public:
  enum class Filter { none, allow, deny };

  explicit Rules(const CallConfig& call) : is_spread(call.into == "") {
    if (call.pick) pick = JsonPointer::parse(*call.pick).value();
    if (call.allow || call.deny) {
      filter = call.allow ? Filter::allow : Filter::deny;
      for (const std::string& path : call.allow ? *call.allow : *call.deny) {
        filtered.add(MemberPath::parse(path).value()).is_end = true;
      }
    }
    renames.reserve(call.rename.size());
    for (const RenameConfig& rename : call.rename) {
      shares_names = shares_names || std::any_of(renames.begin(), renames.end(),
                                                 [&](const detail::Renamed& other) { return other.to == rename.to; });
      renames.push_back({json_string(rename.to) + ":", rename.to, renames.size()});
      detail::Node* parent = nullptr;
      renamed.add(MemberPath::parse(rename.path).value(), &parent).renamed = &renames.back();
      parent->renames_children = true;
    }
  }
  Rules(const Rules&) = delete;
  Rules& operator=(const Rules&) = delete;

  std::optional<JsonPointer> pick;
  Filter filter = Filter::none;
  detail::Paths filtered;
  detail::Paths renamed;
  std::vector<detail::Renamed> renames;
  bool shares_names = false;  // of them two give the same, perhaps in different places
  bool is_spread;             // the members go to the top level of the reply
};

/// Goes through a value once and takes what is to stay. What follows each other in the text becomes one slice.
///
/// It keeps the containers around the place where it stands on a stack of its own, so that it can stop anywhere.
class JsonShape::Pass {
 public:
  /// `out` must be new.
  Pass(const Rules& rules, std::string_view value, Shaped& out);

  /// True when it is over.
  [[nodiscard]] bool run(Quantum& quantum);

 private:
  using Name = detail::Name;
  using Renamed = detail::Renamed;
  using Spot = detail::Spot;

  /// What holds for one value.
  struct State {
    bool is_filtered = false;  // false: all of it stays
    Spot filter;
    Spot rename;
    bool stays = false;  // even if nothing of it does
  };
  enum class Fate { leave, keep, filter };
  /// What to do with the value that is passed over.
  enum class Then { leave, take, drop };

  /// A rename that concerns an object: of a member that is there, or to the name of one.
  struct Met {
    const Renamed* renamed;
    bool is_done;
  };
  struct Mark {
    std::size_t slices = 0;
    const char* begin = nullptr;
    const char* end = nullptr;
  };

  /// An object or an array whose members or elements are being taken.
  struct Level {
    State state;
    bool is_object = false;
    bool is_spread = false;  // its members are taken one by one
    bool is_again = false;   // for the second time
    const char* begin = nullptr;
    Mark before;
    std::size_t renames = 0;           // of met_, those of the containers around it
    std::vector<const Renamed*> done;  // the renames that its members have, found in the first pass
    const char* taken_to = nullptr;    // behind what was taken last, if the text goes on from there
    std::size_t index = 0;             // of the next element
    std::size_t taken = 0;             // members or elements
    // The member or element that is being taken.
    Mark here;
    const Renamed* renamed = nullptr;
    std::string_view name;
    bool has_escapes = false;
  };

  [[nodiscard]] Mark mark() const { return {out_.slices.size(), begin_, behind_}; }
  void restore(const Mark& mark) {
    out_.slices.resize(mark.slices);
    begin_ = mark.begin;
    behind_ = mark.end;
  }
  void take(const char* from, const char* to) {
    if (from != behind_) {
      flush();
      begin_ = from;
    }
    behind_ = to;
  }
  void take_text(std::string_view text) {
    flush();
    out_.slices.push_back(text);
  }
  void flush() {
    if (begin_ != behind_) out_.slices.emplace_back(begin_, behind_);
    begin_ = behind_ = nullptr;
  }

  [[nodiscard]] Fate fate(const State& state, const Spot& spot) const;
  [[nodiscard]] bool next();
  void skip_value(Then then);
  [[nodiscard]] bool skip_on(Quantum& quantum);
  void enter(const State& state, bool is_spread);
  void begin_members(Level& level);
  void take_value(const State& state);
  void end_value(bool is_taken);
  void step();
  void take_member(Level& level);
  void end_member(Level& level);
  void end_object(Level& level);
  void take_element(Level& level);
  void end_array(Level& level);
  void meet(std::size_t first, const Renamed* renamed, bool is_done);
  [[nodiscard]] bool do_meet(std::size_t first) const;
  static bool is_replaced(const std::vector<const Renamed*>& done, const Name& name, const Renamed* renamed);

  const Rules& rules_;
  const char* at_;
  const char* const end_;
  const char* comma_ = nullptr;   // the last one that next() has passed
  const char* begin_ = nullptr;   // of the slice that is growing
  const char* behind_ = nullptr;  // its end
  detail::ValueSkip skip_;
  Then then_ = Then::leave;
  std::vector<Level> levels_;  // outermost first
  std::vector<Met> met_;       // of the objects around at_, outermost first
  Shaped& out_;
};

}  // namespace sluice::gateway
