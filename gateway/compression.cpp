#include "gateway/compression.hpp"

#include "gateway/turns.hpp"

#include <algorithm>
#include <array>
#include <new>
#include <optional>
#include <zlib.h>

namespace sluice::gateway {
namespace {

using backends::iequals;

constexpr int kLevel = 4;
constexpr int kGzip = 16 + MAX_WBITS;
constexpr int kMemory = 8;                      // zlib's default: 256 KiB for each reply under way
constexpr std::size_t kSliceBytes = 32 * 1024;  // at once: about half a millisecond

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// A qvalue in thousandths (RFC 9110 §12.4.2).
std::optional<int> thousandths(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return std::nullopt;
  int value = (text[0] - '0') * 1000;
  if (text.size() > 1 && text[1] != '.') return std::nullopt;
  int digit = 100;
  for (const char c : text.substr(std::min<std::size_t>(2, text.size()))) {
    if (c < '0' || c > '9') return std::nullopt;
    value += (c - '0') * digit;
    digit /= 10;
  }
  return value <= 1000 ? std::optional<int>(value) : std::nullopt;
}

/// The weight of one element, "gzip;q=0.5", whose name it cuts it down to; nothing when it is malformed.
std::optional<int> weight_of(std::string_view& element) {
  const std::size_t semicolon = element.find(';');
  const std::string_view parameter = semicolon == std::string_view::npos ? "" : trimmed(element.substr(semicolon + 1));
  element = trimmed(element.substr(0, semicolon));
  if (parameter.empty()) return 1000;
  if (parameter.size() < 3 || !iequals(parameter.substr(0, 2), "q=")) return std::nullopt;
  return thousandths(parameter.substr(2));
}

bool has_text(std::string_view type) {
  type = trimmed(type.substr(0, type.find(';')));
  const auto begins = [&](std::string_view with) {
    return type.size() >= with.size() && iequals(type.substr(0, with.size()), with);
  };
  const auto ends = [&](std::string_view with) {
    return type.size() >= with.size() && iequals(type.substr(type.size() - with.size()), with);
  };
  return begins("text/") || ends("json") || ends("xml") || ends("javascript");
}

class Deflate {
 public:
  Deflate() {
    if (deflateInit2(&z_, kLevel, Z_DEFLATED, kGzip, kMemory, Z_DEFAULT_STRATEGY) != Z_OK) throw std::bad_alloc();
  }
  ~Deflate() { deflateEnd(&z_); }
  Deflate(const Deflate&) = delete;
  Deflate& operator=(const Deflate&) = delete;

  void write(std::string_view bytes, std::string& out) { run(bytes, Z_NO_FLUSH, out); }
  void finish(std::string& out) { run({}, Z_FINISH, out); }

 private:
  void run(std::string_view bytes, int flush, std::string& out) {
    std::array<char, 16 * 1024> piece;
    z_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    z_.avail_in = static_cast<uInt>(bytes.size());
    do {
      z_.next_out = reinterpret_cast<Bytef*>(piece.data());
      z_.avail_out = piece.size();
      deflate(&z_, flush);
      out.append(piece.data(), piece.size() - z_.avail_out);
    } while (z_.avail_out == 0);
  }

  z_stream z_{};
};

}  // namespace

Coding accepted_coding(const backends::Headers& headers) {
  std::optional<int> gzip;
  std::optional<int> identity;
  std::optional<int> others;
  headers.find_all("Accept-Encoding", [&](std::string_view list) {
    while (auto element = backends::next_list_element(list)) {
      const auto weight = weight_of(*element);
      if (!weight) continue;
      if (iequals(*element, "gzip") || iequals(*element, "x-gzip")) gzip = weight;
      if (iequals(*element, "identity")) identity = weight;
      if (*element == "*") others = weight;
    }
  });
  const int wish = gzip.value_or(others.value_or(0));
  if (wish == 0) return Coding::identity;
  if (identity == 0 || (!identity && others == 0)) return Coding::gzip_only;
  return wish >= identity.value_or(0) ? Coding::gzip : Coding::identity;
}

bool is_compressible(const Reply& reply, const Incoming& incoming) {
  if (incoming.endpoint == nullptr || !incoming.endpoint->config.compression || reply.passed) return false;
  if (reply.status == 204 || reply.status == 304 || !has_text(reply.media_type) || reply.content_length() == 0) {
    return false;
  }
  const auto& constants = incoming.endpoint->config.response_headers.add;
  return std::none_of(constants.begin(), constants.end(), [](const HeaderTemplate& header) {
    return iequals(header.name, "Cache-Control") && header.value.find("no-transform") != std::string::npos;
  });
}

concurrency::Task<> compress(const concurrency::Context& ctx, Reply& reply, const Incoming& incoming) {
  const Coding coding = accepted_coding(incoming.parser.headers());
  const std::uint64_t size = reply.content_length();
  const bool is_small = size < incoming.endpoint->config.compression->min_size;
  if (coding == Coding::identity || (is_small && coding == Coding::gzip)) co_return;

  Deflate deflate;
  std::string compressed;
  const Slices text(1, reply.text);
  const Slices& parts = reply.body.empty() ? text : reply.body;
  std::size_t since_pause = 0;
  for (std::string_view part : parts) {
    while (!part.empty()) {
      if (since_pause == kSliceBytes) {
        since_pause = 0;
        co_await pause();
        if (ctx.is_done()) co_return;
      }
      const std::string_view slice = part.substr(0, kSliceBytes - since_pause);
      part.remove_prefix(slice.size());
      since_pause += slice.size();
      deflate.write(slice, compressed);
    }
  }
  deflate.finish(compressed);
  if (compressed.size() >= size && coding == Coding::gzip) co_return;
  reply.text = std::move(compressed);
  reply.body.assign(1, reply.text);
  reply.coding = "gzip";
}

}  // namespace sluice::gateway
