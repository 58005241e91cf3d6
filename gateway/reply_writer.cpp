#include "gateway/reply_writer.hpp"

#include "gateway/json_walk.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace sluice::gateway {

ReplyLayout::Writer::Writer(const ReplyLayout& layout, const std::vector<Part>& parts, Slices& body)
    : layout_(layout), parts_(parts), body_(body) {
  std::size_t names = 0;
  std::size_t merged = 0;
  for (const Item& item : layout_.items_) {
    const Part* part = item.is_spread ? &parts_[item.index] : nullptr;
    if (part == nullptr || !part->has_data) continue;
    names += part->shaped->members.size();
    ++merged;
  }
  is_alone_ = merged <= 1;
  givers_.expect(is_alone_ ? 0 : names);
  body_.reserve(body_.size() + 2 * names + layout_.items_.size());
}

bool ReplyLayout::Writer::run(Quantum& quantum) {
  if (!has_givers_) {
    if (!find_givers(quantum)) return false;
    has_givers_ = true;
    item_ = member_ = 0;
    body_.emplace_back("{");
  }
  for (; !is_written_ && item_ < layout_.items_.size(); ++item_) {
    const Item& item = layout_.items_[item_];
    if (!item.is_spread) {
      write_member(layout_.members_[item.index], since(layout_.members_[item.index]));
    } else if (!write_members(item.index, quantum)) {
      return false;
    }
  }
  if (!std::exchange(is_written_, true)) body_.emplace_back("}");
  return givers_.clear(quantum);
}

ReplyLayout::Writer::Giver& ReplyLayout::Writer::Givers::slot_of(Shard& shard, std::string_view name,
                                                                 std::size_t hash) {
  const std::size_t mask = shard.slots.size() - 1;
  std::size_t at = hash & mask;
  while (shard.slots[at].is_used && shard.slots[at].name != name) at = (at + 1) & mask;
  return shard.slots[at];
}

ReplyLayout::Writer::Giver& ReplyLayout::Writer::Givers::give(std::string_view name, Quantum& quantum) {
  const std::size_t hash = std::hash<std::string_view>()(name);
  Shard& shard = shard_of(hash);
  if (2 * (shard.used + 1) > shard.slots.size()) {
    constexpr std::size_t kFirst = 16;
    const auto old = std::exchange(shard.slots, std::vector<Giver>(std::max(kFirst, 2 * shard.slots.size())));
    quantum.spend(shard.slots.size() * Quantum::kStep / 2);
    for (const Giver& giver : old) {
      if (giver.is_used) slot_of(shard, giver.name, std::hash<std::string_view>()(giver.name)) = giver;
    }
  }
  Giver& giver = slot_of(shard, name, hash);
  if (!giver.is_used) {
    giver.name = name;
    giver.is_used = true;
    ++shard.used;
    is_empty_ = false;
  }
  return giver;
}

ReplyLayout::Writer::Giver* ReplyLayout::Writer::Givers::find(std::string_view name) {
  const std::size_t hash = std::hash<std::string_view>()(name);
  Shard& shard = shard_of(hash);
  if (shard.slots.empty()) return nullptr;
  Giver& giver = slot_of(shard, name, hash);
  return giver.is_used ? &giver : nullptr;
}

bool ReplyLayout::Writer::Givers::clear(Quantum& quantum) {
  for (; !shards_.empty(); shards_.pop_back()) {
    if (quantum.is_spent()) return false;
    quantum.spend(shards_.back().slots.size() * sizeof(Giver) / 4);
  }
  return true;
}

/// A name that is not Unicode equals only what is written the same; no other text begins with that byte.
std::string_view ReplyLayout::Writer::plain(std::string_view written) {
  if (written.find('\\') == written.npos) return written;
  auto text = unescape_json(written);
  return unescaped_.emplace_back(text ? std::move(*text) : "\xff" + std::string(written));
}

bool ReplyLayout::Writer::names_a_node(std::string_view name) const {
  return std::any_of(layout_.members_.begin(), layout_.members_.end(),
                     [&](const Node& node) { return node.name == name; });
}

/// Notes for each name at the top level of a body which call gives it last.
bool ReplyLayout::Writer::find_givers(Quantum& quantum) {
  for (; item_ < layout_.items_.size(); ++item_, member_ = 0) {
    const Item& item = layout_.items_[item_];
    const Part* part = item.is_spread ? &parts_[item.index] : nullptr;
    if (part == nullptr || !part->has_data) continue;
    for (; member_ < part->shaped->members.size(); ++member_) {
      if (quantum.is_spent()) return false;
      const std::string_view name = plain(part->shaped->members[member_].name);
      quantum.spend(Quantum::kStep + name.size());
      if (!is_alone_ || names_a_node(name)) givers_.give(name, quantum).call = item.index;
    }
  }
  if (givers_.empty()) return true;
  for (const Node& node : layout_.members_) {
    Giver* const given = givers_.find(node.name);
    if (given != nullptr) given->is_replaced = has_data(node, given->call);
  }
  return true;
}

ReplyLayout::Writer::Since ReplyLayout::Writer::since(const Node& node) {
  if (givers_.empty()) return std::nullopt;
  const Giver* const found = givers_.find(node.name);
  return found == nullptr ? std::nullopt : Since(found->call);
}

std::optional<std::size_t> ReplyLayout::Writer::last_with_data(const Node& node, Since since) const {
  for (auto call = node.calls.rbegin(); call != node.calls.rend(); ++call) {
    if (parts_[*call].has_data && (!since || *call > *since)) return *call;
  }
  return std::nullopt;
}

bool ReplyLayout::Writer::has_data(const Node& node, Since since) const {
  return last_with_data(node, since) || std::any_of(node.children.begin(), node.children.end(),
                                                    [&](const Node& child) { return has_data(child, since); });
}

void ReplyLayout::Writer::separate() {
  if (body_.back() != "{") body_.emplace_back(",");
}

void ReplyLayout::Writer::write_member(const Node& node, Since since) {
  if (!has_data(node, since)) return;
  separate();
  body_.emplace_back(node.member);
  if (const auto call = last_with_data(node, since)) {
    const Part& part = parts_[*call];
    if (part.shaped == nullptr) {
      body_.emplace_back(part.bytes);
    } else {
      body_.insert(body_.end(), part.shaped->slices.begin(), part.shaped->slices.end());
    }
    return;
  }
  body_.emplace_back("{");
  for (const Node& child : node.children) write_member(child, since);
  body_.emplace_back("}");
}

bool ReplyLayout::Writer::write_members(std::size_t call, Quantum& quantum) {
  const Part& part = parts_[call];
  if (!part.has_data) return true;
  for (; member_ < part.shaped->members.size(); ++member_) {
    if (quantum.is_spent()) return false;
    const Shaped::Member& member = part.shaped->members[member_];
    quantum.spend(Quantum::kStep + member.name.size());
    const Giver* const giver = givers_.find(plain(member.name));
    if (giver != nullptr && (giver->call != call || giver->is_replaced)) continue;
    const auto& slices = part.shaped->slices;
    // What goes on in the text behind a comma goes on in the slice, too.
    std::string_view& last = body_.back();
    std::size_t first = member.begin;
    if (slices[first].data() == last.data() + last.size() + 1 && last.data()[last.size()] == ',' && last != "{") {
      last = std::string_view(last.data(), last.size() + 1 + slices[first].size());
      ++first;
    } else {
      separate();
    }
    for (std::size_t i = first; i < member.end; ++i) body_.push_back(slices[i]);
  }
  member_ = 0;
  return true;
}

}  // namespace sluice::gateway
