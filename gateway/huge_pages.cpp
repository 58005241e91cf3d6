#include "gateway/huge_pages.hpp"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace sluice::gateway {
namespace {

#ifndef MADV_COLLAPSE
constexpr int MADV_COLLAPSE = 25;
#endif
constexpr std::size_t kSmallestMapping = 8 * HugePages::kBytes;  // else it is no heap that is worth it
constexpr std::size_t kSmallestPage = 4096;

bool are_allowed() {
  std::string setting;
  std::getline(std::ifstream("/sys/kernel/mm/transparent_hugepage/enabled"), setting);
  return !setting.empty() && setting.find("[never]") == std::string::npos;
}

/// Whether all but a sixteenth is in memory: an allocator leaves gaps between blocks that do not fill its pages.
bool is_in_use(void* block) {
  std::array<unsigned char, HugePages::kBytes / kSmallestPage> pages{};
  if (::mincore(block, HugePages::kBytes, pages.data()) != 0) return false;
  const auto count = static_cast<std::ptrdiff_t>(HugePages::kBytes / static_cast<std::size_t>(::getpagesize()));
  const auto is_in_memory = [](unsigned char page) { return (page & 1U) != 0; };
  return std::count_if(pages.begin(), pages.begin() + count, is_in_memory) >= count - count / 16;
}

}  // namespace

void HugePages::find_mappings() {
  if (!are_allowed()) return;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    Mapping mapping{};
    std::array<char, 5> rights{};
    const int fields =
        std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " %4s", &mapping.begin, &mapping.end, rights.data());
    const bool has_file = line.find('/') != std::string::npos;
    if (fields != 3 || std::string_view(rights.data()) != "rw-p" || has_file) continue;
    if (mapping.end - mapping.begin < kSmallestMapping) continue;
    mapping.begin = (mapping.begin + kBytes - 1) / kBytes * kBytes;
    mappings_.push_back(mapping);
  }
}

bool HugePages::advance() {
  if (mappings_.empty()) find_mappings();
  if (mappings_.empty()) return false;
  Mapping& mapping = mappings_.back();
  // What is no longer mapped is refused by both calls, what is a huge page already is left as it is.
  void* const block = reinterpret_cast<void*>(mapping.begin);  // NOLINT(performance-no-int-to-ptr): from /proc
  if (is_in_use(block)) (void)::madvise(block, kBytes, MADV_COLLAPSE);
  mapping.begin += kBytes;
  if (mapping.begin + kBytes > mapping.end) mappings_.pop_back();
  return !mappings_.empty();
}

}  // namespace sluice::gateway
