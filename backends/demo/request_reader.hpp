// Cuts what a client sends into requests, without any I/O.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::backends::demo {

struct ReceivedRequest {
  ReceivedRequest() = default;

  std::string method;
  std::string target;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  bool keep_alive = false;
  unsigned refused = 0;  ///< not zero: what could not be read is answered with this status, and the connection ends

  [[nodiscard]] std::string_view path() const { return std::string_view(target).substr(0, target.find('?')); }
  [[nodiscard]] std::string_view query() const;
  /// The first header called `name`, compared without case.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
};

/// HTTP/1.1, pipelined or not; heads up to 64 KiB, bodies up to 256 MiB. *one worker*
class RequestReader {
 public:
  RequestReader();
  ~RequestReader();

  void feed(std::string_view bytes) { unread_ += bytes; }
  /// The next whole request among the bytes fed; after a refused one there is no more.
  std::optional<ReceivedRequest> next();

 private:
  struct Parsing;

  std::string unread_;
  std::unique_ptr<Parsing> parsing_;
  bool over_ = false;
};

}  // namespace sluice::backends::demo
