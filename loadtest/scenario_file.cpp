// Reading a scenario file: every problem is collected with its place, and the file is refused when there is any.
#include "loadtest/scenario_file.hpp"

#include "loadtest/command_line.hpp"
#include "loadtest/json.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <functional>
#include <span>

namespace sluice::loadtest {
namespace {

using Type = Json::Type;

std::string_view name_of(Type type) {
  constexpr std::string_view kNames[] = {"null", "true or false", "a number", "a string", "a list", "an object"};
  return kNames[static_cast<std::size_t>(type)];
}

std::string escape_pointer(std::string_view name) {
  std::string text;
  for (const char c : name) text += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return text;
}

/// A value and where it is: `/requests/0/path`.
struct Place {
  const Json* json;
  std::string pointer;

  [[nodiscard]] Place item(std::size_t index) const {
    return {&json->items[index], pointer + '/' + std::to_string(index)};
  }
};

class Reader {
 public:
  Reader(std::string_view file, std::string_view text) : file_(file), text_(text) {}

  Scenario read(std::string_view target) {
    JsonProblem problem{};
    const std::optional<Json> json = parse_json(text_, problem);
    if (!json) {
      report(problem.offset, "", "expected " + std::string(problem.expected) + ", found " + found_at(problem.offset));
    } else {
      scenario({&*json, ""}, target);
    }
    if (!problems_.empty()) throw ScenarioError(std::move(problems_));
    return std::move(scenario_);
  }

 private:
  using Use = std::function<void(const Place&)>;
  struct Key {
    std::string_view name;
    Use use;
    bool is_needed = false;
  };

  std::string found_at(std::size_t offset) const {
    if (offset >= text_.size()) return "the end of the file";
    return '"' + std::string(1, text_[offset]) + '"';
  }

  void report(std::size_t offset, std::string_view pointer, const std::string& message) {
    const std::string_view before = text_.substr(0, offset);
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const std::size_t column = offset - (before.rfind('\n') + 1) + 1;
    problems_.push_back(std::string(file_) + ':' + std::to_string(line) + ':' + std::to_string(column) + ": " +
                        (pointer.empty() ? "" : std::string(pointer) + ": ") + message);
  }

  void report(const Place& place, const std::string& expected) {
    const std::string_view raw = text_.substr(place.json->begin, place.json->end - place.json->begin);
    const std::string found = raw.size() <= 60 ? std::string(raw) : std::string(name_of(place.json->type));
    report(place.json->begin, place.pointer, "expected " + expected + ", got " + found);
  }

  bool is(const Place& place, Type type) {
    if (place.json->type == type) return true;
    report(place, std::string(name_of(type)));
    return false;
  }

  void object(const Place& place, std::span<const Key> keys) {
    if (!is(place, Type::object)) return;
    std::vector<std::string_view> seen;
    for (const auto& [name, value] : place.json->members) {
      if (name.starts_with('_') || name.starts_with('$')) continue;
      const Place member{&value, place.pointer + '/' + escape_pointer(name)};
      const auto key = std::find_if(keys.begin(), keys.end(), [&](const Key& k) { return k.name == name; });
      if (key == keys.end()) {
        std::vector<std::string_view> known;
        for (const Key& k : keys) known.push_back(k.name);
        std::string hint;
        if (const std::string_view near = nearest(name, known); !near.empty()) {
          hint = "did you mean \"" + std::string(near) + "\"?";
        } else {
          hint = "expected one of";
          for (const std::string_view k : known) hint += (k == known.front() ? " " : ", ") + std::string(k);
        }
        report(value.begin, member.pointer, "unknown key; " + hint);
      } else if (std::find(seen.begin(), seen.end(), name) != seen.end()) {
        report(value.begin, member.pointer, "expected once, got it again");
      } else {
        seen.push_back(name);
        key->use(member);
      }
    }
    for (const Key& key : keys)
      if (key.is_needed && std::find(seen.begin(), seen.end(), key.name) == seen.end())
        report(place.json->begin, place.pointer, "expected the key \"" + std::string(key.name) + "\", found none");
  }

  // Values: what is wrong is reported, and nothing set.
  void text(const Place& place, std::string& out) {
    if (is(place, Type::string)) out = place.json->string;
  }

  /// A string through a function that throws what it expected.
  template <class Out, class Parse>
  void parsed(const Place& place, Out& out, Parse parse) {
    if (!is(place, Type::string)) return;
    try {
      out = parse(std::string_view(place.json->string));
    } catch (const std::invalid_argument& error) {
      report(place, error.what());
    }
  }

  void a_template(const Place& place, Template& out) {
    parsed(place, out, [](std::string_view value) { return Template(value); });
  }

  void duration(const Place& place, std::chrono::nanoseconds& out) { parsed(place, out, parse_duration); }

  void number(const Place& place, double& out, double above, double up_to, const char* expected) {
    const double value = place.json->number;
    if (place.json->type != Type::number || !(value > above && value <= up_to)) return report(place, expected);
    out = value;
  }

