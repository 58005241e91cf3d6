// Which of a scenario's requests is sent next, and its bytes.
#pragma once

#include "loadtest/scenario.hpp"
#include "loadtest/template.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace sluice::loadtest {

/// The requests of a scenario, mixed by weight: the same mix in every run. *immutable*
class RequestMix {
 public:
  /// `kinds`, at least one, are referred to.
  explicit RequestMix(const std::vector<RequestKind>& kinds);

  /// The index of the kind of request `n`.
  [[nodiscard]] std::size_t choose(std::uint64_t n) const;
  /// Puts the bytes of request `n`, of that kind, into `out`.
  void render(std::string& out, std::size_t kind, std::uint64_t n) const;

  [[nodiscard]] const RequestKind& operator[](std::size_t kind) const { return kinds_[kind]; }
  [[nodiscard]] bool keeps_body(std::size_t kind) const {
    return kinds_[kind].expect.json || !kinds_[kind].expect.texts.empty();
  }

 private:
  const std::vector<RequestKind>& kinds_;
  std::vector<Template> heads_;             // but for Content-Length and X-Request-Id
  std::vector<std::uint64_t> weight_sums_;  // of a kind and those before it
};

}  // namespace sluice::loadtest
