// A backend that says exactly what it is told to, byte by byte.
#pragma once

#include "concurrency/loop.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

namespace sluice::support {

/// Reads heads of requests (none of their bodies) on one loop and answers each with the next of its answers; the last
/// one serves for all that follow. What is said after the script is over: nothing. *one worker*
class ScriptedBackend {
 public:
  enum class After { keep, close, stall };  // stall: not another byte is read

  /// Listens on a free port of 127.0.0.1, or of `host`.
  explicit ScriptedBackend(concurrency::Loop& loop, std::string_view host = "127.0.0.1");
  ~ScriptedBackend();
  ScriptedBackend(const ScriptedBackend&) = delete;
  ScriptedBackend& operator=(const ScriptedBackend&) = delete;

  /// What is said to one request, and how long after it.
  struct Said {
    explicit Said(std::string b, After a = After::keep, concurrency::Duration d = {})
        : bytes(std::move(b)), after(a), delay(d) {}
    std::string bytes;
    After after;
    concurrency::Duration delay;
  };

  void answer(std::string bytes, After after = After::keep);
  /// From now on the answers are what `choose` makes of a request's head.
  void answer_by(std::function<Said(const std::string& head)> choose);
  /// 200 with this body; `fields` are whole lines.
  void answer_json(std::string_view body, std::string_view fields = {});
  /// Sends `bytes` on every open connection, or ends them all.
  void say(const std::string& bytes);
  void hang_up();
  /// Accepts and reads nothing more, and ends all connections on the loop's next turn.
  void stop();

  [[nodiscard]] const boost::asio::ip::tcp::endpoint& where() const;
  [[nodiscard]] std::size_t accepted() const;
  [[nodiscard]] std::size_t open() const;
  [[nodiscard]] const std::vector<std::string>& heads() const;  ///< of all requests, in order

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace sluice::support
