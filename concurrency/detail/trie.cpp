// Path copying and reclaiming of the persistent trie under CowMap.
#include "concurrency/detail/trie.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace sluice::concurrency::detail {

namespace {

std::size_t node_size(std::size_t slots) {
  return sizeof(TrieNode) + slots * sizeof(TrieObject*);
}

std::size_t bucket_index(const TrieNode& bucket, const TrieLeaf* leaf) {
  return static_cast<std::size_t>(std::find(bucket.slots(), bucket.slots() + bucket.leaves, leaf) - bucket.slots());
}

}  // namespace

struct Trie::Remains {
  TrieNode* node;
  TrieObject* leaf;  // null: the node stays
};

Trie::~Trie() {
  if (newest_ == nullptr) return;
  const TrieNode* const root = newest_->root;
  for (TrieVersion* version = newest_; version != nullptr;) {
    while (version->dead != nullptr) free(std::exchange(version->dead, version->dead->next));
    delete std::exchange(version, version->older);
  }
  free_tree(root);
}

void Trie::free_tree(const TrieNode* node) noexcept {
  for (std::size_t i = 0; i < node->size; ++i) {
    TrieObject* const content = node->slots()[i];
    if (content->is_leaf()) {
      free(content);
    } else {
      free_tree(static_cast<TrieNode*>(content));
    }
  }
  free(const_cast<TrieNode*>(node));
}

void Trie::free(TrieObject* object) noexcept {
  if (object->is_leaf()) {
    delete_leaf_(static_cast<TrieLeaf*>(object));
  } else {
    auto* const node = static_cast<TrieNode*>(object);
    const std::size_t size = node_size(node->size);
    node->~TrieNode();
    free_recycled(node, size);
  }
}

void Trie::begin() {
  number_ = newest_ == nullptr ? 1 : newest_->number + 1;
  size_ = newest_ == nullptr ? 0 : newest_->size;
  dropped_count_ = 0;
  // Only nodes born in this update are ever changed.
  root_ = newest_ == nullptr ? make_node(0) : const_cast<TrieNode*>(newest_->root);
}

void Trie::insert(TrieLeaf* leaf) {
  adopt(leaf);
  root_ = insert(root_, leaf, 0);
  ++size_;
}

void Trie::replace(const TrieLeaf* old_leaf, TrieLeaf* leaf) {
  adopt(leaf);
  root_ = replace(root_, old_leaf, leaf, 0);
}

void Trie::erase(const TrieLeaf* leaf) {
  root_ = erase(root_, leaf, 0).node;
  --size_;
}

void Trie::publish(TrieVersion& version) noexcept {
  for (TrieObject* object = std::exchange(born_, nullptr); object != nullptr;) {
    TrieObject* const next = std::exchange(object->next, nullptr);
    if (object->is_discarded()) free(object);
    object = next;
  }
  version.root = root_;
  version.size = size_;
  version.number = number_;
  version.older = newest_;
  if (newest_ != nullptr) {
    newest_->newer = &version;
    newest_->dead = std::exchange(dropped_, nullptr);
  }
  newest_ = &version;
  last_dropped_ = dropped_count_;
}

void Trie::abort() noexcept {
  while (born_ != nullptr) free(std::exchange(born_, born_->next));
  dropped_ = nullptr;
}

void Trie::retire(TrieVersion& version) noexcept {
  if (version.number == 0) {
    delete &version;
    return;
  }
  version.next_retired = retired_.load(std::memory_order_relaxed);
  while (!retired_.compare_exchange_weak(version.next_retired, &version, std::memory_order_release,
                                         std::memory_order_relaxed)) {
  }
}

bool Trie::reclaim(std::size_t most) noexcept {
  for (TrieVersion* version = retired_.exchange(nullptr, std::memory_order_acquire); version != nullptr;) {
    TrieVersion* const next = version->next_retired;
    version->next_retired = std::exchange(dying_, version);
    version = next;
  }
  std::size_t left = std::max(most, 4 * std::exchange(last_dropped_, 0));
  // Newest first: each update's own garbage goes at once, and a large old version gets what is left of the budget.
  while (dying_ != nullptr) {
    TrieVersion& version = *dying_;
    for (; version.dead != nullptr && left > 0; --left) {
      TrieObject* const object = std::exchange(version.dead, version.dead->next);
      if (version.older != nullptr && object->birth() <= version.older->number) {
        object->next = std::exchange(version.older->dead, object);
      } else {
        free(object);
      }
    }
    if (left == 0) return true;
    --left;
    dying_ = version.next_retired;
    if (version.older != nullptr) version.older->newer = version.newer;
    if (version.newer != nullptr) version.newer->older = version.older;
    delete &version;
  }
  return false;
}

void Trie::adopt(TrieObject* object) {
  object->set_birth(number_);
  object->next = std::exchange(born_, object);
}

void Trie::drop(TrieObject* object) {
  if (object->birth() == number_) {
    object->discard();
  } else {
    object->next = std::exchange(dropped_, object);
    ++dropped_count_;
  }
}

TrieNode* Trie::make_node(std::size_t slots) {
  auto* const node = new (allocate_recycled(node_size(slots))) TrieNode(slots);
  adopt(node);
  return node;
}

