// Writes the head of a request to a backend.
#pragma once

#include "backends/head_writer.hpp"

#include <string>
#include <string_view>

namespace sluice::backends {

/// start(), then add() and add_all() as needed (add "Content-Length" for a body), then finish(). *One worker*.
class RequestWriter : public HeadWriter {
 public:
  using HeadWriter::HeadWriter;

  /// Clears the string and writes the request line and Host. False, and nothing written, when the method is no token or
  /// the target or host has a space or a control character: such a request must not be sent.
  [[nodiscard]] bool start(std::string_view method, std::string_view target, std::string_view host);
};

}  // namespace sluice::backends
