// Writes the head of a reply, and the body of a problem reply.
#pragma once

#include "backends/head_writer.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::gateway {

/// The standard phrase of a status; "Unknown" when it has none.
std::string_view reason_phrase(unsigned status);

/// start(), then add() and add_all() as needed, then one of the finish functions. *One worker*.
class ResponseWriter : public backends::HeadWriter {
 public:
  using HeadWriter::HeadWriter;

  /// Clears the string and writes the status line and, unless `date` is empty, Date (an IMF-fixdate made elsewhere).
  void start(unsigned status, std::string_view date);
  /// Ends the head of a reply to a request of `version` (10 or 11): Content-Length, Connection where the version needs
  /// it, the empty line.
  void finish(std::uint64_t content_length, bool keep_alive, unsigned version);
  /// The same for a body that comes in chunks (version 11), or ends with the connection (version 10).
  void finish_stream(bool keep_alive, unsigned version);
  /// The same for a reply that cannot have a body: 1xx, 204, 304.
  void finish_without_body(bool keep_alive, unsigned version);
};

/// Appends an RFC 9457 body: type about:blank, title, status, detail, then `members`, a ready list of JSON members
/// (`"calls":{}`), if not empty. `detail` is text; control characters are escaped, bytes beyond ASCII become "?".
void append_problem(std::string& out, unsigned status, std::string_view detail, std::string_view members = {});

}  // namespace sluice::gateway
