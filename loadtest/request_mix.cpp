// Weighted choice by a hash of the number, and rendering of templates.
#include "loadtest/request_mix.hpp"

#include "loadtest/checks.hpp"

#include <algorithm>

namespace sluice::loadtest {
namespace {

/// Spreads consecutive numbers evenly and without order (the finaliser of SplitMix64).
std::uint64_t scramble(std::uint64_t n) {
  n += 0x9e3779b97f4a7c15;
  n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9;
  n = (n ^ (n >> 27)) * 0x94d049bb133111eb;
  return n ^ (n >> 31);
}

}  // namespace

RequestMix::RequestMix(const std::vector<RequestKind>& kinds) : kinds_(kinds) {
  std::uint64_t sum = 0;
  for (const RequestKind& kind : kinds_) {
    Template head(kind.method + ' ');
    head += kind.path;
    head += " HTTP/1.1\r\nHost: " + kind.host + "\r\n";
    for (const auto& [name, value] : kind.headers) {
      head += name + ": ";
      head += value;
      head += "\r\n";
    }
    heads_.push_back(std::move(head));
    weight_sums_.push_back(sum += kind.weight);
  }
}

std::size_t RequestMix::choose(std::uint64_t n) const {
  if (kinds_.size() == 1) return 0;
  const auto kind = std::upper_bound(weight_sums_.begin(), weight_sums_.end(), scramble(n) % weight_sums_.back());
  return static_cast<std::size_t>(kind - weight_sums_.begin());
}

void RequestMix::render(std::string& out, std::size_t kind, std::uint64_t n) const {
  const RequestKind& request = kinds_[kind];
  out.clear();
  heads_[kind].append_to(out, n);
  if (request.expect.request_id) out.append("X-Request-Id: ").append(request_id(n)).append("\r\n");
  if (!request.body) {
    out += "\r\n";
    return;
  }
  const std::string body = request.body->with(n);
  out.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n\r\n").append(body);
}

}  // namespace sluice::loadtest
