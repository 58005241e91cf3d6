#include "gateway/cors.hpp"

#include "gateway/text_rules.hpp"

#include <algorithm>

namespace sluice::gateway {
namespace {

std::string joined(const std::vector<std::string>& items) {
  std::string list;
  for (const std::string& item : items) list += (list.empty() ? "" : ", ") + item;
  return list;
}

/// `pattern` may have "*." before its host, for any name of one label or more.
bool matches(std::string_view pattern, std::string_view origin) {
  const std::size_t star = pattern.find("://*.");
  if (star == std::string_view::npos) return origin == pattern;
  const std::string_view scheme = pattern.substr(0, star + 3);
  const std::string_view domain = pattern.substr(star + 4);  // ".example.com:8443"
  if (origin.size() <= scheme.size() + domain.size() || !origin.starts_with(scheme) || !origin.ends_with(domain)) {
    return false;
  }
  const std::string_view name = origin.substr(scheme.size(), origin.size() - scheme.size() - domain.size());
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

/// A list of header names, as Access-Control-Request-Headers is.
bool is_list_of_names(std::string_view list) {
  while (const auto name = backends::next_list_element(list)) {
    if (!kHeaderName.accepts(*name)) return false;
  }
  return true;
}

}  // namespace

bool is_preflight(const RequestParser& request) {
  return request.method() == Method::options && request.headers().contains("Origin") &&
         request.headers().contains("Access-Control-Request-Method");
}

Cors::Cors(const CorsConfig& config, const std::vector<std::string>& methods)
    : origins_(config.origins),
      is_for_all_(std::find(origins_.begin(), origins_.end(), "*") != origins_.end() && !config.credentials),
      has_credentials_(config.credentials),
      any_header_(config.headers.all),
      methods_(joined(config.methods.empty() ? methods : config.methods)),
      headers_(joined(config.headers.list)),
      expose_(joined(config.expose)) {
  if (config.max_age) {
    max_age_ = std::to_string(std::chrono::duration_cast<std::chrono::seconds>(*config.max_age).count());
  }
}

bool Cors::allows(std::string_view origin) const {
  return is_for_all_ || std::any_of(origins_.begin(), origins_.end(),
                                    [&](const std::string& pattern) { return matches(pattern, origin); });
}

void Cors::write(backends::HeadWriter& writer, const RequestParser& request) const {
  for (const char* name :
       {"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers",
        "Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "Access-Control-Max-Age"}) {
    writer.remove(name);
  }
  const auto origin = request.headers().find("Origin");
  if (is_for_all_) {
    writer.add("Access-Control-Allow-Origin", "*");  // also without an Origin: a cache may keep it for one who has
  } else if (origin && request.headers().count("Origin") == 1 && allows(*origin)) {
    writer.add("Access-Control-Allow-Origin", *origin);
    if (has_credentials_) writer.add("Access-Control-Allow-Credentials", "true");
  } else {
    return;
  }
  if (is_preflight(request)) {
    write_preflight(writer, request.headers());
  } else if (!expose_.empty()) {
    writer.add("Access-Control-Expose-Headers", expose_);
  }
}

void Cors::write_preflight(backends::HeadWriter& writer, const backends::Headers& asked) const {
  writer.add("Access-Control-Allow-Methods", methods_);
  if (any_header_) {
    // Spelled out: "*" names neither Authorization nor, with credentials, anything.
    const auto wanted = asked.find("Access-Control-Request-Headers");
    if (wanted && !wanted->empty() && is_list_of_names(*wanted)) writer.add("Access-Control-Allow-Headers", *wanted);
  } else if (!headers_.empty()) {
    writer.add("Access-Control-Allow-Headers", headers_);
  }
  if (!max_age_.empty()) writer.add("Access-Control-Max-Age", max_age_);
}

}  // namespace sluice::gateway
