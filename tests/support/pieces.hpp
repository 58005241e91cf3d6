// Shows one message to a parser in every way in which a network may cut it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::support {

using Cuts = std::vector<std::size_t>;

/// Shows `bytes` in pieces that end at `cuts` and at the end; returns how many the parser consumed.
///
/// Each view is a heap block of its exact size, so that AddressSanitizer sees a read behind it and any view that the
/// parser keeps.
template <class Parser>
std::size_t show(Parser& parser, std::string_view bytes, const Cuts& cuts) {
  using State = typename Parser::State;
  std::size_t consumed = 0;
  for (std::size_t piece = 0; piece <= cuts.size(); ++piece) {
    const std::size_t end = piece < cuts.size() ? cuts[piece] : bytes.size();
    for (;;) {
      const std::vector<char> exact(bytes.begin() + static_cast<std::ptrdiff_t>(consumed),
                                    bytes.begin() + static_cast<std::ptrdiff_t>(end));
      const auto progress = parser.parse({exact.data(), exact.size()});
      consumed += progress.consumed;
      if (progress.state == State::need_more) break;
      bool goes_on = progress.state == State::head;
      if constexpr (requires { State::interim; }) goes_on = goes_on || progress.state == State::interim;
      if (!goes_on) return consumed;
    }
  }
  return consumed;
}

/// Not at all, after every byte, and at each single position (at most some 300 of them).
inline std::vector<Cuts> every_cut(std::size_t size) {
  std::vector<Cuts> all(2);
  for (std::size_t i = 1; i < size; ++i) all[1].push_back(i);
  for (std::size_t i = 1; i < size; i += std::max<std::size_t>(1, size / 300)) all.push_back({i});
  return all;
}

}  // namespace sluice::support
