#include "tests/support/raw_client.hpp"

#include "concurrency/io.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

#include <boost/asio/buffer.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/errc.hpp>

namespace sluice::support {
namespace {

using ErrorCode = boost::system::error_code;

const ErrorCode kProtocolError = boost::system::errc::make_error_code(boost::system::errc::protocol_error);

bool same_name(std::string_view a, std::string_view b) {
  const auto same = [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
}

std::optional<std::size_t> number(std::string_view text, int base) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// False: `head` is not the head of a response.
bool parse_head(std::string_view head, RawResponse& response) {
  if (!head.starts_with("HTTP/1.") || head.size() < 12) return false;
  const auto status = number(head.substr(9, 3), 10);
  if (!status) return false;
  response.status = static_cast<unsigned>(*status);
  response.head = head;
  head.remove_prefix(head.find("\r\n") + 2);
  while (!head.starts_with("\r\n")) {
    const std::string_view line = head.substr(0, head.find("\r\n"));
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return false;
    const auto value = std::min(line.find_first_not_of(" \t", colon + 1), line.size());
    response.headers.emplace_back(line.substr(0, colon), line.substr(value));
    head.remove_prefix(line.size() + 2);
  }
  response.chunked = response.header("Transfer-Encoding") == "chunked";
  return true;
}

}  // namespace

std::string RawResponse::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (same_name(key, name)) return value;
  }
  return {};
}

RawClient::RawClient(concurrency::Loop& loop) : socket_(loop.executor()) {}

RawClient::Task<RawClient::Result<>> RawClient::connect(Endpoint where, Context ctx) {
  close();
  buffered_.clear();
  auto operation = socket_.async_connect(where, boost::asio::deferred);
  const Result<> connected = co_await concurrency::io(ctx, std::move(operation));
  ErrorCode ignored;
  // Virtual time does not wait for a delayed ACK.
  if (connected) socket_.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
  co_return connected;
}

RawClient::Task<RawClient::Result<>> RawClient::send(std::string bytes, Context ctx) {
  auto operation = boost::asio::async_write(socket_, boost::asio::buffer(bytes), boost::asio::deferred);
  const Result<std::size_t> written = co_await concurrency::io(ctx, std::move(operation));
  if (!written) co_return written.error();
  co_return Result<>();
}

RawClient::Task<RawClient::Result<>> RawClient::read_more(Context ctx) {
  auto operation = socket_.async_read_some(boost::asio::buffer(block_), boost::asio::deferred);
  const Result<std::size_t> size = co_await concurrency::io(ctx, std::move(operation));
  if (!size) co_return size.error();
  buffered_.append(block_.data(), *size);
  co_return Result<>();
}

RawClient::Task<RawClient::Result<>> RawClient::fill(std::size_t size, Context ctx) {
  while (buffered_.size() < size) {
    const Result<> more = co_await read_more(ctx);
    if (!more) co_return more;
  }
  co_return Result<>();
}

RawClient::Task<RawClient::Result<std::size_t>> RawClient::find(std::string mark, std::size_t from, Context ctx) {
  for (;;) {
    const auto at = buffered_.find(mark, from);
    if (at != std::string::npos) co_return at;
    const Result<> more = co_await read_more(ctx);
    if (!more) co_return more.error();
  }
}

RawClient::Task<RawClient::Result<std::string>> RawClient::read_until(std::string mark, Context ctx) {
  const std::size_t size = mark.size();
  const Result<std::size_t> at = co_await find(std::move(mark), 0, ctx);
  if (!at) co_return at.error();
  co_return co_await read_exactly(*at + size, ctx);
}

RawClient::Task<RawClient::Result<std::string>> RawClient::read_exactly(std::size_t size, Context ctx) {
  const Result<> filled = co_await fill(size, ctx);
  if (!filled) co_return filled.error();
  std::string taken = buffered_.substr(0, size);
  buffered_.erase(0, size);
  co_return taken;
}

RawClient::Task<RawEnd> RawClient::read_all(Context ctx) {
  RawEnd end;
  for (;;) {
    const Result<> more = co_await read_more(ctx);
    if (more.has_value()) continue;
    end.error = more.error();
    end.bytes = std::exchange(buffered_, {});
    co_return end;
  }
}

