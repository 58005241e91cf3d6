#include "gateway/json_shape.hpp"

#include "gateway/config.hpp"
#include "gateway/detail/json_pass.hpp"
#include "gateway/turns.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace sluice::gateway {
namespace {

// More slices than one system call takes, and shorter than this on average, are copied into one.
constexpr std::size_t kFewSlices = 64;
constexpr std::size_t kShortSlice = 512;

/// Copies slices that are many and short into one, or one for each member.
class Join {
 public:
  explicit Join(Shaped& shaped) : shaped_(shaped) {}

  [[nodiscard]] bool run(Quantum& quantum) {
    constexpr std::size_t kSlice = 8;  // what the list itself costs
    auto& slices = shaped_.slices;
    if (slices.size() <= kFewSlices) return true;
    for (; measured_ < slices.size(); ++measured_) {
      if (quantum.is_spent()) return false;
      size_ += slices[measured_].size();
      quantum.spend(kSlice);
    }
    if (size_ / slices.size() >= kShortSlice) return true;
    if (copied_ == 0) shaped_.text.reserve(size_ + shaped_.members.size());
    while (copied_ < slices.size()) {
      if (quantum.is_spent()) return false;
      const std::string_view slice = slices[copied_++];
      shaped_.text += slice;
      quantum.spend(slice.size() + kSlice);
      if (shaped_.members.empty()) continue;
      Shaped::Member& member = shaped_.members[joined_.size()];
      if (copied_ == member.end) end_member(member);
    }
    if (joined_.empty()) joined_.emplace_back(shaped_.text);
    slices = std::move(joined_);
    return true;
  }

 private:
  void end_member(Shaped::Member& member) {
    member.begin = joined_.size();
    member.end = joined_.size() + 1;
    joined_.push_back(std::string_view(shaped_.text).substr(begin_));
    shaped_.text += ',';  // most of them follow each other in the reply, too
    begin_ = shaped_.text.size();
  }

  Shaped& shaped_;
  std::size_t measured_ = 0;  // slices
  std::size_t copied_ = 0;    // slices
  std::size_t size_ = 0;
  std::size_t begin_ = 0;  // of the member that is being copied
  std::deque<std::string_view> joined_;
};

}  // namespace

std::optional<MemberPath> MemberPath::parse(std::string_view text) {
  MemberPath path;
  if (text.starts_with('/')) {
    auto pointer = JsonPointer::parse(text);
    if (!pointer) return std::nullopt;
    path.tokens = pointer->tokens();
    path.is_pointer = true;
    return path;
  }
  for (;;) {
    const std::size_t dot = text.find('.');
    path.tokens.emplace_back(text.substr(0, dot));
    if (path.tokens.back().empty()) return std::nullopt;
    if (dot == text.npos) return path;
    text.remove_prefix(dot + 1);
  }
}

bool Shaped::release(Quantum& quantum) {
  const auto shrink = [&quantum](auto& list) {
    constexpr std::size_t kPiece = 4096;
    for (; !list.empty() && !quantum.is_spent(); quantum.spend(kPiece * Quantum::kStep / 8)) {
      list.erase(list.end() - static_cast<std::ptrdiff_t>(std::min(kPiece, list.size())), list.end());
    }
    return list.empty();
  };
  return shrink(members) && shrink(slices);
}

JsonShape::JsonShape(const CallConfig& call) {
  if (!call.pick && !call.allow && !call.deny && call.rename.empty() && call.into != "") return;
  rules_ = std::make_shared<const Rules>(call);
}

bool JsonShape::fits(std::string_view value) const {
  if (rules_ == nullptr) return true;
  Shaping shaping(*this, value, nullptr);
  Quantum quantum = Quantum::unlimited();
  (void)shaping.run(quantum);
  return shaping.fits();
}

bool JsonShape::apply(std::string_view value, Shaped& out) const {
  Shaping shaping(*this, value, &out);
  Quantum quantum = Quantum::unlimited();
  (void)shaping.run(quantum);
  return shaping.fits();
}

struct Shaping::Work {
  Work(const JsonShape::Rules& rules, std::string_view value, Shaped* out) : rules_(rules), value_(value), out_(out) {
    if (rules.pick) search_.emplace(*rules.pick, value);
  }

  [[nodiscard]] bool run(Quantum& quantum) {
    if (search_ && !search_->run(quantum)) return false;
    if (!pass_) {
      const auto found = search_ ? search_->found() : value_;
      fits_ = found && (!rules_.is_spread || kind_of(*found) == JsonKind::object || kind_of(*found) == JsonKind::null);
      if (!fits_ || out_ == nullptr) return true;
      pass_.emplace(rules_, *found, *out_);
      join_.emplace(*out_);
    }
    if (!is_passed_) is_passed_ = pass_->run(quantum);
    return is_passed_ && join_->run(quantum);
  }
  [[nodiscard]] bool fits() const { return fits_; }

 private:
  const JsonShape::Rules& rules_;
  std::string_view value_;
  Shaped* out_;
  std::optional<JsonSearch> search_;
  std::optional<JsonShape::Pass> pass_;
  std::optional<Join> join_;
  bool is_passed_ = false;
  bool fits_ = true;
};

Shaping::Shaping(const JsonShape& shape, std::string_view value, Shaped* out) {
  if (shape.rules_ != nullptr) {
    work_ = std::make_unique<Work>(*shape.rules_, value, out);
  } else if (out != nullptr) {
    out->slices.push_back(value);
  }
}
Shaping::~Shaping() = default;

bool Shaping::run(Quantum& quantum) {
  return work_ == nullptr || work_->run(quantum);
}

bool Shaping::fits() const {
  return work_ == nullptr || work_->fits();
}

}  // namespace sluice::gateway
