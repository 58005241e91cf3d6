#include "gateway/reply_layout.hpp"

#include "gateway/config.hpp"
#include "gateway/json_shape.hpp"
#include "gateway/json_walk.hpp"

#include <algorithm>
#include <optional>
#include <unordered_map>

namespace sluice::gateway {

ReplyLayout::ReplyLayout(const std::vector<CallConfig>& calls) {
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const auto into = JsonPointer::parse(calls[i].into.value_or("/" + calls[i].name)).value();
    if (into.tokens().empty()) {
      items_.push_back({i, true});
      is_flat_ = false;
      continue;
    }
    std::vector<Node>* level = &members_;
    Node* node = nullptr;
    for (const std::string& token : into.tokens()) {
      const auto found = std::find_if(level->begin(), level->end(), [&](const Node& n) { return n.name == token; });
      if (found != level->end()) {
        node = &*found;
      } else {
        if (level == &members_) items_.push_back({members_.size(), false});
        node = &level->emplace_back();
        node->name = token;
        node->member = json_string(token) + ":";
      }
      level = &node->children;
    }
    node->calls.push_back(i);
    is_flat_ = is_flat_ && !calls[i].into;
  }
}

/// One reply. `since` is the giver of a member: what calls before it have there is gone.
class ReplyLayout::Writer {
 public:
  using Since = std::optional<std::size_t>;
  /// The last call that gives a member from its own top level.
  struct Giver {
    std::size_t call = 0;
    bool is_replaced = false;  // by a later call whose `into` leads there
  };

  Writer(const ReplyLayout& layout, const std::vector<Part>& parts, std::vector<std::string_view>& body)
      : layout_(layout), parts_(parts), body_(body) {}

  void write() {
    find_givers();
    body_.emplace_back("{");
    for (const Item& item : layout_.items_) {
      if (item.is_spread) {
        write_members(item.index);
      } else {
        write_member(layout_.members_[item.index], since(layout_.members_[item.index]));
      }
    }
    body_.emplace_back("}");
  }

 private:
  // A name that is not Unicode equals only what is written the same; no other text begins with that byte.
  static std::string plain(std::string_view written) {
    auto text = unescape_json(written);
    return text ? std::move(*text) : "\xff" + std::string(written);
  }

  /// Notes for each name at the top level of a body which call gives it last.
  void find_givers() {
    for (const Item& item : layout_.items_) {
      const Part& part = parts_[item.index];
      if (!item.is_spread || !part.has_data) continue;
      for (const Shaped::Member& member : part.shaped->members) givers_[plain(member.name)].call = item.index;
    }
    if (givers_.empty()) return;
    for (const Node& node : layout_.members_) {
      const auto given = givers_.find(node.name);
      if (given != givers_.end()) given->second.is_replaced = has_data(node, given->second.call);
    }
  }

  [[nodiscard]] Since since(const Node& node) const {
    if (givers_.empty()) return std::nullopt;
    const auto found = givers_.find(node.name);
    return found == givers_.end() ? std::nullopt : Since(found->second.call);
  }

  [[nodiscard]] std::optional<std::size_t> last_with_data(const Node& node, Since since) const {
    for (auto call = node.calls.rbegin(); call != node.calls.rend(); ++call) {
      if (parts_[*call].has_data && (!since || *call > *since)) return *call;
    }
    return std::nullopt;
  }

  [[nodiscard]] bool has_data(const Node& node, Since since) const {
    return last_with_data(node, since) || std::any_of(node.children.begin(), node.children.end(),
                                                      [&](const Node& child) { return has_data(child, since); });
  }

  void separate() {
    if (body_.back() != "{") body_.emplace_back(",");
  }

  void write_member(const Node& node, Since since) {
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

  void write_members(std::size_t call) {
    const Part& part = parts_[call];
    if (!part.has_data) return;
    for (const Shaped::Member& member : part.shaped->members) {
      const Giver& giver = givers_.at(plain(member.name));
      if (giver.call != call || giver.is_replaced) continue;
      separate();
      const auto& slices = part.shaped->slices;
      for (std::size_t i = member.begin; i < member.end; ++i) body_.push_back(slices[i]);
    }
  }

  const ReplyLayout& layout_;
  const std::vector<Part>& parts_;
  std::vector<std::string_view>& body_;
  std::unordered_map<std::string, Giver> givers_;
};

void ReplyLayout::write(const std::vector<Part>& parts, std::vector<std::string_view>& body) const {
  Writer(*this, parts, body).write();
}

}  // namespace sluice::gateway
