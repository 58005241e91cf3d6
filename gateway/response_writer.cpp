#include "gateway/response_writer.hpp"

#include <charconv>

namespace sluice::gateway {

namespace {

void append_escaped(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += byte < 0x7f ? c : '?';
    }
  }
}

void append_number(std::string& out, unsigned number) {
  char digits[10];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

}  // namespace

std::string_view reason_phrase(unsigned status) {
  switch (status) {
    case 100:
      return "Continue";
    case 102:
      return "Processing";
    case 103:
      return "Early Hints";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 203:
      return "Non-Authoritative Information";
    case 204:
      return "No Content";
    case 205:
      return "Reset Content";
    case 206:
      return "Partial Content";
    case 300:
      return "Multiple Choices";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 402:
      return "Payment Required";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 407:
      return "Proxy Authentication Required";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 418:
      return "I'm a Teapot";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 423:
      return "Locked";
    case 424:
      return "Failed Dependency";
    case 425:
      return "Too Early";
    case 426:
      return "Upgrade Required";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 451:
      return "Unavailable For Legal Reasons";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    case 508:
      return "Loop Detected";
    case 511:
      return "Network Authentication Required";
    default:
      return "Unknown";
  }
}

void ResponseWriter::start(unsigned status, std::string_view date) {
  if (status == 200) {
    out_.assign("HTTP/1.1 200 OK\r\n");
  } else {
    out_.assign("HTTP/1.1 ");
    append_number(out_, status);
    out_.append(" ").append(reason_phrase(status)).append("\r\n");
  }
  if (!date.empty()) add("Date", date);
}

void ResponseWriter::finish(std::uint64_t content_length, bool keep_alive, unsigned version) {
  add("Content-Length", content_length);
  finish_without_body(keep_alive, version);
}

void ResponseWriter::finish_stream(bool keep_alive, unsigned version) {
  if (version == 11) add("Transfer-Encoding", "chunked");
  finish_without_body(keep_alive && version == 11, version);
}

void ResponseWriter::finish_without_body(bool keep_alive, unsigned version) {
  if (!keep_alive) {
    add("Connection", "close");
  } else if (version == 10) {
    add("Connection", "keep-alive");
  }
  HeadWriter::finish();
}

void append_problem(std::string& out, unsigned status, std::string_view detail, std::string_view members) {
  out += R"({"type":"about:blank","title":")";
  append_escaped(out, reason_phrase(status));
  out += R"(","status":)";
  append_number(out, status);
  out += R"(,"detail":")";
  append_escaped(out, detail);
  out += '"';
  if (!members.empty()) out.append(",").append(members);
  out += '}';
}

}  // namespace sluice::gateway
