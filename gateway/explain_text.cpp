// The explanation of an endpoint as text for a terminal.
#include "gateway/explain.hpp"
#include "gateway/units.hpp"

#include <algorithm>
#include <chrono>

namespace sluice::gateway {
namespace {

constexpr std::size_t kWidth = 100;

using std::chrono::nanoseconds;

/// In columns: bytes that continue a character take none.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string padded(std::string text, std::size_t columns) {
  text.append(columns - std::min(columns, width(text)), ' ');
  return text;
}

/// Rows of cells; the last cell of a row is folded at its spaces to the width of the terminal.
class Table {
 public:
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

  [[nodiscard]] std::string text() const {
    std::vector<std::size_t> columns;
    for (const auto& row : rows_) {
      columns.resize(std::max(columns.size(), row.size()));
      for (std::size_t i = 0; i + 1 < row.size(); ++i) columns[i] = std::max(columns[i], width(row[i]));
    }
    std::string out;
    for (const auto& row : rows_) {
      std::string line = "  ";
      for (std::size_t i = 0; i + 1 < row.size(); ++i) line += padded(row[i], columns[i]) + "  ";
      out += folded(std::move(line), row.back());
    }
    return out;
  }

  static std::string folded(std::string line, std::string_view words) {
    const std::string indent(width(line), ' ');
    std::string out;
    for (bool is_first = true; !words.empty(); is_first = false) {
      const std::string_view word = words.substr(0, words.find(' '));
      words.remove_prefix(std::min(words.size(), word.size() + 1));
      if (!is_first && width(line) + 1 + width(word) > kWidth) {
        out += line + "\n";
        line = indent + std::string(word);
      } else {
        line.append(is_first ? "" : " ").append(word);
      }
    }
    line.erase(line.find_last_not_of(' ') + 1);
    return out + line + "\n";
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

std::string joined(const std::vector<std::string>& words) {
  std::string list;
  for (const std::string& word : words) list.append(list.empty() ? "" : ", ").append(word);
  return list;
}

class Text {
 public:
  Text(const Config& config, const Explanation& explanation, const LiveCache* live)
      : config_(config), explanation_(explanation), endpoint_(config.endpoints[explanation.endpoint]), live_(live) {}

  std::string write() const {
    std::string out = title();
    out += "\n" + calls() + path() + never_reached() + stored() + "\n" + scenes();
    return out;
  }

 private:
  [[nodiscard]] const std::string& name(std::size_t call) const { return endpoint_.calls[call].name; }
  [[nodiscard]] const std::string& backend(std::size_t call) const {
    return config_.backends[endpoint_.calls[call].backend].name;
  }

  [[nodiscard]] std::string title() const {
    std::string out = joined(endpoint_.methods) + " " + endpoint_.path;
    if (endpoint_.name != endpoint_.path) out += " (" + endpoint_.name + ")";
    out.append("   ").append(to_string(endpoint_.strategy));
    if (endpoint_.quorum) out += " of " + std::to_string(*endpoint_.quorum);
    if (endpoint_.stagger && endpoint_.strategy == Strategy::first) {
      out += ", the next after " + format_duration(*endpoint_.stagger);
    }
    return out + ", deadline " + format_duration(endpoint_.deadline) +
           (endpoint_.strategy == Strategy::proxy ? " to the head of the response\n" : "\n");
  }

  [[nodiscard]] std::string calls() const {
    Table table;
    table.add({"call", "backend", "starts", "has", "limited by", ""});
    for (std::size_t i = 0; i < endpoint_.calls.size(); ++i) {
      const CallConfig& call = endpoint_.calls[i];
      const CallBudget& budget = explanation_.budget.calls[i];
      std::string starts = "at once";
      std::vector<std::string> needs;
      for (std::size_t input : explanation_.inputs[i]) needs.push_back(name(input));
      if (!needs.empty()) {
        starts = "after " + joined(needs) + ", by " + format_duration(budget.starts_by);
      } else if (budget.starts_by > nanoseconds(0)) {
        starts = "when " + name(i - 1) + " failed, by " + format_duration(budget.starts_by);
      }
      const nanoseconds has = budget.ends_by - budget.starts_by;
      std::string notes = call.required ? "required" : "";
      if (call.fallback) notes += notes.empty() ? "has a fallback" : ", has a fallback";
      if (call.for_each) {
        notes += (notes.empty() ? "" : ", ") + std::string("for each of at most ") +
                 std::to_string(call.for_each->max) + " elements of " + call.for_each->in + ", " +
                 std::to_string(call.for_each->parallel) + " at a time";
      }
      table.add(
          {name(i), backend(i), starts, has == nanoseconds(0) ? "nothing" : format_duration(has), limit_of(i), notes});
    }
    return table.text();
  }

  [[nodiscard]] std::string limit_of(std::size_t call) const {
    const std::string_view limit = explanation_.budget.calls[call].limited_by;
    return limit == "deadline" ? "the deadline" : limit == "timeout" ? "its timeout" : "its backend's timeout";
  }

  [[nodiscard]] std::string path() const {
    std::string way;
    for (std::size_t call : explanation_.budget.critical_path) way += (way.empty() ? "" : " → ") + name(call);
    const CallBudget& last = explanation_.budget.calls[explanation_.budget.critical_path.back()];
    const nanoseconds left = endpoint_.deadline - last.ends_by;
    return "\n" + Table::folded("  critical path  ",
                                way + ": over by " + format_duration(last.ends_by) + ", " +
                                    (left > nanoseconds(0) ? format_duration(left) + " before the deadline"
                                                           : "when the deadline is reached"));
  }

  [[nodiscard]] std::string never_reached() const {
    std::vector<std::pair<std::string, std::vector<std::string>>> groups;  // what, calls
    for (const IdleTime& idle : explanation_.budget.idle) {
      const std::string what = std::string(to_string(idle.which)) + " " + format_duration(idle.value) + " (the " +
                               std::string(idle.shorter) + " of " + format_duration(idle.limit) + " comes first)";
      const std::string whose = idle.which == IdleTime::Which::stagger ? "" : name(idle.call);
      auto group = std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.first == what; });
      if (group == groups.end()) group = groups.insert(groups.end(), {what, {}});
      if (!whose.empty()) group->second.push_back(whose);
    }
    std::string out;
    for (const auto& [what, whose] : groups) {
      out += Table::folded("  never reached  ", what + (whose.empty() ? "" : ": " + joined(whose)));
    }
    return out;
  }

