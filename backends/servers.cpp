#include "backends/servers.hpp"

#include "concurrency/io.hpp"
#include "concurrency/loop.hpp"

#include <algorithm>

#include <boost/asio/deferred.hpp>
#include <boost/asio/ip/address.hpp>

namespace sluice::backends {
namespace {

using boost::asio::ip::tcp;
using concurrency::Context;
using concurrency::Result;
using concurrency::Task;

std::string host_and_port(const ServerName& name) {
  const bool is_ipv6 = name.host.find(':') != std::string::npos;
  const std::string host = is_ipv6 ? "[" + name.host + "]" : name.host;
  return name.port == 80 ? host : host + ":" + std::to_string(name.port);
}

}  // namespace

Servers::Servers(std::vector<ServerName> names, std::string host_header)
    : names_(std::move(names)),
      host_header_(std::move(host_header)),
      resolved_(names_.size()),
      problems_(names_.size()),
      current_(std::make_shared<const ServerList>()) {
  for (std::size_t i = 0; i < names_.size(); ++i) {
    boost::system::error_code ec;
    const auto address = boost::asio::ip::make_address(names_[i].host, ec);
    if (ec) continue;
    resolved_[i].emplace_back(tcp::endpoint(address, names_[i].port),
                              host_header_.empty() ? host_and_port(names_[i]) : host_header_);
  }
  publish();
}

bool Servers::has_names() const {
  return std::any_of(names_.begin(), names_.end(), [](const ServerName& name) {
    boost::system::error_code ec;
    (void)boost::asio::ip::make_address(name.host, ec);
    return ec.failed();
  });
}

Task<Result<>> Servers::resolve(Context ctx, std::function<void(const std::string&)> on_problem) {
  boost::asio::ip::basic_resolver<tcp, concurrency::Executor> resolver(concurrency::Loop::current().executor());
  for (std::size_t i = 0; i < names_.size(); ++i) {
    boost::system::error_code ec;
    (void)boost::asio::ip::make_address(names_[i].host, ec);
    if (!ec) continue;
    const auto found = co_await concurrency::io(
        ctx, resolver.async_resolve(names_[i].host, std::to_string(names_[i].port), boost::asio::deferred));
    if (ctx.is_done()) co_return ctx.err();
    if (found.has_error()) {
      const std::string problem = names_[i].host + ": " + found.error().message();
      if (problem != problems_[i]) on_problem(problem);
      problems_[i] = problem;
      continue;
    }
    problems_[i].clear();
    ServerList list;
    for (const auto& entry : *found) {
      list.emplace_back(entry.endpoint(), host_header_.empty() ? host_and_port(names_[i]) : host_header_);
    }
    // Resolvers rotate their answers; the order means nothing here, and must not look like a change.
    std::sort(list.begin(), list.end(), [](const Server& a, const Server& b) { return a.address < b.address; });
    list.erase(std::unique(list.begin(), list.end()), list.end());
    resolved_[i] = std::move(list);
  }
  publish();
  co_return Result<>();
}

void Servers::publish() {
  auto all = std::make_shared<ServerList>();
  for (const ServerList& list : resolved_) all->insert(all->end(), list.begin(), list.end());
  if (*all != *current_.load()) current_.publish(std::move(all));
}

}  // namespace sluice::backends
