#include "backends/gunzip.hpp"

#include <array>
#include <new>
#include <zlib.h>

namespace sluice::backends {
namespace {

constexpr int kOnlyGzip = 16 + MAX_WBITS;  // what inflateInit2 takes for gzip, and not zlib's own format
constexpr std::size_t kPiece = 16 * 1024;

}  // namespace

struct Gunzip::Stream {
  z_stream z{};
  bool is_between_members = true;
};

Gunzip::Gunzip() : stream_(std::make_unique<Stream>()) {
  if (inflateInit2(&stream_->z, kOnlyGzip) != Z_OK) throw std::bad_alloc();
}

Gunzip::~Gunzip() {
  inflateEnd(&stream_->z);
}

bool Gunzip::feed(std::string_view bytes, bool (*sink)(void* owner, std::string_view decoded), void* owner) {
  z_stream& z = stream_->z;
  std::array<char, kPiece> piece;
  // zlib does not write to its input, but for its C interface of old.
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());
  for (bool was_full = false; z.avail_in != 0 || was_full;) {
    stream_->is_between_members = false;
    z.next_out = reinterpret_cast<Bytef*>(piece.data());
    z.avail_out = piece.size();
    const int status = inflate(&z, Z_NO_FLUSH);
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) return false;
    was_full = z.avail_out == 0;
    const std::size_t size = piece.size() - z.avail_out;
    if (size != 0 && !sink(owner, {piece.data(), size})) return false;
    if (status == Z_STREAM_END) {  // perhaps another member follows
      stream_->is_between_members = true;
      was_full = false;
      if (inflateReset(&z) != Z_OK) return false;
    }
  }
  return true;
}

bool Gunzip::is_whole() const {
  return stream_->is_between_members;
}

}  // namespace sluice::backends
