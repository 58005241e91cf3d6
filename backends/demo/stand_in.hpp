// A stand-in for a real service, which answers realistic JSON and goes wrong in every way it is told to.
#pragma once

#include "backends/demo/request_reader.hpp"
#include "concurrency/loop.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/ip/tcp.hpp>

namespace sluice::backends::demo {

struct Service;

/// An HTTP/1.1 server on one loop, in its time. Answers and faults: answers.hpp, faults.hpp. *one worker*
///
/// Faults come from, the later beating the earlier: the options, the admin requests below, the query of a request, its
/// header `X-Fault: name=value;name=value`.
///
///     PUT /-/faults[?path=/users]     the body, `name=value;name=value`, holds for all requests (whose path begins so)
///     DELETE /-/faults[?path=/users]  takes it back; without a path all of them
///     GET /-/faults                   shows them
///
/// Random choices come from the seed and the number of the request, so a run can be repeated.
/// The loop must outlive it.
class StandIn {
 public:
  struct Options {
    Options() = default;
    std::uint64_t seed = 1;
    std::string name = "sluice-backend";  ///< its Server header
    std::string faults;                   ///< `name=value;name=value`, for all requests
  };

  /// What happened so far; admin requests are not counted.
  struct Counters {
    Counters() = default;
    std::uint64_t accepted = 0;   ///< connections
    std::uint64_t open = 0;       ///< connections now
    std::uint64_t requests = 0;   ///< read whole
    std::uint64_t cancelled = 0;  ///< whose client closed (an end of file counts) before it had the answer
  };

  /// Throws std::invalid_argument for bad faults.
  StandIn(concurrency::Loop& loop, const Options& options);
  explicit StandIn(concurrency::Loop& loop);
  ~StandIn();
  StandIn(const StandIn&) = delete;
  StandIn& operator=(const StandIn&) = delete;

  /// Accepts connections there, too; port 0: any. Returns where. Throws boost::system::system_error.
  boost::asio::ip::tcp::endpoint listen(const boost::asio::ip::tcp::endpoint& where);
  /// On a free port of 127.0.0.1.
  boost::asio::ip::tcp::endpoint listen();
  /// Closes the listeners at once and the connections on the loop's next turn. listen() starts it again.
  void stop();
  /// As SIGSTOP: the kernel still completes connections, nothing is accepted, read or written.
  void freeze();
  void thaw();

  /// As `PUT /-/faults`. Returns what is wrong with `text`, empty if nothing; then nothing is changed.
  std::string set_faults(std::string_view text, std::string_view path = {});
  void clear_faults();

  [[nodiscard]] const Counters& counters() const;
  /// The newest request that was read, admin requests apart.
  [[nodiscard]] const std::optional<ReceivedRequest>& last_request() const;

 private:
  std::shared_ptr<Service> service_;
};

}  // namespace sluice::backends::demo
