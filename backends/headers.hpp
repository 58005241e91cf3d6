// The fields of a message, in order, in one block of memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::backends {

/// ASCII case-insensitive, as field names and connection options are compared.
[[nodiscard]] bool iequals_of_one_size(std::string_view a, std::string_view b);
[[nodiscard]] inline bool iequals(std::string_view a, std::string_view b) {
  return a.size() == b.size() && iequals_of_one_size(a, b);
}

/// One list element of a field value such as `Connection: close, x-a`: takes it off the front of `list`,
/// whitespace trimmed, empty elements skipped; nullopt at the end.
[[nodiscard]] std::optional<std::string_view> next_list_element(std::string_view& list);

/// An ordered list of fields. Names keep their spelling and are compared without case. *One worker*.
///
/// Views that it hands out live until the next add(), set() or clear(). `clear()` keeps the memory, so that a list that
/// is reused from message to message allocates nothing. Removed fields keep their bytes until then.
class Headers {
 public:
  struct Field {
    std::string_view name;
    std::string_view value;
  };

  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Field;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = Field;

    Iterator() = default;
    Field operator*() const { return headers_->at(index_); }
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    Iterator operator++(int) {
      Iterator old = *this;
      ++index_;
      return old;
    }
    bool operator==(const Iterator& other) const { return index_ == other.index_; }

   private:
    friend class Headers;
    Iterator(const Headers* headers, std::size_t index) : headers_(headers), index_(index) {}

    const Headers* headers_ = nullptr;
    std::size_t index_ = 0;
  };

  /// Appends; `name` and `value` must not point into this list.
  void add(std::string_view name, std::string_view value);
  /// Empties the list and copies `block`, a head, into it, for add_from_block() to point into.
  void assign_block(std::string_view block);
  /// Appends a field that lies in the block: offsets of name and value.
  void add_from_block(std::size_t name_begin, std::size_t name_size, std::size_t value_begin, std::size_t value_size) {
    entries_.push_back({static_cast<std::uint32_t>(name_begin), static_cast<std::uint32_t>(name_size),
                        static_cast<std::uint32_t>(value_begin), static_cast<std::uint32_t>(value_size)});
  }
  /// Removes all fields called `name`, then appends one; the arguments must not point into this list.
  void set(std::string_view name, std::string_view value);
  /// Removes all fields called `name`; returns how many there were.
  std::size_t remove(std::string_view name);
  /// Removes what concerns one connection only (RFC 9110 §7.6.1): Connection and every field that it names,
  /// Keep-Alive, Proxy-*, TE, Trailer, Transfer-Encoding, Upgrade.
  void remove_hop_by_hop();
  void clear();

  /// The value of the first field called `name`.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
  [[nodiscard]] bool contains(std::string_view name) const { return find(name).has_value(); }
  [[nodiscard]] std::size_t count(std::string_view name) const;
  /// Calls `each(value)` for every field called `name`, in order.
  template <class F>
  void find_all(std::string_view name, F&& each) const {
    for (const Field field : *this) {
      if (iequals(field.name, name)) each(field.value);
    }
  }

  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] bool empty() const { return entries_.empty(); }
  [[nodiscard]] Field at(std::size_t index) const {
    const Entry& entry = entries_[index];
    return {name_of(entry), {bytes_.data() + entry.value_begin, entry.value_size}};
  }
  [[nodiscard]] Iterator begin() const { return {this, 0}; }
  [[nodiscard]] Iterator end() const { return {this, entries_.size()}; }

 private:
  struct Entry {
    std::uint32_t name_begin;
    std::uint32_t name_size;
    std::uint32_t value_begin;
    std::uint32_t value_size;
  };

  [[nodiscard]] std::string_view name_of(const Entry& entry) const {
    return {bytes_.data() + entry.name_begin, entry.name_size};
  }

  std::string bytes_;
  std::vector<Entry> entries_;
};

/// Whether a field concerns one connection only, apart from those that Connection names: see remove_hop_by_hop().
[[nodiscard]] bool is_hop_by_hop(std::string_view name);

}  // namespace sluice::backends
