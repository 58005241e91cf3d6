// Constant text and the places between its pieces.
#include "loadtest/template.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>
#include <system_error>

namespace sluice::loadtest {

Template::Template(std::string_view text) {
  constexpr std::string_view kPlain = "{n}", kRemainder = "{n%";
  while (!text.empty()) {
    const std::size_t next = std::min(text.find("{n"), text.size());
    text_ += text.substr(0, next);
    text.remove_prefix(next);
    if (text.starts_with(kPlain)) {
      places_.push_back({text_.size(), 0});
      text.remove_prefix(kPlain.size());
    } else if (text.starts_with(kRemainder)) {
      std::uint64_t modulus = 0;
      const char* const last = text.data() + text.size();
      const auto [end, error] = std::from_chars(text.data() + kRemainder.size(), last, modulus);
      if (error != std::errc() || modulus == 0 || end == last || *end != '}')
        throw std::invalid_argument("{n%K} with a whole number K above 0");
      places_.push_back({text_.size(), modulus});
      text.remove_prefix(static_cast<std::size_t>(end - text.data()) + 1);
    } else if (!text.empty()) {
      text_ += text.front();
      text.remove_prefix(1);
    }
  }
}

Template& Template::operator+=(std::string_view constant) {
  text_ += constant;
  return *this;
}

Template& Template::operator+=(const Template& other) {
  for (const Place& place : other.places_) places_.push_back({text_.size() + place.offset, place.modulus});
  text_ += other.text_;
  return *this;
}

void Template::append_to(std::string& out, std::uint64_t n) const {
  std::size_t begin = 0;
  for (const Place& place : places_) {
    out.append(text_, begin, place.offset - begin);
    begin = place.offset;
    std::array<char, 20> digits;
    const auto [end, error] =
        std::to_chars(digits.data(), digits.data() + digits.size(), place.modulus ? n % place.modulus : n);
    static_cast<void>(error);  // 20 digits are enough for any number
    out.append(digits.data(), end);
  }
  out.append(text_, begin);
}

std::string Template::with(std::uint64_t n) const {
  std::string text;
  append_to(text, n);
  return text;
}

}  // namespace sluice::loadtest
