// Socket: what comes is read, an end is noticed however it comes, and a close ends what waits.
#include "backends/socket.hpp"

#include "concurrency/loop.hpp"
#include "concurrency/virtual_time.hpp"

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

namespace sluice::backends {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using concurrency::Loop;
using concurrency::VirtualTime;
using std::chrono::system_clock;
using Tcp = asio::ip::tcp;

/// Reads whenever it is told to, and notes what came.
struct Reader : std::enable_shared_from_this<Reader> {
  explicit Reader(Loop& loop) : socket(loop.executor()) {}

  void read(std::size_t most = 64, bool is_due = false) {
    socket.start_read(pending, shared_from_this(), {boost::asio::buffer(bytes.data(), most)}, is_due);
  }
  void on_read(error_code ec, std::size_t size) {
    news.push_back(ec ? ec.message() : std::string(bytes.data(), size));
    came_at = pending.came_at();
  }

  Socket socket;
  PendingRead pending{
      this, [](void* self, error_code ec, std::size_t size) { static_cast<Reader*>(self)->on_read(ec, size); }};
  std::array<char, 64> bytes{};
  std::vector<std::string> news;
  system_clock::time_point came_at;
};

/// A reader, and the socket that writes to it.
struct Pair {
  explicit Pair(Loop& loop, bool notes_arrivals = false)
      : peer(loop.executor()), reader(std::make_shared<Reader>(loop)) {
    asio::basic_socket_acceptor<Tcp, concurrency::Executor> acceptor(
        loop.executor(), Tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    if (notes_arrivals) note_arrivals(acceptor.native_handle());
    peer.connect(acceptor.local_endpoint());
    acceptor.accept(reader->socket);
  }
  void write(const std::string& text) { asio::write(peer, asio::buffer(text)); }

  Socket peer;
  std::shared_ptr<Reader> reader;
};

using News = std::vector<std::string>;
const std::string kEnd = error_code(asio::error::eof).message();
const std::string kAborted = error_code(asio::error::operation_aborted).message();

TEST(Socket, ReadsWhatIsThereAndWhatComesLater) {
  VirtualTime time;
  Pair pair(time.loop());
  pair.write("early");
  pair.reader->read();
  time.loop().poll();
  EXPECT_EQ(pair.reader->news, News{"early"});
  pair.reader->read();
  time.loop().poll();
  EXPECT_EQ(pair.reader->news, News{"early"});
  pair.write("late");
  time.loop().poll();
  EXPECT_EQ(pair.reader->news, (News{"early", "late"}));
  pair.write("unread meanwhile");
  time.loop().poll();
  pair.reader->read();
  time.loop().poll();
  EXPECT_EQ(pair.reader->news, (News{"early", "late", "unread meanwhile"}));
}

TEST(Socket, KnowsWhenTheLastOfWhatItReadCame) {
  VirtualTime time;
  Pair pair(time.loop(), true);
  const system_clock::time_point unknown;
  // The system needs a moment before it begins to note when bytes come.
  for (int attempt = 0; attempt < 10'000 && pair.reader->came_at == unknown; ++attempt) {
    pair.reader->read();
    pair.write("early");
    time.settle();
  }
  pair.write("early");
  const auto before = system_clock::now();
  pair.write("late");
  while (pair.reader->socket.available() < 9) continue;  // a busy system hands them over later
  const auto after = system_clock::now();
  pair.reader->read();
  time.settle();
  EXPECT_EQ(pair.reader->news.back(), "earlylate");
  EXPECT_GE(pair.reader->came_at, before);
  EXPECT_LE(pair.reader->came_at, after);
}

TEST(Socket, DoesNotKnowWhenItCameUnlessItWasAsked) {
  VirtualTime time;
  const Pair other(time.loop(), true);
  Pair pair(time.loop());
  pair.write("early");
  pair.reader->read();
  time.settle();
  EXPECT_EQ(pair.reader->came_at, system_clock::time_point());
}

TEST(Socket, ReadsInPiecesWhatDoesNotFit) {
  VirtualTime time;
  Pair pair(time.loop());
  pair.write("abcdef");
  for (int i = 0; i < 3; ++i) {
    pair.reader->read(2);
    time.loop().poll();
  }
  pair.reader->read(2);
  time.loop().poll();
  EXPECT_EQ(pair.reader->news, (News{"ab", "cd", "ef"}));
  pair.write("g");
  time.loop().poll();
  EXPECT_EQ(pair.reader->news, (News{"ab", "cd", "ef", "g"}));
}

TEST(Socket, NoticesAnEndThatComesWithTheLastBytes) {
  VirtualTime time;
  Pair pair(time.loop());
  pair.reader->read();
  pair.write("last");
  pair.peer.shutdown(Tcp::socket::shutdown_send);
  time.loop().poll();
  EXPECT_EQ(pair.reader->news, News{"last"});
  pair.reader->read();
  time.loop().poll();
  EXPECT_EQ(pair.reader->news, (News{"last", kEnd}));
}

TEST(Socket, NoticesAnEndThatComesAfterTheLastBytes) {
  VirtualTime time;
  Pair pair(time.loop());
  pair.write("last");
  pair.reader->read();
  time.loop().poll();
  pair.reader->read();
  time.loop().poll();
  pair.peer.close();
  time.loop().poll();
  EXPECT_EQ(pair.reader->news, (News{"last", kEnd}));
}

TEST(Socket, NoticesAReset) {
  VirtualTime time;
  Pair pair(time.loop());
  pair.reader->read();
  time.loop().poll();
  pair.peer.set_option(asio::socket_base::linger(true, 0));
  pair.peer.close();
  time.loop().poll();
  EXPECT_EQ(pair.reader->news, News{error_code(asio::error::connection_reset).message()});
}

TEST(Socket, NoticesAResetThatComesWithTheLastBytesOfWhatIsDue) {
  VirtualTime time;
  Pair pair(time.loop());
  pair.reader->read();
  pair.write("half");
  pair.peer.set_option(asio::socket_base::linger(true, 0));
  pair.peer.close();
  time.loop().poll();
  EXPECT_EQ(pair.reader->news, News{"half"});
  pair.reader->read(64, true);
  time.loop().poll();
  EXPECT_EQ(pair.reader->news, (News{"half", error_code(asio::error::connection_reset).message()}));
}

TEST(Socket, GoesOnReadingWhatIsDueInPieces) {
  VirtualTime time;
  Pair pair(time.loop());
  pair.reader->read();
  pair.write("a");
  time.loop().poll();
  pair.write("bcd");
  for (int i = 0; i < 4; ++i) {
    pair.reader->read(1, true);
    time.loop().poll();
  }
  EXPECT_EQ(pair.reader->news, (News{"a", "b", "c", "d"}));
  pair.write("e");
  time.loop().poll();
  EXPECT_EQ(pair.reader->news, (News{"a", "b", "c", "d", "e"}));
}

TEST(Socket, ReadsNowWhatIsPendingWithoutATurn) {
  VirtualTime time;
  Pair pair(time.loop());
  Socket& socket = pair.reader->socket;
  EXPECT_FALSE(socket.read_now(pair.reader->pending)) << "nothing is pending";
  pair.reader->read();
  time.settle();
  EXPECT_FALSE(socket.read_now(pair.reader->pending)) << "nothing has come";
  pair.write("now");
  EXPECT_TRUE(socket.read_now(pair.reader->pending));
  EXPECT_EQ(pair.reader->news, News{"now"});
  // It was read once, and what nobody has asked for so far stays where it is.
  pair.write("later");
  EXPECT_FALSE(socket.read_now(pair.reader->pending));
  time.settle();
  EXPECT_EQ(pair.reader->news, News{"now"});
  pair.reader->read();
  time.settle();
  EXPECT_EQ(pair.reader->news, (News{"now", "later"}));
  pair.reader->read();
  pair.peer.close();
  EXPECT_TRUE(socket.read_now(pair.reader->pending));
  EXPECT_EQ(pair.reader->news, (News{"now", "later", kEnd}));
}

TEST(Socket, ReadsNowWhatItHasReadAndNotYetTold) {
  VirtualTime time;
  Pair pair(time.loop());
  pair.write("ab");
  pair.reader->read(1);
  EXPECT_TRUE(pair.reader->news.empty()) << "told in a turn of the loop";
  EXPECT_TRUE(pair.reader->socket.read_now(pair.reader->pending));
  EXPECT_EQ(pair.reader->news, News{"a"});
  EXPECT_FALSE(pair.reader->socket.read_now(pair.reader->pending)) << "nobody has asked for more";
  pair.reader->read(1);
  EXPECT_TRUE(pair.reader->socket.read_now(pair.reader->pending));
  time.settle();
  EXPECT_EQ(pair.reader->news, (News{"a", "b"})) << "each is told once";
}

TEST(Socket, CallsNobodyOfWhatWasTakenWhenItIsClosed) {
  VirtualTime time;
  Pair pair(time.loop());
  const std::weak_ptr<Reader> owner = pair.reader;
  pair.reader->read(1);
  pair.write("ab");
  time.settle();
  pair.reader->read(1, true);
  EXPECT_TRUE(pair.reader->socket.read_now(pair.reader->pending));
  pair.reader->socket.close();
  time.settle();
  EXPECT_EQ(pair.reader->news, (News{"a", "b"}));
  pair.reader.reset();
  EXPECT_TRUE(owner.expired());
}

TEST(Socket, ReadsAsEverAfterItHasReadNow) {
  VirtualTime time;
  Pair pair(time.loop());
  pair.reader->read();
  time.settle();
  pair.write("now");
  EXPECT_TRUE(pair.reader->socket.read_now(pair.reader->pending));
  pair.reader->read();
  time.settle();
  EXPECT_EQ(pair.reader->news, News{"now"});
  pair.write("later");
  time.settle();
  EXPECT_EQ(pair.reader->news, (News{"now", "later"}));
}

TEST(Socket, CallsNobodyWhenItIsClosedAfterItHasReadNow) {
  VirtualTime time;
  Pair pair(time.loop());
  const std::weak_ptr<Reader> owner = pair.reader;
  pair.reader->read();
  time.settle();
  pair.write("now");
  EXPECT_TRUE(pair.reader->socket.read_now(pair.reader->pending));
  pair.reader->socket.close();
  EXPECT_FALSE(pair.reader->socket.read_now(pair.reader->pending));
  time.settle();
  EXPECT_EQ(pair.reader->news, News{"now"});
  pair.reader.reset();
  EXPECT_TRUE(owner.expired());
}

TEST(Socket, EndsAPendingReadWhenItIsClosedAndKeepsItsOwnerUntilThen) {
  VirtualTime time;
  Pair pair(time.loop());
  const std::weak_ptr<Reader> owner = pair.reader;
  pair.reader->read();
  time.loop().poll();
  pair.reader->socket.close();
  Reader* const reader = pair.reader.get();
  pair.reader.reset();
  ASSERT_FALSE(owner.expired());
  EXPECT_TRUE(reader->news.empty());
  const auto held = owner.lock();
  time.loop().poll();
  EXPECT_EQ(held->news, News{kAborted});
  EXPECT_EQ(held.use_count(), 1);
}

TEST(Socket, DestroysWhatWaitsWithTheLoop) {
  std::weak_ptr<Reader> owner;
  {
    VirtualTime time;
    Pair pair(time.loop());
    owner = pair.reader;
    pair.reader->read();
    time.loop().poll();
  }
  EXPECT_TRUE(owner.expired());
}

TEST(Socket, ReadsIntoTheBufferThatWasGivenLast) {
  VirtualTime time;
  Pair pair(time.loop());
  std::array<char, 8> other{};
  pair.reader->read();
  pair.reader->socket.start_read(pair.reader->pending, pair.reader, {boost::asio::buffer(other)}, false);
  pair.write("moved");
  time.loop().poll();
  EXPECT_EQ(std::string(other.data(), 5), "moved");
  EXPECT_EQ(pair.reader->news.size(), 1u);
}

TEST(Socket, ReadsIntoTheSecondBufferWhatTheFirstHasNoRoomFor) {
  VirtualTime time;
  Pair pair(time.loop());
  std::array<char, 3> first{};
  std::array<char, 8> second{};
  pair.write("together");
  pair.reader->socket.start_read(pair.reader->pending, pair.reader, {asio::buffer(first), asio::buffer(second)}, false);
  time.loop().poll();
  EXPECT_EQ(std::string(first.data(), first.size()) + second.data(), "together");
  EXPECT_EQ(pair.reader->news.size(), 1u);
}

}  // namespace
}  // namespace sluice::backends
