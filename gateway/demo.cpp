#include "gateway/demo.hpp"

#include "backends/demo/stand_in.hpp"
#include "gateway/config_reader.hpp"
#include "gateway/http_get.hpp"
#include "gateway/log.hpp"
#include "gateway/server.hpp"

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>

namespace sluice::gateway {
namespace {

using boost::asio::ip::tcp;

constexpr std::string_view kConfig = R"({
  "version": 1,
  "listen": "127.0.0.1:0",
  "admin": "127.0.0.1:0",
  "threads": 1,
  "access_log": "off",
  "backends": {
    "users":  { "servers": ["http://127.0.0.1:USERS"] },
    "orders": { "servers": ["http://127.0.0.1:ORDERS"] },
    "recs":   { "servers": ["http://127.0.0.1:RECS"] }
  },
  "endpoints": [{
    "path": "/profile/{id}", "deadline": "500ms",
    "calls": [
      { "name": "user",   "backend": "users",  "path": "/users/{id}", "required": true,
        "cache": { "stale_if_error": "10m" } },
      { "name": "orders", "backend": "orders", "path": "/orders?user={id}&limit=1", "timeout": "200ms",
        "cache": { "stale_if_error": "1h" } },
      { "name": "recs",   "backend": "recs",   "path": "/recs/{id}?limit=1", "fallback": [] }
    ]
  }]
}
)";

volatile pid_t g_gateway = 0;  // for the signal handler

/// A child process that tells the ports it listens on, and dies with this one.
class Child {
 public:
  using Ports = std::array<std::uint16_t, 2>;
  using Report = std::function<void(Ports)>;

  /// `body` runs in the child and calls its argument once it listens.
  explicit Child(const std::function<int(const Report&)>& body) {
    std::array<int, 2> pipe_fds{};
    if (pipe(pipe_fds.data()) != 0) throw std::runtime_error(std::string("pipe: ") + std::strerror(errno));
    pid_ = fork();
    if (pid_ < 0) throw std::runtime_error(std::string("fork: ") + std::strerror(errno));
    if (pid_ == 0) {
      close(pipe_fds[0]);
      prctl(PR_SET_PDEATHSIG, SIGTERM);
      setpgid(0, 0);  // Ctrl-C is for the parent, which ends its children in order
      int code = 1;
      try {
        code = body([fd = pipe_fds[1]](Ports ports) {
          if (write(fd, ports.data(), sizeof ports) != sizeof ports) std::_Exit(1);
          close(fd);
        });
      } catch (const std::exception& e) {
        std::cerr << "sluice demo: " << e.what() << '\n';
      }
      std::_Exit(code);
    }
    close(pipe_fds[1]);
    const auto got = read(pipe_fds[0], ports_.data(), sizeof ports_);
    close(pipe_fds[0]);
    if (got != sizeof ports_) throw std::runtime_error("a process of the demo did not start");
  }
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)), ports_(other.ports_) {}
  Child& operator=(Child&& other) noexcept {
    end(SIGKILL);
    pid_ = std::exchange(other.pid_, -1);
    ports_ = other.ports_;
    return *this;
  }
  ~Child() { end(SIGTERM); }

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] std::uint16_t port(std::size_t index = 0) const { return ports_[index]; }
  void signal(int number) const { kill(pid_, number); }
  void end(int number) {
    if (pid_ < 0) return;
    signal(number);
    signal(SIGCONT);
    wait();
  }
  /// Its exit code, 1 if a signal ended it.
  int wait() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
  }

 private:
  pid_t pid_ = -1;
  Ports ports_{};
};

Child start_stand_in(const std::string& name, std::uint16_t port) {
  return Child([&](const Child::Report& report) {
    std::signal(SIGTERM, SIG_DFL);
    std::signal(SIGINT, SIG_DFL);
    concurrency::Loop loop;
    const concurrency::Loop::Entered entered(loop);
    backends::demo::StandIn::Options options;
    options.name = name;
    options.faults = "latency_ms=3..15";
    backends::demo::StandIn stand_in(loop, options);
    const auto address = stand_in.listen(tcp::endpoint(boost::asio::ip::address_v4::loopback(), port));
    report({address.port(), 0});
    loop.run();
    return 0;
  });
}

Child start_gateway(const std::string& config) {
  return Child([&](const Child::Report& report) {
    set_log_level(LogLevel::warn);
    Checked checked = parse_config(config, "demo", [](const std::string&) { return std::nullopt; });
    if (!checked.config) throw std::logic_error("the demo's configuration is bad");
    Server server("demo", std::move(*checked.config), Overrides());
    server.on_ready([&] { report({server.listening().front().port(), server.admin_listening()->port()}); });
    return server.run();
  });
}

struct TimedReply : HttpReply {
  std::chrono::microseconds took{0};
};

TimedReply get(std::uint16_t port, const std::string& target) {
  const auto start = std::chrono::steady_clock::now();
  TimedReply reply;
  static_cast<HttpReply&>(reply) = http_get("127.0.0.1", std::to_string(port), target);
  reply.took = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start);
  return reply;
}

