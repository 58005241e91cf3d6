// What the listeners and sessions of one StandIn share.
#pragma once

#include "backends/demo/faults.hpp"
#include "backends/demo/stand_in.hpp"
#include "concurrency/channel.hpp"
#include "concurrency/context.hpp"
#include "concurrency/task.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace sluice::backends::demo {

using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, concurrency::Executor>;
using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::ip::tcp, concurrency::Executor>;

/// Lives as long as a session does. *one worker*
struct Service {
  Service(concurrency::Loop& l, StandIn::Options o) : loop(l), options(std::move(o)) {}

  /// Ends when the service is not frozen. Errors: canceled.
  concurrency::Task<concurrency::Result<>> until_thawed(concurrency::Context ctx) const;
  /// The faults that hold for a path, without those of the request itself.
  [[nodiscard]] Faults faults_for(std::string_view path) const;
  /// See StandIn.
  std::string set_faults(std::string_view text, std::string_view path);

  concurrency::Loop& loop;
  const StandIn::Options options;
  std::map<std::string, std::string, std::less<>> faults;  // by the beginning of the path: sorted, so longer ones win
  StandIn::Counters counters;
  std::optional<ReceivedRequest> last_request;
  std::uint64_t next_number = 0;
  std::optional<concurrency::Channel<int>> frozen;  // closed by thaw()
  concurrency::Cancellable running = concurrency::with_cancel(concurrency::Context::background());
  std::vector<std::shared_ptr<Acceptor>> acceptors;
  std::vector<Socket> held;  // hang=accept
};

/// Serves one connection to its end.
void start_session(std::shared_ptr<Service> service, Socket socket);

}  // namespace sluice::backends::demo
