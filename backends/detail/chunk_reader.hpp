// Reads a chunked body: Beast's parser, fed by hand, with what it lets through refused.
#pragma once

#include "backends/detail/message.hpp"

#include <cstddef>
#include <memory>
#include <string_view>

namespace sluice::backends::detail {

/// The body of the Message that is filled. *One worker*.
class ChunkReader {
 public:
  explicit ChunkReader(Message& message);
  ~ChunkReader();
  ChunkReader(const ChunkReader&) = delete;
  ChunkReader& operator=(const ChunkReader&) = delete;

  /// Returns the number of bytes consumed; stops at the end of the message and at a fault.
  std::size_t read(std::string_view input);
  [[nodiscard]] bool done() const;

 private:
  class Parser;

  [[nodiscard]] bool lacks_trailers(std::string_view rest) const;
  std::size_t put(std::string_view input);

  Message& message_;
  const std::unique_ptr<Parser> parser_;
};

}  // namespace sluice::backends::detail
