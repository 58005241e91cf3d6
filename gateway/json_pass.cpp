#include "gateway/detail/json_pass.hpp"

#include <utility>

namespace sluice::gateway {

using detail::behind_space;
using detail::end_of_string;

namespace {

std::string_view name_in(const detail::Renamed& renamed) {
  return std::string_view(renamed.member).substr(1, renamed.member.size() - 3);
}

}  // namespace

JsonShape::Pass::Pass(const Rules& rules, std::string_view value, Shaped& out)
    : rules_(rules), at_(value.data()), end_(at_ + value.size()), out_(out) {
  const bool is_container = *at_ == '{' || *at_ == '[';
  if (rules_.is_spread && !is_container) return;
  if (rules_.filter == Rules::Filter::allow && !is_container) {
    take_text("null");
    return;
  }
  State top;
  top.is_filtered = rules_.filter != Rules::Filter::none;
  top.filter = rules_.filtered.root();
  top.rename = rules_.renamed.root();
  top.stays = true;
  if (rules_.is_spread) {
    enter(top, true);
  } else {
    take_value(top);
  }
}

bool JsonShape::Pass::run(Quantum& quantum) {
  for (;;) {
    if (quantum.is_spent()) return false;
    if (skip_.is_under_way()) {
      if (!skip_on(quantum)) return false;
    } else if (levels_.empty()) {
      flush();
      return true;
    } else {
      const char* const from = at_;
      step();
      // An object that is gone through again is the only way back.
      quantum.spend(Quantum::kStep + static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, at_ - from)));
    }
  }
}

JsonShape::Pass::Fate JsonShape::Pass::fate(const State& state, const Spot& spot) const {
  if (!state.is_filtered) return Fate::keep;
  if (rules_.filter == Rules::Filter::deny) {
    return spot.is_end() ? Fate::leave : spot.leads_on() ? Fate::filter : Fate::keep;
  }
  return spot.is_end() ? Fate::keep : spot.leads_on() ? Fate::filter : Fate::leave;
}

/// To the next member or element; false at the closing bracket.
bool JsonShape::Pass::next() {
  at_ = behind_space(at_, end_);
  if (*at_ == ',') {
    comma_ = at_;
    at_ = behind_space(at_ + 1, end_);
  }
  return *at_ != '}' && *at_ != ']';
}

/// Begins to pass over the value at at_.
void JsonShape::Pass::skip_value(Then then) {
  skip_.start(at_);
  then_ = then;
}

/// False when there is more of it.
bool JsonShape::Pass::skip_on(Quantum& quantum) {
  const char* const from = skip_.at();
  const bool is_over = skip_.run(quantum.left(), end_);
  quantum.spend(static_cast<std::size_t>(skip_.at() - from));
  if (!is_over) return false;
  if (then_ == Then::take) take(at_, skip_.at());
  at_ = skip_.at();
  if (then_ != Then::leave) end_value(then_ == Then::take);
  return true;
}

/// Takes what stays of the value at at_; then comes end_value().
void JsonShape::Pass::take_value(const State& state) {
  if (state.is_filtered || state.rename.leads_on()) {
    if (*at_ == '{' || *at_ == '[') return enter(state, false);
    // It does not lead to what is allowed.
    if (state.is_filtered && rules_.filter == Rules::Filter::allow) return skip_value(Then::drop);
  }
  skip_value(Then::take);
}

/// What the value of a member or an element came to.
void JsonShape::Pass::end_value(bool is_taken) {
  if (levels_.empty()) return;
  Level& level = levels_.back();
  if (!is_taken) return restore(level.here);
  ++level.taken;
  level.taken_to = at_;
  if (level.is_object) end_member(level);
}

void JsonShape::Pass::enter(const State& state, bool is_spread) {
  Level& level = levels_.emplace_back();
  level.state = state;
  level.is_object = *at_ == '{';
  level.is_spread = is_spread;
  level.begin = at_;
  level.before = mark();
  level.renames = met_.size();
  begin_members(level);
}

void JsonShape::Pass::begin_members(Level& level) {
  level.taken_to = nullptr;
  level.taken = level.index = 0;
  if (!level.is_spread) {
    take(at_, at_ + 1);
    level.taken_to = at_ + 1;
  }
  ++at_;
}

void JsonShape::Pass::step() {
  Level& level = levels_.back();
  const bool has_more = next();
  if (level.is_object) {
    has_more ? take_member(level) : end_object(level);
  } else {
    has_more ? take_element(level) : end_array(level);
  }
}

