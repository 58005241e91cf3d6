// The state machine of the JSON validator: one byte decides a step, detail/json_runs.hpp skips the bytes that decide
// nothing.
#include "gateway/json_scanner.hpp"

#include "gateway/detail/json_runs.hpp"

namespace sluice::gateway {
using namespace detail;

bool JsonScanner::feed(std::string_view chunk) {
  const char* const begin = chunk.data();
  const char* const end = begin + chunk.size();
  const char* p = begin;
  State state = state_;
  std::size_t depth = depth_;
  bool in_object = in_object_;
  bool in_name = in_name_;

  const auto offset = [&] { return consumed_ + static_cast<std::size_t>(p - begin); };
  const auto begin_value = [&](JsonKind kind) {
    if (depth != 0) return;
    value_.kind = kind;
    value_.slice.begin = offset();
  };
  const auto end_value = [&] {
    state = depth == 0 ? State::done : State::after_value;
    if (depth == 0) value_.slice.end = offset();
  };
  const auto close = [&] {
    ++p;
    --depth;
    in_object = outer_in_object_[depth];
    end_value();
  };

  while (p != end) {
    const char c = *p;
    switch (state) {  // a byte that is not what the state waits for breaks out
      case State::first_element:
        if (c == ']') {
          value_.is_empty = depth == 1;
          close();
          continue;
        }
        [[fallthrough]];
      case State::value:
        if (c == '"') {
          begin_value(JsonKind::string);
          state = State::string;
        } else if (c == '{' || c == '[') {
          if (depth == kMaxDepth) return fail("nested deeper than 512 levels", offset());
          begin_value(c == '{' ? JsonKind::object : JsonKind::array);
          outer_in_object_[depth] = in_object;
          ++depth;
          in_object = c == '{';
          state = in_object ? State::first_member : State::first_element;
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
          value_.is_empty = depth == 1;
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
          state = in_object ? State::member : State::value;
          continue;
        }
        if (c != (in_object ? '}' : ']')) break;
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

  state_ = state;
  depth_ = depth;
  in_object_ = in_object;
  in_name_ = in_name;
  consumed_ += chunk.size();
  return state != State::failed;
}

bool JsonScanner::finish() {
  switch (state_) {
    case State::zero:
    case State::integer:
    case State::fraction:
    case State::exponent_digits:
      if (depth_ != 0) break;
      value_.slice.end = consumed_;
      state_ = State::done;
      return true;
    case State::done:
      return true;
    case State::failed:
      return false;
    default:
      break;
  }
  return fail(state_ == State::value && depth_ == 0 ? "no value" : "unexpected end", consumed_);
}

bool JsonScanner::fail(std::string_view text, std::size_t offset) {
  problem_ = {text, offset};
  state_ = State::failed;
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
