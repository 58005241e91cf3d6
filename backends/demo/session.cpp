#include "backends/demo/answers.hpp"
#include "backends/demo/reply.hpp"
#include "backends/demo/service.hpp"
#include "concurrency/io.hpp"
#include "concurrency/sleep.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/write.hpp>

namespace sluice::backends::demo {
namespace {

using concurrency::Context;
using concurrency::Random;
using concurrency::Result;
using concurrency::Task;
using ErrorCode = boost::system::error_code;

constexpr std::size_t kQueued = 16;  // pipelined requests read ahead of their answers

/// One connection: one coroutine reads requests (and sees the client go), another answers them in order.
struct Session {
  Session(std::shared_ptr<Service> s, Socket k) : service(std::move(s)), socket(std::move(k)) {
    ++service->counters.open;
  }
  ~Session() { --service->counters.open; }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  std::shared_ptr<Service> service;
  Socket socket;
  concurrency::Cancellable running = concurrency::with_cancel(service->running.ctx);
  concurrency::Channel<ReceivedRequest> queue{kQueued};
  RequestReader reader;
  std::array<char, 16 * 1024> received;
  bool client_gone = false;
};
using SessionPtr = std::shared_ptr<Session>;

/// How the answer to a request ended, and so what becomes of the connection.
enum class End { keep, close, reset, failed };

bool is_admin(const ReceivedRequest& request) {
  return request.path().starts_with("/-/");
}

Task<Result<>> read_requests(SessionPtr session) {
  Service& service = *session->service;
  const Context ctx = session->running.ctx;
  for (;;) {
    if (service.frozen) {
      const Result<> thawed = co_await service.until_thawed(ctx);
      if (!thawed) co_return thawed;
    }
    ErrorCode ec;
    const std::size_t size = session->socket.read_some(boost::asio::buffer(session->received), ec);
    if (ec == boost::asio::error::would_block) {
      auto wait = session->socket.async_wait(Socket::wait_read, boost::asio::deferred);
      const Result<> ready = co_await concurrency::io(ctx, std::move(wait));
      if (!ready) co_return ready;
      continue;
    }
    if (ec) {
      session->client_gone = true;
      co_return ec;
    }
    session->reader.feed({session->received.data(), size});
    while (auto request = session->reader.next()) {
      if (!is_admin(*request)) {
        ++service.counters.requests;
        service.last_request = *request;
      }
      const bool refused = request->refused != 0;
      const Result<> queued = co_await session->queue.send_from(ctx, *request);
      if (!queued || refused) co_return queued;
    }
  }
}

Task<> read_loop(SessionPtr session) {
  const Result<> end = co_await read_requests(session);
  if (!end) session->running.cancel();
}

Task<Result<>> write(SessionPtr session, std::string_view bytes) {
  const Context ctx = session->running.ctx;
  if (session->service->frozen) {
    const Result<> thawed = co_await session->service->until_thawed(ctx);
    if (!thawed) co_return thawed;
  }
  auto operation = boost::asio::async_write(session->socket, boost::asio::buffer(bytes), boost::asio::deferred);
  const Result<std::size_t> written = co_await concurrency::io(ctx, std::move(operation));
  if (written.has_value()) co_return Result<>();
  if (!ctx.is_done()) session->client_gone = true;
  co_return written.error();
}

Task<Result<>> write_reply(SessionPtr session, std::string_view head, std::string_view body, const Faults& faults) {
  std::string together(head);
  if (faults.drip.count() == 0) {
    together += body;
    co_return co_await write(session, together);
  }
  std::string_view rest;
  if (faults.drip_from == Place::body) {
    const Result<> written = co_await write(session, head);
    if (!written) co_return written;
    rest = body;
  } else {
    together += body;
    rest = together;
  }
  bool first = faults.drip_from == Place::head;
  while (!rest.empty()) {
    if (!std::exchange(first, false)) {
      const Result<> slept = co_await concurrency::sleep(session->running.ctx, faults.drip);
      if (!slept) co_return slept;
    }
    const std::string_view piece = rest.substr(0, faults.drip_bytes);
    const Result<> written = co_await write(session, piece);
    if (!written) co_return written;
    rest.remove_prefix(piece.size());
  }
  co_return Result<>();
}

/// Ends with an error only.
Task<Result<>> write_endless(SessionPtr session, const Faults& faults) {
  EndlessText text;
  std::string data;
  std::string chunk;
  for (;;) {
    const bool drips = faults.drip.count() != 0;
    data.clear();
    chunk.clear();
    text.append(data, drips ? faults.drip_bytes : 64 * 1024);
    append_chunk(chunk, data);
    const Result<> written = co_await write(session, chunk);
    if (!written) co_return written;
    if (!drips) continue;
    const Result<> slept = co_await concurrency::sleep(session->running.ctx, faults.drip);
    if (!slept) co_return slept;
  }
}

Task<End> hang(SessionPtr session) {
  co_await session->running.ctx.done();
  co_return End::failed;
}

/// Depends on the seed, the number of the request, and nothing else.
Random random_for(const Service& service, std::uint64_t number) {
  Random seeded(service.options.seed);
  return Random(Random(seeded() ^ number)());
}

unsigned choose_status(const Faults& faults, Random& random) {
  const double chance = static_cast<double>(random() >> 11U) * 0x1p-53;
  if (!faults.error_rate) return faults.status;
  if (chance >= *faults.error_rate) return 0;
  return faults.status != 0 ? faults.status : 503;
}

Answer answer_with(const ReceivedRequest& request, const Service& service, const Faults& faults, unsigned status) {
  if (status >= 300) return error_answer(status);
  Answer result = answer(request, service.options.seed, faults.bytes);
  if (status != 0) result.status = status;
  return result;
}

Task<End> reply_with(SessionPtr session, const ReceivedRequest& request, Answer answer, const Faults& faults,
                     Random& random) {
  const Reply reply = make_reply(std::move(answer), request, faults, session->service->options.name, random);
  const bool halves = faults.hang == Place::body || faults.reset == Place::body || faults.close == Place::body;
  std::string_view body = reply.body;
  if (halves) body = body.substr(0, body.size() / 2);
  if (faults.hang == Place::head || faults.endless) body = {};
  const Result<> written = co_await write_reply(session, reply.head, body, faults);
  if (!written) co_return End::failed;
  if (faults.hang == Place::head || faults.hang == Place::body) co_return co_await hang(session);
  if (faults.reset == Place::body) co_return End::reset;
  if (faults.close == Place::body) co_return End::close;
  if (faults.endless && request.method != "HEAD") {
    (void)co_await write_endless(session, faults);
    co_return End::failed;
  }
  co_return request.keep_alive && !faults.no_keepalive ? End::keep : End::close;
}

Answer admin_answer(Service& service, const ReceivedRequest& request) {
  if (request.path() != "/-/faults") return error_answer(404, "no such path");
  const auto path = query_value(request.query(), "path");
  if (request.method == "PUT") {
    const std::string problem = service.set_faults(request.body, path.value_or(""));
    if (!problem.empty()) return error_answer(400, problem);
  } else if (request.method == "DELETE") {
    if (path) {
      service.faults.erase(*path);
    } else {
      service.faults.clear();
    }
  } else if (request.method != "GET") {
    return error_answer(405);
  }
  std::string shown = "{";
  for (const auto& [prefix, text] : service.faults) {
    if (shown.size() > 1) shown += ',';
    append_json_string(shown, prefix);
    shown += ':';
    append_json_string(shown, text);
  }
  shown += '}';
  return Answer(200, std::move(shown));
}

Task<End> answer_one(SessionPtr session, const ReceivedRequest& request) {
  Service& service = *session->service;
  Faults faults;
  Random random(0);
  if (request.refused != 0) {
    Answer refusal = error_answer(request.refused);
    co_return co_await reply_with(session, request, std::move(refusal), faults, random);
  }
  if (is_admin(request)) {
    Answer shown = admin_answer(service, request);
    co_return co_await reply_with(session, request, std::move(shown), faults, random);
  }
  random = random_for(service, service.next_number++);
  faults = service.faults_for(request.path());
  std::string problem = faults.set_from_query(request.query());
  if (problem.empty()) problem = faults.set_all(request.find("X-Fault").value_or(std::string_view()));
  if (!problem.empty()) {
    const Faults none;
    Answer refusal = error_answer(400, problem);
    co_return co_await reply_with(session, request, std::move(refusal), none, random);
  }
  if (faults.hang == Place::header) co_return co_await hang(session);
  const Result<> slept = co_await concurrency::sleep(session->running.ctx, faults.latency.pick(random));
  if (!slept) co_return End::failed;
  if (faults.reset == Place::header) co_return End::reset;
  if (faults.garbage == Place::head) {
    const std::string garbage = random_bytes(512, random);
    const Result<> written = co_await write(session, garbage);
    co_return written.has_value() ? End::close : End::failed;
  }
  const unsigned status = choose_status(faults, random);
  Answer chosen = answer_with(request, service, faults, status);
  co_return co_await reply_with(session, request, std::move(chosen), faults, random);
}

Task<> answer_loop(SessionPtr session) {
  End end = End::keep;
  while (end == End::keep) {
    Result<ReceivedRequest> request = co_await session->queue.receive(session->running.ctx);
    if (!request) break;
    end = co_await answer_one(session, *request);
    if (end == End::failed && session->client_gone && !is_admin(*request)) ++session->service->counters.cancelled;
  }
  if (session->client_gone) session->service->counters.cancelled += session->queue.size();
  session->running.cancel();
  ErrorCode ignored;
  if (end == End::reset) {
    session->socket.set_option(boost::asio::socket_base::linger(true, 0), ignored);
  } else {
    session->socket.shutdown(Socket::shutdown_send, ignored);
  }
  session->socket.close(ignored);
}

}  // namespace

void start_session(std::shared_ptr<Service> service, Socket socket) {
  const auto executor = service->loop.executor();
  auto session = std::make_shared<Session>(std::move(service), std::move(socket));
  boost::asio::co_spawn(executor, read_loop(session), boost::asio::detached);
  boost::asio::co_spawn(executor, answer_loop(session), boost::asio::detached);
}

}  // namespace sluice::backends::demo
