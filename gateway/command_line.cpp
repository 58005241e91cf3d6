#include "gateway/command_line.hpp"

#include "gateway/config_problems.hpp"
#include "gateway/config_reader.hpp"
#include "gateway/demo.hpp"
#include "gateway/explain.hpp"
#include "gateway/http_get.hpp"
#include "gateway/log.hpp"
#include "gateway/problem.hpp"
#include "gateway/schema.hpp"
#include "gateway/server.hpp"
#include "gateway/text_rules.hpp"
#include "gateway/units.hpp"
#include "gateway/version.hpp"

#include <algorithm>
#include <charconv>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string_view>

namespace sluice::gateway {
namespace {

constexpr std::string_view kHelp = R"(sluice: an HTTP gateway that is never late and degrades by fragment

usage:
  sluice serve CONFIG [--listen ADDR] [--admin ADDR] [--threads N] [--log-level LEVEL] [--takeover]
      Serves until SIGTERM; SIGHUP reads CONFIG again. LEVEL: debug, info, warn, error or off.
      --takeover: the address may still be another gateway's, which is about to go.
  sluice check CONFIG [--json]
      Names every problem as FILE:LINE:COLUMN: /json/pointer: message.
  sluice explain CONFIG [ENDPOINT] [--json] [--admin ADDR]
      The plan of each endpoint, or of the one with this name or path: order of calls, deadline budget, what a client
      gets when a backend is down or slow. ADDR: of a running gateway, which says what it could not store.
  sluice schema [--markdown]
      Prints the JSON Schema of CONFIG, or the same as a page to read.
  sluice demo [--once]
      Three stand-in backends and a gateway on loopback, with a short tour; --once ends after it.
  sluice healthcheck [URL]
      Asks http://127.0.0.1:9901/readyz or URL; exit 0 if the answer is 200. For containers without curl.
  sluice --help | --version

exit codes: 0 success, 1 a failed check or run, 2 bad usage
)";

int usage_error(const std::string& message) {
  std::cerr << "sluice: " << message << "; see sluice --help\n";
  return 2;
}

/// Takes the arguments of one command apart: at most one operand, flags with and without a value.
class Arguments {
 public:
  explicit Arguments(std::vector<std::string> words) : words_(std::move(words)) {}

  bool take_flag(std::string_view name) {
    const auto found = std::find(words_.begin(), words_.end(), name);
    if (found == words_.end()) return false;
    words_.erase(found);
    return true;
  }
  /// The value of `--name VALUE` or `--name=VALUE`; `problem` is set when the value is missing.
  std::optional<std::string> take_value(const std::string& name, std::string& problem) {
    for (auto word = words_.begin(); word != words_.end(); ++word) {
      if (word->rfind(name + "=", 0) == 0) {
        std::string value = word->substr(name.size() + 1);
        words_.erase(word);
        return value;
      }
      if (*word != name) continue;
      if (word + 1 == words_.end()) {
        problem = name + " needs a value";
        return std::nullopt;
      }
      std::string value = *(word + 1);
      words_.erase(word, word + 2);
      return value;
    }
    return std::nullopt;
  }
  std::string take_last() {
    std::string word = std::move(words_.back());
    words_.pop_back();
    return word;
  }
  [[nodiscard]] const std::vector<std::string>& rest() const { return words_; }

 private:
  std::vector<std::string> words_;
};

/// What is left after the flags: one file. Sets `problem` otherwise.
std::string operand(const Arguments& arguments, std::string& problem) {
  for (const std::string& word : arguments.rest()) {
    if (word.rfind("--", 0) == 0) {
      problem = "unknown flag \"" + word + "\"";
      return {};
    }
  }
  if (arguments.rest().size() != 1) {
    problem = arguments.rest().empty() ? "a CONFIG file is expected" : "unexpected \"" + arguments.rest()[1] + "\"";
    return {};
  }
  return arguments.rest().front();
}

int check(Arguments arguments) {
  const bool as_json = arguments.take_flag("--json");
  std::string problem;
  const std::string file = operand(arguments, problem);
  if (!problem.empty()) return usage_error("check: " + problem);
  const Checked checked = read_config(file);
  if (as_json) {
    std::cout << format_json(checked.problems);
  } else {
    for (const Problem& found : checked.problems) std::cerr << format(found) << '\n';
    if (checked.config) std::cout << file << ": ok\n";
  }
  return checked.config ? 0 : 1;
}

/// The endpoints that are meant: all without a `name`; none if no endpoint has it.
std::vector<std::size_t> endpoints_of(const Config& config, const std::string& name) {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < config.endpoints.size(); ++i) {
    const EndpointConfig& endpoint = config.endpoints[i];
    if (name.empty() || endpoint.name == name || endpoint.path == name) found.push_back(i);
  }
  return found;
}

