// Writes the reply that the calls of an endpoint are merged into, bit by bit.
#pragma once

#include "gateway/json_shape.hpp"
#include "gateway/reply_layout.hpp"
#include "gateway/turns.hpp"

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::gateway {

/// One reply. `since` is the giver of a member: what calls before it have there is gone. *one worker*
class ReplyLayout::Writer {
 public:
  /// All must live until it is written; `body` is not to be looked at before.
  Writer(const ReplyLayout& layout, const std::vector<Part>& parts, Slices& body);

  /// True when it is over.
  [[nodiscard]] bool run(Quantum& quantum);

 private:
  using Since = std::optional<std::size_t>;
  /// The last call that gives a member from its own top level. Names that only one call can give need none.
  struct Giver {
    std::string_view name;
    std::size_t call = 0;
    bool is_used = false;
    bool is_replaced = false;  // by a later call whose `into` leads there
  };
  /// Givers by name: one small table of many, so that none takes long to grow, or to go.
  class Givers {
   public:
    void expect(std::size_t names) { shards_.resize(names > kMany ? kShards : 1); }
    [[nodiscard]] bool empty() const { return is_empty_; }
    /// Makes one if there is none, at what that costs.
    Giver& give(std::string_view name, Quantum& quantum);
    [[nodiscard]] Giver* find(std::string_view name);
    /// True when nothing is left to be freed.
    [[nodiscard]] bool clear(Quantum& quantum);

   private:
    static constexpr std::size_t kMany = 4096;
    static constexpr std::size_t kShards = 256;
    struct Shard {
      std::vector<Giver> slots;  // open addressing; a power of two
      std::size_t used = 0;
    };
    static Giver& slot_of(Shard& shard, std::string_view name, std::size_t hash);
    [[nodiscard]] Shard& shard_of(std::size_t hash) { return shards_[(hash >> 48U) % shards_.size()]; }

    std::vector<Shard> shards_;
    bool is_empty_ = true;
  };

  std::string_view plain(std::string_view written);
  [[nodiscard]] bool names_a_node(std::string_view name) const;
  [[nodiscard]] bool find_givers(Quantum& quantum);
  [[nodiscard]] Since since(const Node& node);
  [[nodiscard]] std::optional<std::size_t> last_with_data(const Node& node, Since since) const;
  [[nodiscard]] bool has_data(const Node& node, Since since) const;
  void separate();
  void write_member(const Node& node, Since since);
  [[nodiscard]] bool write_members(std::size_t call, Quantum& quantum);

  const ReplyLayout& layout_;
  const std::vector<Part>& parts_;
  Slices& body_;
  Givers givers_;
  std::deque<std::string> unescaped_;
  bool has_givers_ = false;
  bool is_written_ = false;
  bool is_alone_ = false;   // one call at most is merged: what matters is where others have an `into`
  std::size_t item_ = 0;    // of the layout
  std::size_t member_ = 0;  // of the call that is merged
};

}  // namespace sluice::gateway
