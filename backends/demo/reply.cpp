#include "backends/demo/reply.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <ctime>

namespace sluice::backends::demo {
namespace {

using concurrency::Random;

/// RFC 9110 §5.6.7.
void append_date(std::string& head) {
  constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[80];
  std::snprintf(text, sizeof text, "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n", kDays[utc.tm_wday], utc.tm_mday,
                kMonths[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
  head += text;
}

std::string in_odd_chunks(std::string_view body, Random& random) {
  constexpr std::string_view kExtensions[] = {"", ";n=1", ";note=\"a; b\"", ";flag"};
  std::string out;
  while (!body.empty()) {
    const std::string_view data = body.substr(0, 1 + random.below(random.below(2) == 0 ? 7 : 997));
    append_chunk(out, data, kExtensions[random.below(4)]);
    body.remove_prefix(data.size());
  }
  out += "0\r\nX-Trailer: end\r\n\r\n";
  return out;
}

}  // namespace

Reply make_reply(Answer answer, const ReceivedRequest& request, const Faults& faults, std::string_view server,
                 Random& random) {
  const bool has_body = answer.status != 204 && answer.status != 304;
  const bool is_chunked = faults.chunked || faults.endless;
  std::string& body = answer.body;
  if (faults.not_json) body.resize(body.size() * 3 / 4);
  if (faults.garbage == Place::body) body = random_bytes(body.size(), random);

  Reply reply;
  std::string& head = reply.head;
  head = "HTTP/1.1 " + std::to_string(answer.status) + ' ';
  head.append(reason_phrase(answer.status)).append("\r\nServer: ").append(server).append("\r\n");
  if (!faults.no_date) append_date(head);
  if (has_body) {
    head += "Content-Type: application/json\r\n";
    if (is_chunked) {
      head += "Transfer-Encoding: chunked\r\n";
    } else {
      const auto length = static_cast<std::int64_t>(body.size()) + faults.wrong_length;
      head += "Content-Length: " + std::to_string(std::max<std::int64_t>(length, 0)) + "\r\n";
    }
  }
  if (!request.keep_alive || faults.no_keepalive) {
    head += "Connection: close\r\n";
  } else if (request.find("Connection")) {
    head += "Connection: keep-alive\r\n";
  }
  for (const auto& [name, value] : faults.headers) head.append(name).append(": ").append(value).append("\r\n");
  head += "\r\n";
  if (has_body && request.method != "HEAD") reply.body = faults.chunked ? in_odd_chunks(body, random) : std::move(body);
  return reply;
}

void append_chunk(std::string& out, std::string_view data, std::string_view extensions) {
  char size[16];
  const auto end = std::to_chars(size, size + sizeof size, data.size(), 16).ptr;
  out.append(size, end).append(extensions).append("\r\n").append(data).append("\r\n");
}

std::string random_bytes(std::size_t size, Random& random) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random() >> 56U);
  return bytes;
}

void EndlessText::append(std::string& out, std::size_t size) {
  constexpr std::string_view kElement = "\"the quick brown fox jumps over the lazy dog\",";
  if (!begun_ && size > 0) {
    begun_ = true;
    out += '[';
    --size;
  }
  while (size > 0) {
    const std::string_view piece = kElement.substr(at_, size);
    out += piece;
    size -= piece.size();
    at_ = (at_ + piece.size()) % kElement.size();
  }
}

}  // namespace sluice::backends::demo
