#include "gateway/json_shape.hpp"

#include "gateway/config.hpp"
#include "gateway/detail/json_paths.hpp"
#include "gateway/detail/json_tokens.hpp"
#include "gateway/json_walk.hpp"

#include <algorithm>

namespace sluice::gateway {
namespace {

using detail::behind_space;
using detail::end_of_string;
using detail::end_of_value;
using detail::Name;
using detail::Node;
using detail::Paths;
using detail::Renamed;
using detail::Spot;

// More slices than one system call takes, and shorter than this on average, are copied into one.
constexpr std::size_t kFewSlices = 64;
constexpr std::size_t kShortSlice = 512;

void join(Shaped& shaped) {
  std::size_t size = 0;
  for (const std::string_view slice : shaped.slices) size += slice.size();
  if (shaped.slices.size() <= kFewSlices || size / shaped.slices.size() >= kShortSlice) return;
  shaped.text.reserve(size);
  for (const std::string_view slice : shaped.slices) shaped.text += slice;
  std::vector<std::string_view> joined;
  std::size_t at = 0;
  for (Shaped::Member& member : shaped.members) {
    std::size_t length = 0;
    for (std::size_t i = member.begin; i < member.end; ++i) length += shaped.slices[i].size();
    member.begin = joined.size();
    member.end = joined.size() + 1;
    joined.push_back(std::string_view(shaped.text).substr(at, length));
    at += length;
  }
  if (joined.empty()) joined.emplace_back(shaped.text);
  shaped.slices = std::move(joined);
}

}  // namespace

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
                                                 [&](const Renamed& other) { return other.to == rename.to; });
      renames.push_back({json_string(rename.to) + ":", rename.to, renames.size()});
      Node* parent = nullptr;
      renamed.add(MemberPath::parse(rename.path).value(), &parent).renamed = &renames.back();
      parent->renames_children = true;
    }
  }
  Rules(const Rules&) = delete;
  Rules& operator=(const Rules&) = delete;

  /// What `pick` leaves of it; nothing if it does not fit.
  [[nodiscard]] std::optional<std::string_view> picked(std::string_view value) const {
    const auto found = pick ? pick->find(value) : value;
    if (!found || !is_spread) return found;
    const JsonKind kind = kind_of(*found);
    return kind == JsonKind::object || kind == JsonKind::null ? found : std::nullopt;
  }

  std::optional<JsonPointer> pick;
  Filter filter = Filter::none;
  Paths filtered;
  Paths renamed;
  std::vector<Renamed> renames;
  bool shares_names = false;  // of them two give the same, perhaps in different places
  bool is_spread;             // the members go to the top level of the reply
};

/// Goes through a value once and takes what is to stay. What follows each other in the text becomes one slice.
class JsonShape::Pass {
 public:
  Pass(const Rules& rules, std::string_view value, Shaped& out)
      : rules_(rules), at_(value.data()), end_(at_ + value.size()), out_(out) {}

  void run() {
    const bool is_container = *at_ == '{' || *at_ == '[';
    if (rules_.is_spread && !is_container) return;
    if (rules_.filter == Rules::Filter::allow && !is_container) return take_text("null");
    State top;
    top.is_filtered = rules_.filter != Rules::Filter::none;
    top.filter = rules_.filtered.root();
    top.rename = rules_.renamed.root();
    top.stays = true;
    (void)(rules_.is_spread ? take_object(top, true) : take_value(top));
    flush();
  }

 private:
  /// What holds for one value.
  struct State {
    bool is_filtered = false;  // false: all of it stays
    Spot filter;
    Spot rename;
    bool stays = false;  // even if nothing of it does
  };
  enum class Fate { leave, keep, filter };

  /// A rename that concerns an object: of a member that is there, or to the name of one.
  struct Met {
    const Renamed* renamed;
    bool is_done;
  };
  struct Mark {
    std::size_t slices;
    const char* begin;
    const char* end;
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

  [[nodiscard]] Fate fate(const State& state, const Spot& spot) const {
    if (!state.is_filtered) return Fate::keep;
    if (rules_.filter == Rules::Filter::deny) {
      return spot.is_end() ? Fate::leave : spot.leads_on() ? Fate::filter : Fate::keep;
    }
    return spot.is_end() ? Fate::keep : spot.leads_on() ? Fate::filter : Fate::leave;
  }

