#include "gateway/http_date.hpp"

#include "backends/headers.hpp"

#include <array>
#include <cstddef>

namespace sluice::gateway {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 7> kLongDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                       "Thursday", "Friday", "Saturday"};

/// Takes one part after another off a text; once one does not fit, nothing does.
class Parts {
 public:
  explicit Parts(std::string_view text) : rest_(text) {}

  [[nodiscard]] bool is_whole() const { return is_good_ && rest_.empty(); }

  Parts& literal(std::string_view wanted) {
    const bool fits = is_good_ && backends::iequals(rest_.substr(0, wanted.size()), wanted);
    return advance(fits, wanted.size());
  }
  template <std::size_t N>
  Parts& word(const std::array<std::string_view, N>& words, int& index) {
    for (std::size_t i = 0; i < N && is_good_; ++i) {
      if (!backends::iequals(rest_.substr(0, words[i].size()), words[i])) continue;
      index = static_cast<int>(i);
      return advance(true, words[i].size());
    }
    return advance(false, 0);
  }
  Parts& number(std::size_t digits, int& value) {
    const std::string_view text = rest_.substr(0, digits);
    bool fits = is_good_ && text.size() == digits;
    value = 0;
    for (const char c : text) {
      fits = fits && c >= '0' && c <= '9';
      value = value * 10 + (c - '0');
    }
    return advance(fits, digits);
  }
  /// Of asctime: a space may stand for the first digit.
  Parts& padded(int& value) {
    if (!rest_.starts_with(' ')) return number(2, value);
    rest_.remove_prefix(1);
    return number(1, value);
  }
  Parts& time(std::tm& parts) {
    return number(2, parts.tm_hour).literal(":").number(2, parts.tm_min).literal(":").number(2, parts.tm_sec);
  }

 private:
  Parts& advance(bool fits, std::size_t size) {
    is_good_ = is_good_ && fits;
    if (is_good_) rest_.remove_prefix(size);
    return *this;
  }

  std::string_view rest_;
  bool is_good_ = true;
};

int full_year(int two_digits) {
  const std::time_t now = std::time(nullptr);
  std::tm today{};
  gmtime_r(&now, &today);
  const int this_year = today.tm_year + 1900;
  const int year = this_year - this_year % 100 + two_digits;
  return year > this_year + 50 ? year - 100 : year;
}

bool is_possible(const std::tm& parts) {
  return parts.tm_mday >= 1 && parts.tm_mday <= 31 && parts.tm_hour <= 23 && parts.tm_min <= 59 && parts.tm_sec <= 60;
}

}  // namespace

std::optional<std::time_t> http_date_from(std::string_view text) {
  std::tm parts{};
  int year = 0;
  Parts fixed(text);
  fixed.word(kDays, parts.tm_wday).literal(", ").number(2, parts.tm_mday).literal(" ").word(kMonths, parts.tm_mon);
  if (!fixed.literal(" ").number(4, year).literal(" ").time(parts).literal(" GMT").is_whole()) {
    Parts old(text);
    old.word(kLongDays, parts.tm_wday).literal(", ").number(2, parts.tm_mday).literal("-").word(kMonths, parts.tm_mon);
    if (old.literal("-").number(2, year).literal(" ").time(parts).literal(" GMT").is_whole()) {
      year = full_year(year);
    } else {
      Parts c(text);
      c.word(kDays, parts.tm_wday).literal(" ").word(kMonths, parts.tm_mon).literal(" ").padded(parts.tm_mday);
      if (!c.literal(" ").time(parts).literal(" ").number(4, year).is_whole()) return std::nullopt;
    }
  }
  parts.tm_year = year - 1900;
  if (!is_possible(parts)) return std::nullopt;
  return timegm(&parts);
}

std::string http_date(std::time_t time) {
  std::tm parts{};
  gmtime_r(&time, &parts);
  char text[30];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

}  // namespace sluice::gateway
