// A text in which the number of the request stands: `/users/{n}`, `/users/{n%1000}`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::loadtest {

/// Text with places for the number of a request: `{n}`, or `{n%K}` for its remainder by K. Any other brace is itself.
/// *immutable*
class Template {
 public:
  Template() = default;
  /// Errors: std::invalid_argument for `{n%...` that is not a number above 0 and a `}`.
  explicit Template(std::string_view text);

  Template& operator+=(std::string_view constant);
  Template& operator+=(const Template& other);

  /// Without any place: the same text for every number.
  [[nodiscard]] bool is_constant() const { return places_.empty(); }
  void append_to(std::string& out, std::uint64_t n) const;
  [[nodiscard]] std::string with(std::uint64_t n) const;

 private:
  struct Place {
    std::size_t offset;     // in `text_`
    std::uint64_t modulus;  // 0: none
  };
  std::string text_;
  std::vector<Place> places_;
};

}  // namespace sluice::loadtest
