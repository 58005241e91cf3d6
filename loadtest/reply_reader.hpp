// A strict incremental reader of HTTP/1.1 replies: the load generator trusts nothing that the gateway sends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::loadtest {

/// Reads one reply at a time from bytes as they arrive. Interim (1xx) replies are passed over. Thread: one.
class ReplyReader {
 public:
  enum class State { reading, complete, malformed };

  /// Gets ready for the next reply. `keep_body`: `body()` is wanted.
  void start(bool is_head_request, bool keep_body);

  /// Takes bytes up to the end of the reply and returns how many; what is left is not part of it.
  std::size_t feed(std::string_view bytes);
  /// The stream ended: completes a body that lasts until then.
  void feed_end();

  [[nodiscard]] State state() const { return state_; }
  /// Whether any byte of the reply has been seen.
  [[nodiscard]] bool has_begun() const { return !line_.empty() || part_ != Part::head; }
  /// What is wrong; empty unless malformed.
  [[nodiscard]] std::string_view problem() const { return problem_; }

  // Of a complete reply:
  [[nodiscard]] unsigned status() const { return status_; }
  [[nodiscard]] bool keeps_alive() const { return keeps_alive_; }
  [[nodiscard]] std::uint64_t body_size() const { return body_size_; }
  [[nodiscard]] const std::string& body() const { return body_; }
  /// Values of `Sluice-Result` and `Sluice-Calls`; empty without one.
  [[nodiscard]] const std::string& result() const { return result_; }
  [[nodiscard]] const std::string& calls() const { return calls_; }
  /// Value of `X-Request-Id`; empty without one.
  [[nodiscard]] const std::string& request_id() const { return request_id_; }

 private:
  enum class Part { head, body, body_until_end, chunk_size, chunk, chunk_end, trailer };

  void fail(std::string_view problem);
  std::size_t feed_line(std::string_view bytes);
  std::size_t feed_body(std::string_view bytes);
  void take_line();
  void take_status_line();
  void take_field();
  void take_content_length(std::string_view value);
  void take_chunk_size();
  void end_head();

  State state_ = State::reading;
  Part part_ = Part::head;
  std::string line_;  // the line being read, with its end once that is there
  std::string_view problem_;
  bool is_head_request_ = false, keep_body_ = false;

  unsigned status_ = 0;  // 0: the status line is still to come
  bool keeps_alive_ = true, has_length_ = false, is_chunked_ = false;
  std::uint64_t remaining_ = 0;  // of the body or of the chunk
  std::size_t head_size_ = 0;
  std::uint64_t body_size_ = 0;
  std::string body_, result_, calls_, request_id_;
};

}  // namespace sluice::loadtest