int explain(Arguments arguments) {
  const bool as_json = arguments.take_flag("--json");
  std::string problem;
  std::optional<Address> admin;
  if (const auto text = arguments.take_value("--admin", problem)) {
    admin = parse_address(*text);
    if (!admin) problem = "--admin: an address like \"127.0.0.1:9901\" is expected, got \"" + *text + "\"";
  }
  std::string name;
  if (arguments.rest().size() == 2) name = arguments.take_last();
  std::string file;
  if (problem.empty()) file = operand(arguments, problem);
  if (!problem.empty()) return usage_error("explain: " + problem);

  const Checked checked = read_config(file);
  for (const Problem& found : checked.problems) std::cerr << format(found) << '\n';
  if (!checked.config) return 1;
  const Config& config = *checked.config;
  const std::vector<std::size_t> wanted = endpoints_of(config, name);
  if (wanted.empty()) {
    std::vector<std::string_view> known;
    for (const EndpointConfig& endpoint : config.endpoints) known.emplace_back(endpoint.name);
    std::string hint = did_you_mean(name, known);
    if (hint.empty() && known.size() <= 20) hint = ", expected " + quoted_list(known);
    return usage_error("explain: unknown endpoint \"" + name + "\"" + hint);
  }
  std::optional<LiveCache> live;
  if (admin) {
    const HttpReply metrics = http_get(admin->host, std::to_string(admin->port), "/metrics");
    if (metrics.status != 200) throw std::runtime_error("explain: --admin: no metrics there");
    live = read_live_cache(metrics.body);
  }
  set_log_level(LogLevel::off);
  std::vector<Explanation> explanations;
  for (std::size_t endpoint : wanted) {
    explanations.push_back(explain(config, endpoint));
    if (as_json) continue;
    if (endpoint != wanted.front()) std::cout << '\n';
    std::cout << explain_text(config, explanations.back(), live ? &*live : nullptr) << std::flush;
  }
  if (as_json) std::cout << explain_json(config, explanations, live ? &*live : nullptr);
  return 0;
}

int serve(Arguments arguments) {
  std::string problem;
  Overrides overrides;
  overrides.takeover = arguments.take_flag("--takeover");
  const auto take_address = [&](const std::string& flag, std::optional<Address>& into) {
    const auto text = arguments.take_value(flag, problem);
    if (!text) return;
    into = parse_address(*text);
    if (!into) problem = flag + ": an address like \"127.0.0.1:8080\" is expected, got \"" + *text + "\"";
  };
  take_address("--listen", overrides.listen);
  take_address("--admin", overrides.admin);
  if (const auto text = arguments.take_value("--threads", problem)) {
    unsigned count = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), count);
    if (error != std::errc() || end != text->data() + text->size() || count > 1024) {
      problem = "--threads: a number from 0 to 1024 is expected, got \"" + *text + "\"";
    }
    overrides.threads = count;
  }
  if (const auto text = arguments.take_value("--log-level", problem)) {
    const auto level = log_level_from(*text);
    if (level) {
      set_log_level(*level);
    } else {
      problem = "--log-level: debug, info, warn, error or off is expected, got \"" + *text + "\"";
    }
  }
  std::string file;
  if (problem.empty()) file = operand(arguments, problem);
  if (!problem.empty()) return usage_error("serve: " + problem);

  Checked checked = read_config(file);
  for (const Problem& found : checked.problems) std::cerr << format(found) << '\n';
  if (!checked.config) return 1;
  Server server(file, std::move(*checked.config), std::move(overrides));
  return server.run();
}

int healthcheck(const Arguments& arguments) {
  if (arguments.rest().size() > 1) return usage_error("healthcheck: unexpected \"" + arguments.rest()[1] + "\"");
  const std::string url = arguments.rest().empty() ? "http://127.0.0.1:9901/readyz" : arguments.rest().front();
  constexpr std::string_view kScheme = "http://";
  const auto slash = url.find('/', kScheme.size());
  const auto address =
      url.rfind(kScheme, 0) == 0 ? parse_address(url.substr(kScheme.size(), slash - kScheme.size())) : std::nullopt;
  if (!address) return usage_error("healthcheck: a URL like http://127.0.0.1:9901/readyz is expected");
  const std::string target = slash == std::string::npos ? "/" : url.substr(slash);
  const HttpReply reply = http_get(address->host, std::to_string(address->port), target);
  std::cout << reply.body;
  return reply.status == 200 ? 0 : 1;
}

}  // namespace

int run_command(const std::vector<std::string>& words) {
  if (words.empty()) return usage_error("a command is expected");
  const std::string& command = words.front();
  Arguments arguments({words.begin() + 1, words.end()});
  const bool wants_help = command == "--help" || command == "-h" || command == "help" || arguments.take_flag("--help");
  if (wants_help) {
    std::cout << kHelp;
    return 0;
  }
  if (command == "--version") {
    std::cout << "sluice " << version() << '\n';
    return 0;
  }
  if (command == "serve") return serve(std::move(arguments));
  if (command == "check") return check(std::move(arguments));
  if (command == "explain") return explain(std::move(arguments));
  if (command == "schema") {
    const bool as_page = arguments.take_flag("--markdown");
    if (!arguments.rest().empty()) return usage_error("schema: unexpected \"" + arguments.rest().front() + "\"");
    std::cout << (as_page ? schema_markdown() : schema_json());
    return 0;
  }
  if (command == "healthcheck") return healthcheck(arguments);
  if (command == "demo") {
    const bool once = arguments.take_flag("--once");
    if (!arguments.rest().empty()) return usage_error("demo: unexpected \"" + arguments.rest().front() + "\"");
    return run_demo(once);
  }
  return usage_error("unknown command \"" + command + "\"");
}

}  // namespace sluice::gateway
