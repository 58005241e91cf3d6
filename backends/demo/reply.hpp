// The bytes of one reply, as they should be or with what is wrong with them.
#pragma once

#include "backends/demo/answers.hpp"
#include "backends/demo/faults.hpp"
#include "concurrency/random.hpp"

#include <string>
#include <string_view>

namespace sluice::backends::demo {

struct Reply {
  Reply() = default;

  std::string head;
  std::string body;  ///< as it is sent: with chunk headers if the head says so
};

/// Head and body of an answer with those faults that are in the bytes themselves.
[[nodiscard]] Reply make_reply(Answer answer, const ReceivedRequest& request, const Faults& faults,
                               std::string_view server, concurrency::Random& random);

/// One chunk; `extensions` begin with a semicolon or are empty.
void append_chunk(std::string& out, std::string_view data, std::string_view extensions = {});

[[nodiscard]] std::string random_bytes(std::size_t size, concurrency::Random& random);

/// A JSON text that never ends, in pieces of any size.
class EndlessText {
 public:
  void append(std::string& out, std::size_t size);

 private:
  bool begun_ = false;
  std::size_t at_ = 0;
};

}  // namespace sluice::backends::demo
