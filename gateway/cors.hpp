// Cross-origin requests of browsers, by the CORS protocol of the Fetch standard.
#pragma once

#include "backends/head_writer.hpp"
#include "gateway/config.hpp"
#include "gateway/request_parser.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::gateway {

/// A browser asks whether it may send a request: it has Origin and Access-Control-Request-Method.
[[nodiscard]] bool is_preflight(const RequestParser& request);

/// What one endpoint says to pages of other origins. *immutable*
class Cors {
 public:
  /// `methods`: the endpoint's.
  Cors(const CorsConfig& config, const std::vector<std::string>& methods);

  [[nodiscard]] bool allows(std::string_view origin) const;
  /// Whether replies differ by Origin, so that caches must know.
  [[nodiscard]] bool depends_on_origin() const { return !is_for_all_; }

  /// Writes the fields of a reply to `request`, a preflight or not, in place of those that are there already. For an
  /// origin that is not allowed there are none, and it is the browser that refuses.
  void write(backends::HeadWriter& writer, const RequestParser& request) const;

 private:
  void write_preflight(backends::HeadWriter& writer, const backends::Headers& asked) const;

  std::vector<std::string> origins_;
  bool is_for_all_ = false;  // and so without credentials
  bool has_credentials_;
  bool any_header_;
  std::string methods_;
  std::string headers_;
  std::string expose_;
  std::string max_age_;
};

}  // namespace sluice::gateway
