// From a configuration's text to its values: parse, check against the table of keys, fill in defaults, check the rules.
#include "gateway/config_reader.hpp"

#include "gateway/config_check.hpp"
#include "gateway/config_keys.hpp"
#include "gateway/config_problems.hpp"
#include "gateway/config_rules.hpp"
#include "gateway/config_text.hpp"

#include <cstdlib>
#include <unordered_map>
#include <utility>

namespace sluice::gateway {
namespace {

constexpr std::size_t kMaxFileBytes = std::size_t{32} << 20;

// What `defaults` has for one kind of object, on top of `value`.
template <class Struct>
Struct with_defaults(Struct value, ConfigNode& root, std::string_view key, const Section& section) {
  ConfigNode* defaults = root.find("defaults");
  const ConfigNode* object = defaults == nullptr ? nullptr : defaults->find(key);
  if (object != nullptr) section.store(*object, &value);
  return value;
}

// Invalid endpoints and calls are there too, as far as they go: their indexes stay those of the file.
Config build(ConfigNode& root) {
  Config config;
  config_section().store(root, &config);

  const auto backend = with_defaults(BackendConfig(), root, "backend", backend_section());
  if (ConfigNode* objects = root.find("backends")) {
    for (const ConfigNode::Member& member : objects->members) {
      if (is_comment(member.key)) continue;
      BackendConfig& added = config.backends.emplace_back(backend);
      added.name = member.key;
      backend_section().store(member.value, &added);
    }
  }

  std::unordered_map<std::string_view, std::size_t> backends;
  for (std::size_t i = 0; i < config.backends.size(); ++i) backends.emplace(config.backends[i].name, i);

  EndpointConfig plain;
  plain.max_body = config.limits.max_body;
  const auto endpoint = with_defaults(std::move(plain), root, "endpoint", endpoint_section());
  const auto call = with_defaults(CallConfig(), root, "call", call_section());
  CallConfig any_status;
  any_status.accept.set();
  const auto proxy_call = with_defaults(std::move(any_status), root, "call", call_section());
  ConfigNode* endpoints = root.find("endpoints");
  if (endpoints == nullptr) return config;
  for (ConfigNode& node : endpoints->elements) {
    EndpointConfig& added = config.endpoints.emplace_back(endpoint);
    endpoint_section().store(node, &added);
    if (added.name.empty()) added.name = added.path;
    ConfigNode* calls = node.find("calls");
    if (calls == nullptr) continue;
    for (ConfigNode& call_node : calls->elements) {
      CallConfig& added_call = added.calls.emplace_back(added.strategy == Strategy::proxy ? proxy_call : call);
      call_section().store(call_node, &added_call);
      const ConfigNode* name = call_node.find("backend");
      const auto named = name == nullptr ? backends.end() : backends.find(name->text);
      added_call.backend = named == backends.end() ? config.backends.size() : named->second;
    }
  }
  return config;
}

std::optional<std::string> environment_variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

}  // namespace

Checked read_config(const std::filesystem::path& path) {
  std::string problem;
  const auto text = read_file(path, kMaxFileBytes, problem);
  if (text) return parse_config(*text, path.string(), environment_variable);
  ConfigProblems problems(path.string(), "");
  problems.error({0, ""}, "cannot read the configuration: " + problem);
  return {std::nullopt, problems.take()};
}

Checked parse_config(std::string_view text, const std::string& file_name,
                     const std::function<std::optional<std::string>(const std::string& name)>& environment) {
  ConfigProblems problems(file_name, text);
  std::vector<TextProblem> mistakes;
  auto root = parse_config_text(text, mistakes);
  for (TextProblem& mistake : mistakes) {
    problems.error({mistake.offset, std::move(mistake.pointer)}, std::move(mistake.message));
  }
  if (!root) return {std::nullopt, problems.take()};

  const Shape whole{.kind = Shape::Kind::section, .section = &config_section()};
  ConfigCheck(text, std::filesystem::path(file_name).parent_path(), environment, problems).check(*root, whole, "");
  std::optional<Config> config = build(*root);
  check_rules(*config, *root, problems);
  if (problems.has_errors()) config.reset();
  return {std::move(config), problems.take()};
}

}  // namespace sluice::gateway
