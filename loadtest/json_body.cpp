// Orders, as many as fit, and a note that fills up the rest.
#include "loadtest/json_body.hpp"

#include <array>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <stdexcept>
#include <string_view>

namespace sluice::loadtest {
namespace {

constexpr std::string_view kOpen = R"({"items":[)", kMiddle = R"(],"note":")", kClose = R"("})";

std::string make_order(std::uint32_t index) {
  constexpr const char* kTitles[] = {"Trail shoe", R"(\"Nordkap\" tent)", "Gr\303\266\303\237e 40 sandal",
                                     R"(Rope 9.8mm\/60m)", "Stove, folding"};
  constexpr const char* kTags[] = {R"(["outdoor","sale"])", R"(["new"])", "[]"};
  const std::uint32_t random = index * 2654435761u;
  std::array<char, 256> text{};
  const int size = std::snprintf(
      text.data(), text.size(),
      R"({"id":%u,"sku":"KX-%04u","title":"%s","price":%u.%02u,"quantity":%u,"tags":%s,"in_stock":%s,"discount":%s})",
      100000 + index, random % 10000, kTitles[random % std::size(kTitles)], random % 400, random % 100, random % 7 + 1,
      kTags[random % std::size(kTags)], random % 5 ? "true" : "false", random % 3 ? "null" : "-1.5e1");
  return std::string(text.data(), static_cast<std::size_t>(size));
}

}  // namespace

std::string make_json_body(std::size_t size) {
  constexpr std::size_t kFrame = kOpen.size() + kMiddle.size() + kClose.size();
  constexpr std::string_view kNote = "leave with the neighbour, second floor; ";
  if (size < kFrame) throw std::invalid_argument("a size of at least " + std::to_string(kFrame));
  std::string body(kOpen);
  for (std::uint32_t index = 0;; ++index) {
    const std::string order = (index ? "," : "") + make_order(index);
    if (body.size() + order.size() + kMiddle.size() + kClose.size() > size) break;
    body += order;
  }
  body += kMiddle;
  for (std::size_t i = 0; body.size() + kClose.size() < size; ++i) body += kNote[i % kNote.size()];
  return body += kClose;
}

}  // namespace sluice::loadtest
