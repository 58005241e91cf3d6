// What the C++ in docs/concurrency.md takes for granted: headers, and the functions that it calls.
#pragma once

#include "concurrency/channel.hpp"
#include "concurrency/context.hpp"
#include "concurrency/cow_map.hpp"
#include "concurrency/errgroup.hpp"
#include "concurrency/io.hpp"
#include "concurrency/mutex.hpp"
#include "concurrency/select.hpp"
#include "concurrency/single_flight.hpp"
#include "concurrency/sleep.hpp"
#include "concurrency/snapshot.hpp"
#include "concurrency/virtual_time.hpp"
#include "concurrency/wait_group.hpp"

#include <array>
#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace sluice::concurrency {

using namespace std::chrono_literals;

struct UserName {
  using value_type = std::string;
};
struct Settings {
  int limit = 0;
  int file = 0;
};

Task<> serve(Context ctx);
Task<Result<>> load(Context ctx, std::string name);
Task<Result<int>> fetch(Context ctx, int number);
Task<Result<int>> look_up(Context ctx, int number);
Task<> work(WaitGroup& running);
Task<> write_to(int file);

extern Channel<int> numbers;
extern Channel<std::string> words;
extern Mutex mutex;
extern int file;
extern boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor> socket;

}  // namespace sluice::concurrency