/// Prints the tour, with colours where the terminal has them.
class Guide {
 public:
  Guide() : coloured_(isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr) {}

  void title(const std::string& text) const { std::cout << '\n' << paint("1;36", text) << '\n'; }
  void line(const std::string& text) const { std::cout << "  " << text << '\n'; }
  void command(const std::string& text) const { std::cout << "  " << paint("2", "$ ") << paint("1", text) << '\n'; }

  /// True if the result is the expected one.
  bool reply(const TimedReply& reply, const std::string& expected) const {
    const std::string result = reply.header("Sluice-Result");
    const char* colour = result == "complete" ? "32" : "33";
    line(reply.head.substr(0, reply.head.find("\r\n")) +
         paint("2", "   after " + std::to_string(reply.took.count() / 1000) + " ms"));
    line("Sluice-Result: " + paint(colour, result));
    line("Sluice-Calls: " + paint(colour, reply.header("Sluice-Calls")));
    line(reply.body.size() <= kShown ? reply.body : reply.body.substr(0, kShown) + paint("2", " ..."));
    if (result == expected) return true;
    line(paint("31", "expected " + expected));
    return false;
  }

  [[nodiscard]] std::string paint(const std::string& code, const std::string& text) const {
    return coloured_ ? "\x1b[" + code + "m" + text + "\x1b[0m" : text;
  }

 private:
  static constexpr std::size_t kShown = 600;
  bool coloured_;
};

void replace(std::string& text, std::string_view what, std::uint16_t port) {
  text.replace(text.find(what), what.size(), std::to_string(port));
}

void show_metrics(const Guide& guide, std::uint16_t admin) {
  std::istringstream lines(get(admin, "/metrics").body);
  for (std::string line; std::getline(lines, line);) {
    const bool counts_requests = line.rfind("sluice_requests_total{", 0) == 0;
    const bool counts_orders =
        line.rfind("sluice_calls_total{", 0) == 0 && line.find("call=\"orders\"") != std::string::npos;
    if ((counts_requests || counts_orders) && line.substr(line.rfind(' ')) != " 0") guide.line(line);
  }
}

}  // namespace

int run_demo(bool once) {
  const Guide guide;
  std::signal(SIGPIPE, SIG_IGN);
  Child users = start_stand_in("users", 0);
  Child orders = start_stand_in("orders", 0);
  Child recs = start_stand_in("recs", 0);
  std::string config(kConfig);
  replace(config, "USERS", users.port());
  replace(config, "ORDERS", orders.port());
  replace(config, "RECS", recs.port());
  Child gateway = start_gateway(config);
  const std::string base = "http://127.0.0.1:" + std::to_string(gateway.port());
  const std::string admin = "http://127.0.0.1:" + std::to_string(gateway.port(1));
  bool as_told = true;

  guide.title("1. One request, three backends, one reply");
  guide.command("curl -i " + base + "/profile/42");
  as_told &= guide.reply(get(gateway.port(), "/profile/42"), "complete");

  guide.title("2. The orders service freezes: its part comes from what was stored, in time, and the reply says so");
  guide.command("kill -STOP " + std::to_string(orders.pid()));
  orders.signal(SIGSTOP);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // so that the stored part has an age to show
  guide.command("curl -i " + base + "/profile/42");
  as_told &= guide.reply(get(gateway.port(), "/profile/42"), "degraded");

  guide.title("3. It is gone, and nothing is stored for this user: the reply does without that part");
  guide.command("kill -KILL " + std::to_string(orders.pid()));
  const std::uint16_t orders_port = orders.port();
  orders.end(SIGKILL);
  guide.command("curl -i " + base + "/profile/7");
  as_told &= guide.reply(get(gateway.port(), "/profile/7"), "partial");

  guide.title("4. The metrics tell them apart");
  guide.command("curl -s " + admin + "/metrics | grep -E 'sluice_requests_total|call=\"orders\"'");
  show_metrics(guide, gateway.port(1));
  std::cout << std::flush;
  if (once) return as_told ? 0 : 1;

  orders = start_stand_in("orders", orders_port);
  guide.title("Everything runs again, until Ctrl-C. To try:");
  guide.command("curl -i " + base + "/profile/42");
  guide.command("kill -STOP " + std::to_string(orders.pid()) + "; curl -i " + base + "/profile/42; kill -CONT " +
                std::to_string(orders.pid()));
  guide.command("curl -X PUT -d 'drip_ms=300;drip_bytes=1' http://127.0.0.1:" + std::to_string(recs.port()) +
                "/-/faults   # recs drips; DELETE heals it");
  guide.command("curl -s " + admin + "/metrics");
  std::cout << std::flush;
  g_gateway = gateway.pid();
  for (const int number : {SIGINT, SIGTERM}) std::signal(number, [](int) { kill(g_gateway, SIGTERM); });
  const int code = gateway.wait();  // it drains
  if (code != 0) std::cerr << "sluice demo: the gateway ended unexpectedly\n";
  return code;
}

}  // namespace sluice::gateway
