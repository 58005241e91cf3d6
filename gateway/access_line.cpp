// Formats and escapes lines of the access log by hand.
#include "gateway/access_line.hpp"

#include "backends/detail/words.hpp"

#include <charconv>
#include <cstring>

namespace sluice::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr char kHex[] = "0123456789abcdef";

/// Appends to a fixed piece of memory; once something did not fit, nothing is appended any more.
class Out {
 public:
  explicit Out(std::span<char> memory) : begin_(memory.data()), at_(begin_), end_(begin_ + memory.size()) {}

  [[nodiscard]] std::size_t size() const { return is_full_ ? 0 : static_cast<std::size_t>(at_ - begin_); }

  void put(char c) {
    if (at_ == end_) is_full_ = true;
    if (!is_full_) *at_++ = c;
  }

  void put(std::string_view text) {
    if (static_cast<std::size_t>(end_ - at_) < text.size()) is_full_ = true;
    if (is_full_ || text.empty()) return;
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }

  /// Appends `text` if `test` finds nothing in its words; returns whether.
  template <class Test>
  bool put_unless(std::string_view text, Test test) {
    if (is_full_ || static_cast<std::size_t>(end_ - at_) < text.size()) return false;
    if (backends::detail::copy_and_test(text, at_, test)) return false;
    at_ += text.size();
    return true;
  }

  void put_number(std::int64_t number) {
    const auto result = std::to_chars(at_, end_, number);
    if (result.ec != std::errc()) is_full_ = true;
    if (!is_full_) at_ = result.ptr;
  }

  void put_three_digits(unsigned number) {
    put(static_cast<char>('0' + number / 100));
    put(static_cast<char>('0' + number / 10 % 10));
    put(static_cast<char>('0' + number % 10));
  }

  // Milliseconds, with three decimals unless they are zero.
  void put_milliseconds(nanoseconds duration) {
    const auto microseconds = std::chrono::round<std::chrono::microseconds>(duration).count();
    put_number(microseconds / 1000);
    if (const auto decimals = microseconds % 1000; decimals > 0) {
      put('.');
      put_three_digits(static_cast<unsigned>(decimals));
    }
  }

 private:
  char* const begin_;
  char* at_;
  char* const end_;
  bool is_full_ = false;
};

unsigned char byte_at(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]);
}

struct Utf8 {
  std::size_t length;
  bool is_valid;
};

// The sequence at `begin`, whose first byte is not ASCII; of an invalid one the longest part that one U+FFFD stands for
// (Unicode 15 §3.9, table 3-7 and "maximal subpart").
Utf8 utf8_at(std::string_view text, std::size_t begin) {
  const unsigned char first = byte_at(text, begin);
  std::size_t length = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xbf;
  if (first >= 0xc2 && first <= 0xdf) {
    length = 2;
  } else if (first >= 0xe0 && first <= 0xef) {
    length = 3;
    if (first == 0xe0) low = 0xa0;
    if (first == 0xed) high = 0x9f;
  } else if (first >= 0xf0 && first <= 0xf4) {
    length = 4;
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f;
  } else {
    return {1, false};
  }
  for (std::size_t i = 1; i < length; ++i) {
    if (begin + i == text.size()) return {i, false};
    const unsigned char next = byte_at(text, begin + i);
    if (next < low || next > high) return {i, false};
    low = 0x80;
    high = 0xbf;
  }
  return {length, true};
}

