#include "tests/support/gateway_fixture.hpp"

#include "concurrency/context.hpp"
#include "gateway/config_reader.hpp"
#include "gateway/instruments.hpp"
#include "gateway/listener.hpp"
#include "gateway/problem.hpp"
#include "gateway/runtime.hpp"

#include <cstdlib>
#include <stdexcept>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

namespace sluice::support {
namespace {

using concurrency::Context;

constexpr std::string_view kBackends =
    R"("backends": {"a": {"servers": ["@a"]}, "b": {"servers": ["@b"]}, "c": {"servers": ["@c"]},
                    "s": {"servers": ["@s"]}})";

std::string url_of(const RawClient::Endpoint& endpoint) {
  return "http://" + gateway::to_text(endpoint);
}

void replace_all(std::string& text, std::string_view what, const std::string& with) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size())) {
    text.replace(at, what.size(), with);
  }
}

// Ages are counted in virtual time: a Date of the real clock may be of the second before.
backends::demo::StandIn::Options undated() {
  backends::demo::StandIn::Options options;
  options.faults = "no_date=1";
  return options;
}

}  // namespace

MemoryFile::MemoryFile() : fd_(memfd_create("test", MFD_CLOEXEC)) {
  if (fd_ < 0) throw std::runtime_error("memfd_create");
}

MemoryFile::~MemoryFile() {
  close(fd_);
}

std::string MemoryFile::content() const {
  std::string bytes(static_cast<std::size_t>(lseek(fd_, 0, SEEK_END)), '\0');
  bytes.resize(static_cast<std::size_t>(pread(fd_, bytes.data(), bytes.size(), 0)));
  return bytes;
}

GatewayTest::GatewayTest()
    : log_(log_file_.fd(), 1, gateway::access_log_dropped(metrics_)),
      shared_(metrics_, store_, log_),
      a_(time_.loop(), undated()),
      b_(time_.loop(), undated()),
      c_(time_.loop(), undated()),
      at_a_(a_.listen()),
      at_b_(b_.listen()),
      at_c_(c_.listen()) {
  metrics_.enter(0);
}

// When everybody has gone, all that the test has started comes to its end: else the loop says what still waits.
GatewayTest::~GatewayTest() {
  client_.close();
  a_.stop();
  b_.stop();
  c_.stop();
  s_.stop();
  if (worker_) worker_->drain();
  time_.settle();
  if (worker_ && worker_->is_idle()) worker_.reset();
  time_.settle();
}

std::shared_ptr<const gateway::Runtime> GatewayTest::read(std::string_view endpoints, std::string_view top) {
  std::string text = R"({"version": 1, "endpoints": [)";
  text.append(endpoints).append("]");
  if (!top.empty()) text.append(", ").append(top);
  if (top.find(R"("backends")") == std::string_view::npos) text.append(", ").append(kBackends);
  text += "}";
  replace_all(text, "@a", url_of(at_a_));
  replace_all(text, "@b", url_of(at_b_));
  replace_all(text, "@c", url_of(at_c_));
  replace_all(text, "@s", url_of(s_.where()));
  auto checked = gateway::parse_config(text, "test.json", [](const std::string&) { return std::nullopt; });
  std::string problems;
  for (const gateway::Problem& problem : checked.problems) problems += gateway::format(problem) + "\n";
  if (!checked.config) throw std::invalid_argument(problems + text);
  return std::make_shared<const gateway::Runtime>(std::move(*checked.config), metrics_, runtime_.get());
}

void GatewayTest::serve(std::string_view endpoints, std::string_view top) {
  runtime_ = read(endpoints, top);
  if (worker_) {  // of an earlier call: its coroutines must not outlive it
    worker_->drain();
    time_.settle();
  }
  worker_ = std::make_unique<gateway::Worker>(time_.loop(), shared_, 0, 1, runtime_);
  gateway::Address address;
  address.host = "127.0.0.1";
  auto acceptor = gateway::listen(address, gateway::Sharing::exclusive, time_.loop().executor());
  where_ = acceptor.local_endpoint();
  if (notes_arrivals_) backends::note_arrivals(acceptor.native_handle());
  worker_->serve(std::move(acceptor));
  time_.settle();
}

void GatewayTest::reload(std::string_view endpoints, std::string_view top) {
  runtime_ = read(endpoints, top);
  worker_->deploy(runtime_);
}

RawResponse GatewayTest::get(const std::string& target, const std::string& fields) {
  return request("GET", target, fields);
}

RawResponse GatewayTest::request(const std::string& method, const std::string& target, const std::string& fields,
                                 const std::string& body) {
  const auto start = time_.now();
  const auto hour = concurrency::with_timeout(Context(), std::chrono::hours(1));
  auto response = time_.run(client_.request(where_, method, target, fields, body, hour.ctx));
  took_ = time_.now() - start;
  if (response.has_error()) {
    ADD_FAILURE() << method << ' ' << target << ": " << response.error().message();
    client_.close();
    return RawResponse();
  }
  if (response->header("Connection") == "close") client_.close();
  return std::move(*response);
}

void GatewayTest::send(const std::string& bytes) {
  if (!client_.is_open()) {
    ASSERT_TRUE(time_.run(client_.connect(where_)).has_value());
  }
  ASSERT_TRUE(time_.run(client_.send(bytes)).has_value());
  time_.settle();
}

RawResponse GatewayTest::receive(bool to_head) {
  const auto hour = concurrency::with_timeout(Context(), std::chrono::hours(1));
  auto response = time_.run(client_.read_response(to_head, hour.ctx));
  if (response.has_value()) return std::move(*response);
  ADD_FAILURE() << response.error().message();
  return RawResponse();
}

RawEnd GatewayTest::receive_all() {
  const auto hour = concurrency::with_timeout(Context(), std::chrono::hours(1));
  return time_.run(client_.read_all(hour.ctx));
}

const std::string& GatewayTest::arrived() {
  time_.settle();
  client_.poll();
  return client_.buffered();
}

std::uint64_t GatewayTest::metric(const std::string& series) const {
  const std::string text = "\n" + metrics_.text();
  const auto at = text.find("\n" + series + " ");
  if (at == std::string::npos) return 0;
  return std::strtoull(text.c_str() + at + series.size() + 2, nullptr, 10);
}

std::vector<std::string> GatewayTest::log_lines() {
  log_.stop();
  const std::string text = log_file_.content();
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

std::string calls_of(const RawResponse& response) {
  std::string calls = response.header("Sluice-Calls");
  for (auto at = calls.find(";ms="); at != std::string::npos; at = calls.find(";ms=", at)) {
    const auto end = calls.find_first_not_of("0123456789", at + 4);
    calls.erase(at, end == std::string::npos ? end : end - at);
  }
  return calls;
}

int milliseconds_of(const RawResponse& response, const std::string& call) {
  const std::string calls = ", " + response.header("Sluice-Calls");
  const auto entry = calls.find(", " + call + "=");
  if (entry == std::string::npos) return -1;
  const auto at = calls.find(";ms=", entry);
  return at < calls.find(',', entry + 1) ? std::atoi(calls.c_str() + at + 4) : -1;
}

}  // namespace sluice::support
