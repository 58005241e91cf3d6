// Slices that double in width.
#include "loadtest/timeline.hpp"

#include <algorithm>
#include <utility>

namespace sluice::loadtest {

Outcome outcome_of(std::string_view result) {
  const auto end = kOutcomeNames.begin() + outcome_of(Kind{});
  const auto found = std::find(kOutcomeNames.begin(), end, result);
  return found == end ? 0 : static_cast<Outcome>(found - kOutcomeNames.begin());
}

void Timeline::count(std::chrono::nanoseconds when, Outcome outcome) {
  ++slice_at(when).counts[outcome];
}

Timeline::Slice& Timeline::slice_at(std::chrono::nanoseconds when) {
  auto index = static_cast<std::size_t>(std::max(when, std::chrono::nanoseconds(0)) / width_);
  while (index >= kMaxSlices) {
    for (std::size_t i = 0; i < slices_.size(); i += 2) {
      Slice& kept = slices_[i / 2];
      if (i > 0) kept = std::move(slices_[i]);
      if (i + 1 == slices_.size()) break;
      kept.latency.add(slices_[i + 1].latency);
      for (std::size_t j = 0; j < kept.counts.size(); ++j) kept.counts[j] += slices_[i + 1].counts[j];
    }
    slices_.resize((slices_.size() + 1) / 2);
    width_ *= 2;
    index /= 2;
  }
  if (index >= slices_.size()) slices_.resize(index + 1);
  return slices_[index];
}

}  // namespace sluice::loadtest
