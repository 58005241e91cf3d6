// sluice-backend: the stand-in service as a program.
#include "backends/demo/stand_in.hpp"
#include "concurrency/loop.hpp"

#include <charconv>
#include <csignal>
#include <cstdint>
#include <exception>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/basic_signal_set.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/system_error.hpp>

namespace {

using boost::asio::ip::tcp;
using sluice::backends::demo::StandIn;

constexpr std::string_view kUsage =
    R"(Usage: sluice-backend [--listen ADDR:PORT]... [--seed N] [--name NAME] [--fault TEXT]

A stand-in service with faults, for demos and tests of a gateway.

  --listen ADDR:PORT  where to listen (127.0.0.1:0; port 0: any; IPv6 as [::1]:0); may be repeated
  --seed N            makes the answers and the random faults repeatable (1)
  --name NAME         the Server header (sluice-backend)
  --fault TEXT        faults of all requests, as name=value;name=value
  --help, --version

Answers: GET /users/{id}, /orders?user=ID&limit=N, /recs/{segment}, /json?bytes=N, /echo, /healthz

Faults, by --fault, PUT /-/faults (GET, DELETE; ?path=/users), the query of a request, its header X-Fault:
  latency_ms=20 | 20..80 | lognormal(20,0.5)    status=404    error_rate=0.1 (with status, default 503)
  hang=accept|header|head|body                  reset=accept|header|body         close=body
  (hang=accept and reset=accept: by --fault and PUT only)
  drip_ms=300;drip_bytes=1;drip_from=head|body  wrong_length=+10|-10             bytes=N
  garbage=head|body   not_json=1   endless=1    chunked=1   no_keepalive=1       no_date=1
  header=Name:Value
)";

struct BadUsage {
  std::string message;
};

struct Arguments {
  Arguments() = default;
  std::vector<tcp::endpoint> listen;
  StandIn::Options options;
};

template <class T>
bool read_number(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

tcp::endpoint endpoint_of(const std::string& text) {
  const auto colon = text.rfind(':');
  std::string address = text.substr(0, colon);
  const bool is_v6 = address.size() > 2 && address.front() == '[' && address.back() == ']';
  if (is_v6) address = address.substr(1, address.size() - 2);
  std::uint16_t port = 0;
  boost::system::error_code error;
  const auto parsed = boost::asio::ip::make_address(address, error);
  if (colon == std::string::npos || error || parsed.is_v6() != is_v6 || !read_number(text.substr(colon + 1), port)) {
    throw BadUsage{"--listen: expected ADDR:PORT, such as 127.0.0.1:8080 or [::1]:8080, got \"" + text + '"'};
  }
  return {parsed, port};
}

/// Empty: help or version was asked for and printed.
std::optional<Arguments> parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    std::string name = argv[i];
    if (name == "--help") {
      std::cout << kUsage;
      return std::nullopt;
    }
    if (name == "--version") {
      std::cout << "sluice-backend " SLUICE_VERSION "\n";
      return std::nullopt;
    }
    const auto equals = name.find('=');
    const bool has_value = equals != std::string::npos;
    std::string value = has_value ? name.substr(equals + 1) : "";
    if (has_value) name.resize(equals);
    if (name != "--listen" && name != "--name" && name != "--fault" && name != "--seed") {
      throw BadUsage{"unknown argument \"" + name + "\" (--help shows all)"};
    }
    if (!has_value) {
      if (++i == argc) throw BadUsage{name + ": expected a value"};
      value = argv[i];
    }
    if (name == "--listen") {
      arguments.listen.push_back(endpoint_of(value));
    } else if (name == "--name") {
      arguments.options.name = value;
    } else if (name == "--fault") {
      arguments.options.faults += value + ';';
    } else if (!read_number(value, arguments.options.seed)) {
      throw BadUsage{"--seed: expected a number, got \"" + value + '"'};
    }
  }
  if (arguments.listen.empty()) arguments.listen.push_back(endpoint_of("127.0.0.1:0"));
  return arguments;
}

int serve(const Arguments& arguments) {
  std::signal(SIGPIPE, SIG_IGN);
  sluice::concurrency::Loop loop;
  boost::asio::basic_signal_set<sluice::concurrency::Executor> signals(loop.executor(), SIGTERM, SIGINT);
  signals.async_wait([&loop](const boost::system::error_code&, int) { loop.stop(); });
  std::optional<StandIn> stand_in;
  try {
    stand_in.emplace(loop, arguments.options);
  } catch (const std::invalid_argument& error) {
    throw BadUsage{std::string("--fault: ") + error.what()};
  }
  for (const tcp::endpoint& where : arguments.listen) {
    try {
      const tcp::endpoint bound = stand_in->listen(where);
      std::cout << "listening on " << bound << std::endl;
    } catch (const boost::system::system_error& error) {
      std::cerr << "sluice-backend: cannot listen on " << where << ": " << error.code().message() << '\n';
      return 1;
    }
  }
  loop.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const auto arguments = parse(argc, argv);
    return arguments ? serve(*arguments) : 0;
  } catch (const BadUsage& bad) {
    std::cerr << "sluice-backend: " << bad.message << '\n';
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "sluice-backend: " << error.what() << '\n';
    return 1;
  }
}
