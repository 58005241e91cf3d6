// CowMap<K, V>: a shared map by copy-on-write; readers see immutable versions, writers copy a path.
#pragma once

#include "concurrency/detail/trie.hpp"
#include "concurrency/snapshot.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

namespace sluice::concurrency {

/// A hash map (a persistent hash array mapped trie) for many readers and a writer now and then.
///
/// Promises: those of Snapshot, for the map as a whole: a version is a state between two updates, never a part of one;
/// once an update has returned, every read that starts sees it. Readers never lock and never wait. Updates queue on a
/// mutex and copy O(log n) nodes of at most 64 pointers, no keys and no values. An object that an update replaced lives
/// until no reader holds a version that reaches it; then it is destroyed by a later update or reclaim(), never by a
/// reader, a bounded number at a time. A thread's last read keeps its version (see refresh_snapshots). Versions may
/// outlive the map; the last to let go then destroys what is left.
///
/// `Hash` and `Equal` may take other types than K for look-ups; look-ups call const copies of them on any thread.
/// Destructors of keys and values run under the writers' lock and must not touch the map.
/// Should the copying of a key or value, or memory, fail with an exception, the map is unchanged.
/// Thread: any thread.
template <class K, class V, class Hash = std::hash<K>, class Equal = std::equal_to<>>
class CowMap {
  struct Leaf;

 public:
  struct Entry {
    template <class... Args>
    explicit Entry(K k, Args&&... args) : key(std::move(k)), value(std::forward<Args>(args)...) {}
    const K key;
    const V value;
  };

  /// One state of the map. *immutable*
  class Version : private detail::TrieVersion {
   public:
    /// The value of `key`, or null; valid as long as this version.
    template <class Q>
    [[nodiscard]] const V* find(const Q& key) const {
      const Leaf* const leaf = find_in(root, hash_of(hash_, key), key, equal_);
      return leaf == nullptr ? nullptr : &leaf->entry.value;
    }
    /// The entry of `key`, or null, owned: it may outlive the version and the map. Costs one atomic increment more.
    template <class Q>
    [[nodiscard]] std::shared_ptr<const Entry> find_owned(const Q& key) const {
      return own(find_in(root, hash_of(hash_, key), key, equal_));
    }
    [[nodiscard]] std::size_t size() const noexcept { return TrieVersion::size; }

    /// Calls `visit(key, value)` for each entry, in no particular order.
    template <class Visit>
    void for_each(const Visit& visit) const {
      detail::for_each_leaf(*root, [&visit](const detail::TrieLeaf& leaf) {
        const Entry& entry = static_cast<const Leaf&>(leaf).entry;
        visit(entry.key, entry.value);
      });
    }

   private:
    friend CowMap;
    Version(const Hash& hash, const Equal& equal) : hash_(hash), equal_(equal) {}

    [[no_unique_address]] const Hash hash_;
    [[no_unique_address]] const Equal equal_;
  };
  using Borrow = typename Snapshot<Version>::Borrow;

  /// The map as one update sees and changes it; nobody else sees it before the update is over.
  class Batch {
   public:
    /// As Version::find; valid until the entry is changed or the update is over.
    template <class Q>
    [[nodiscard]] const V* find(const Q& key) const {
      const Leaf* const leaf = find_in(trie_.root(), hash_of(hash_, key), key, equal_);
      return leaf == nullptr ? nullptr : &leaf->entry.value;
    }
    /// As Version::find_owned.
    template <class Q>
    [[nodiscard]] std::shared_ptr<const Entry> find_owned(const Q& key) const {
      return own(find_in(trie_.root(), hash_of(hash_, key), key, equal_));
    }
    [[nodiscard]] std::size_t size() const noexcept { return trie_.size(); }

    /// Makes the value in place from `args`; true if the key is new. Key and value together replace those of an equal
    /// key.
    template <class... Args>
    bool insert_or_assign(K key, Args&&... args) {
      const std::uint64_t hash = hash_of(hash_, key);
      const Leaf* const old_leaf = find_in(trie_.root(), hash, key, equal_);
      auto made =
          std::allocate_shared<Leaf>(detail::Recycled<Leaf>(), hash, std::move(key), std::forward<Args>(args)...);
      Leaf* const leaf = made.get();
      leaf->self = std::move(made);
      if (old_leaf != nullptr) {
        trie_.replace(old_leaf, leaf);
      } else {
        trie_.insert(leaf);
      }
      return old_leaf == nullptr;
    }

    /// True if the key was there.
    template <class Q>
    bool erase(const Q& key) {
      const Leaf* const leaf = find_in(trie_.root(), hash_of(hash_, key), key, equal_);
      if (leaf == nullptr) return false;
      trie_.erase(leaf);
      return true;
    }

   private:
    friend CowMap;
    Batch(detail::Trie& trie, const Hash& hash, const Equal& equal) : trie_(trie), hash_(hash), equal_(equal) {}

    detail::Trie& trie_;
    const Hash& hash_;
    const Equal& equal_;
  };

  explicit CowMap(Hash hash = Hash(), Equal equal = Equal())
      : hash_(std::move(hash)),
        equal_(std::move(equal)),
        trie_(std::make_shared<detail::Trie>(&let_go)),
        current_(first_version()) {}

