// Reads a request or a response into a Message: the fields of its head, and its body by their framing.
#pragma once

#include "backends/detail/chunk_reader.hpp"
#include "backends/detail/message.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sluice::backends::detail {

/// Hand-written, since every request has four heads to be read where Beast's parser takes four times as long; what is
/// accepted is RFC 9112 without its leniencies. *One worker*.
class Reader {
 public:
  explicit Reader(Message& message) : message_(message) {}

  void start();

  /// A whole head, found by `scanner`. False: see the fault.
  bool read_head(std::string_view head, const HeadScanner& scanner);

  /// Returns the number of bytes consumed; stops at the end of the message and at a fault.
  std::size_t read_body(std::string_view input);

  /// False: the message is not complete and never will be.
  bool read_end_of_file();

  /// What is to come of a body whose length is known; else 0.
  [[nodiscard]] std::uint64_t left() const { return body_ == Body::of_length ? left_ : 0; }
  [[nodiscard]] bool done() const { return body_ == Body::done; }
  [[nodiscard]] bool needs_end_of_file() const { return body_ == Body::to_end; }

 private:
  enum class Body { unknown, of_length, chunked, to_end, done };

  bool read_field(std::string_view head, std::size_t begin, std::size_t end);
  bool take(std::string_view name, std::string_view value);
  [[nodiscard]] Body body_kind() const;

  Message& message_;
  Body body_ = Body::unknown;
  std::uint64_t left_ = 0;  // of the body, if its length is known
  std::optional<ChunkReader> chunks_;
};

}  // namespace sluice::backends::detail
