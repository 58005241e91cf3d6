#include "gateway/sample.hpp"

#include "gateway/config_rules.hpp"
#include "gateway/json_walk.hpp"
#include "gateway/percent.hpp"
#include "gateway/text_rules.hpp"

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>

#include <nlohmann/json.hpp>

namespace sluice::gateway {
namespace {

using Json = nlohmann::ordered_json;
using Tokens = std::span<const std::string>;

/// The value at `tokens`, made where it is missing. A pointer finds a member "0" as it finds an element.
Json& value_at(Json& whole, Tokens tokens) {
  Json* value = &whole;
  for (const std::string& token : tokens) {
    const auto index = value->is_array() ? json_index(token) : std::nullopt;
    if (index && *index < value->size()) {
      value = &(*value)[*index];
    } else {
      if (!value->is_object()) *value = Json::object();
      value = &(*value)[token];
    }
  }
  return *value;
}

void put_scalar(Json& whole, Tokens tokens) {
  Json& value = value_at(whole, tokens);
  if (value.is_null()) value = 1;
}

/// Visits what stands in the braces of all templates of `call`, which were checked.
template <class Visit>
void for_each_reference(const CallPlan& call, const Visit& visit) {
  std::vector<std::string_view> sources = {call.config.path};
  for (const HeaderTemplate& header : call.config.headers) sources.emplace_back(header.value);
  for (std::string_view source : sources) {
    for (std::size_t begin = source.find('{'); begin != std::string_view::npos; begin = source.find('{')) {
      const std::size_t end = source.find('}', begin);
      visit(source.substr(begin + 1, end - begin - 1));
      source.remove_prefix(end + 1);
    }
  }
}

class Bodies {
 public:
  explicit Bodies(const EndpointPlan& endpoint) : calls_(endpoint.calls), bodies_(endpoint.calls.size()) {
    for (const CallPlan& call : calls_) names_.push_back(call.config.name);
  }

  std::vector<std::string> make() {
    for (const CallPlan& call : calls_) {
      if (call.array) put_array(call);
    }
    for (const CallPlan& call : calls_) {
      for_each_value(call, [&](const JsonReference& reference) {
        if (reference.call == JsonReference::kItem) {
          for (Json* element : elements_of(call)) put_scalar(*element, reference.pointer.tokens());
        } else {
          put_scalar(bodies_[reference.call], inside(reference));
        }
      });
    }
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      if (calls_[i].is_json && calls_[i].config.pick) {
        Json& picked = value_at(bodies_[i], JsonPointer::parse(*calls_[i].config.pick).value().tokens());
        if (picked.is_null()) picked = Json::object();
      }
      if (bodies_[i].is_null()) bodies_[i] = Json::object();
      texts.push_back(bodies_[i].dump());
    }
    return texts;
  }

 private:
  /// Visits each value in JSON that a template of `call` refers to.
  template <class Visit>
  void for_each_value(const CallPlan& call, const Visit& visit) const {
    ReferenceNames names;
    names.calls = names_;
    names.has_item = call.array.has_value();
    for_each_reference(call, [&](std::string_view text) {
      std::string problem;
      if (const auto reference = JsonReference::parse(text, names, problem)) visit(*reference);
    });
  }

  /// Of a call with `for_each` the others see an array of what it got for the elements, each of them the same.
  [[nodiscard]] bool is_of_elements(const JsonReference& reference) const {
    return calls_[reference.call].array.has_value();
  }
  [[nodiscard]] Tokens inside(const JsonReference& reference) const {
    const Tokens tokens = reference.pointer.tokens();
    return is_of_elements(reference) && !tokens.empty() ? tokens.subspan(1) : tokens;
  }

  void put_array(const CallPlan& call) {
    if (is_of_elements(*call.array) && call.array->pointer.tokens().empty()) return;
    Json& array = value_at(bodies_[call.array->call], inside(*call.array));
    if (!array.is_array()) array = Json::array({nullptr, nullptr});
    while (array.size() > call.config.for_each->max) array.erase(array.size() - 1);
  }

  std::vector<Json*> elements_of(const CallPlan& call) {
    if (is_of_elements(*call.array) && call.array->pointer.tokens().empty()) return {&bodies_[call.array->call]};
    std::vector<Json*> elements;
    for (Json& element : value_at(bodies_[call.array->call], inside(*call.array))) elements.push_back(&element);
    return elements;
  }

  const std::vector<CallPlan>& calls_;
  std::vector<std::string> names_;
  std::vector<Json> bodies_;
};

/// `pattern` with a value for each parameter.
std::string path_of(std::string_view pattern) {
  std::string path;
  while (!pattern.empty()) {
    const std::string_view segment = pattern.substr(0, pattern.find('/', 1));
    path += segment.starts_with("/{") ? std::string_view("/1") : segment;
    pattern.remove_prefix(segment.size());
  }
  return path;
}

std::string encoded(std::string_view text) {
  std::string result;
  for (char c : text) append_encoded(c, result);
  return result;
}

}  // namespace

Sample sample_of(const EndpointPlan& endpoint) {
  std::vector<std::string> parameters;
  std::vector<std::string> fields;
  for (const CallPlan& call : endpoint.calls) {
    for_each_reference(call, [&](std::string_view text) {
      if (text.starts_with("query.")) parameters.emplace_back(text.substr(6));
      if (text.starts_with("header.")) fields.push_back(lower_case(text.substr(7)));
    });
  }
  for (auto* names : {&parameters, &fields}) {
    std::sort(names->begin(), names->end());
    names->erase(std::unique(names->begin(), names->end()), names->end());
  }
  std::string target = path_of(endpoint.config.path);
  for (const std::string& name : parameters) {
    target += (target.find('?') == std::string::npos ? "?" : "&") + encoded(name) + "=1";
  }
  Sample sample;
  sample.request = endpoint.config.methods.front() + " " + target +
                   " HTTP/1.1\r\nHost: sample\r\nConnection: close\r\nContent-Length: 0\r\n";
  for (const std::string& name : fields) {
    if (!is_managed(name)) sample.request += name + ": 1\r\n";
  }
  sample.request += "\r\n";
  sample.bodies = Bodies(endpoint).make();
  return sample;
}

}  // namespace sluice::gateway
