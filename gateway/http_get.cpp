#include "gateway/http_get.hpp"

#include <cstdlib>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/time.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

namespace sluice::gateway {

std::string HttpReply::header(std::string_view name) const {
  const auto begin = head.find("\r\n" + std::string(name) + ": ");
  if (begin == std::string::npos) return {};
  const auto value = begin + name.size() + 4;
  return head.substr(value, head.find("\r\n", value) - value);
}

HttpReply http_get(const std::string& host, const std::string& port, const std::string& target) {
  namespace asio = boost::asio;
  const std::string where = host + ":" + port;
  asio::io_context io;
  asio::ip::tcp::socket socket(io);
  boost::system::error_code ec;
  asio::connect(socket, asio::ip::tcp::resolver(io).resolve(host, port, ec), ec);
  if (ec) throw std::runtime_error(where + ": " + ec.message());
  const timeval timeout{5, 0};
  setsockopt(socket.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  asio::write(socket, asio::buffer("GET " + target + " HTTP/1.1\r\nHost: " + where + "\r\nConnection: close\r\n\r\n"),
              ec);
  std::string all;
  if (!ec) asio::read(socket, asio::dynamic_buffer(all), ec);
  const auto end = all.find("\r\n\r\n");
  if (ec != asio::error::eof || end == std::string::npos || all.rfind("HTTP/1.1 ", 0) != 0) {
    throw std::runtime_error(where + ": no answer to GET " + target);
  }
  HttpReply reply;
  reply.status = static_cast<unsigned>(std::atoi(all.c_str() + 9));
  reply.head = all.substr(0, end + 2);
  reply.body = all.substr(end + 4);
  return reply;
}

}  // namespace sluice::gateway