  template <class Out>
  void count(const Place& place, Out& out, double most) {
    const double value = place.json->number;
    if (place.json->type != Type::number || value < 1 || value > most || value != std::floor(value))
      return report(place, "a whole number from 1 to " + std::to_string(static_cast<std::uint64_t>(most)));
    out = static_cast<Out>(value);
  }

  void flag(const Place& place, bool& out) {
    if (is(place, Type::boolean)) out = place.json->boolean;
  }

  /// One string, or several, each of them `A` or `A|B`.
  void words(const Place& place, std::vector<std::string>& out) {
    out.clear();
    if (place.json->type == Type::string) {
      out = split(place.json->string, '|');
    } else if (place.json->type == Type::array) {
      for (std::size_t i = 0; i < place.json->items.size(); ++i) {
        out.emplace_back();
        text(place.item(i), out.back());
      }
    } else {
      report(place, "a string or a list of strings");
    }
  }

  void statuses(const Place& place, std::vector<unsigned>& out) {
    out.clear();
    const auto add = [&](const Place& status) {
      const double value = status.json->number;
      if (status.json->type != Type::number || value < 100 || value > 999 || value != std::floor(value))
        return report(status, "a status from 100 to 999, a list of them, or \"any\"");
      out.push_back(static_cast<unsigned>(value));
    };
    if (place.json->type == Type::string && place.json->string == "any") return;
    if (place.json->type != Type::array) return add(place);
    for (std::size_t i = 0; i < place.json->items.size(); ++i) add(place.item(i));
  }

  void texts(const Place& place, std::vector<Template>& out) {
    out.clear();
    if (place.json->type == Type::string) return a_template(place, out.emplace_back());
    if (!is(place, Type::array)) return;
    for (std::size_t i = 0; i < place.json->items.size(); ++i) a_template(place.item(i), out.emplace_back());
  }

  void calls(const Place& place, Expectations& expect) {
    expect.calls.clear();
    if (!is(place, Type::object)) return;
    for (const auto& [name, value] : place.json->members)
      words({&value, place.pointer + '/' + escape_pointer(name)},
            expect.calls.emplace_back(name, std::vector<std::string>()).second);
  }

  void expectations(const Place& place, Expectations& expect) {
    object(place, std::vector<Key>{{"status", [&](auto& p) { statuses(p, expect.statuses); }},
                                   {"json", [&](auto& p) { flag(p, expect.json); }},
                                   {"request_id", [&](auto& p) { flag(p, expect.request_id); }},
                                   {"result", [&](auto& p) { words(p, expect.results); }},
                                   {"calls", [&](auto& p) { calls(p, expect); }},
                                   {"text", [&](auto& p) { texts(p, expect.texts); }}});
  }

  void headers(const Place& place, std::vector<std::pair<std::string, Template>>& out) {
    if (!is(place, Type::object)) return;
    for (const auto& [name, value] : place.json->members) {
      const Place member{&value, place.pointer + '/' + escape_pointer(name)};
      if (name.empty() || name.find_first_of(": \t\r\n") != std::string::npos)
        report(value.begin, member.pointer, "expected the name of a header, got \"" + name + '"');
      if (value.type == Type::string && value.string.find_first_of("\r\n") != std::string::npos)
        report(member, "a header's value on one line");
      const auto same = [&](const auto& header) { return equal_ignoring_case(header.first, name); };
      std::erase_if(out, same);  // a request's own header replaces the one for all
      a_template(member, out.emplace_back(name, Template()).second);
    }
  }

  static bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
  }

