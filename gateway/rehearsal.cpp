#include "gateway/rehearsal.hpp"

#include "backends/connection.hpp"
#include "concurrency/io.hpp"
#include "concurrency/sleep.hpp"
#include "concurrency/virtual_time.hpp"
#include "gateway/access_log.hpp"
#include "gateway/deployment.hpp"
#include "gateway/instruments.hpp"
#include "gateway/listener.hpp"
#include "gateway/metrics.hpp"
#include "gateway/runtime.hpp"
#include "gateway/sample.hpp"
#include "gateway/stale_store.hpp"
#include "gateway/worker.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <unistd.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/write.hpp>

namespace sluice::gateway {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using backends::Socket;
using concurrency::Context;
using concurrency::Loop;
using concurrency::Task;

/// Tells a stand-in, and whoever looks into the store, which of the endpoint's calls it is.
constexpr std::string_view kCallHeader = "Sluice-Rehearsed-Call";
constexpr std::string_view kCallParameter = ";rehearsed-call=";

std::optional<std::size_t> number_after(std::string_view text, std::string_view mark) {
  const std::size_t at = text.find(mark);
  if (at == std::string_view::npos) return std::nullopt;
  text.remove_prefix(at + mark.size());
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  return number;
}

/// The answer to the call number `index`, with a status that it accepts, 200 if it may be that.
std::string answer_to(const CallConfig& call, std::size_t index, const std::string& body) {
  unsigned status = 200;
  for (unsigned other = 200; !call.accept[status] && other < call.accept.size(); ++other) {
    if (call.accept[other]) status = other;
  }
  std::string answer = "HTTP/1.1 " + std::to_string(status) +
                       " Any\r\nCache-Control: public\r\nContent-Type: " + "application/json" +
                       std::string(kCallParameter) + std::to_string(index) + "\r\n";
  const bool has_body = status != 204 && status != 304;
  if (has_body) answer += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  return answer + "\r\n" + (has_body ? body : "");
}

Task<> serve_connection(std::shared_ptr<Socket> socket, const std::vector<std::string>* answers, BackendState state) {
  const std::string mark = "\r\n" + std::string(kCallHeader) + ": ";
  std::string unread;
  std::array<char, 4096> block;
  for (;;) {
    const auto size = co_await concurrency::io({}, socket->async_read_some(asio::buffer(block), asio::deferred));
    if (size.has_error()) co_return;
    unread.append(block.data(), *size);
    const std::size_t end = unread.find("\r\n\r\n");
    if (end == std::string::npos || state == BackendState::slow) continue;
    const auto call = number_after(std::string_view(unread).substr(0, end), mark);
    unread.erase(0, end + 4);
    if (!call || *call >= answers->size()) co_return;
    // Later than a refused connection, as in life.
    const auto slept = co_await concurrency::sleep({}, std::chrono::milliseconds(1));
    if (slept.has_error()) co_return;
    const auto sent =
        co_await concurrency::io({}, asio::async_write(*socket, asio::buffer((*answers)[*call]), asio::deferred));
    if (sent.has_error()) co_return;
  }
}

Task<> stand_in(std::shared_ptr<Acceptor> acceptor, const std::vector<std::string>* answers, BackendState state) {
  for (;;) {
    auto socket = std::make_shared<Socket>(Loop::current().executor());
    const auto accepted = co_await concurrency::io({}, acceptor->async_accept(*socket, asio::deferred));
    if (accepted.has_error()) co_return;
    boost::system::error_code ignored;
    socket->set_option(tcp::no_delay(true), ignored);  // virtual time does not wait for a delayed ACK
    asio::co_spawn(Loop::current().executor(), serve_connection(socket, answers, state), asio::detached);
  }
}

/// What comes back until the end of the connection.
Task<std::string> ask(tcp::endpoint where, std::string request) {
  Socket socket(Loop::current().executor());
  std::string reply;
  const auto connected = co_await concurrency::io({}, socket.async_connect(where, asio::deferred));
  if (connected.has_error()) co_return reply;
  boost::system::error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  const auto sent = co_await concurrency::io({}, asio::async_write(socket, asio::buffer(request), asio::deferred));
  if (sent.has_error()) co_return reply;
  std::array<char, 4096> block;
  for (;;) {
    const auto size = co_await concurrency::io({}, socket.async_read_some(asio::buffer(block), asio::deferred));
    if (size.has_error()) co_return reply;
    reply.append(block.data(), *size);
  }
}

std::string_view field(std::string_view head, std::string_view name) {
  const std::string mark = "\r\n" + std::string(name) + ": ";
  const std::size_t at = head.find(mark);
  if (at == std::string_view::npos) return {};
  head.remove_prefix(at + mark.size());
  return head.substr(0, head.find("\r\n"));
}

/// Takes what stands before `separator` off the front of `text`.
std::string_view take(std::string_view& text, std::string_view separator) {
  const std::string_view taken = text.substr(0, text.find(separator));
  text.remove_prefix(std::min(text.size(), taken.size() + separator.size()));
  return taken;
}

Rehearsed read_reply(std::string_view reply) {
  const std::string_view head = reply.substr(0, reply.find("\r\n\r\n") + 2);
  Rehearsed result;
  result.status = static_cast<unsigned>(number_after(head, "HTTP/1.1 ").value_or(0));
  if (result.status == 0) throw std::runtime_error("the rehearsal of a request got no reply");
  const AddedHeaders names;
  result.result = field(head, *names.result);
  for (std::string_view calls = field(head, *names.calls); !calls.empty();) {
    std::string_view member = take(calls, ", ");
    std::string_view outcome = take(member, ";");
    RehearsedCall& call = result.calls.emplace_back();
    call.name = take(outcome, "=");
    call.outcome = outcome;
    while (!member.empty()) {
      std::string_view value = take(member, ";");
      const std::string_view name = take(value, "=");
      call.details.emplace_back(name, value);
    }
  }
  return result;
}

/// A gateway with the one endpoint, and the stand-ins of its backends. Ends with what it has begun.
class Stage {
 public:
  Stage(const Config& config, std::size_t endpoint, const std::vector<BackendState>& states, StaleStore& store)
      : log_(STDERR_FILENO, 1, access_log_dropped(metrics_)), shared_(metrics_, store, log_) {
    metrics_.enter(0);
    Config staged;
    staged.access_log = AccessLog::off;
    staged.deadline_header.accept.reset();
    EndpointConfig& played = staged.endpoints.emplace_back(config.endpoints[endpoint]);
    std::vector<std::size_t> used;  // backends, by their index in `config`
    for (std::size_t i = 0; i < played.calls.size(); ++i) {
      CallConfig& call = played.calls[i];
      call.headers.push_back({std::string(kCallHeader), std::to_string(i)});
      const auto known = std::find(used.begin(), used.end(), call.backend);
      const auto index = static_cast<std::size_t>(known - used.begin());
      if (known == used.end()) {
        used.push_back(call.backend);
        BackendConfig& backend = staged.backends.emplace_back(config.backends[call.backend]);
        backend.servers = {{"127.0.0.1", start_stand_in(states[call.backend])}};
      }
      call.backend = index;
    }
    runtime_ = std::make_shared<const Runtime>(std::move(staged), metrics_, nullptr);
    const EndpointPlan& plan = runtime_->endpoints.front();
    sample_ = sample_of(plan);
    for (std::size_t i = 0; i < plan.calls.size(); ++i) {
      answers_.push_back(answer_to(plan.calls[i].config, i, sample_.bodies[i]));
    }
    worker_ = std::make_unique<Worker>(time_.loop(), shared_, 0, 1, runtime_);
    auto acceptor = listen({"127.0.0.1", 0}, Sharing::exclusive, time_.loop().executor());
    where_ = acceptor.local_endpoint();
    worker_->serve(std::move(acceptor));
    time_.settle();
  }

