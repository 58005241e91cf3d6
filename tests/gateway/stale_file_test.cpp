// The file of degraded data: what is read is what was written, whatever happened to the file in between.
#include "gateway/stale_file.hpp"

#include "gateway/crc32c.hpp"
#include "gateway/json_check.hpp"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using Found = StaleFileRead::Found;

constexpr std::size_t kRoom = std::size_t{16} << 20;
constexpr std::chrono::system_clock::time_point kWall{std::chrono::hours(500'000)};
constexpr Moment kThen{TimePoint(1000h), kWall};
constexpr Moment kNow{TimePoint(3h), kWall};  // of another process, after the machine was started again

StaleEntry entry_of(std::string bytes, std::string media_type = "application/json") {
  StaleEntry entry;
  entry.media_type = std::move(media_type);
  auto body = std::make_shared<backends::Body>();
  body->bytes = std::move(bytes);
  entry.body = std::move(body);
  entry.stored_at = kThen.now;
  return entry;
}

using Entries = std::map<std::string, StaleEntry>;

Entries entries_of(const StaleStore& store) {
  Entries entries;
  store.for_each([&](std::string_view key, const StaleEntry& entry) { entries.emplace(key, entry); });
  return entries;
}

/// A folder of the test's own.
class StaleFile : public ::testing::Test {
 protected:
  StaleFile()
      : folder_(std::filesystem::path(testing::TempDir()) /
                ("stale_file_test." + std::to_string(getpid()) + "." +
                 testing::UnitTest::GetInstance()->current_test_info()->name())),
        path_(folder_ / "cache") {
    std::filesystem::create_directories(folder_);
  }
  ~StaleFile() override { std::filesystem::remove_all(folder_); }

  std::string content() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void set_content(const std::string& bytes) const {
    std::filesystem::remove(path_);  // ext4 brings a file that was emptied to the disk at once
    std::ofstream(path_, std::ios::binary | std::ios::trunc).write(bytes.data(), std::ssize(bytes));
  }
  void write(const Entries& entries, Moment moment = kThen) const {
    StaleStore store(kRoom, 1);
    for (const auto& [key, entry] : entries) ASSERT_EQ(store.put(key, entry, moment.now), StaleStore::Put::stored);
    const StaleFileWritten written = write_stale_file(path_, store, moment);
    ASSERT_EQ(written.problem, "");
    ASSERT_EQ(written.entries, entries.size());
  }
  std::pair<StaleFileRead, Entries> read(Moment moment = kNow) const {
    StaleStore store(kRoom, 2);
    StaleFileRead result = read_stale_file(path_, store, moment);
    return {std::move(result), entries_of(store)};
  }

  const std::filesystem::path folder_;
  const std::filesystem::path path_;
};

Entries three_entries() {
  return {{"users /a", entry_of(R"({"a":1})")},
          {"users /b", entry_of(R"(["b"])")},
          {"recs /c\nany", entry_of("no json", "text/plain")}};
}

/// What was written, or a part of it; nothing else.
void expect_part_of(const Entries& written, const Entries& found, const std::string& where) {
  for (const auto& [key, entry] : found) {
    const auto original = written.find(key);
    ASSERT_NE(original, written.end()) << where << ": key " << key;
    ASSERT_EQ(entry.body->bytes, original->second.body->bytes) << where;
    ASSERT_EQ(entry.media_type, original->second.media_type) << where;
    ASSERT_EQ(entry.status, original->second.status) << where;
    ASSERT_EQ(entry.age(kNow.now), original->second.age(kThen.now)) << where;
  }
}

TEST_F(StaleFile, GivesBackEveryFieldOfEveryEntry) {
  Entries entries = three_entries();
  StaleEntry all = entry_of(" {\"x\": [1, 2]} ");
  all.status = 203;
  all.headers = std::string("a\0b\xff", 4);
  all.allowed = {1h, 2h, 3h};
  all.age_when_stored = 5s;
  entries.emplace(std::string("key\0with\nbytes", 14), all);
  entries.emplace("empty", entry_of("", ""));
  entries.emplace("long", entry_of("\"" + std::string(3'000'000, 'x') + "\""));
  write(entries);
  const auto [result, found] = read();
  EXPECT_EQ(result.found, Found::ours);
  EXPECT_EQ(result.entries, entries.size());
  EXPECT_EQ(result.lost + result.expired, 0U);
  ASSERT_EQ(found.size(), entries.size());
  expect_part_of(entries, found, "whole file");
  const StaleEntry& again = found.at(std::string("key\0with\nbytes", 14));
  EXPECT_EQ(again.headers, all.headers);
  EXPECT_EQ(again.allowed.ttl, 1h);
  EXPECT_EQ(again.allowed.stale_while_revalidate, 2h);
  EXPECT_EQ(again.allowed.stale_if_error, 3h);
}

TEST_F(StaleFile, GivesBackBodiesWithTheRecordOfTheirCheck) {
  write({{"a", entry_of(" {\"x\": 1} ")}, {"a\nany", entry_of("x", "text/plain")}, {"empty", entry_of("")}});
  const Entries found = read().second;
  EXPECT_EQ(json_of(*found.at("a").body), "{\"x\": 1}");
  EXPECT_EQ(json_of(*found.at("empty").body), "null");
  EXPECT_EQ(found.at("a\nany").body->check, nullptr);
}

TEST_F(StaleFile, LeavesOutABodyThatNoLongerPassesItsCheck) {
  write({{"a", entry_of("not json")}, {"b", entry_of("1")}, {"b\nany", entry_of("{", "application/json")}});
  const auto [result, found] = read();
  EXPECT_EQ(result.lost, 2U);
  EXPECT_EQ(found.size(), 1U);
}

TEST_F(StaleFile, LetsEntriesAgeByTheWallClockWhileNobodyRuns) {
  StaleEntry entry = entry_of("1");
  entry.age_when_stored = 30s;
  write({{"a", entry}}, {kThen.now + 10s, kWall});
  EXPECT_EQ(read({TimePoint(3h), kWall + 5min}).second.at("a").age(TimePoint(3h) + 1s), 5min + 41s);
}

TEST_F(StaleFile, MakesNoEntryYoungerWhenTheClockWasSetBack) {
  StaleEntry entry = entry_of("1");
  entry.age_when_stored = 30s;
  write({{"a", entry}}, {kThen.now + 10s, kWall});
  for (const auto wall :
       {kWall - 24h, std::chrono::system_clock::time_point(), std::chrono::system_clock::time_point(-1h)}) {
    EXPECT_EQ(read({TimePoint(3h), wall}).second.at("a").age(TimePoint(3h)), 40s);
  }
}

TEST_F(StaleFile, KeepsAgesOverManyRestarts) {
  write({{"a", entry_of("1")}});
  for (int restart = 1; restart <= 3; ++restart) {
    StaleStore store(kRoom, 2);
    const TimePoint up{restart * 1h};
    ASSERT_EQ(read_stale_file(path_, store, {up, kWall + restart * 10s}).entries, 1U);
    EXPECT_EQ(entries_of(store).at("a").age(up), restart * 10s);
    ASSERT_EQ(write_stale_file(path_, store, {up + 4s, kWall + restart * 10s + 4s}).problem, "");
  }
}

TEST_F(StaleFile, LeavesOutWhatTheOriginNoLongerAllows) {
  StaleEntry short_lived = entry_of("1");
  short_lived.allowed = {5s, 0s, 10s};
  write({{"a", short_lived}, {"b", entry_of("2")}});
  EXPECT_EQ(read({kNow.now, kWall + 14s}).first.expired, 0U);
  const auto [result, found] = read({kNow.now, kWall + 15s});
  EXPECT_EQ(result.expired, 1U);
  EXPECT_EQ(result.lost, 0U);
  EXPECT_EQ(found.size(), 1U);
}

TEST_F(StaleFile, OfAFileCutOffAtAnyByteLosesOnlyWhatIsMissing) {
  const Entries entries = three_entries();
  write(entries);
  const std::string whole = content();
  std::size_t most = 0;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    set_content(whole.substr(0, size));
    const auto [result, found] = read();
    const std::string where = "cut at " + std::to_string(size);
    expect_part_of(entries, found, where);
    ASSERT_EQ(result.entries, found.size()) << where;
    ASSERT_GE(found.size(), most) << where;
    most = found.size();
    ASSERT_EQ(result.found, size == 0 ? Found::nothing : Found::ours) << where;
    if (size >= StaleHead::kSize) {
      ASSERT_EQ(result.lost, entries.size() - found.size()) << where;
    }
  }
  EXPECT_EQ(most, entries.size()) << "the last head is not needed";
}

TEST_F(StaleFile, WithAnyByteChangedLosesAtMostTheEntryAroundIt) {
  const Entries entries = three_entries();
  write(entries);
  const std::string whole = content();
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const char flip : {'\x01', '\x80', '\xff'}) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      set_content(damaged);
      const auto [result, found] = read();
      const std::string where = "byte " + std::to_string(at);
      expect_part_of(entries, found, where);
      const bool in_head = at < StaleHead::kSize || at >= whole.size() - StaleHead::kSize;
      ASSERT_EQ(found.size(), entries.size() - (in_head ? 0 : 1)) << where;
      ASSERT_EQ(result.lost, entries.size() - found.size()) << where;
    }
  }
}

