// What requests and responses have in common while they are read: their fields, their framing, what is wrong with them.
#pragma once

#include "backends/headers.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::backends::detail {

enum class Fault {
  none,
  method,
  target,
  start_line,
  version,
  connect_method,
  line_end,
  folded,
  field,
  length,
  transfer_coding,
  no_host,
  host,
  expectation,
  too_many_fields,
  start_line_too_long,
  target_too_long,
  head_too_large,
  chunk,
  body_too_large,
  body_refused,
  coding,
  interim,
};

/// A sentence without a full stop, for a client or a log.
std::string_view describe(Fault fault);

/// A token of RFC 9110 §5.6.2, as methods and field names are.
[[nodiscard]] bool is_token(std::string_view text);
/// Of the token that `text` begins with; 0 if it begins with none.
[[nodiscard]] std::size_t token_size(std::string_view text);

/// Finds the end of a head and refuses folded lines and bare LFs; other stray characters are left to Reader.
///
/// Resumable: each scan looks at new bytes only. The verdict depends on the bytes, not on how they were cut.
class HeadScanner {
 public:
  enum class State { need_more, complete, failed };

  void reset() {
    line_ = seen_ = lines_ = 0;
    fault_ = Fault::none;
  }
  /// `input` begins with the head and has all bytes of the scans before.
  State scan(std::string_view input, std::size_t max_bytes);
  /// When complete: bytes of the head with its empty line; before, of the lines that are whole.
  [[nodiscard]] std::size_t size() const { return line_; }
  [[nodiscard]] Fault fault() const { return fault_; }
  /// Where the LF of line `number` is, for a reader that goes through `head` from its first line on, which is number 0:
  /// after that it looks for the LF of a line that begins at `begin`.
  [[nodiscard]] std::size_t line_feed(std::string_view head, std::size_t number, std::size_t begin) const {
    return number < feeds_.size() ? feeds_[number] : head.find('\n', begin);
  }

 private:
  State fail(Fault fault);

  std::size_t line_ = 0;  // where the current line begins
  std::size_t seen_ = 0;  // no LF in [line_, seen_)
  std::size_t lines_ = 0;
  std::array<std::uint32_t, 24> feeds_;  // of the first lines
  Fault fault_ = Fault::none;
};

/// Bounds what a chunked body may spend on extensions and trailers, over the whole message.
class ChunkBudget {
 public:
  static constexpr std::size_t kMaxBytes = 4096;

  /// One size line, or the last one with the trailers. Short lines are free: one byte a chunk is legal.
  [[nodiscard]] bool spend(std::size_t framing_bytes) {
    if (framing_bytes > kFreeBytes) spent_ += framing_bytes;
    return spent_ <= kMaxBytes;
  }
  /// Whether a line of which so much is there already is too long.
  [[nodiscard]] bool exceeded_by(std::size_t framing_bytes) const {
    return framing_bytes > kFreeBytes && spent_ + framing_bytes > kMaxBytes;
  }

 private:
  static constexpr std::size_t kFreeBytes = 24;
  std::size_t spent_ = 0;
};

[[nodiscard]] bool has_bare_line_feed(std::string_view text);

/// Whether what follows `text` can make it a chunk's size line and what comes behind; `after_chunk`: the end of the
/// chunk before comes first.
[[nodiscard]] bool may_become_chunk(std::string_view text, bool after_chunk);

/// No control character but HTAB, as in the value of a field.
[[nodiscard]] bool is_clean(std::string_view text);

/// The state of the message that is being read, filled by Reader; the parsers derive from it. *One worker*.
class Message {
 public:
  static constexpr std::size_t kMaxFields = 128;

  Message() = default;
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;

  // Called by Reader; false, with the fault set, ends the message. The first line is without its end; the field is none
  // of those below.
  virtual bool on_first_line(std::string_view line) = 0;
  virtual bool on_field(std::string_view name, std::string_view value) = 0;
  virtual bool on_body(std::string_view bytes) = 0;
  virtual bool on_head_end() = 0;
  virtual bool on_end() = 0;

  bool fail(Fault why) {
    fault = why;
    return false;
  }
  void reset_message();
  bool add_content_length(std::string_view value);
  bool add_transfer_encoding(std::string_view value);
  bool add_connection(std::string_view value);
  /// Framing that all receivers read alike: not both lengths, no coding but chunked, none at all in HTTP/1.0.
  bool check_framing();
  /// Counts body bytes against `max_body`.
  bool grow_body(std::uint64_t bytes);
  [[nodiscard]] bool persistent() const { return !close && (version == 11 || keep); }

  Headers headers;
  unsigned version = 0;
  std::uint64_t content_length = 0;
  std::uint64_t body_bytes = 0;  // so far; of chunks, as announced
  std::uint64_t max_body = 0;
  bool has_length = false;
  bool has_coding = false;
  bool chunked = false;
  bool close = false;
  bool keep = false;
  bool has_no_body = false;              // whatever the fields say; to be set by on_first_line() or before
  bool may_end_with_connection = false;  // a body without framing is what comes until then, else there is none
  Fault fault = Fault::none;

 protected:
  ~Message() = default;
};

}  // namespace sluice::backends::detail
