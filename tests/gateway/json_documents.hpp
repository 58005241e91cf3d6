// JSON documents of each rule of RFC 8259, valid and not, and how tests scan them.
#pragma once

#include "gateway/json_scanner.hpp"

#include <algorithm>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::gateway {

using namespace std::string_literals;
using namespace std::string_view_literals;

/// All that a scan tells; of a refused document only the problem, of a valid one only the value.
struct Verdict {
  bool is_valid = false;
  JsonValue value;
  JsonProblem problem;

  bool operator==(const Verdict& other) const {
    return is_valid == other.is_valid && (is_valid ? value == other.value : problem == other.problem);
  }
};

inline std::ostream& operator<<(std::ostream& out, const Verdict& verdict) {
  if (!verdict.is_valid) return out << "refused at " << verdict.problem.offset << ": " << verdict.problem.text;
  return out << "valid, kind " << int(verdict.value.kind) << " at " << verdict.value.slice.begin << ".."
             << verdict.value.slice.end << (verdict.value.is_empty ? ", empty" : "");
}

/// Feeds a copy that ends where its block of memory ends, so that the address sanitizer sees a byte read too far.
inline bool feed(JsonScanner& scanner, std::string_view chunk) {
  const auto copy = std::make_unique<char[]>(chunk.size());
  std::copy(chunk.begin(), chunk.end(), copy.get());
  return scanner.feed({copy.get(), chunk.size()});
}

inline Verdict scan(const std::vector<std::string_view>& chunks, JsonScanner::Pace pace) {
  JsonScanner scanner(pace);
  for (const auto chunk : chunks) {
    if (!feed(scanner, chunk)) return {false, {}, scanner.problem()};
  }
  const bool is_valid = scanner.finish();
  return {is_valid, scanner.value(), scanner.problem()};
}

/// At each pace, of which none may judge otherwise.
inline Verdict scan(const std::vector<std::string_view>& chunks) {
  const Verdict verdict = scan(chunks, JsonScanner::Pace::fastest);
  for (const auto pace : {JsonScanner::Pace::bytes, JsonScanner::Pace::avx2, JsonScanner::Pace::avx512}) {
    EXPECT_EQ(scan(chunks, pace), verdict) << "pace " << int(pace);
  }
  return verdict;
}

inline Verdict scan(std::string_view document) {
  return scan(std::vector{document});
}

inline Verdict scan_bytewise(std::string_view document) {
  std::vector<std::string_view> bytes;
  for (std::size_t i = 0; i < document.size(); ++i) bytes.push_back(document.substr(i, 1));
  return scan(bytes);
}

inline const std::vector<std::string>& valid_documents() {
  static const std::vector<std::string> documents = {
      // literals, and white space around them
      "null",
      "true",
      "false",
      " null",
      "null ",
      "\t\r\n true \n\r\t",
      std::string(40, ' ') + "0" + std::string(40, '\n'),
      // numbers
      "0",
      "-0",
      "7",
      "10",
      "-12",
      "0.0",
      "-0.5",
      "12.340",
      "1e5",
      "1E5",
      "1e+5",
      "1e-05",
      "0e0",
      "0E+00",
      "1.5e300",
      "1e400",
      "-1e-400",
      "123456789012345678901234567890",
      "[0,-0,1.25,3e8]",
      "1234567890123456.1234567890123456e1234567890123456",
      // strings
      R"("")",
      R"("a")",
      R"("\"\\\/\b\f\n\r\t")",
      R"("\u0000\u00e9\uABCD\uabcd")",
      R"("\ud83d\ude00")",
      "\"\x7f\"",
      R"("// no comment /* neither */")",
      "\"exactly 16 bytes\"",
      "\"" + std::string(100, 'x') + "\\n" + std::string(33, 'y') + "\"",
      // lone surrogates are in the grammar as escapes (RFC 8259, section 8.2)
      R"("\ud800")",
      R"("\udc00")",
      R"("\ud800\ud800")",
      R"("\udfff x")",
      // UTF-8: the ends of each row of Unicode's table 3-7
      "\"\xc2\x80\xdf\xbf\"",
      "\"\xe0\xa0\x80\xe0\xbf\xbf\"",
      "\"\xe1\x80\x80\xec\xbf\xbf\"",
      "\"\xed\x80\x80\xed\x9f\xbf\"",
      "\"\xee\x80\x80\xef\xbf\xbf\"",
      "\"\xf0\x90\x80\x80\xf0\xbf\xbf\xbf\"",
      "\"\xf1\x80\x80\x80\xf3\xbf\xbf\xbf\"",
      "\"\xf4\x80\x80\x80\xf4\x8f\xbf\xbf\"",
      "\"\xef\xbb\xbf\"",
      "{\"gr\xc3\xbc\xc3\x9f\x65 \xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e "
      "\xf0\x9f\x98\x80\":\"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\x97\xa5\xe6\x9c\xac\"}",
      // arrays and objects
      "[]",
      "[ ]",
      "{}",
      "{\n}",
      "[[]]",
      "[{}]",
      "[1]",
      "[1,2]",
      "[ 1 , 2 ]",
      "[null,true,false,\"\",0,[],{}]",
      R"({"a":1})",
      R"({ "a" : 1 , "b" : 2 })",
      R"({"a":1,"a":2})",
      R"({"":{"":{"":[]}}})",
      R"({"a":{"b":[{"a":1},{"b":[]}]},"a":null,"\u0000":0})",
      "[1,\n1\r\n,\t1 ]",
      "[\"\\u005C\\u0022\\u002c\\u007F\",\"\xe2\x80\xa8\xe2\x80\xa9\",\"\xf4\x8f\xbf\xbf\",\"\xef\xbf\xbf\"]",
      R"({"a\u0062":[1,{"c":"d"}],"e":{}})",
      R"([[[[[[[[1],{"x":[{}]}]]]]]],"back","out"])",
      R"({"id":42,"name":"Ada Lovelace","tags":["x","yy"],"address":{"street":null,"no":12.50},"active":true})",
  };
  return documents;
}

