// Writing a body piece by piece: what stands around a chunk, what is left of a list of buffers, and of the bytes that
// the kernel has taken.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <linux/sockios.h>
#include <span>
#include <string_view>
#include <sys/ioctl.h>

#include <boost/asio/buffer.hpp>

namespace sluice::backends {

/// What to write before and after a piece of `size` bytes of a body. A body with a Content-Length, or that ends with
/// the connection, has nothing there. Its views live as long as it does, where it is.
class Frame {
 public:
  Frame(bool is_chunked, std::size_t size, bool is_last) {
    if (!is_chunked) return;
    if (size != 0) {
      char* end = std::to_chars(line_, line_ + sizeof line_ - 2, size, 16).ptr;
      *end++ = '\r';
      *end++ = '\n';
      line_size_ = static_cast<std::size_t>(end - line_);
    }
    // A chunk of no bytes would end the body.
    after_ = size == 0 ? (is_last ? "0\r\n\r\n" : "") : (is_last ? "\r\n0\r\n\r\n" : "\r\n");
  }
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

  [[nodiscard]] std::string_view before() const { return {line_, line_size_}; }
  [[nodiscard]] std::string_view after() const { return after_; }

 private:
  char line_[20];
  std::size_t line_size_ = 0;
  std::string_view after_;
};

/// Takes `size` bytes off the front.
inline void consume(std::span<boost::asio::const_buffer> buffers, std::size_t size) {
  for (boost::asio::const_buffer& buffer : buffers) {
    const std::size_t part = std::min(size, buffer.size());
    buffer += part;
    size -= part;
  }
}

/// Bytes that were written to a TCP socket and that the other side has not got yet. A socket tells that there is room
/// again only when a third of its buffer, which can be megabytes, is free.
inline std::size_t unsent_bytes(int socket) {
  int bytes = 0;
  return ioctl(socket, SIOCOUTQ, &bytes) == 0 ? static_cast<std::size_t>(bytes) : 0;
}

}  // namespace sluice::backends