RawClient::Task<RawClient::Result<std::size_t>> RawClient::read_chunks(RawResponse& response, std::size_t at,
                                                                       Context ctx) {
  for (;;) {
    const Result<std::size_t> line_end = co_await find("\r\n", at, ctx);
    if (!line_end) co_return line_end.error();
    const std::string line = buffered_.substr(at, *line_end - at);
    const auto size = number(std::string_view(line).substr(0, line.find(';')), 16);
    if (!size) co_return kProtocolError;
    at = *line_end + 2;
    if (*size == 0) break;
    const Result<> filled = co_await fill(at + *size + 2, ctx);
    if (!filled) co_return filled.error();
    if (buffered_.compare(at + *size, 2, "\r\n") != 0) co_return kProtocolError;
    response.body.append(buffered_, at, *size);
    at += *size + 2;
  }
  for (;;) {
    const Result<std::size_t> line_end = co_await find("\r\n", at, ctx);
    if (!line_end) co_return line_end.error();
    const bool is_empty = *line_end == at;
    at = *line_end + 2;
    if (is_empty) co_return at;
  }
}

RawClient::Task<RawClient::Result<RawResponse>> RawClient::read_response(bool to_head, Context ctx) {
  RawResponse response;
  std::size_t end = 0;
  do {
    const std::size_t begin = end;
    const Result<std::size_t> found = co_await find("\r\n\r\n", begin, ctx);
    if (!found) co_return found.error();
    end = *found + 4;
    response = RawResponse();
    if (!parse_head(std::string_view(buffered_).substr(begin, end - begin), response)) co_return kProtocolError;
  } while (response.status < 200);

  if (to_head || response.status == 204 || response.status == 304) {
    // no body
  } else if (response.chunked) {
    const Result<std::size_t> chunks_end = co_await read_chunks(response, end, ctx);
    if (!chunks_end) co_return chunks_end.error();
    end = *chunks_end;
  } else if (const std::string length = response.header("Content-Length"); !length.empty()) {
    const auto size = number(length, 10);
    if (!size) co_return kProtocolError;
    const Result<> filled = co_await fill(end + *size, ctx);
    if (!filled) co_return filled.error();
    response.body = buffered_.substr(end, *size);
    end += *size;
  } else {
    Result<> more;
    do more = co_await read_more(ctx);
    while (more.has_value());
    if (more.error() != boost::asio::error::eof) co_return more.error();
    response.body = buffered_.substr(end);
    end = buffered_.size();
  }
  buffered_.erase(0, end);
  co_return response;
}

RawClient::Task<RawClient::Result<RawResponse>> RawClient::exchange(std::string request, Context ctx) {
  const bool to_head = request.starts_with("HEAD ");
  const Result<> sent = co_await send(std::move(request), ctx);
  if (!sent) co_return sent.error();
  co_return co_await read_response(to_head, ctx);
}

RawClient::Task<RawClient::Result<RawResponse>> RawClient::request(Endpoint where, std::string method,
                                                                   std::string target, std::string fields,
                                                                   std::string body, Context ctx) {
  if (!is_open()) {
    const Result<> connected = co_await connect(where, ctx);
    if (!connected) co_return connected.error();
  }
  std::string bytes = text(method, target, fields, body);
  co_return co_await exchange(std::move(bytes), ctx);
}

RawClient::Task<RawClient::Result<RawResponse>> RawClient::get(Endpoint where, std::string target, std::string fields,
                                                               Context ctx) {
  std::string method = "GET";
  std::string body;
  co_return co_await request(where, std::move(method), std::move(target), std::move(fields), std::move(body), ctx);
}

void RawClient::poll() {
  ErrorCode ec;
  socket_.non_blocking(true, ec);
  while (!ec) buffered_.append(block_.data(), socket_.read_some(boost::asio::buffer(block_), ec));
}

void RawClient::shutdown_send() {
  ErrorCode ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
}

void RawClient::close() {
  ErrorCode ignored;
  socket_.close(ignored);
}

void RawClient::reset() {
  ErrorCode ignored;
  socket_.set_option(boost::asio::socket_base::linger(true, 0), ignored);
  socket_.close(ignored);
}

std::string RawClient::text(std::string_view method, std::string_view target, std::string_view fields,
                            std::string_view body) {
  std::string bytes(method);
  bytes.append(" ").append(target).append(" HTTP/1.1\r\nHost: test\r\n").append(fields);
  if (!body.empty()) bytes.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
  return bytes.append("\r\n").append(body);
}

}  // namespace sluice::support
