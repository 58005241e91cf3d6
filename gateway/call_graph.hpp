// Which calls of an endpoint need the data of which others.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace sluice::gateway {

/// Calls are known by their index in the endpoint.
class CallGraph {
 public:
  explicit CallGraph(std::size_t calls) : inputs_(calls) {}

  /// Notes, once, that `call` needs the data of `inputs`.
  void add(std::size_t call, std::span<const std::size_t> inputs);

  [[nodiscard]] const std::vector<std::size_t>& inputs(std::size_t call) const { return inputs_[call]; }
  /// The calls that need the data of `call`, in order.
  [[nodiscard]] std::vector<std::size_t> dependants(std::size_t call) const;
  /// The ways on which calls wait for themselves, each as a call, its input and so on to the first call again. Empty if
  /// and only if all calls can be made.
  [[nodiscard]] std::vector<std::vector<std::size_t>> cycles() const;

 private:
  std::vector<std::vector<std::size_t>> inputs_;
};

}  // namespace sluice::gateway
