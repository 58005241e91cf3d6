// The persistent trie under CowMap: lookup, path copying, and reclaiming what no version reaches any more.
#pragma once

#include "concurrency/detail/recycled.hpp"
#include "concurrency/detail/thin_mutex.hpp"

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace sluice::concurrency::detail {

/// What versions share. Readers never touch these fields, so a writer may change them under their eyes.
struct TrieObject {
  explicit TrieObject(bool leaf) : bits(leaf ? kLeaf : 0) {}

  [[nodiscard]] std::uint64_t birth() const { return bits & kBirth; }  // the first version that reaches it
  void set_birth(std::uint64_t version) { bits = (bits & ~kBirth) | version; }
  [[nodiscard]] bool is_leaf() const { return (bits & kLeaf) != 0; }
  [[nodiscard]] bool is_discarded() const { return (bits & kDiscarded) != 0; }  // dropped by the update that made it
  void discard() { bits |= kDiscarded; }

  static constexpr std::uint64_t kLeaf = std::uint64_t{1} << 62;
  static constexpr std::uint64_t kDiscarded = std::uint64_t{1} << 63;
  static constexpr std::uint64_t kBirth = kLeaf - 1;
  std::uint64_t bits;          // one word: bit fields would be written in pieces and read back as a whole at once
  TrieObject* next = nullptr;  // in the one list that it is in, if any
};

/// CowMap derives its entries from this.
struct TrieLeaf : TrieObject {
  explicit TrieLeaf(std::uint64_t key_hash) : TrieObject(true), hash(key_hash) {}
  std::uint64_t hash;
};

/// std::popcount, which is a call where the processor is not known to have the instruction.
inline std::size_t count_bits(std::uint64_t x) {
#if defined(__POPCNT__) || !defined(__x86_64__)
  return static_cast<std::size_t>(std::popcount(x));
#else
  x -= (x >> 1U) & 0x5555555555555555U;
  x = (x & 0x3333333333333333U) + ((x >> 2U) & 0x3333333333333333U);
  x = (x + (x >> 4U)) & 0x0f0f0f0f0f0f0f0fU;
  return static_cast<std::size_t>((x * 0x0101010101010101U) >> 56U);
#endif
}

/// Six bits of hash choose one of 64 positions; the positions in use have a pointer each, in order, behind the node.
/// Below the last bits a node is a bucket of leaves with equal hashes: `leaves` is their number, `branches` is 0.
struct TrieNode : TrieObject {
  static constexpr unsigned kBits = 6;
  static constexpr unsigned kHashBits = 64;

  explicit TrieNode(std::size_t slots_of_it) : TrieObject(false), size(slots_of_it) {}

  std::uint64_t leaves = 0;
  std::uint64_t branches = 0;
  const std::size_t size;  // how many pointers stand behind the node

  [[nodiscard]] static std::uint64_t bit(std::uint64_t hash, unsigned shift) {
    return std::uint64_t{1} << ((hash >> shift) & 63);
  }
  [[nodiscard]] TrieObject** slots() { return reinterpret_cast<TrieObject**>(this + 1); }
  [[nodiscard]] TrieObject* const* slots() const { return reinterpret_cast<TrieObject* const*>(this + 1); }
  [[nodiscard]] std::size_t index(std::uint64_t bit) const {
    const std::uint64_t used = leaves | branches;
    // Near the root nodes are full.
    if (used == ~std::uint64_t{0}) return static_cast<std::size_t>(std::countr_zero(bit));
    return count_bits(used & (bit - 1));
  }
  [[nodiscard]] const TrieLeaf& leaf(std::size_t i) const { return static_cast<const TrieLeaf&>(*slots()[i]); }
  [[nodiscard]] const TrieNode& branch(std::size_t i) const { return static_cast<const TrieNode&>(*slots()[i]); }
};

/// Begins to load the cache lines behind the first of an object whose use is near.
inline void prefetch_rest(const TrieObject& object, std::size_t lines) {
  for (std::size_t i = 1; i <= lines; ++i) __builtin_prefetch(reinterpret_cast<const char*>(&object) + 64 * i);
}

/// The leaf with this hash for which `matches(leaf)`, or null.
template <class Matches>
[[nodiscard]] const TrieLeaf* find_leaf(const TrieNode* node, std::uint64_t hash, const Matches& matches) {
  for (unsigned shift = 0; shift < TrieNode::kHashBits; shift += TrieNode::kBits) {
    const std::uint64_t bit = TrieNode::bit(hash, shift);
    if ((node->leaves & bit) != 0) {
      const TrieLeaf& leaf = node->leaf(node->index(bit));
      prefetch_rest(leaf, 2);
      return leaf.hash == hash && matches(leaf) ? &leaf : nullptr;
    }
    if ((node->branches & bit) == 0) return nullptr;
    node = &node->branch(node->index(bit));
    prefetch_rest(*node, 1);
  }
  for (std::size_t i = 0; i < node->leaves; ++i) {
    if (matches(node->leaf(i))) return &node->leaf(i);
  }
  return nullptr;
}

/// Calls `visit(leaf)` for each leaf, in the order of hashes' low bits.
template <class Visit>
void for_each_leaf(const TrieNode& node, const Visit& visit, unsigned shift = 0) {
  if (shift >= TrieNode::kHashBits) {
    for (std::size_t i = 0; i < node.leaves; ++i) visit(node.leaf(i));
    return;
  }
  std::size_t i = 0;
  for (std::uint64_t used = node.leaves | node.branches; used != 0; used &= used - 1, ++i) {
    if ((node.leaves & used & (~used + 1)) != 0) {
      visit(node.leaf(i));
    } else {
      for_each_leaf(node.branch(i), visit, shift + TrieNode::kBits);
    }
  }
}

/// One published state of a trie; `root` and `size` are immutable, the rest belongs to the writer.
struct TrieVersion {
  TrieVersion() = default;
  TrieVersion(const TrieVersion&) = delete;
  TrieVersion& operator=(const TrieVersion&) = delete;
  virtual ~TrieVersion() = default;
  static void* operator new(std::size_t size) { return allocate_recycled(size); }
  static void operator delete(void* version, std::size_t size) noexcept { free_recycled(version, size); }

  const TrieNode* root = nullptr;
  std::size_t size = 0;

  std::uint64_t number = 0;  // 0: never published
  TrieVersion* older = nullptr;
  TrieVersion* newer = nullptr;
  TrieObject* dead = nullptr;  // reached by this version, by none that is newer
  TrieVersion* next_retired = nullptr;
};

/// The writer's side: builds versions by copying paths, and frees what no live version reaches.
///
/// Reclaiming works as in a file system with snapshots (dead lists, ZFS): an object replaced in the step from version v
/// to the next joins v's dead list; when v has no reader any more, each object of its list moves to the next older
/// version if that one reaches it (born no later), and is freed else. No object counts references, so copying a node
/// touches none of its children, and a reader that lets go of a version does one compare-and-swap, however much it
/// held.
///
/// Thread: the owner's writers, one at a time under `mutex`; retire() any thread.
class Trie {
 public:
  using DeleteLeaf = void (*)(TrieLeaf*) noexcept;

  explicit Trie(DeleteLeaf delete_leaf) : delete_leaf_(delete_leaf) {}
  ~Trie();  // when every version has been retired
  Trie(const Trie&) = delete;
  Trie& operator=(const Trie&) = delete;

  ThinMutex mutex;

  // An update: begin, any number of insert, replace and erase, then publish or abort. Those in the middle may throw
  // std::bad_alloc, after which only abort is allowed.
  void begin();
  void insert(TrieLeaf* leaf);                             // takes ownership; no leaf with an equal key may be there
  void replace(const TrieLeaf* old_leaf, TrieLeaf* leaf);  // takes ownership of `leaf`; equal keys
  void erase(const TrieLeaf* leaf);
  void publish(TrieVersion& version) noexcept;  // `version` is now the newest
  void abort() noexcept;

  [[nodiscard]] const TrieNode* root() const { return root_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool is_changed() const { return born_ != nullptr; }

  /// Frees up to `most` objects that no live version reaches, or, if the update published last replaced more, a
  /// multiple of those, so that garbage cannot outgrow reclaiming. Returns whether there is more.
  bool reclaim(std::size_t most) noexcept;

  /// `version` has no reader any more. Never waits.
  void retire(TrieVersion& version) noexcept;

 private:
  struct Remains;  // what erasing leaves of a node: the node, or its only leaf to be put in the node's place

  [[nodiscard]] TrieNode* make_node(std::size_t slots);
  [[nodiscard]] TrieNode* make_like(const TrieNode& node, std::size_t count, std::size_t same);
  [[nodiscard]] TrieNode* make_pair(TrieLeaf* one, TrieLeaf* other, unsigned shift);
  [[nodiscard]] TrieNode* with_slot(TrieNode* node, std::size_t count, std::size_t i, TrieObject* content);
  [[nodiscard]] TrieNode* with_added(TrieNode* node, std::size_t count, std::size_t i, TrieObject* content);
  [[nodiscard]] TrieNode* with_removed(TrieNode* node, std::size_t count, std::size_t i);
  [[nodiscard]] TrieNode* insert(TrieNode* node, TrieLeaf* leaf, unsigned shift);
  [[nodiscard]] TrieNode* replace(TrieNode* node, const TrieLeaf* old_leaf, TrieLeaf* leaf, unsigned shift);
  [[nodiscard]] Remains erase(TrieNode* node, const TrieLeaf* leaf, unsigned shift);
  void adopt(TrieObject* object);
  void drop(TrieObject* object);
  void free(TrieObject* object) noexcept;
  void free_tree(const TrieNode* node) noexcept;

  const DeleteLeaf delete_leaf_;
  TrieVersion* newest_ = nullptr;
  TrieVersion* dying_ = nullptr;                // retired, not wholly reclaimed
  std::atomic<TrieVersion*> retired_{nullptr};  // pushed by readers
  std::size_t last_dropped_ = 0;                // objects that the last update replaced

  // The update under way.
  TrieNode* root_ = nullptr;
  std::size_t size_ = 0;
  std::uint64_t number_ = 0;
  std::size_t dropped_count_ = 0;
  TrieObject* born_ = nullptr;
  TrieObject* dropped_ = nullptr;
};

}  // namespace sluice::concurrency::detail
