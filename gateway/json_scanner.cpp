// The state machine of the JSON validator: one byte decides a step, detail/json_runs.hpp skips the bytes that decide
// nothing, detail/json_grammar.hpp passes over what it can at once.
#include "gateway/json_scanner.hpp"

#include "gateway/detail/json_blocks.hpp"
#include "gateway/detail/json_runs.hpp"

#include <utility>

namespace sluice::gateway {
using namespace detail;
namespace {

constexpr std::size_t kWorthBlocks = 256;  // bytes: setting out costs as much as some tokens
const PassTokens kAvx2 = pass_with_avx2();
const PassTokens kAvx512 = pass_with_avx512();

PassTokens pass_of(JsonScanner::Pace pace, std::size_t size) {
  switch (pace) {
    case JsonScanner::Pace::fastest:
      return size < kWorthBlocks ? nullptr : kAvx512 != nullptr ? kAvx512 : kAvx2;
    case JsonScanner::Pace::bytes:
      return nullptr;
    case JsonScanner::Pace::avx2:
      return kAvx2;
    case JsonScanner::Pace::avx512:
      return kAvx512;
  }
  return nullptr;
}

}  // namespace

bool JsonScanner::feed(std::string_view chunk) {
  const char* const begin = chunk.data();
  const char* const end = begin + chunk.size();
  const char* p = begin;
  JsonPlace& place = place_;
  State state = place.state;
  bool in_name = in_name_;
  PassTokens pass_tokens = pass_of(pace_, chunk.size());

  const auto offset = [&] { return consumed_ + static_cast<std::size_t>(p - begin); };
  const auto begin_value = [&](JsonKind kind) {
    if (place.depth != 0) return;
    value_.kind = kind;
    value_.slice.begin = offset();
  };
  const auto end_value = [&] {
    state = place.depth == 0 ? State::done : State::after_value;
    if (place.depth == 0) value_.slice.end = offset();
  };
  const auto close = [&] {
    ++p;
    place.close();
    end_value();
  };

  while (p != end) {
    if (pass_tokens != nullptr && state <= State::after_value && place.depth != 0) {
      place.state = state;
      p = std::exchange(pass_tokens, nullptr)(p, end, place);
      state = place.state;
      if (p == end) break;
    }
    const char c = *p;
    switch (state) {  // a byte that is not what the state waits for breaks out
      case State::first_element:
        if (c == ']') {
          value_.is_empty = place.depth == 1;
          close();
          continue;
        }
        [[fallthrough]];
      case State::value:
        if (c == '"') {
          begin_value(JsonKind::string);
          state = State::string;
        } else if (c == '{' || c == '[') {
          if (place.depth == kMaxDepth) return fail("nested deeper than 512 levels", offset());
          begin_value(c == '{' ? JsonKind::object : JsonKind::array);
          place.open(c == '{');
          state = place.state;
        } else if (is_digit(c) || c == '-') {
          begin_value(JsonKind::number);
          state = c == '-' ? State::minus : c == '0' ? State::zero : State::integer;
        } else if (c == 't' || c == 'f' || c == 'n') {
          begin_value(c == 'n' ? JsonKind::null : JsonKind::boolean);
          rest_ = c == 't' ? "rue" : c == 'f' ? "alse" : "ull";
          state = State::literal;
        } else {
          break;
        }
        ++p;
        continue;
      case State::first_member:
        if (c == '}') {
          value_.is_empty = place.depth == 1;
          close();
          continue;
        }
        [[fallthrough]];
      case State::member:
        if (c != '"') break;
        ++p;
        in_name = true;
        state = State::string;
        continue;
      case State::colon:
        if (c != ':') break;
        ++p;
        state = State::value;
        continue;
      case State::after_value:
        if (c == ',') {
          ++p;
          state = place.in_object ? State::member : State::value;
          continue;
        }
        if (c != (place.in_object ? '}' : ']')) break;
        close();
        continue;
      case State::done:
        break;

      case State::string:
        p = skip_content(p, end);
        if (p == end) continue;
        if (*p == '"') {
          ++p;
          if (in_name) {
            in_name = false;
            state = State::colon;
          } else {
            end_value();
          }
          continue;
        }
        if (*p == '\\') {
          ++p;
          state = State::escape;
          continue;
        }
        if (const Lead lead = lead_of(byte(*p)); lead.more != 0) {
          ++p;
          more_ = lead.more;
          low_ = lead.low;
          high_ = lead.high;
          state = State::continuation;
          continue;
        }
        return fail(byte(*p) < 0x20 ? "control character in a string" : "invalid UTF-8", offset());
      case State::escape:
        if (!is_short_escape(c) && c != 'u') break;
        ++p;
        more_ = 4;
        state = c == 'u' ? State::hex_digit : State::string;
        continue;
      case State::hex_digit:
        if (!is_hex_digit(c)) break;
        ++p;
        if (--more_ == 0) state = State::string;
        continue;
      case State::continuation:
        if (byte(c) < low_ || byte(c) > high_) break;
        ++p;
        low_ = 0x80;
        high_ = 0xbf;
        if (--more_ == 0) state = State::string;
        continue;

      case State::literal:
        if (c != *rest_) break;
        ++p;
        if (*++rest_ == '\0') end_value();
        continue;

      case State::minus:
        if (!is_digit(c)) break;
        ++p;
        state = c == '0' ? State::zero : State::integer;
        continue;
      case State::integer:
        p = skip_digits(p, end);
        if (p == end) continue;
        [[fallthrough]];
      case State::zero:
        if (*p == '.') {
          ++p;
          state = State::point;
        } else if (*p == 'e' || *p == 'E') {
          ++p;
          state = State::exponent;
        } else {
          end_value();
        }
        continue;
      case State::point:
        if (!is_digit(c)) break;
        ++p;
        state = State::fraction;
        continue;
      case State::fraction:
        p = skip_digits(p, end);
        if (p == end) continue;
        if (*p == 'e' || *p == 'E') {
          ++p;
          state = State::exponent;
        } else {
          end_value();
        }
        continue;
      case State::exponent:
        if (c == '+' || c == '-') {
          ++p;
          state = State::exponent_sign;
          continue;
        }
        [[fallthrough]];
      case State::exponent_sign:
        if (!is_digit(c)) break;
        ++p;
        state = State::exponent_digits;
        continue;
      case State::exponent_digits:
        p = skip_digits(p, end);
        if (p != end) end_value();
        continue;

      case State::failed:
        return false;
    }
    if (state > State::done || !is_space(c)) return fail(expectation(state), offset());
    p = skip_space(p + 1, end);
  }

  place.state = state;
  in_name_ = in_name;
  consumed_ += chunk.size();
  return state != State::failed;
}

bool JsonScanner::finish() {
  switch (place_.state) {
    case State::zero:
    case State::integer:
    case State::fraction:
    case State::exponent_digits:
      if (place_.depth != 0) break;
      value_.slice.end = consumed_;
      place_.state = State::done;
      return true;
    case State::done:
      return true;
    case State::failed:
      return false;
    default:
      break;
  }
  return fail(place_.state == State::value && place_.depth == 0 ? "no value" : "unexpected end", consumed_);
}

bool JsonScanner::fail(std::string_view text, std::size_t offset) {
  problem_ = {text, offset};
  place_.state = State::failed;
  return false;
}

std::string_view JsonScanner::expectation(State state) {
  switch (state) {
    case State::value:
      return "expected a value";
    case State::first_element:
      return "expected a value or ']'";
    case State::first_member:
      return "expected a member's name or '}'";
    case State::member:
      return "expected a member's name";
    case State::colon:
      return "expected ':'";
    case State::after_value:
      return "expected ',' or the end of the object or array";
    case State::done:
      return "unexpected byte after the value";
    case State::escape:
      return "unknown escape";
    case State::hex_digit:
      return "expected a hexadecimal digit";
    case State::continuation:
      return "invalid UTF-8";
    case State::literal:
      return "expected true, false or null";
    default:
      return "expected a digit";
  }
}

}  // namespace sluice::gateway