/// A node with the bits of `node` and room for `count` pointers, the first `same` of them copied.
TrieNode* Trie::make_like(const TrieNode& node, std::size_t count, std::size_t same) {
  TrieNode* const copy = make_node(count);
  copy->leaves = node.leaves;
  copy->branches = node.branches;
  std::copy_n(node.slots(), same, copy->slots());
  return copy;
}

TrieNode* Trie::with_slot(TrieNode* node, std::size_t count, std::size_t i, TrieObject* content) {
  TrieNode* changed = node;
  if (node->birth() != number_) {
    changed = make_like(*node, count, count);
    drop(node);
  }
  changed->slots()[i] = content;
  return changed;
}

TrieNode* Trie::with_added(TrieNode* node, std::size_t count, std::size_t i, TrieObject* content) {
  TrieNode* const changed = make_like(*node, count + 1, i);
  changed->slots()[i] = content;
  std::copy(node->slots() + i, node->slots() + count, changed->slots() + i + 1);
  drop(node);
  return changed;
}

TrieNode* Trie::with_removed(TrieNode* node, std::size_t count, std::size_t i) {
  TrieNode* const changed = make_like(*node, count - 1, i);
  std::copy(node->slots() + i + 1, node->slots() + count, changed->slots() + i);
  drop(node);
  return changed;
}

/// The smallest subtree with two leaves of different keys.
TrieNode* Trie::make_pair(TrieLeaf* one, TrieLeaf* other, unsigned shift) {
  if (shift >= TrieNode::kHashBits) {
    TrieNode* const bucket = make_node(2);
    bucket->leaves = 2;
    bucket->slots()[0] = one;
    bucket->slots()[1] = other;
    return bucket;
  }
  const std::uint64_t bit = TrieNode::bit(one->hash, shift);
  const std::uint64_t other_bit = TrieNode::bit(other->hash, shift);
  if (bit == other_bit) {
    TrieNode* const child = make_pair(one, other, shift + TrieNode::kBits);
    TrieNode* const node = make_node(1);
    node->branches = bit;
    node->slots()[0] = child;
    return node;
  }
  TrieNode* const node = make_node(2);
  node->leaves = bit | other_bit;
  node->slots()[node->index(bit)] = one;
  node->slots()[node->index(other_bit)] = other;
  return node;
}

TrieNode* Trie::insert(TrieNode* node, TrieLeaf* leaf, unsigned shift) {
  const std::size_t count = node->size;
  if (shift >= TrieNode::kHashBits) {
    TrieNode* const bucket = with_added(node, count, count, leaf);
    ++bucket->leaves;
    return bucket;
  }
  const std::uint64_t bit = TrieNode::bit(leaf->hash, shift);
  const std::size_t i = node->index(bit);
  if ((node->branches & bit) != 0) {
    TrieNode* const child = insert(static_cast<TrieNode*>(node->slots()[i]), leaf, shift + TrieNode::kBits);
    return with_slot(node, count, i, child);
  }
  if ((node->leaves & bit) != 0) {
    TrieNode* const child = make_pair(static_cast<TrieLeaf*>(node->slots()[i]), leaf, shift + TrieNode::kBits);
    TrieNode* const changed = with_slot(node, count, i, child);
    changed->leaves &= ~bit;
    changed->branches |= bit;
    return changed;
  }
  TrieNode* const changed = with_added(node, count, i, leaf);
  changed->leaves |= bit;
  return changed;
}

TrieNode* Trie::replace(TrieNode* node, const TrieLeaf* old_leaf, TrieLeaf* leaf, unsigned shift) {
  const std::size_t count = node->size;
  const bool is_bucket = shift >= TrieNode::kHashBits;
  const std::size_t i = is_bucket ? bucket_index(*node, old_leaf) : node->index(TrieNode::bit(leaf->hash, shift));
  TrieObject* content = leaf;
  if (node->slots()[i] == old_leaf) {
    drop(node->slots()[i]);
  } else {
    content = replace(static_cast<TrieNode*>(node->slots()[i]), old_leaf, leaf, shift + TrieNode::kBits);
  }
  return with_slot(node, count, i, content);
}

Trie::Remains Trie::erase(TrieNode* node, const TrieLeaf* leaf, unsigned shift) {
  const std::size_t count = node->size;
  const bool is_bucket = shift >= TrieNode::kHashBits;
  const std::uint64_t bit = is_bucket ? 1 : TrieNode::bit(leaf->hash, shift);
  const std::size_t i = is_bucket ? bucket_index(*node, leaf) : node->index(bit);
  TrieObject* const content = node->slots()[i];
  if (content != leaf) {
    const Remains child = erase(static_cast<TrieNode*>(content), leaf, shift + TrieNode::kBits);
    if (child.leaf == nullptr) return {with_slot(node, count, i, child.node), nullptr};
    if (count == 1 && shift > 0) {
      drop(node);
      return child;
    }
    TrieNode* const changed = with_slot(node, count, i, child.leaf);
    changed->branches &= ~bit;
    changed->leaves |= bit;
    return {changed, nullptr};
  }
  drop(content);
  if (count == 2 && shift > 0 && node->slots()[1 - i]->is_leaf()) {
    TrieObject* const other = node->slots()[1 - i];
    drop(node);
    return {nullptr, other};
  }
  TrieNode* const changed = with_removed(node, count, i);
  changed->leaves = is_bucket ? count - 1 : changed->leaves & ~bit;
  return {changed, nullptr};
}

}  // namespace sluice::concurrency::detail
