// Collects the problems of one configuration text, with their places.
#pragma once

#include "gateway/config_text.hpp"
#include "gateway/problem.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::gateway {

/// One value that is being looked at: where it stands in the text and in the tree.
struct Place {
  std::size_t offset;
  std::string pointer;
};

/// The value at `pointer`, or what of its way exists: a value that came from `defaults` is reported where it is used.
[[nodiscard]] Place place_of(const ConfigNode& root, const std::string& pointer);
/// The same value itself.
[[nodiscard]] const ConfigNode* node_at(const ConfigNode& root, const std::string& pointer);
/// Whether there is nothing wrong with it by itself, or it is not there.
[[nodiscard]] bool is_good(const ConfigNode& root, const std::string& pointer);

/// Keeps the first thousand that it is told of. Thread: one. `text` must outlive it.
class ConfigProblems {
 public:
  ConfigProblems(std::string file, std::string_view text) : file_(std::move(file)), text_(text) {}

  void error(const Place& place, std::string message) { add(Problem::Severity::error, place, std::move(message)); }
  void warning(const Place& place, std::string message) { add(Problem::Severity::warning, place, std::move(message)); }

  [[nodiscard]] bool has_errors() const { return has_errors_; }
  /// Further ones are only counted: their messages need not be good.
  [[nodiscard]] bool is_full() const { return problems_.size() >= kMax; }

  /// The problems in the order of the text; the last one says how many were left out.
  [[nodiscard]] std::vector<Problem> take();

 private:
  static constexpr std::size_t kMax = 1000;

  void add(Problem::Severity severity, const Place& place, std::string message);

  std::string file_;
  std::string_view text_;
  std::vector<Problem> problems_;
  std::size_t left_out_ = 0;
  bool has_errors_ = false;
};

/// `; did you mean "timeout"?` for the candidate nearest to `word`, or empty when none is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& candidates);

/// `"text"`, as it is.
std::string quote(std::string_view text);

/// `"a", "b" or "c"`.
std::string quoted_list(const std::vector<std::string_view>& words);

}  // namespace sluice::gateway