TEST_F(StaleFile, WithAPieceMissingInTheMiddleFindsTheNextEntry) {
  const Entries entries = three_entries();
  write(entries);
  const std::string whole = content();
  for (std::size_t at = StaleHead::kSize; at + StaleHead::kSize < whole.size(); ++at) {
    set_content(std::string(whole).erase(at, 3));
    const auto [result, found] = read();
    expect_part_of(entries, found, "hole at " + std::to_string(at));
    ASSERT_GE(found.size(), entries.size() - 2);
    ASSERT_EQ(result.lost, entries.size() - found.size());
  }
}

/// `number`, of `bytes` bytes, as it is in the file.
void set_number(std::string& file, std::size_t at, std::uint64_t number, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) file[at + i] = static_cast<char>(number >> (8 * i));
}

TEST_F(StaleFile, BelievesNoLengthThatIsLongerThanTheFile) {
  write({{"a", entry_of("1")}});
  const std::string whole = content();
  for (const std::uint64_t length : {std::uint64_t{60}, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    std::string forged = whole;
    constexpr std::size_t kRecord = StaleHead::kSize;
    set_number(forged, kRecord + 24, length, 8);  // of the body, with a checksum that is right
    set_number(forged, kRecord + 72, crc32c(std::string_view(forged).substr(kRecord, 72)), 4);
    set_content(forged);
    const auto [result, found] = read();
    EXPECT_EQ(result.lost, 1U);
    EXPECT_TRUE(found.empty());
  }
}

TEST_F(StaleFile, FindsTheNextEntryBehindADamagedOneOfManyMegabytes) {
  for (const std::size_t size :
       {1'048'400U, 1'048'480U, 1'048'576U, 3'000'000U}) {  // near the ends of what is read at once
    Entries entries = three_entries();
    entries.emplace("long\nany", entry_of(std::string(size, 'x'), "text/plain"));
    write(entries);
    std::string damaged = content();
    const std::size_t at = damaged.find("long\nany") - StaleRecord::kSize + 9;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    set_content(damaged);
    const auto [result, found] = read();
    EXPECT_EQ(result.lost, 1U) << size;
    expect_part_of(entries, found, std::to_string(size));
    EXPECT_EQ(found.size(), entries.size() - 1) << size;
  }
}

TEST_F(StaleFile, TakesNoRecordOutOfTheMiddleOfABody) {
  write({{"victim", entry_of("\"forged\"")}});
  const std::string earlier = content();
  const std::string record = earlier.substr(StaleHead::kSize, earlier.size() - 2 * StaleHead::kSize);
  write({{"a\nany", entry_of(record, "text/plain")}});
  std::string damaged = content();
  damaged[StaleHead::kSize + 9] ^= 1;  // so that the next record is looked for inside
  set_content(damaged);
  const auto [result, found] = read();
  EXPECT_EQ(result.lost, 1U);
  EXPECT_TRUE(found.empty());
}

TEST_F(StaleFile, KeepsToTheBoundOfASmallerStore) {
  Entries entries;
  for (int i = 0; i < 1000; ++i) entries.emplace("k" + std::to_string(i), entry_of(std::to_string(i)));
  entries.emplace("huge", entry_of("\"" + std::string(200'000, 'x') + "\""));
  write(entries);
  StaleStore small(100'000, 3);
  const StaleFileRead result = read_stale_file(path_, small, kNow);
  EXPECT_EQ(result.lost, 1U) << "larger than the store";
  EXPECT_LE(small.stats().bytes, 100'000U);
  EXPECT_GT(small.stats().entries, 50U);
}

TEST_F(StaleFile, OfAnotherVersionIsLeftUnreadAndReplaced) {
  write(three_entries());
  std::string other = content();
  set_number(other, 16, 2, 4);
  set_number(other, other.size() - StaleHead::kSize + 16, 2, 4);
  set_content(other);
  const auto [result, found] = read();
  EXPECT_EQ(result.found, Found::other_version);
  EXPECT_THAT(result.problem, HasSubstr("version"));
  EXPECT_TRUE(found.empty());
  write(three_entries());
  EXPECT_EQ(read().second.size(), 3U);
}

TEST_F(StaleFile, ThatIsNotOursIsNeitherReadNorOverwritten) {
  const StaleStore store(kRoom, 1);
  for (const std::string text :
       {"{\"version\": 1}", "sluice cash", "\n", "a text that is longer than a head of ours, and has no magic"}) {
    set_content(text);
    EXPECT_EQ(read().first.found, Found::foreign) << text;
    EXPECT_EQ(write_stale_file(path_, store, kThen).problem, "is not a cache of sluice");
    EXPECT_EQ(content(), text);
  }
  std::filesystem::rename(path_, folder_ / "elsewhere");
  std::filesystem::create_symlink("elsewhere", path_);
  EXPECT_EQ(read().first.found, Found::foreign);
  EXPECT_EQ(write_stale_file(path_, store, kThen).problem, "is a symbolic link");
  EXPECT_TRUE(std::filesystem::is_symlink(path_));
  std::filesystem::remove(path_);
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(read().first.found, Found::foreign);
  EXPECT_EQ(write_stale_file(path_, store, kThen).problem, "is no regular file");
}

TEST_F(StaleFile, ThatIsMissingEmptyOrBlankHasNothingAndMayBeWritten) {
  EXPECT_EQ(read().first.found, Found::nothing);
  set_content("");
  EXPECT_EQ(read().first.found, Found::nothing);
  set_content(std::string(4096, '\0'));
  EXPECT_EQ(read().first.problem, "both its heads are damaged") << "by a loss of power";
  write({});
  EXPECT_EQ(read().first.found, Found::ours);
}

TEST_F(StaleFile, IsForItsOwnerOnlyAndFollowsNoPlantedLink) {
  std::ofstream(folder_ / "victim") << "mine";
  std::filesystem::create_symlink("victim", folder_ / "cache.tmp");
  write(three_entries());
  struct stat status = {};
  ASSERT_EQ(lstat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode, static_cast<mode_t>(S_IFREG | 0600));
  std::string victim;
  std::ifstream(folder_ / "victim") >> victim;
  EXPECT_EQ(victim, "mine");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "cache.tmp"));
}

TEST_F(StaleFile, SaysWhyItCannotBeWritten) {
  const StaleStore store(kRoom, 1);
  set_content("");
  EXPECT_EQ(write_stale_file(path_ / "cache", store, kThen).problem, "cannot open its folder: Not a directory");
  EXPECT_EQ(write_stale_file(folder_ / "no" / "cache", store, kThen).problem,
            "cannot open its folder: No such file or directory");
  std::filesystem::create_directory(folder_ / "cache.tmp");
  EXPECT_EQ(write_stale_file(path_, store, kThen).problem, "cannot make cache.tmp: File exists");
  StaleStore empty(kRoom, 1);
  EXPECT_EQ(read_stale_file(path_ / "cache", empty, kNow).found, Found::unreadable);
  EXPECT_THAT(write_stale_file("/dev/full", store, kThen).problem, HasSubstr("no regular file"));
}

TEST_F(StaleFile, IsWrittenWhileTheStoreChanges) {
  StaleStore store(kRoom, 1);
  std::atomic<bool> is_done = false;
  std::thread writer([&] {
    for (int i = 0; !is_done; ++i) {
      const std::string number = std::to_string(i % 100);
      (void)store.put("k" + number, entry_of("\"" + std::string(100, 'a') + number + "\""), kThen.now);
      if (i % 7 == 0) store.erase("k" + number);
    }
  });
  for (int i = 0; i < 20; ++i) {
    const StaleFileWritten written = write_stale_file(path_, store, kThen);
    EXPECT_EQ(written.problem, "");
    const auto [result, found] = read();
    EXPECT_EQ(result.entries, written.entries);
    EXPECT_EQ(result.lost, 0U);
    for (const auto& [key, entry] : found) {
      EXPECT_EQ(entry.body->bytes, "\"" + std::string(100, 'a') + key.substr(1) + "\"");
    }
  }
  is_done = true;
  writer.join();
}

}  // namespace
}  // namespace sluice::gateway