  Rehearsed play() {
    const auto start = time_.now();
    const std::string reply = time_.run(ask(where_, sample_.request));
    Rehearsed result = read_reply(reply);
    result.after = time_.now() - start;
    time_.settle();
    return result;
  }

 private:
  std::uint16_t start_stand_in(BackendState state) {
    auto acceptor = std::make_shared<Acceptor>(time_.loop().executor(), tcp::v4());
    acceptor->bind(tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    const std::uint16_t port = acceptor->local_endpoint().port();
    if (state == BackendState::down) {
      closed_.push_back(std::move(acceptor));  // has a port on which nobody listens
    } else {
      acceptor->listen();
      asio::co_spawn(time_.loop().executor(), stand_in(std::move(acceptor), &answers_, state), asio::detached);
    }
    return port;
  }

  // What outlives the loop, whose coroutines use it.
  Metrics metrics_;
  AccessLogWriter log_;
  Shared shared_;
  std::vector<std::string> answers_;
  concurrency::VirtualTime time_;
  std::vector<std::shared_ptr<Acceptor>> closed_;
  std::shared_ptr<const Runtime> runtime_;
  Sample sample_;
  std::unique_ptr<Worker> worker_;
  tcp::endpoint where_;
};

/// Makes all that is stored so old that it is neither fresh nor within `stale_while_revalidate`; false if there is
/// none.
bool grow_stale(StaleStore& store, const EndpointConfig& endpoint) {
  std::vector<std::pair<std::string, StaleEntry>> entries;
  store.for_each([&](std::string_view key, const StaleEntry& entry) { entries.emplace_back(key, entry); });
  for (auto& [key, entry] : entries) {
    const auto call = number_after(entry.media_type, kCallParameter);
    if (!call) continue;
    const CacheConfig& cache = endpoint.calls[*call].cache.value();
    entry.age_when_stored = cache.ttl + cache.stale_while_revalidate;
    (void)store.put(key, entry, entry.stored_at);
  }
  return !entries.empty();
}

}  // namespace

std::string RehearsedCall::detail(std::string_view wanted) const {
  const auto found =
      std::find_if(details.begin(), details.end(), [&](const auto& detail) { return detail.first == wanted; });
  return found == details.end() ? "" : found->second;
}

Rehearsed Rehearsal::run_once(const std::vector<BackendState>& states, Stored stored) const {
  StaleStore store(config_.cache_size, 1);
  bool has_stored = false;
  if (stored == Stored::stale) {
    const std::vector<BackendState> all_well(states.size(), BackendState::well);
    (void)Stage(config_, endpoint_, all_well, store).play();
    has_stored = grow_stale(store, config_.endpoints[endpoint_]);
  }
  Rehearsed result = Stage(config_, endpoint_, states, store).play();
  result.has_stored = has_stored;
  return result;
}

// The kernel may be so busy that virtual time goes ahead of what is on its way on loopback.
Rehearsed Rehearsal::run(const std::vector<BackendState>& states, Stored stored) const {
  Rehearsed result = run_once(states, stored);
  for (;;) {
    Rehearsed again = run_once(states, stored);
    if (again == result) return result;
    result = std::move(again);
  }
}

}  // namespace sluice::gateway