  [[nodiscard]] std::string stored() const {
    std::string out;
    bool may_be_refused = false;
    for (std::size_t i = 0; i < endpoint_.calls.size(); ++i) {
      const auto& cache = endpoint_.calls[i].cache;
      if (!cache) continue;
      may_be_refused = may_be_refused || !cache->ignore_origin;
      out += Table::folded("  stores         ", name(i) + ": " + windows_of(*cache) +
                                                    (cache->ignore_origin ? "; whatever the backend says" : ""));
      if (live_ != nullptr) out += Table::folded("                 ", live_of(i));
    }
    if (may_be_refused) {
      out += Table::folded("  but not        ",
                           "what its backend forbids: by no-store, private, no-cache, a Vary beyond the key, or no "
                           "\"public\" where the client's Authorization was sent; must-revalidate and s-maxage forbid "
                           "stale data, and a shorter max-age counts");
    }
    return out;
  }

  [[nodiscard]] static std::string windows_of(const CacheConfig& cache) {
    std::vector<std::string> parts;
    const auto add = [&](nanoseconds window, const std::string& what) {
      if (window > nanoseconds(0)) parts.push_back(what + format_duration(window));
    };
    add(cache.ttl, "serves without asking for ");
    add(cache.stale_while_revalidate, "then while it asks again for ");
    add(cache.stale_if_error, "when the call fails for ");
    if (cache.stale_after) parts.push_back("when it is slow after " + format_duration(*cache.stale_after));
    return parts.empty() ? "nothing that is ever served" : joined(parts);
  }

  [[nodiscard]] std::string live_of(std::size_t call) const {
    std::vector<std::string> refused;
    if (const auto found = live_->refused.find(backend(call)); found != live_->refused.end()) {
      for (const auto& [reason, count] : found->second) refused.push_back(std::to_string(count) + " " + reason);
    }
    std::string out =
        "answers of " + backend(call) + " that were refused: " + (refused.empty() ? "none" : joined(refused));
    const auto runway = live_->runway.find({endpoint_.name, name(call)});
    if (runway == live_->runway.end()) return out;
    return out +
           (runway->second == "+Inf" ? "; no stale data is in use" : "; stale data lasts for " + runway->second + "s");
  }

  [[nodiscard]] std::string scenes() const {
    Table table;
    table.add({"backend", "is", "stored", "after", "client gets", "calls"});
    bool is_first = true;
    for (const Scene& scene : explanation_.scenes) {
      std::string whose = scene.backend.empty() ? "all" : scene.backend;
      std::string state(to_string(scene.state));
      std::string stored = !scene.stored ? "" : scene.stored == Stored::stale ? "stale" : "nothing";
      const bool is_repeated = !is_first && scene.stored == Stored::stale;
      table.add({is_repeated ? "" : whose, is_repeated ? "" : state, stored, format_after(scene.reply.after),
                 std::to_string(scene.reply.status) + " " + scene.reply.result, calls_of(scene.reply)});
      is_first = false;
    }
    return table.text();
  }

  static std::string format_after(nanoseconds after) {
    return format_duration(std::chrono::duration_cast<std::chrono::milliseconds>(after));
  }

  /// By what became of them; what went wrong first.
  static std::string calls_of(const Rehearsed& reply) {
    std::vector<std::pair<std::string, std::string>> wrong;  // what, names
    std::vector<std::pair<std::string, std::string>> well;
    for (const RehearsedCall& call : reply.calls) {
      const std::string reason = call.detail("reason");
      const std::string missing = call.detail("missing");
      std::string what = call.outcome;
      if (!reason.empty()) what += " (" + reason + ")";
      if (!missing.empty()) what += ", " + missing + " of " + call.detail("items") + " elements missing";
      const bool is_well = call.outcome == "fresh" || call.outcome == "cached" || call.outcome == "skipped";
      auto& groups = is_well && missing.empty() ? well : wrong;
      auto group = std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.first == what; });
      if (group == groups.end()) group = groups.insert(groups.end(), {what, ""});
      group->second += (group->second.empty() ? "" : ", ") + call.name;
    }
    std::string out;
    wrong.insert(wrong.end(), well.begin(), well.end());
    for (const auto& [what, names] : wrong) out.append(out.empty() ? "" : "; ").append(names).append(" ").append(what);
    return out;
  }

  const Config& config_;
  const Explanation& explanation_;
  const EndpointConfig& endpoint_;
  const LiveCache* live_;
};

}  // namespace

std::string explain_text(const Config& config, const Explanation& explanation, const LiveCache* live) {
  return Text(config, explanation, live).write();
}

}  // namespace sluice::gateway
