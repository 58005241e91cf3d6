// A server that does nothing by itself: the test reads what it got and says what it answers, byte by byte.
#pragma once

#include "concurrency/loop.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/ip/tcp.hpp>

namespace sluice::support {

/// Accepts any number of connections; what is said and heard is on the last one. *one worker*
class RawServer {
 public:
  /// Listens on a free port of 127.0.0.1.
  explicit RawServer(concurrency::Loop& loop);
  ~RawServer();
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  [[nodiscard]] std::string url() const;
  [[nodiscard]] std::size_t accepted() const;
  /// Whether the other side has not closed its end.
  [[nodiscard]] bool is_open() const;

  /// What has arrived on the last connection since take().
  [[nodiscard]] const std::string& received() const;
  std::string take();
  /// Stops and goes on reading.
  void pause();
  void resume();

  /// Begins to write; what it is told while it writes is lost.
  void say(std::string bytes);
  /// Of what it was told to say on the last connection, how much the kernel has taken.
  [[nodiscard]] std::size_t written() const;

  /// Says `last`, as far as the kernel takes it at once, and ends the connection in the same moment.
  void close(std::string_view last = {});
  void reset(std::string_view last = {});
  /// Accepts nothing more.
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace sluice::support
