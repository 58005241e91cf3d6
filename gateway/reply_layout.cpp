#include "gateway/reply_layout.hpp"

#include "gateway/config.hpp"
#include "gateway/json_walk.hpp"
#include "gateway/reply_writer.hpp"

#include <algorithm>

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

void ReplyLayout::write(const std::vector<Part>& parts, Slices& body) const {
  Writer writer(*this, parts, body);
  Quantum quantum = Quantum::unlimited();
  (void)writer.run(quantum);
}

}  // namespace sluice::gateway