  /// The current version, in place, as Snapshot::read.
  [[nodiscard]] Borrow read() const& { return current_.read(); }
  Borrow read() const&& = delete;

  /// The current version, owned: for what outlives a co_await, or takes long.
  [[nodiscard]] std::shared_ptr<const Version> load() const { return current_.load(); }

  /// A copy of the value of `key` in the current version.
  template <class Q>
  [[nodiscard]] std::optional<V> find(const Q& key) const {
    const Borrow now = read();
    const V* const value = now->find(key);
    return value == nullptr ? std::nullopt : std::optional<V>(*value);
  }
  [[nodiscard]] std::size_t size() const {
    const Borrow now = read();
    return now->size();
  }

  /// One key, published at once; as Batch::insert_or_assign.
  template <class... Args>
  bool insert_or_assign(K key, Args&&... args) {
    return update([&](Batch& batch) { return batch.insert_or_assign(std::move(key), std::forward<Args>(args)...); });
  }
  /// True if the key was there.
  template <class Q>
  bool erase(const Q& key) {
    return update([&](Batch& batch) { return batch.erase(key); });
  }

  /// Calls `change(batch)` and publishes all that it did as one version; returns what it returned. If it throws,
  /// nothing has happened. It holds the writers' lock: it must be short and must not write to this map in another way.
  template <class Change>
  auto update(Change&& change) {
    const std::lock_guard lock(trie_->mutex);
    return update_locked(std::forward<Change>(change));
  }

  /// Destroys up to about `most` objects that no version in use reaches; returns whether there are more. Updates do as
  /// much by themselves as keeps up; after the end of a reader that held an old version for long this is quicker.
  bool reclaim(std::size_t most) {
    const std::lock_guard lock(trie_->mutex);
    return trie_->reclaim(most);
  }

 private:
  // An entry in its place in the trie. The trie's share of it is its own pointer to itself, so that readers may own it.
  struct Leaf : detail::TrieLeaf {
    template <class... Args>
    explicit Leaf(std::uint64_t key_hash, K k, Args&&... args)
        : TrieLeaf(key_hash), entry(std::move(k), std::forward<Args>(args)...) {}
    std::shared_ptr<const Leaf> self;
    const Entry entry;
  };

  static void let_go(detail::TrieLeaf* leaf) noexcept {
    const std::shared_ptr<const Leaf> last = std::move(static_cast<Leaf*>(leaf)->self);
  }

  static std::shared_ptr<const Entry> own(const Leaf* leaf) {
    return leaf == nullptr ? nullptr : std::shared_ptr<const Entry>(leaf->self, &leaf->entry);
  }

  // Objects freed by an update beside those that it replaces itself: an update of 5 us takes 2 us longer at most.
  static constexpr std::size_t kReclaimPerUpdate = 64;

  struct Retire {
    std::shared_ptr<detail::Trie> trie;
    void operator()(Version* version) const noexcept { trie->retire(*version); }
  };

  struct AbortGuard {
    explicit AbortGuard(detail::Trie& t) : trie(t) {}
    ~AbortGuard() { trie.abort(); }
    AbortGuard(const AbortGuard&) = delete;
    AbortGuard& operator=(const AbortGuard&) = delete;
    detail::Trie& trie;
  };

  template <class Q>
  static std::uint64_t hash_of(const Hash& hash, const Q& key) {
    // One-to-one, so it adds no collisions; lets every bit of a weak hash reach the low bits, which choose the path.
    std::uint64_t mixed = static_cast<std::uint64_t>(hash(key)) * 0x9E3779B97F4A7C15u;
    mixed = (mixed ^ (mixed >> 32)) * 0xD6E8FEB86659FD93u;
    return mixed ^ (mixed >> 32);
  }

  template <class Q>
  static const Leaf* find_in(const detail::TrieNode* root, std::uint64_t hash, const Q& key, const Equal& equal) {
    return static_cast<const Leaf*>(detail::find_leaf(root, hash, [&](const detail::TrieLeaf& leaf) {
      return static_cast<bool>(equal(static_cast<const Leaf&>(leaf).entry.key, key));
    }));
  }

  /// Makes the update under way the trie's newest version.
  std::shared_ptr<const Version> commit() {
    static_assert(alignof(Version) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__, "Hash or Equal is aligned more strictly");
    std::shared_ptr<Version> next(new Version(hash_, equal_), Retire{trie_}, detail::Recycled<Version>());
    trie_->publish(*next);
    return next;
  }

  std::shared_ptr<const Version> first_version() {
    const AbortGuard guard(*trie_);
    trie_->begin();
    return commit();
  }

  template <class Change>
  auto update_locked(Change&& change) {
    const AbortGuard guard(*trie_);
    trie_->begin();
    Batch batch(*trie_, hash_, equal_);
    if constexpr (std::is_void_v<decltype(change(batch))>) {
      change(batch);
      finish();
    } else {
      auto result = change(batch);
      finish();
      return result;
    }
  }

  void finish() {
    if (!trie_->is_changed()) return;
    current_.publish(commit());
    static_cast<void>(trie_->reclaim(kReclaimPerUpdate));
  }

  const Hash hash_;
  const Equal equal_;
  const std::shared_ptr<detail::Trie> trie_;
  Snapshot<Version> current_;
};

}  // namespace sluice::concurrency