  void request(const Place& place) {
    RequestKind kind = defaults_;
    const auto path = [&](const Place& p) {
      parsed(p, kind.path, [](std::string_view value) {
        if (!value.starts_with('/') || value.find_first_of(" \r\n") != std::string_view::npos)
          throw std::invalid_argument("a path that begins with / and has no space");
        return Template(value);
      });
      if (kind.name.empty() && p.json->type == Type::string) kind.name = p.json->string;
    };
    const auto method = [&](const Place& p) {
      parsed(p, kind.method, [](std::string_view value) {
        if (value.empty() || value.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ") != std::string_view::npos)
          throw std::invalid_argument("a method in capitals");
        return std::string(value);
      });
    };
    const auto body = [&](const Place& p) {  // a string is the body, any other value stands for its JSON text
      if (p.json->type == Type::string) return a_template(p, kind.body.emplace());
      try {
        kind.body.emplace(text_.substr(p.json->begin, p.json->end - p.json->begin));
      } catch (const std::invalid_argument& error) {
        report(p, error.what());
      }
    };
    object(place, std::vector<Key>{{"path", path, true},
                                   {"name", [&](auto& p) { text(p, kind.name); }},
                                   {"weight", [&](auto& p) { count(p, kind.weight, 1e6); }},
                                   {"method", method},
                                   {"headers", [&](auto& p) { headers(p, kind.headers); }},
                                   {"body", body},
                                   {"expect", [&](auto& p) { expectations(p, kind.expect); }}});
    scenario_.requests.push_back(std::move(kind));
  }

  void phase(const Place& place) {
    constexpr const char* kRate = "a number of requests per second above 0";
    Phase phase;
    phase.name = "phase " + std::to_string(scenario_.phases.size() + 1);
    object(place, std::vector<Key>{{"name", [&](auto& p) { text(p, phase.name); }},
                                   {"duration", [&](auto& p) { duration(p, phase.duration); }, true},
                                   {"rate", [&](auto& p) { number(p, phase.rate, 0, 1e7, kRate); }},
                                   {"rate_to", [&](auto& p) { number(p, phase.rate_to, 0, 1e7, kRate); }},
                                   {"connections", [&](auto& p) { count(p, phase.connections, 1e6); }},
                                   {"warm_up", [&](auto& p) { flag(p, phase.is_warm_up); }}});
    if (phase.rate_to == 0) phase.rate_to = phase.rate;
    if (phase.rate == 0 && phase.rate_to > 0) report(place, "\"rate\" beside \"rate_to\"");
    if (phase.rate > 0 && phase.connections > 0) report(place, "\"rate\" (open loop) or \"connections\" (closed loop)");
    if (!scenario_.phases.empty()) {
      const Phase& before = scenario_.phases.back();
      if ((before.rate > 0) != (phase.rate > 0))
        report(place, "a \"rate\" in every phase (open loop) or in none (closed loop)");
      if (phase.is_warm_up && !before.is_warm_up) report(place, "warm-up phases before all others");
    }
    scenario_.phases.push_back(std::move(phase));
  }

  void limits(const Place& place) {
    Limits& limits = scenario_.limits;
    const auto latency = [&](double percent) {
      return [&limits, percent, this](const Place& p) {
        duration(p, limits.latencies.emplace_back(percent, std::chrono::nanoseconds(0)).second);
      };
    };
    const auto errors = [&](const Place& p) {
      if (p.json->type == Type::number && p.json->number >= 0 && p.json->number == std::floor(p.json->number)) {
        limits.errors = static_cast<std::uint64_t>(p.json->number);
      } else if (p.json->type == Type::string) {
        parsed(p, limits.error_percent, parse_percent);
      } else {
        report(p, "a whole number, or a share (\"0.1%\")");
      }
    };
    object(place, std::vector<Key>{{"p50", latency(50)},
                                   {"p90", latency(90)},
                                   {"p99", latency(99)},
                                   {"p99.9", latency(99.9)},
                                   {"max", latency(100)},
                                   {"errors", errors},
                                   {"rate", [&](auto& p) { number(p, limits.rate, 0, 1e7, "replies per second"); }}});
  }

  void list(const Place& place, void (Reader::*read_item)(const Place&)) {
    if (!is(place, Type::array)) return;
    if (place.json->items.empty()) report(place, "at least one");
    for (std::size_t i = 0; i < place.json->items.size(); ++i) (this->*read_item)(place.item(i));
  }

  void scenario(const Place& root, std::string_view target) {
    std::optional<Place> requests;  // read last: they begin with the defaults, wherever these stand
    std::string file_target;
    const auto url = [&](const Place& p) {
      parsed(p, file_target, [](std::string_view value) {
        if (parse_url(value).path != "/") throw std::invalid_argument("http://HOST:PORT without a path");
        return std::string(value);
      });
    };
    object(root, std::vector<Key>{{"name", [&](auto& p) { text(p, scenario_.name); }},
                                  {"target", url, target.empty()},
                                  {"connections", [&](auto& p) { count(p, scenario_.connections, 1e6); }},
                                  {"timeout", [&](auto& p) { duration(p, scenario_.timeout); }},
                                  {"headers", [&](auto& p) { headers(p, defaults_.headers); }},
                                  {"expect", [&](auto& p) { expectations(p, defaults_.expect); }},
                                  {"requests", [&](auto& p) { requests = p; }, true},
                                  {"phases", [&](auto& p) { list(p, &Reader::phase); }, true},
                                  {"limits", [&](auto& p) { limits(p); }}});
    scenario_.url = target.empty() ? file_target : std::string(target);
    if (!scenario_.url.empty()) defaults_.host = parse_url(scenario_.url).host_port;
    if (requests) list(*requests, &Reader::request);
    for (const Phase& phase : scenario_.phases)
      if (phase.connections > scenario_.connections)
        report(root.json->begin, "/connections",
               "expected at least the " + std::to_string(phase.connections) + " of phase \"" + phase.name + "\", got " +
                   std::to_string(scenario_.connections));
  }

  const std::string_view file_, text_;
  RequestKind defaults_;
  Scenario scenario_;
  std::vector<std::string> problems_;
};

}  // namespace

Scenario read_scenario(std::string_view file, std::string_view text, std::string_view target) {
  return Reader(file, text).read(target);
}

}  // namespace sluice::loadtest
