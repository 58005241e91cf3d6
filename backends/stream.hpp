// One attempt whose bodies pass piece by piece, in both directions at the same time.
#pragma once

#include "backends/connection.hpp"
#include "backends/failure.hpp"
#include "backends/headers.hpp"
#include "concurrency/context.hpp"
#include "concurrency/task.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/system/result.hpp>

namespace sluice::backends {

/// Made by Backend::stream. Holds its connection, which goes back when this is destroyed: to be used again if the whole
/// request was sent and the whole response has arrived, else it is closed. Until then the backend lives. *one worker*
///
/// One coroutine may send while another receives; both have ended when this is destroyed.
class Stream {
 public:
  Stream(Stream&&) noexcept;
  ~Stream();

  /// The next bytes of the request's body; `is_last` ends it. False: nothing more of it is wanted; if the connection
  /// broke, receiving tells.
  [[nodiscard]] concurrency::Task<bool> send(const concurrency::Context& ctx, std::string_view bytes, bool is_last);

  /// Waits for the head of the response, not longer than the backend's timeout. Nothing: it is there.
  /// Failures: those of Connection::exchange.
  [[nodiscard]] concurrency::Task<std::optional<Failure>> receive_head(const concurrency::Context& ctx);
  /// Whether receive() has something; else news() waits for it, see Connection. What is not taken waits here up to a
  /// bound, then at the server.
  [[nodiscard]] bool has_news() const;
  [[nodiscard]] Connection::News news(const concurrency::Context& ctx);
  /// Lets `piece` be the next bytes of the response's body, until the next news(); true with the last ones, which may
  /// be none.
  [[nodiscard]] boost::system::result<bool, Failure> receive(std::string_view& piece);
  /// After news() has ended because `ctx` is done.
  [[nodiscard]] Failure failure_of(const concurrency::Context& ctx);
  /// Why the attempt counts as failed, if whoever gave it up knows better than "cancelled".
  void fail(Failure failure);

  // Once there is the head.
  [[nodiscard]] unsigned status() const;
  [[nodiscard]] Headers& headers();
  [[nodiscard]] std::optional<std::uint64_t> content_length() const;

  /// When bytes were last received or sent, and how many of these the server has not got yet.
  [[nodiscard]] concurrency::TimePoint last_progress() const;
  [[nodiscard]] std::size_t unsent_bytes() const;

 private:
  friend class Backend;
  struct Attempt;
  explicit Stream(std::unique_ptr<Attempt> attempt);
  [[nodiscard]] Connection& connection() const;

  std::unique_ptr<Attempt> attempt_;
};

}  // namespace sluice::backends
