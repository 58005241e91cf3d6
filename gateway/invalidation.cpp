#include "gateway/invalidation.hpp"

#include "concurrency/loop.hpp"
#include "gateway/redirect.hpp"

#include <memory>
#include <string>
#include <utility>

#include <boost/asio/post.hpp>

namespace sluice::gateway {
namespace {

/// `location` without the scheme and the authority by which the client knows the gateway.
std::string_view without_own_authority(std::string_view location, std::string_view host) {
  constexpr std::string_view kScheme = "http://";
  if (host.empty() || !backends::iequals(location.substr(0, kScheme.size()), kScheme)) return location;
  const std::string_view rest = location.substr(kScheme.size());
  if (!backends::iequals(rest.substr(0, rest.find_first_of("/?#")), host)) return location;
  return rest.size() == host.size() ? std::string_view("/") : rest.substr(host.size());
}

/// In turns of the loop, where there are many.
void forget_all(std::shared_ptr<const Deployment> deployment, std::string uri) {
  if (deployment->shared.store.invalidate(uri)) return;
  boost::asio::post(concurrency::Loop::current().executor(),
                    [d = std::move(deployment), u = std::move(uri)] { forget_all(d, u); });
}

}  // namespace

bool is_unsafe(std::string_view method) {
  return method != "GET" && method != "HEAD" && method != "OPTIONS" && method != "TRACE";
}

void invalidate(const Incoming& incoming, const CallPlan& plan, const backends::Request& request, unsigned status,
                const backends::Headers& headers) {
  if (status < 200 || status >= 400) return;
  const BackendConfig& backend = incoming.deployment->runtime->config.backends[plan.config.backend];
  const auto forget = [&](std::string_view target) {
    forget_all(incoming.deployment, std::string(backend.name).append(1, ' ').append(target));
  };
  forget(request.target);
  const std::string_view host = incoming.parser.headers().find("Host").value_or("");
  for (const char* name : {"Location", "Content-Location"}) {
    headers.find_all(name, [&](std::string_view location) {
      const auto target = redirected(request.target, without_own_authority(location, host), backend);
      if (target) forget(*target);
    });
  }
}

}  // namespace sluice::gateway
