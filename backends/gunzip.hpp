// Decodes bodies in gzip (RFC 1952) while they arrive.
#pragma once

#include <memory>
#include <string_view>

namespace sluice::backends {

/// *One worker*.
class Gunzip {
 public:
  Gunzip();
  ~Gunzip();
  Gunzip(const Gunzip&) = delete;
  Gunzip& operator=(const Gunzip&) = delete;

  /// Decodes the next bytes and hands what they stand for to `sink`, in pieces of some KiB. False: they are no gzip, or
  /// the sink has refused a piece; nothing may be fed after that.
  [[nodiscard]] bool feed(std::string_view bytes, bool (*sink)(void* owner, std::string_view decoded), void* owner);

  /// The bytes so far are nothing at all, or whole members with nothing behind them.
  [[nodiscard]] bool is_whole() const;

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;
};

}  // namespace sluice::backends
