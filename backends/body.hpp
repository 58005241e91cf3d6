// The body of a response while it arrives, and what judges it.
#pragma once

#include "backends/gunzip.hpp"
#include "concurrency/detail/recycled.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace sluice::backends {

/// Judges a body as it arrives, one chunk at a time, so that no body costs a worker one long scan. *One worker*.
class BodyCheck {
 public:
  BodyCheck() = default;
  BodyCheck(const BodyCheck&) = delete;
  BodyCheck& operator=(const BodyCheck&) = delete;
  virtual ~BodyCheck() = default;

  static void* operator new(std::size_t size) { return concurrency::detail::allocate_recycled(size); }
  static void operator delete(void* check, std::size_t size) noexcept {
    concurrency::detail::free_recycled(check, size);
  }

  /// The next bytes, in order; false refuses the body, and nothing is fed after that.
  [[nodiscard]] virtual bool feed(std::string_view chunk) = 0;
  /// The body has ended; false refuses it. Not called for a body without a byte.
  [[nodiscard]] virtual bool finish() = 0;
};

/// Filled by one parser, then shared as `shared_ptr<const Body>` and *immutable*.
struct Body {
  std::string bytes;
  std::unique_ptr<BodyCheck> check;  ///< what it recorded stays with the bytes; null: any bytes will do
  std::unique_ptr<Gunzip> gunzip;    ///< while a body in gzip arrives, which `bytes` and `check` get decoded; else null
};

}  // namespace sluice::backends
