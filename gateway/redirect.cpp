#include "gateway/redirect.hpp"

#include "gateway/text_rules.hpp"

#include <algorithm>

namespace sluice::gateway {
namespace {

constexpr std::size_t kMaxTarget = 8 * 1024;

std::optional<Address> address_of(std::string_view authority) {
  return parse_server("http://" + lower_case(authority));
}

bool leads_to(std::string_view authority, const BackendConfig& backend) {
  const auto address = address_of(authority);
  if (!address) return false;
  if (backend.host_header && address_of(*backend.host_header) == address) return true;
  return std::any_of(backend.servers.begin(), backend.servers.end(), [&](const Address& server) {
    return server.port == address->port && lower_case(server.host) == address->host;
  });
}

/// RFC 3986 §5.2.4, for a path that begins with "/".
std::string without_dot_segments(std::string_view path) {
  std::string result;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/', 1), path.size());
    const std::string_view segment = path.substr(0, end);
    path.remove_prefix(end);
    const bool is_last = path.empty();
    if (segment == "/..") result.resize(result.empty() ? 0 : result.rfind('/'));
    if (segment != "/." && segment != "/..") {
      result += segment;
    } else if (is_last) {
      result += '/';
    }
  }
  return result;
}

bool can_be_sent(std::string_view target) {
  return target.size() <= kMaxTarget &&
         std::all_of(target.begin(), target.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

std::optional<std::string> redirected(std::string_view target, std::string_view location,
                                      const BackendConfig& backend) {
  if (location.find('\\') != location.npos) return std::nullopt;  // some take it for a slash
  location = location.substr(0, location.find('#'));
  const std::size_t colon = location.find(':');
  if (colon < location.find_first_of("/?")) {
    if (!backends::iequals(location.substr(0, colon), "http")) return std::nullopt;
    location.remove_prefix(colon + 1);
    if (!location.starts_with("//")) return std::nullopt;
  }
  if (location.starts_with("//")) {
    location.remove_prefix(2);
    const std::string_view authority = location.substr(0, location.find_first_of("/?"));
    if (!leads_to(authority, backend)) return std::nullopt;
    location.remove_prefix(authority.size());
    target = "/";
  }
  const std::string_view base = target.substr(0, target.find('?'));
  const std::string_view path = location.substr(0, location.find('?'));
  std::string_view query = location.substr(path.size());
  std::string result;
  if (path.empty()) {
    result = base;
    if (query.empty()) query = target.substr(base.size());
  } else if (path.starts_with('/')) {
    result = without_dot_segments(path);
  } else {
    result = without_dot_segments(std::string(base.substr(0, base.rfind('/') + 1)).append(path));
  }
  result += query;
  if (!result.starts_with('/') || !can_be_sent(result)) return std::nullopt;
  return result;
}

concurrency::Task<backends::CallResult> call_following(const concurrency::Context& ctx,
                                                       std::shared_ptr<const Deployment> deployment,
                                                       const CallPlan& plan,
                                                       std::shared_ptr<const backends::Request> request) {
  const BackendConfig& config = deployment->runtime->config.backends[plan.config.backend];
  backends::Backend& backend = deployment->backend(plan.config.backend);
  const bool may_follow = request->method == "GET" || request->method == "HEAD";
  for (unsigned left = may_follow ? plan.config.follow_redirects : 0;; --left) {
    backends::CallResult result = co_await backend.call(ctx, request);
    if (left == 0 || result.has_value() || result.error().location.empty()) co_return result;
    auto target = redirected(request->target, result.error().location, config);
    if (!target) co_return result;
    auto next = std::make_shared<backends::Request>(*request);
    next->target = std::move(*target);
    request = std::move(next);
  }
}

}  // namespace sluice::gateway
