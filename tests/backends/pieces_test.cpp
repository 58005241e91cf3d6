// The frames of chunks, and what is left of a list of buffers.
#include "backends/pieces.hpp"

#include <array>
#include <string>

#include <gtest/gtest.h>

namespace sluice::backends {
namespace {

std::string framed(bool is_chunked, const std::string& piece, bool is_last) {
  const Frame frame(is_chunked, piece.size(), is_last);
  return std::string(frame.before()) + piece + std::string(frame.after());
}

TEST(Frame, MakesAChunkOfAPieceAndEndsTheBodyOnlyWithTheLast) {
  EXPECT_EQ(framed(true, "abc", false), "3\r\nabc\r\n");
  EXPECT_EQ(framed(true, std::string(0x1a2b, 'x'), false), "1a2b\r\n" + std::string(0x1a2b, 'x') + "\r\n");
  EXPECT_EQ(framed(true, "abc", true), "3\r\nabc\r\n0\r\n\r\n");
  EXPECT_EQ(framed(true, "", true), "0\r\n\r\n");
  EXPECT_EQ(framed(true, "", false), "") << "an empty chunk would be the last";
}

TEST(Frame, HasNothingAroundABodyOfKnownLength) {
  EXPECT_EQ(framed(false, "abc", true), "abc");
  EXPECT_EQ(framed(false, "", true), "");
}

TEST(Frame, HasRoomForTheLargestPiece) {
  EXPECT_EQ(Frame(true, static_cast<std::size_t>(-1), false).before(), "ffffffffffffffff\r\n");
}

TEST(Consume, TakesBytesOffAllBuffersInOrder) {
  std::array<boost::asio::const_buffer, 3> buffers{boost::asio::buffer("ab", 2), boost::asio::const_buffer(),
                                                   boost::asio::buffer("cde", 3)};
  consume(buffers, 1);
  EXPECT_EQ(buffers[0].size(), 1U);
  consume(buffers, 3);
  EXPECT_EQ(buffers[0].size(), 0U);
  EXPECT_EQ(buffers[2].size(), 1U);
  EXPECT_EQ(*static_cast<const char*>(buffers[2].data()), 'e');
}

}  // namespace
}  // namespace sluice::backends