void JsonShape::Pass::take_member(Level& level) {
  const char* const member = at_;
  const bool is_first = level.taken == 0;
  const char* const from = level.taken_to != nullptr ? level.taken_to : is_first || level.is_spread ? member : comma_;
  const char* const quote = detail::skip_to_quote(member + 1, end_);
  level.has_escapes = *quote == '\\';
  at_ = end_of_string(quote, end_);
  level.name = {member + 1, at_ - 1};
  at_ = behind_space(at_, end_);
  at_ = behind_space(at_ + 1, end_);  // the colon
  const Name name(level.name, level.has_escapes);
  State below;
  below.filter = level.state.filter.member(name);
  below.rename = level.state.rename.member(name);
  const Fate its_fate = fate(level.state, below.filter);
  below.is_filtered = its_fate == Fate::filter;
  level.renamed = below.rename.renamed();
  level.taken_to = nullptr;
  if (its_fate == Fate::leave || is_replaced(level.done, name, level.renamed)) return skip_value(Then::leave);
  level.here = mark();
  if (level.renamed == nullptr) {
    take(from, at_);
  } else {
    take(from, member);
    take_text(level.renamed->member);
  }
  take_value(below);  // `level` may have moved
}

/// The member was taken.
void JsonShape::Pass::end_member(Level& level) {
  if (level.renamed != nullptr) {
    meet(level.renames, level.renamed, true);
  } else if (level.state.rename.renames_members()) {
    const Name name(level.name, level.has_escapes);
    level.state.rename.for_each_rename([&](const Renamed& other) {
      if (name.is(other.to)) meet(level.renames, &other, false);
    });
  }
  if (!level.is_spread) return;
  flush();
  level.taken_to = nullptr;
  const std::string_view name = level.renamed == nullptr ? level.name : name_in(*level.renamed);
  out_.members.push_back({name, level.here.slices, out_.slices.size()});
}

void JsonShape::Pass::end_object(Level& level) {
  if (!level.is_again && met_.size() > level.renames && do_meet(level.renames)) {
    for (std::size_t i = level.renames; i < met_.size(); ++i) {
      if (met_[i].is_done) level.done.push_back(met_[i].renamed);
    }
    level.is_again = true;
    at_ = level.begin;
    restore(level.before);
    if (level.is_spread) out_.members.clear();
    return begin_members(level);
  }
  if (!level.is_spread) take(level.taken_to != nullptr ? level.taken_to : at_, at_ + 1);
  ++at_;
  met_.resize(level.renames);
  const State& state = level.state;
  const bool stays = state.stays || level.taken != 0 || !state.is_filtered || rules_.filter == Rules::Filter::deny;
  if (!stays) restore(level.before);
  levels_.pop_back();
  end_value(stays);
}

void JsonShape::Pass::take_element(Level& level) {
  const char* const from = level.taken_to != nullptr ? level.taken_to : level.taken == 0 ? at_ : comma_;
  State below;
  below.filter = level.state.filter.element(level.index++);
  const Fate its_fate = fate(level.state, below.filter);
  below.is_filtered = its_fate == Fate::filter;
  below.rename = level.state.rename.element(level.taken);  // of those that are left
  below.stays = level.state.filter.dotted != nullptr;
  level.taken_to = nullptr;
  if (its_fate == Fate::leave) return skip_value(Then::leave);
  level.here = mark();
  take(from, at_);
  take_value(below);  // `level` may have moved
}

void JsonShape::Pass::end_array(Level& level) {
  const State& state = level.state;
  const bool stays = state.stays || level.taken != 0 || !state.is_filtered || rules_.filter == Rules::Filter::deny ||
                     state.filter.dotted != nullptr;
  if (stays) {
    take(level.taken_to != nullptr ? level.taken_to : at_, at_ + 1);
  } else {
    restore(level.before);
  }
  ++at_;
  levels_.pop_back();
  end_value(stays);
}

/// Notes that a member of an object was renamed, or has already the name that the rename gives.
void JsonShape::Pass::meet(std::size_t first, const Renamed* renamed, bool is_done) {
  for (std::size_t i = first; i < met_.size(); ++i) {
    if (met_[i].renamed == renamed && met_[i].is_done == is_done) return;
  }
  met_.push_back({renamed, is_done});
}

/// Whether two members of an object, of which one at least was renamed, have now the same name.
bool JsonShape::Pass::do_meet(std::size_t first) const {
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
bool JsonShape::Pass::is_replaced(const std::vector<const Renamed*>& done, const Name& name, const Renamed* renamed) {
  return std::any_of(done.begin(), done.end(), [&](const Renamed* other) {
    if (renamed == nullptr) return name.is(other->to);
    return other->to == renamed->to && other->order > renamed->order;
  });
}

}  // namespace sluice::gateway
