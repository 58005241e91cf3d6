// Writing and reading the file of degraded data.
#include "gateway/stale_file.hpp"

#include "gateway/json_check.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <random>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace sluice::gateway {
namespace {

using Found = StaleFileRead::Found;
using State = StaleHead::State;

constexpr std::size_t kWindow = std::size_t{1} << 20;  // read and written at once

std::string_view take(std::string_view& bytes, std::size_t size) {
  const std::string_view taken = bytes.substr(0, size);
  bytes.remove_prefix(size);
  return taken;
}

std::string with_reason(const std::string& what, int error) {
  return what + ": " + std::strerror(error);  // NOLINT(concurrency-mt-unsafe): glibc's is safe
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { (void)close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  /// False, with errno, if what was written may be lost.
  [[nodiscard]] bool close() {
    const int fd = std::exchange(fd_, -1);
    return fd < 0 || ::close(fd) == 0;
  }

 private:
  int fd_;
};

/// A file of which any part can be looked at, through a window that moves forward.
class Source {
 public:
  Source(int fd, std::uint64_t size) : fd_(fd), size_(size) {}

  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] int error() const { return error_; }

  /// The `length` bytes at `offset`, fewer at the end of the file or where it cannot be read; until the next call.
  std::string_view at(std::uint64_t offset, std::size_t length) {
    if (offset < begin_ || offset + length > begin_ + window_.size()) fill(offset, length);
    const std::string_view rest =
        std::string_view(window_).substr(std::min<std::size_t>(offset - begin_, window_.size()));
    return rest.substr(0, length);
  }

  /// Where `word` is next, from `offset` on; the end of the file if nowhere.
  std::uint64_t find(std::string_view word, std::uint64_t offset) {
    for (;;) {
      if (at(offset, word.size()).size() < word.size()) return size_;
      const std::string_view bytes = std::string_view(window_).substr(offset - begin_);
      const std::size_t found = bytes.find(word);
      if (found != std::string_view::npos) return offset + found;
      offset += bytes.size() - word.size() + 1;
    }
  }

 private:
  void fill(std::uint64_t offset, std::size_t length) {
    begin_ = offset;
    window_.resize(
        static_cast<std::size_t>(std::min<std::uint64_t>(std::max(length, kWindow), size_ - std::min(offset, size_))));
    std::size_t filled = 0;
    while (filled < window_.size()) {
      const ssize_t got =
          ::pread(fd_, window_.data() + filled, window_.size() - filled, static_cast<off_t>(offset + filled));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) error_ = errno;
      if (got <= 0) break;
      filled += static_cast<std::size_t>(got);
    }
    window_.resize(filled);
  }

  const int fd_;
  const std::uint64_t size_;
  std::uint64_t begin_ = 0;
  std::string window_;
  int error_ = 0;
};

/// Judges the body as it was judged when it came, so that what the check records is there again.
bool passes_check(std::string_view key, std::string_view media_type, backends::Body& body) {
  if (key.ends_with(kWholeKey)) return true;
  backends::Headers headers;
  if (!media_type.empty()) headers.add("Content-Type", media_type);
  body.check = key.ends_with(kPassedOnKey) ? JsonCheck::make_by_type(headers) : JsonCheck::make(headers);
  return body.check == nullptr || body.bytes.empty() || (body.check->feed(body.bytes) && body.check->finish());
}

void load(const StaleRecord& record, std::string_view strings, StaleStore& store, Moment moment,
          StaleFileRead& result) {
  const std::string_view key = take(strings, record.key_size);
  StaleEntry entry;
  entry.status = record.status;
  entry.media_type = take(strings, record.media_type_size);
  entry.headers = take(strings, record.headers_size);
  entry.stored_at = moment.now;
  entry.age_when_stored = record.age_at(moment.wall);
  entry.allowed = record.allowed;
  if (entry.usable_until({Duration::max(), Duration::max(), Duration::max()}) <= moment.now) {
    ++result.expired;
    return;
  }
  auto body = std::make_shared<backends::Body>();
  body->bytes = strings;
  if (!passes_check(key, entry.media_type, *body)) return;
  entry.body = std::move(body);
  StaleStore::Put done = StaleStore::Put::again;
  while (done == StaleStore::Put::again) done = store.put(key, entry, moment.now);
  if (done == StaleStore::Put::stored) ++result.entries;
}

void read_records(Source& source, const StaleHead& head, StaleStore& store, Moment moment, StaleFileRead& result) {
  const std::string mark = head.mark();
  for (std::uint64_t offset = StaleHead::kSize; offset < source.size();) {
    const auto record = StaleRecord::read(source.at(offset, StaleRecord::kSize), head.salt, source.size() - offset);
    if (!record) {
      offset = source.find(mark, offset + 1);
      continue;
    }
    const std::string_view bytes = source.at(offset, static_cast<std::size_t>(record->size()));
    offset += record->size();
    if (record->is_whole(bytes)) load(*record, bytes.substr(StaleRecord::kSize), store, moment, result);
  }
  const std::uint64_t known = result.entries + result.expired;
  result.lost = head.records - std::min(head.records, known);
}

/// What is at `path`, and the head of it if that is whole.
StaleFileRead look(Source& source, StaleHead& head) {
  StaleFileRead result;
  if (source.size() == 0) return result;
  result.found = Found::ours;
  const State front = head.read(source.at(0, StaleHead::kSize));
  if (front == State::whole) return result;
  State back = State::absent;
  if (source.size() >= StaleHead::kSize)
    back = head.read(source.at(source.size() - StaleHead::kSize, StaleHead::kSize));
  if (back == State::whole) return result;
  if (front == State::absent && back == State::absent) {
    result.found = source.error() != 0 ? Found::unreadable : Found::foreign;
    result.problem = source.error() != 0 ? with_reason("cannot read it", source.error()) : "is not a cache of sluice";
  } else if (front == State::other_version) {
    result.found = Found::other_version;
    result.problem = "is of another version of sluice";
  } else {
    result.problem = "both its heads are damaged";
  }
  return result;
}

