// A backend that answers by the target, after a while, and notes when each request came.
#pragma once

#include "concurrency/clock.hpp"
#include "concurrency/loop.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

namespace sluice::support {

/// Answers what it does not know with 404 at once. Every connection is served by itself. *one worker*
class PathBackend {
 public:
  struct Request {
    Request(concurrency::Duration a, std::string t, std::string h) : at(a), target(std::move(t)), head(std::move(h)) {}

    concurrency::Duration at;  ///< since the backend was made
    std::string target;
    std::string head;
  };

  explicit PathBackend(concurrency::Loop& loop);
  ~PathBackend();
  PathBackend(const PathBackend&) = delete;
  PathBackend& operator=(const PathBackend&) = delete;

  /// Requests with this target, query included, get this `after` they came. `fields` are whole lines.
  void on(const std::string& target, const std::string& json, concurrency::Duration after = concurrency::Duration(0),
          unsigned status = 200, const std::string& fields = {});

  [[nodiscard]] std::string url() const;
  [[nodiscard]] const std::vector<Request>& requests() const;  ///< in order of arrival
  /// When the request with this target came, -1 ms if none did.
  [[nodiscard]] std::chrono::milliseconds when(const std::string& target) const;
  [[nodiscard]] std::size_t most_at_once() const;  ///< requests that waited for their answers at the same time

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace sluice::support
