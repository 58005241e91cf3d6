// Follows a scan through the tree of the pointers that are looked for, and keeps the slices of what they find.
#pragma once

#include "gateway/json_paths.hpp"
#include "gateway/json_scanner.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::gateway::detail {

/// `depth` is always the number of containers around the value or name.
///
/// Thread: one worker.
class JsonRecorder {
 public:
  explicit JsonRecorder(std::shared_ptr<const JsonPaths> paths)
      : paths_(std::move(paths)), slices_(paths_->nodes().size()), open_(paths_->levels()) {}

  void begin_value(std::size_t depth, bool in_object, std::size_t offset) {
    if (depth != tracked_) return;
    if (depth == 0) {
      value_ = 0;
    } else if (in_object) {
      value_ = member_;
    } else {
      Open& array = open_[tracked_ - 1];
      value_ = paths_->element(array.node, array.next_index++);
    }
    if (!value_) return;
    // The last of several members of the same name counts, so what was found inside an earlier one is void.
    std::fill(slices_.begin() + static_cast<std::ptrdiff_t>(*value_),
              slices_.begin() + static_cast<std::ptrdiff_t>(paths_->nodes()[*value_].end), JsonSlice{});
    slices_[*value_].begin = offset;
  }

  /// The value that has begun is an object or an array.
  void open(std::size_t depth) {
    if (depth == tracked_ && value_) open_[tracked_++] = {*value_, 0};
  }

  void end_value(std::size_t depth, std::size_t offset) {
    if (tracked_ > depth) {
      slices_[open_[--tracked_].node].end = offset;
    } else if (tracked_ == depth && value_) {
      slices_[*value_].end = offset;
    }
  }

  /// A part of a member's name that the end of a chunk cuts. Keeps no more than shows that the name is too long to
  /// match.
  void cut_name(std::size_t depth, std::string_view part) {
    if (depth == tracked_) cut_name_ += part.substr(0, paths_->longest_name() + 1 - cut_name_.size());
  }

  void end_name(std::size_t depth, std::string_view part) {
    if (depth != tracked_) return;
    const std::size_t object = open_[tracked_ - 1].node;
    if (cut_name_.empty()) {
      member_ = paths_->member(object, part);
    } else {
      cut_name(depth, part);
      member_ = paths_->member(object, cut_name_);
      cut_name_.clear();
    }
  }

  [[nodiscard]] JsonSlice slice(std::size_t pointer) const { return slices_[paths_->targets()[pointer]]; }

 private:
  struct Open {
    std::size_t node = 0;
    std::size_t next_index = 0;
  };

  std::shared_ptr<const JsonPaths> paths_;
  std::vector<JsonSlice> slices_;      // of each node
  std::vector<Open> open_;             // the open containers that are nodes, outermost first
  std::size_t tracked_ = 0;            // how many of them there are
  std::optional<std::size_t> member_;  // node of the member whose name was read
  std::optional<std::size_t> value_;   // node of the value that began last among those in a tracked container
  std::string cut_name_;
};

}  // namespace sluice::gateway::detail