/// Opens `name` in `folder` (AT_FDCWD: the working directory) and looks at it; calls `f(source, head)` if it is ours
/// and can be read.
template <class F>
StaleFileRead inspect(int folder, const char* name, const F& f) {
  StaleFileRead result;
  const Descriptor file(::openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file.is_open()) {
    const int error = errno;
    if (error == ENOENT) return result;
    result.found = error == ELOOP ? Found::foreign : Found::unreadable;
    result.problem = error == ELOOP ? "is a symbolic link" : with_reason("cannot open it", error);
    return result;
  }
  struct stat status{};
  if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    result.found = Found::foreign;
    result.problem = "is no regular file";
    return result;
  }
  Source source(file.get(), static_cast<std::uint64_t>(status.st_size));
  StaleHead head;
  result = look(source, head);
  if (result.found == Found::ours && result.problem.empty()) f(source, head, result);
  return result;
}

/// Collects what is written; the first error ends it.
class Sink {
 public:
  explicit Sink(int fd) : fd_(fd) { buffer_.reserve(kWindow); }

  [[nodiscard]] int error() const { return error_; }
  void add(std::string_view bytes) {
    if (buffer_.size() + bytes.size() > kWindow) flush();
    if (bytes.size() > kWindow) {
      write(bytes);
    } else {
      buffer_ += bytes;
    }
  }
  void flush() {
    write(buffer_);
    buffer_.clear();
  }

 private:
  void write(std::string_view bytes) {
    while (error_ == 0 && !bytes.empty()) {
      const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno != EINTR) error_ = errno;
      if (written > 0) bytes.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  const int fd_;
  std::string buffer_;
  int error_ = 0;
};

/// The whole file, on the disk when it returns. Returns what went wrong, empty if nothing.
std::string fill(Descriptor& file, const StaleStore& store, Moment moment, std::uint64_t& entries) {
  StaleHead head;
  std::random_device device;
  head.salt = (std::uint64_t{device()} << 32U) | device();
  Sink sink(file.get());
  sink.add(std::string(StaleHead::kSize, '\0'));  // until the number of records is known
  std::string front;
  store.for_each([&](std::string_view key, const StaleEntry& entry) {
    if (sink.error() != 0) return;
    for (const std::string_view piece : stale_record(head.salt, key, entry, moment, front)) sink.add(piece);
    ++head.records;
  });
  const std::string text = head.text();
  sink.add(text);
  sink.flush();
  if (sink.error() != 0) return with_reason("cannot write", sink.error());
  if (::pwrite(file.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return with_reason("cannot write", errno);
  }
  if (::fsync(file.get()) != 0 || !file.close()) return with_reason("cannot write", errno);
  entries = head.records;
  return {};
}

}  // namespace

StaleFileRead read_stale_file(const std::filesystem::path& path, StaleStore& store, Moment moment) {
  return inspect(AT_FDCWD, path.c_str(), [&](Source& source, const StaleHead& head, StaleFileRead& result) {
    read_records(source, head, store, moment, result);
    if (source.error() != 0) result.problem = with_reason("cannot read all of it", source.error());
  });
}

StaleFileWritten write_stale_file(const std::filesystem::path& path, const StaleStore& store, Moment moment) {
  StaleFileWritten result;
  const std::string name = path.filename().string();
  const std::string temporary = name + ".tmp";
  const std::string folder_name = path.has_parent_path() ? path.parent_path().string() : ".";
  const Descriptor folder(::open(folder_name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.is_open()) {
    result.problem = with_reason("cannot open its folder", errno);
    return result;
  }
  const StaleFileRead before = inspect(folder.get(), name.c_str(), [](Source&, const StaleHead&, StaleFileRead&) {});
  if (before.found == Found::foreign || before.found == Found::unreadable) {
    result.problem = before.problem;
    return result;
  }

  (void)::unlinkat(folder.get(), temporary.c_str(), 0);  // of a process that was killed
  Descriptor file(
      ::openat(folder.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  struct stat made{};
  if (!file.is_open() || ::fstat(file.get(), &made) != 0) {
    result.problem = with_reason("cannot make " + temporary, errno);
    return result;
  }
  result.problem = fill(file, store, moment, result.entries);
  // Another gateway that has taken over, with the same configuration, may have put its own file in the place of ours.
  struct stat found{};
  const bool is_there = ::fstatat(folder.get(), temporary.c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0 &&
                        found.st_ino == made.st_ino && found.st_dev == made.st_dev;
  if (!is_there) {
    if (result.problem.empty()) result.problem = "another process writes " + temporary;
    return result;
  }
  if (result.problem.empty() && ::renameat(folder.get(), temporary.c_str(), folder.get(), name.c_str()) != 0) {
    result.problem = with_reason("cannot rename " + temporary, errno);
  }
  if (!result.problem.empty()) {
    (void)::unlinkat(folder.get(), temporary.c_str(), 0);
  } else if (::fsync(folder.get()) != 0 && errno != EINVAL) {  // EINVAL: the file system has no need of it
    result.problem = with_reason("cannot write its folder", errno);
  }
  return result;
}

}  // namespace sluice::gateway
