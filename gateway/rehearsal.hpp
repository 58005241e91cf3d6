// What a client gets when a backend is down or slow, found out by trying: the gateway answers a made-up request to an
// endpoint, with a stand-in for each backend, in virtual time.
#pragma once

#include "gateway/config.hpp"

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace sluice::gateway {

enum class BackendState {
  well,  // answers within a millisecond
  down,  // refuses connections
  slow   // takes the request, and never answers
};

/// What calls have stored when the request comes.
enum class Stored {
  nothing,
  stale  // what they can have: neither fresh nor within `stale_while_revalidate` any more
};

/// What became of a call, in the words of Sluice-Calls.
struct RehearsedCall {
  std::string name;
  std::string outcome;
  std::vector<std::pair<std::string, std::string>> details;  // reason, status, ms, ... in their order

  [[nodiscard]] std::string detail(std::string_view name) const;  // empty: none
  bool operator==(const RehearsedCall&) const = default;
};

struct Rehearsed {
  unsigned status = 0;
  std::string result;
  std::chrono::nanoseconds after{0};  // when the reply had arrived
  std::vector<RehearsedCall> calls;
  bool has_stored = false;  // anything

  bool operator==(const Rehearsed&) const = default;
};

/// Not *immutable*, but nothing of one run is left for the next. *one worker*: a loop of its own is the current one
/// while it runs.
class Rehearsal {
 public:
  /// `config` was checked, and outlives it.
  Rehearsal(const Config& config, std::size_t endpoint) : config_(config), endpoint_(endpoint) {}

  /// `states`: of each backend of the configuration. Throws std::runtime_error when there is no loopback, no file
  /// descriptor or the like.
  [[nodiscard]] Rehearsed run(const std::vector<BackendState>& states, Stored stored) const;

 private:
  [[nodiscard]] Rehearsed run_once(const std::vector<BackendState>& states, Stored stored) const;

  const Config& config_;
  std::size_t endpoint_;
};

}  // namespace sluice::gateway