bool is_plain(unsigned char byte) {
  return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

constexpr auto has_special = [](std::uint64_t word) {
  using namespace backends::detail;
  return has_less(word, ' ') | has_byte(word, 0x7f) | has_high(word) | has_byte(word, '"') | has_byte(word, '\\');
};

// Calls `escape(i)` for each byte that is not plain, which returns how many bytes it dealt with; copies the others.
template <class Escape>
void put_escaped(Out& out, std::string_view text, Escape escape) {
  if (out.put_unless(text, has_special)) return;  // as most are plain
  std::size_t i = 0;
  while (i < text.size()) {
    const std::size_t begin = i;
    while (i < text.size() && is_plain(byte_at(text, i))) ++i;
    out.put(text.substr(begin, i - begin));
    if (i < text.size()) i += escape(i);
  }
}

void put_json(Out& out, std::string_view text) {
  out.put('"');
  put_escaped(out, text, [&](std::size_t i) -> std::size_t {
    const unsigned char byte = byte_at(text, i);
    if (byte >= 0x80) {
      const Utf8 sequence = utf8_at(text, i);
      out.put(sequence.is_valid ? text.substr(i, sequence.length) : std::string_view("\\ufffd"));
      return sequence.length;
    }
    if (byte == '"' || byte == '\\') {
      out.put('\\');
      out.put(text[i]);
    } else {
      out.put("\\u00");
      out.put(kHex[byte >> 4]);
      out.put(kHex[byte & 15]);
    }
    return 1;
  });
  out.put('"');
}

void put_text(Out& out, std::string_view text) {
  put_escaped(out, text, [&](std::size_t i) -> std::size_t {
    const unsigned char byte = byte_at(text, i);
    if (byte == '"' || byte == '\\') {
      out.put('\\');
      out.put(text[i]);
    } else {
      out.put("\\x");
      out.put(kHex[byte >> 4]);
      out.put(kHex[byte & 15]);
    }
    return 1;
  });
}

void put_time(Out& out, std::string_view to_second, unsigned millisecond) {
  out.put(to_second);
  out.put('.');
  out.put_three_digits(millisecond);
  out.put('Z');
}

void put_json_call(Out& out, const AccessCall& call) {
  out.put("{\"name\":");
  put_json(out, call.name);
  out.put(",\"outcome\":\"");
  out.put(to_string(call.outcome));
  out.put("\",\"ms\":");
  out.put_milliseconds(call.duration);
  if (call.age) {
    out.put(",\"age\":");
    out.put_number(call.age->count());
  }
  if (call.reason) {
    out.put(",\"reason\":\"");
    out.put(to_string(*call.reason));
    out.put('"');
  }
  if (call.status != 0) {
    out.put(",\"status\":");
    out.put_number(call.status);
  }
  out.put('}');
}

void put_json_line(Out& out, const AccessRecord& record, std::string_view to_second, unsigned millisecond) {
  out.put("{\"time\":\"");
  put_time(out, to_second, millisecond);
  out.put("\",\"request_id\":");
  put_json(out, record.request_id);
  out.put(",\"client\":");
  put_json(out, record.client);
  out.put(",\"method\":");
  put_json(out, record.method);
  out.put(",\"target\":");
  put_json(out, record.target);
  out.put(",\"endpoint\":");
  put_json(out, record.endpoint);
  out.put(",\"status\":");
  out.put_number(record.status);
  out.put(",\"result\":\"");
  out.put(to_string(record.result));
  out.put("\",\"bytes\":");
  out.put_number(static_cast<std::int64_t>(record.bytes));
  out.put(",\"duration_ms\":");
  out.put_milliseconds(record.duration);
  if (record.deadline != nanoseconds::zero()) {
    out.put(",\"deadline_ms\":");
    out.put_milliseconds(record.deadline);
  }
  out.put(",\"calls\":[");
  for (const AccessCall& call : record.calls) {
    if (&call != record.calls.data()) out.put(',');
    put_json_call(out, call);
  }
  out.put("]}\n");
}

void put_text_call(Out& out, const AccessCall& call) {
  out.put(' ');
  put_text(out, call.name);
  out.put('=');
  out.put(to_string(call.outcome));
  out.put(";ms=");
  out.put_milliseconds(call.duration);
  if (call.age) {
    out.put(";age=");
    out.put_number(call.age->count());
  }
  if (call.reason) {
    out.put(";reason=");
    out.put(to_string(*call.reason));
  }
  if (call.status != 0) {
    out.put(";status=");
    out.put_number(call.status);
  }
}

void put_text_line(Out& out, const AccessRecord& record, std::string_view to_second, unsigned millisecond) {
  put_time(out, to_second, millisecond);
  out.put(' ');
  put_text(out, record.client);
  out.put(" \"");
  put_text(out, record.method);
  out.put(' ');
  put_text(out, record.target);
  out.put("\" ");
  out.put_number(record.status);
  out.put(' ');
  out.put(to_string(record.result));
  out.put(' ');
  out.put_number(static_cast<std::int64_t>(record.bytes));
  out.put(' ');
  out.put_milliseconds(record.duration);
  out.put("ms");
  if (record.deadline != nanoseconds::zero()) {
    out.put(" deadline=");
    out.put_milliseconds(record.deadline);
    out.put("ms");
  }
  out.put(" request_id=\"");
  put_text(out, record.request_id);
  out.put("\" endpoint=\"");
  put_text(out, record.endpoint);
  out.put('"');
  for (const AccessCall& call : record.calls) put_text_call(out, call);
  out.put('\n');
}

}  // namespace

std::size_t AccessLine::format(LineFormat format, const AccessRecord& record, std::span<char> out) {
  const auto second = std::chrono::floor<std::chrono::seconds>(record.time);
  const auto millisecond = std::chrono::floor<milliseconds>(record.time - second).count();
  const std::string_view to_second = time_to_second(second);
  Out line(out);
  switch (format) {
    case LineFormat::json:
      put_json_line(line, record, to_second, static_cast<unsigned>(millisecond));
      break;
    case LineFormat::text:
      put_text_line(line, record, to_second, static_cast<unsigned>(millisecond));
      break;
  }
  return line.size();
}

std::string_view AccessLine::time_to_second(std::chrono::sys_seconds second) {
  if (second != second_) {
    second_ = second;
    const auto day = std::chrono::floor<std::chrono::days>(second);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss time(second - day);
    const auto put_two_digits = [this](std::size_t at, unsigned number) {
      time_[at] = static_cast<char>('0' + number / 10 % 10);
      time_[at + 1] = static_cast<char>('0' + number % 10);
    };
    const auto year = static_cast<unsigned>(static_cast<int>(date.year()));
    time_ = {"0000-00-00T00:00:00"};
    put_two_digits(0, year / 100);
    put_two_digits(2, year % 100);
    put_two_digits(5, static_cast<unsigned>(date.month()));
    put_two_digits(8, static_cast<unsigned>(date.day()));
    put_two_digits(11, static_cast<unsigned>(time.hours().count()));
    put_two_digits(14, static_cast<unsigned>(time.minutes().count()));
    put_two_digits(17, static_cast<unsigned>(time.seconds().count()));
  }
  return {time_.data(), time_.size() - 1};
}

}  // namespace sluice::gateway