struct Refused {
  std::string document;
  std::size_t offset;  // of the first byte that is wrong
};

inline const std::vector<Refused>& refused_documents() {
  static const std::vector<Refused> documents = {
      // no value, more than one, something after it
      {"", 0},
      {" \n", 2},
      {"null null", 5},
      {"1 2", 2},
      {"[]]", 2},
      {"{}}", 2},
      {"[],", 2},
      {"\"a\"\"b\"", 3},
      {"null\0"s, 4},
      {"1\xc2\xa0", 1},
      // byte order marks, other white space, comments
      {"\xef\xbb\xbf{}", 0},
      {"\xff\xfe[\0"s, 0},
      {"\f1", 0},
      {"\v1", 0},
      {"\xc2\xa0"
       "1",
       0},
      {"[1,\0 2]"s, 3},
      {"/**/1", 0},
      {"1 // x", 2},
      {"# 1", 0},
      // literals
      {"nul", 3},
      {"nulL", 3},
      {"Null", 0},
      {"truee", 4},
      {"falsy", 4},
      {"t rue", 1},
      {"undefined", 0},
      {"[tru]", 4},
      {"NaN", 0},
      {"Infinity", 0},
      {"-Infinity", 1},
      // numbers
      {"-", 1},
      {"+1", 0},
      {"00", 1},
      {"01", 1},
      {"-01", 2},
      {"-a", 1},
      {".5", 0},
      {"-.5", 1},
      {"1.", 2},
      {"1.e5", 2},
      {"1..2", 2},
      {"1.2.3", 3},
      {"1e", 2},
      {"1e+", 3},
      {"1e+-1", 3},
      {"1ee1", 2},
      {"1e1.5", 3},
      {"1e1e1", 3},
      {"0x10", 1},
      {"1_000", 1},
      {"1a", 1},
      {"- 1", 1},
      {"1 .5", 2},
      {"[1.]", 3},
      {"[-]", 2},
      {"\xef\xbc\x91", 0},
      {"++1", 0},
      {"[1,.-1]", 3},
      {"-NaN", 1},
      {"1eE2", 2},
      {"0.e1", 2},
      {"9.e+", 2},
      {"0.3e", 4},
      {"1.0e-", 5},
      {"-1.0.", 4},
      {"[0e+-1]", 4},
      {"[-1x]", 3},
      {"[-123.123foo]", 9},
      {"1.8011670033376514H-308", 18},
      {"1\xe5", 1},
      {"0e1\xe5", 3},
      {"1 000.0", 2},
      {"1/2", 1},
      // strings
      {"\"", 1},
      {"\"a", 2},
      {"'a'", 0},
      {"\"\\\"", 3},
      {"\"\\", 2},
      {R"("\a")", 2},
      {R"("\x41")", 2},
      {R"("\U0041")", 2},
      {R"("\u12")", 5},
      {R"("\u123g")", 6},
      {R"("\u 123")", 3},
      {R"("\u")", 3},
      {"\"\\\n\"", 2},
      {"\"\\\xc3\xa9\"", 2},
      {"\"\n\"", 1},
      {"\"a\tb\"", 2},
      {"\"\0\""s, 1},
      {"\"\x1f\"", 1},
      {"\"0123456789abcdef\x01 0123456789abcdef\"", 17},
      {"\"\\u00e\xcc\x81\"", 6},
      {"\"\\ud800\\u\"", 9},
      {"\"\\ud800\\", 8},
      {"\"\\ud834\\udd\"", 11},
      {"\"\\u\xe5\"", 3},
      {"\"\\\0\""s, 2},
      {"\"\\\xf0\x9f\x8c\x80\"", 2},
      {"\"\\\\\\\"", 5},
      {"\xe2\x80\x9c\xe2\x80\x9d", 0},
      {"\\u0020\"a\"", 0},
      // UTF-8: not a first byte, overlong, surrogates, beyond U+10FFFF, cut short; also where the bytes ahead are many
      {"\"\x80\"", 1},
      {"\"\xbf\"", 1},
      {"\"\xc0\x80\"", 1},
      {"\"\xc1\xbf\"", 1},
      {"\"\xe0\x9f\xbf\"", 2},
      {"\"\xed\xa0\x80\"", 2},
      {"\"\xed\xbf\xbf\"", 2},
      {"\"\xf0\x8f\xbf\xbf\"", 2},
      {"\"\xf4\x90\x80\x80\"", 2},
      {"\"\xf5\x80\x80\x80\"", 1},
      {"\"\xff\"", 1},
      {"\"\xfe\"", 1},
      {"\"\xc2\"", 2},
      {"\"\xc2\xc2\x80\"", 2},
      {"\"\xe2\x82\"", 3},
      {"\"\xe2\x28\xa1\"", 2},
      {"\"\xf0\x9f\x98\"", 4},
      {"\"\xf0\x9f\x28\x80\"", 3},
      {"\"\xf0\x9f\x98\xc0 and then some\"", 4},
      {"\"\xe2\x82", 3},
      {"\"\xe6\x97\xa5\xe6\x97 and then some\"", 6},
      {"\"\xe6\x97\xa5\xed\xa0\x80 and then some\"", 5},
      {"{\"\xc0\xaf\":1}", 2},
      {"\xc3\xa9", 0},
      {"[\xc3\xa9]", 1},
      // arrays and objects
      {"[", 1},
      {"[1", 2},
      {"[1,", 3},
      {"[1,]", 3},
      {"[,1]", 1},
      {"[,]", 1},
      {"[1,,2]", 3},
      {"[1 2]", 3},
      {"[1:2]", 2},
      {"[1}", 2},
      {"]", 0},
      {"[\"a\":1]", 4},
      {"[[]", 3},
      {"[{]", 2},
      {"{", 1},
      {"{]", 1},
      {"{\"a\"", 4},
      {"{\"a\"}", 4},
      {"{\"a\":", 5},
      {"{\"a\":}", 5},
      {"{\"a\":1", 6},
      {"{\"a\":1,", 7},
      {"{\"a\":1,}", 7},
      {"{\"a\":1]", 6},
      {"{,}", 1},
      {"{a:1}", 1},
      {"{1:1}", 1},
      {"{null:1}", 1},
      {"{\"a\" 1}", 5},
      {"{\"a\"::1}", 5},
      {"{\"a\":1 \"b\":2}", 7},
      {"{\"a\":1/**/}", 6},
      {"{\"a\":1}//", 7},
      {"{\"a\":1}#{}", 7},
      {"{\"a\":1,,\"b\":2}", 7},
      {"{\"a\":\"b\"},{}", 9},
      {"{\"a\":\"b\"}\"", 9},
      {"{\"a\":\"b\"}\"}", 9},
      {"{\"a\":[]} 1", 9},
      {"{\"a\":1,\xb9}", 7},
      {"{'a':1}", 1},
      {"{\"a\" b}", 5},
      {"{\"a\",1}", 4},
      {"{1e1:1,}", 1},
      {"[\"\",]", 4},
      {"[\"x\"", 4},
      {"[1,\n1\n,1", 8},
      {"[\xe2\x81\xa0]", 1},
      {"[\x0c]", 1},
      {"<.>", 0},
      {"*", 0},
      {"{\"a\",\"b\"}", 4},
      {"{\"a\":1:2}", 6},
      {"{[]:1}", 1},
      {"}", 0},
      {"[{}}", 3},
      {"{\"a\":[}", 6},
  };
  return documents;
}

}  // namespace sluice::gateway
