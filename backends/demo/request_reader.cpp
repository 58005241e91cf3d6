#include "backends/demo/request_reader.hpp"

#include <cstddef>
#include <cstdint>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

namespace sluice::backends::demo {
namespace {

namespace http = boost::beast::http;

constexpr std::uint32_t kMaxHeadBytes = 64 * 1024;
constexpr std::uint64_t kMaxBodyBytes = std::uint64_t{256} << 20U;

template <class View>
std::string to_string(View text) {
  return std::string(text.data(), text.size());
}

unsigned refusal_of(const boost::beast::error_code& error) {
  if (error == http::error::header_limit) return 431;
  if (error == http::error::body_limit) return 413;
  return 400;
}

}  // namespace

std::string_view ReceivedRequest::query() const {
  const auto mark = target.find('?');
  return mark == std::string::npos ? std::string_view() : std::string_view(target).substr(mark + 1);
}

std::optional<std::string_view> ReceivedRequest::find(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (boost::beast::iequals({key.data(), key.size()}, {name.data(), name.size()})) return value;
  }
  return std::nullopt;
}

struct RequestReader::Parsing {
  Parsing() {
    parser.header_limit(kMaxHeadBytes);
    parser.body_limit(kMaxBodyBytes);
    parser.eager(true);
  }
  http::request_parser<http::string_body> parser;
};

RequestReader::RequestReader() : parsing_(std::make_unique<Parsing>()) {}
RequestReader::~RequestReader() = default;

std::optional<ReceivedRequest> RequestReader::next() {
  if (over_ || unread_.empty()) return std::nullopt;
  auto& parser = parsing_->parser;
  boost::beast::error_code error;
  std::size_t taken = 0;
  while (!error && taken < unread_.size() && !parser.is_done()) {
    taken += parser.put(boost::asio::buffer(unread_.data() + taken, unread_.size() - taken), error);
  }
  unread_.erase(0, taken);
  ReceivedRequest request;
  if (error && error != http::error::need_more) {
    over_ = true;
    request.refused = refusal_of(error);
    return request;
  }
  if (!parser.is_done()) return std::nullopt;
  auto message = parser.release();
  request.method = to_string(message.method_string());
  request.target = to_string(message.target());
  request.keep_alive = message.keep_alive();
  for (const auto& field : message)
    request.headers.emplace_back(to_string(field.name_string()), to_string(field.value()));
  request.body = std::move(message.body());
  parsing_ = std::make_unique<Parsing>();
  return request;
}

}  // namespace sluice::backends::demo
