#include "gateway/call_graph.hpp"

#include <algorithm>
#include <utility>

namespace sluice::gateway {

void CallGraph::add(std::size_t call, std::span<const std::size_t> inputs) {
  auto& known = inputs_[call];
  for (std::size_t input : inputs) {
    if (std::find(known.begin(), known.end(), input) == known.end()) known.push_back(input);
  }
}

std::vector<std::size_t> CallGraph::dependants(std::size_t call) const {
  std::vector<std::size_t> found;
  for (std::size_t other = 0; other < inputs_.size(); ++other) {
    const auto& inputs = inputs_[other];
    if (std::find(inputs.begin(), inputs.end(), call) != inputs.end()) found.push_back(other);
  }
  return found;
}

// Depth first: an input that is on the way already closes a cycle.
std::vector<std::vector<std::size_t>> CallGraph::cycles() const {
  enum class State : char { unseen, on_way, done };
  std::vector<State> states(inputs_.size(), State::unseen);
  std::vector<std::vector<std::size_t>> found;
  std::vector<std::pair<std::size_t, std::size_t>> way;  // call, how many of its inputs were looked at
  for (std::size_t start = 0; start < inputs_.size(); ++start) {
    if (states[start] == State::unseen) way.emplace_back(start, 0);
    while (!way.empty()) {
      auto& [call, looked_at] = way.back();
      states[call] = State::on_way;
      if (looked_at == inputs_[call].size()) {
        states[call] = State::done;
        way.pop_back();
        continue;
      }
      const std::size_t input = inputs_[call][looked_at++];
      if (states[input] == State::unseen) way.emplace_back(input, 0);
      if (states[input] != State::on_way) continue;
      auto& cycle = found.emplace_back();
      const auto first = std::find_if(way.begin(), way.end(), [&](const auto& step) { return step.first == input; });
      for (auto step = first; step != way.end(); ++step) cycle.push_back(step->first);
      cycle.push_back(input);
    }
  }
  return found;
}

}  // namespace sluice::gateway