  void skip_value() { at_ = end_of_value(at_, end_); }

  /// To the next member or element; false at the closing bracket.
  bool next() {
    at_ = behind_space(at_, end_);
    if (*at_ == ',') {
      comma_ = at_;
      at_ = behind_space(at_ + 1, end_);
    }
    return *at_ != '}' && *at_ != ']';
  }

  /// Moves from a member to its value and gives its name.
  Name member_name() {
    const char* const name = at_ + 1;
    at_ = detail::skip_to_quote(name, end_);
    const bool has_escapes = *at_ == '\\';
    at_ = end_of_string(at_, end_);
    const std::string_view written(name, at_ - 1);
    at_ = behind_space(at_, end_);
    at_ = behind_space(at_ + 1, end_);  // the colon
    return Name(written, has_escapes);
  }

  /// Takes what stays of the value at at_, and moves behind it; false if nothing does.
  bool take_value(const State& state) {
    const char* const begin = at_;
    if (state.is_filtered || state.rename.leads_on()) {
      if (*at_ == '{') return take_object(state, false);
      if (*at_ == '[') return take_array(state);
      if (state.is_filtered && rules_.filter == Rules::Filter::allow) {
        skip_value();
        return false;  // it does not lead to what is allowed
      }
    }
    skip_value();
    take(begin, at_);
    return true;
  }

  /// `is_spread`: takes its members one by one.
  bool take_object(const State& state, bool is_spread) {
    const char* const begin = at_;
    const Mark before = mark();
    const std::size_t renames = met_.size();
    bool stays = take_members(state, is_spread, {});
    if (met_.size() > renames && do_meet(renames)) {
      std::vector<const Renamed*> done;
      for (std::size_t i = renames; i < met_.size(); ++i) {
        if (met_[i].is_done) done.push_back(met_[i].renamed);
      }
      at_ = begin;
      restore(before);
      if (is_spread) out_.members.clear();
      stays = take_members(state, is_spread, done);
    }
    met_.resize(renames);
    if (!stays) restore(before);
    return stays;
  }

  /// `done`: the renames that the members of this object have; none to find that out.
  bool take_members(const State& state, bool is_spread, const std::vector<const Renamed*>& done) {
    const std::size_t renames = met_.size();
    const char* taken_to = nullptr;  // behind what was taken last, if the text goes on from there
    if (!is_spread) {
      take(at_, at_ + 1);
      taken_to = at_ + 1;
    }
    ++at_;
    bool is_empty = true;
    while (next()) {
      const char* const member = at_;
      const char* const from = taken_to != nullptr ? taken_to : is_empty || is_spread ? member : comma_;
      const Name name = member_name();
      State below;
      below.filter = state.filter.member(name);
      below.rename = state.rename.member(name);
      const Fate its_fate = fate(state, below.filter);
      below.is_filtered = its_fate == Fate::filter;
      const Renamed* const renamed = below.rename.renamed();
      taken_to = nullptr;
      if (its_fate == Fate::leave || is_replaced(done, name, renamed)) {
        skip_value();
        continue;
      }
      const Mark here = mark();
      if (renamed == nullptr) {
        take(from, at_);
      } else {
        take(from, member);
        take_text(renamed->member);
      }
      if (!take_value(below)) {
        restore(here);
        continue;
      }
      is_empty = false;
      if (renamed != nullptr) {
        meet(renames, renamed, true);
      } else if (state.rename.renames_members()) {
        state.rename.for_each_rename([&](const Renamed& other) {
          if (name.is(other.to)) meet(renames, &other, false);
        });
      }
      if (is_spread) {
        flush();
        out_.members.push_back(
            {renamed == nullptr ? name.written() : name_in(*renamed), here.slices, out_.slices.size()});
      } else {
        taken_to = at_;
      }
    }
    if (!is_spread) take(taken_to != nullptr ? taken_to : at_, at_ + 1);
    ++at_;
    return state.stays || !is_empty || !state.is_filtered || rules_.filter == Rules::Filter::deny;
  }

