// A large heap is moved into huge pages, where it is in use.
#include "gateway/huge_pages.hpp"

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <sys/mman.h>

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

constexpr std::size_t kSize = 16 * HugePages::kBytes;

/// What /proc/self/smaps says of the mapping that `address` is in.
std::size_t kilobytes(const char* address, const std::string& name) {
  const auto wanted = reinterpret_cast<std::uintptr_t>(address);
  std::ifstream maps("/proc/self/smaps");
  bool is_inside = false;
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) is_inside = begin <= wanted && wanted < end;
    if (is_inside && line.starts_with(name + ":")) return std::stoul(line.substr(name.size() + 1));
  }
  return 0;
}

TEST(HugePages, TakesWhatIsInUseAndHardlyMoreMemory) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "its own mappings are endless";
#endif
  void* const mapped = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  char* const memory = static_cast<char*>(mapped);
  constexpr std::size_t kSixteenPages = std::size_t{16} * 4096;
  for (std::size_t at = 0; at < kSize / 2; at += kSixteenPages) std::memset(memory + at, 1, kSixteenPages - 4096);
  for (std::size_t at = kSize / 2; at < kSize; at += HugePages::kBytes / 2) memory[at] = 1;  // here and there
  const std::size_t resident = kilobytes(memory, "Rss");

  HugePages pages;
  while (pages.advance()) {
  }
  const std::size_t huge = kilobytes(memory, "AnonHugePages");
  EXPECT_LE(kilobytes(memory, "Rss"), resident * 16 / 15);
  EXPECT_EQ(memory[kSize / 2 - 2 * 4096], 1);
  ::munmap(mapped, kSize);
  if (huge == 0) GTEST_SKIP() << "the kernel has no MADV_COLLAPSE, or no huge page to give";
  EXPECT_GE(huge * 1024, kSize / 4);
  EXPECT_LE(huge * 1024, kSize / 2);
  while (pages.advance()) {  // what is gone is passed over
  }
}

}  // namespace
}  // namespace sluice::gateway