  bool take_array(const State& state) {
    const Mark before = mark();
    take(at_, at_ + 1);
    const char* taken_to = ++at_;
    std::size_t index = 0;
    std::size_t taken = 0;
    while (next()) {
      const char* const from = taken_to != nullptr ? taken_to : taken == 0 ? at_ : comma_;
      State below;
      below.filter = state.filter.element(index++);
      const Fate its_fate = fate(state, below.filter);
      below.is_filtered = its_fate == Fate::filter;
      below.rename = state.rename.element(taken);  // of those that are left
      below.stays = state.filter.dotted != nullptr;
      taken_to = nullptr;
      if (its_fate == Fate::leave) {
        skip_value();
        continue;
      }
      const Mark here = mark();
      take(from, at_);
      if (!take_value(below)) {
        restore(here);
        continue;
      }
      ++taken;
      taken_to = at_;
    }
    const bool stays = state.stays || taken != 0 || !state.is_filtered || rules_.filter == Rules::Filter::deny ||
                       state.filter.dotted != nullptr;
    if (stays) {
      take(taken_to != nullptr ? taken_to : at_, at_ + 1);
    } else {
      restore(before);
    }
    ++at_;
    return stays;
  }

  /// Notes that a member of an object was renamed, or has already the name that the rename gives.
  void meet(std::size_t first, const Renamed* renamed, bool is_done) {
    for (std::size_t i = first; i < met_.size(); ++i) {
      if (met_[i].renamed == renamed && met_[i].is_done == is_done) return;
    }
    met_.push_back({renamed, is_done});
  }

  /// Whether two members of an object, of which one at least was renamed, have now the same name.
  [[nodiscard]] bool do_meet(std::size_t first) const {
    const auto is_done = [](const Met& met) { return met.is_done; };
    const auto own = met_.begin() + static_cast<std::ptrdiff_t>(first);
    if (!rules_.shares_names && std::all_of(own, met_.end(), is_done)) return false;
    for (std::size_t i = first; i < met_.size(); ++i) {
      for (std::size_t j = first; j < met_.size() && met_[i].is_done; ++j) {
        if (i != j && met_[i].renamed->to == met_[j].renamed->to) return true;
      }
    }
    return false;
  }

  /// Whether another member is renamed to what this one is called in the end.
  static bool is_replaced(const std::vector<const Renamed*>& done, const Name& name, const Renamed* renamed) {
    return std::any_of(done.begin(), done.end(), [&](const Renamed* other) {
      if (renamed == nullptr) return name.is(other->to);
      return other->to == renamed->to && other->order > renamed->order;
    });
  }

  static std::string_view name_in(const Renamed& renamed) {
    return std::string_view(renamed.member).substr(1, renamed.member.size() - 3);
  }

  const Rules& rules_;
  const char* at_;
  const char* const end_;
  const char* comma_ = nullptr;   // the last one that next() has passed
  const char* begin_ = nullptr;   // of the slice that is growing
  const char* behind_ = nullptr;  // its end
  std::vector<Met> met_;          // of the objects around at_, outermost first
  Shaped& out_;
};

std::optional<MemberPath> MemberPath::parse(std::string_view text) {
  MemberPath path;
  if (text.starts_with('/')) {
    auto pointer = JsonPointer::parse(text);
    if (!pointer) return std::nullopt;
    path.tokens = pointer->tokens();
    path.is_pointer = true;
    return path;
  }
  for (;;) {
    const std::size_t dot = text.find('.');
    path.tokens.emplace_back(text.substr(0, dot));
    if (path.tokens.back().empty()) return std::nullopt;
    if (dot == text.npos) return path;
    text.remove_prefix(dot + 1);
  }
}

JsonShape::JsonShape(const CallConfig& call) {
  if (!call.pick && !call.allow && !call.deny && call.rename.empty() && call.into != "") return;
  rules_ = std::make_shared<const Rules>(call);
}

bool JsonShape::fits(std::string_view value) const {
  return rules_ == nullptr || rules_->picked(value).has_value();
}

bool JsonShape::apply(std::string_view value, Shaped& out) const {
  if (rules_ == nullptr) {
    out.slices.push_back(value);
    return true;
  }
  const auto picked = rules_->picked(value);
  if (!picked) return false;
  Pass(*rules_, *picked, out).run();
  join(out);
  return true;
}

}  // namespace sluice::gateway
