// RequestParser: verdicts by table, each message cut in every way, and mutated messages.
#include "gateway/request_parser.hpp"

#include "tests/support/pieces.hpp"

#include <ostream>
#include <random>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

using namespace std::literals;
using State = RequestParser::State;

// "GET /path ?query 11 keep Name=value [body]", the status of a refusal, or "waits".
std::string outcome(RequestParser& parser, std::string_view bytes, const support::Cuts& cuts,
                    std::size_t* consumed = nullptr) {
  parser.start();
  const std::size_t taken = support::show(parser, bytes, cuts);
  if (consumed != nullptr) *consumed = taken;
  if (parser.state() == State::refused) return std::to_string(parser.refusal().status);
  if (parser.state() != State::complete) return "waits";
  std::string text(parser.method_text());
  text.append(" ").append(parser.path());
  if (!parser.query().empty()) text.append(" ?").append(parser.query());
  text += " " + std::to_string(parser.version()) + (parser.keep_alive() ? " keep" : " close");
  for (const auto [name, value] : parser.headers()) text.append(" ").append(name).append("=").append(value);
  return text + " [" + parser.body() + "]";
}

struct Case {
  std::string bytes;
  std::string expected;
};

void PrintTo(const Case& row, std::ostream* out) {
  *out << testing::PrintToString(row.bytes.substr(0, 120));
}

class RequestTable : public testing::TestWithParam<Case> {};

TEST_P(RequestTable, GivesTheSameVerdictHoweverItIsCut) {
  const Case& row = GetParam();
  RequestParser parser(RequestLimits(1024, 200));
  std::size_t size = 0;
  EXPECT_EQ(outcome(parser, row.bytes, {}, &size), row.expected);
  for (const support::Cuts& cuts : support::every_cut(row.bytes.size())) {
    std::size_t consumed = 0;
    ASSERT_EQ(outcome(parser, row.bytes, cuts, &consumed), row.expected);
    ASSERT_TRUE(parser.state() != State::complete || consumed == size);
  }
}

std::string get(std::string_view target, std::string_view fields = "") {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: h\r\n" + std::string(fields) + "\r\n";
}
std::string post(std::string_view fields, std::string_view body) {
  return "POST / HTTP/1.1\r\nHost: h\r\n" + std::string(fields) + "\r\n" + std::string(body);
}
std::string chunked(std::string_view body) {
  return post("Transfer-Encoding: chunked\r\n", body);
}

const Case kGood[] = {
    {get("/"), "GET / 11 keep Host=h []"},
    {get("/a/b?x=1&y=?"), "GET /a/b ?x=1&y=? 11 keep Host=h []"},
    {get("/?"), "GET / 11 keep Host=h []"},
    {get("//a%20b/%00"), "GET //a%20b/%00 11 keep Host=h []"},
    {"\r\n\r\n" + get("/"), "GET / 11 keep Host=h []"},
    {"GET / HTTP/1.0\r\n\r\n", "GET / 10 close []"},
    {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET / 10 keep Connection=keep-alive []"},
    {get("/", "Connection: close\r\n"), "GET / 11 close Host=h Connection=close []"},
    {get("/", "Connection: x, CLOSE , y\r\n"), "GET / 11 close Host=h Connection=x, CLOSE , y []"},
    {get("/", "Connection: keep-alive\r\nConnection: close\r\n"),
     "GET / 11 close Host=h Connection=keep-alive Connection=close []"},
    {get("/", "Proxy-Connection: close, no list\r\n"), "GET / 11 keep Host=h Proxy-Connection=close, no list []"},
    {get("/", "X:\t a \tb\t \r\nY:\r\n"), "GET / 11 keep Host=h X=a \tb Y= []"},
    {"BREW /pot HTTP/1.1\r\nHost: h\r\n\r\n", "BREW /pot 11 keep Host=h []"},
    {"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * 11 keep Host=h []"},
    // The absolute form.
    {get("http://a.example:81/x?y"), "GET /x ?y 11 keep Host=a.example:81 []"},
    {get("HTTPS://a.example"), "GET / 11 keep Host=a.example []"},
    {get("http://[::1]:8080?y"), "GET / ?y 11 keep Host=[::1]:8080 []"},
    {get("/http://a.example/"), "GET /http://a.example/ 11 keep Host=h []"},
    // Hosts.
    {"GET / HTTP/1.1\r\nhost: [2001:db8::1]:80\r\n\r\n", "GET / 11 keep host=[2001:db8::1]:80 []"},
    {"GET / HTTP/1.1\r\nHost: my_service.local:\r\n\r\n", "GET / 11 keep Host=my_service.local: []"},
    // Bodies.
    {post("Content-Length: 5\r\n", "hello"), "POST / 11 keep Host=h Content-Length=5 [hello]"},
    {post("Content-Length: 0\r\n", ""), "POST / 11 keep Host=h Content-Length=0 []"},
    {post("", ""), "POST / 11 keep Host=h []"},
    {"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}", "GET / 11 keep Host=h Content-Length=2 [{}]"},
    {chunked("5\r\nhello\r\n00A\r\n\r\n\r\n345\r\n7\r\n0\r\n\r\n"),
     "POST / 11 keep Host=h Transfer-Encoding=chunked [hello\r\n\r\n345\r\n7]"},
    {chunked("0\r\n\r\n"), "POST / 11 keep Host=h Transfer-Encoding=chunked []"},
    {chunked("1;a=b;c=\"d\\\"e\"\r\nx\r\n0\r\nX: y\r\n\r\n"), "POST / 11 keep Host=h Transfer-Encoding=chunked [x]"},
    // Pipelined bytes stay where they are.
    {get("/1") + get("/2"), "GET /1 11 keep Host=h []"},
    {post("Content-Length: 1\r\n", "x") + get("/2"), "POST / 11 keep Host=h Content-Length=1 [x]"},
    {chunked("1\r\nx\r\n0\r\n\r\n") + "\r\n" + get("/2"), "POST / 11 keep Host=h Transfer-Encoding=chunked [x]"},
};

const Case kWaits[] = {
    {"", "waits"},
    {"\r\n", "waits"},
    {"GET", "waits"},
    {"GET / HTTP/1.1\r\nHost: h\r\n", "waits"},
    {"GET / HTTP/1.1\r\nHost: h\r\n\r", "waits"},
    {post("Content-Length: 5\r\n", "hell"), "waits"},
    {chunked(""), "waits"},
    {chunked("00000000000000000000001"), "waits"},
    {chunked("3;"), "waits"},
    {chunked("3\r\nabc\r\n0\r\nX: y\r"), "waits"},
    {chunked("5\r\nhello\r\n0\r\n\r"), "waits"},
};

const Case kBad[] = {
    // The request line.
    {"\r\n\r\n\r\n\r\n\r\n" + get("/"), "400"},
    {"\n" + get("/"), "400"},
    {"\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
    {"\x16\x03\x01\x02", "400"},
    {" GET / HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
    {"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
    {"GET /  HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
    {"GET / HTTP/1.1 \r\nHost: h\r\n\r\n", "400"},
    {"GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
    {"GET / x HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
    {"GET / http/1.1\r\nHost: h\r\n\r\n", "400"},
    {"GET / HTTP/1.10\r\nHost: h\r\n\r\n", "400"},
    {"GET / HTTP/1\r\nHost: h\r\n\r\n", "400"},
    {"GET /\r\nHost: h\r\n\r\n", "400"},
    {"GET\r\n\r\n", "400"},
    {"G(T / HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
    {"GET / HTTP/1.1\nHost: h\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\r\nHost: h\r\n\r\n", "400"},
    {"GET / HTTP/1.1\rHost: h\r\n\r\n", "400"},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"},
    {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", "505"},
    {"GET / HTTP/0.9\r\nHost: h\r\n\r\n", "505"},
    {"GET / HTTP/1.2\r\nHost: h\r\n\r\n", "505"},
    // Targets.
    {get("a"), "400"},
    {get("*"), "400"},
    {get("/a#b"), "400"},
    {get("/\xc3\xbc"), "400"},
    {get("/a\0b"sv), "400"},
    {get("/a\x7f"), "400"},
    {get("?x"), "400"},
    {get("ftp://a/"), "400"},
    {get("http:///x"), "400"},
    {get("http://"), "400"},
    {get("http://u:p@a/"), "400"},
    {get("http://a\\b/"), "400"},
    {"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "501"},
    {get("/" + std::string(200, 'x')), "414"},
    {get("/" + std::string(2000, 'x')), "414"},
    {"GET /" + std::string(2000, 'x'), "414"},
    // Fields.
    {get("/", "X : y\r\n"), "400"},
    {get("/", "X\t: y\r\n"), "400"},
    {get("/", "X: a\r\n b\r\n"), "400"},
    {get("/", "X: a\r\n\tb\r\n"), "400"},
    {get("/", "X: a\r\n \r\n"), "400"},
    {"GET / HTTP/1.1\r\n Host: h\r\n\r\n", "400"},
    {get("/", "X: a\rb\r\n"), "400"},
    {get("/", "X: a\r\r\n"), "400"},
    {get("/", "X: a\nY: b\r\n"), "400"},
    {get("/", "X: a\n"), "400"},
    {"GET / HTTP/1.1\r\nHost: h\r\n\n", "400"},
    {get("/", "X: a\0b\r\n"sv), "400"},
    {get("/", "X\0: ab\r\n"sv), "400"},
    {get("/", "X: \x01\r\n"), "400"},
    {get("/", "X: \x7f\r\n"), "400"},
    {get("/", "X\r\n"), "400"},
    {get("/", ": x\r\n"), "400"},
    {get("/", "X y: z\r\n"), "400"},
    {get("/", "\xc3\xbc: z\r\n"), "400"},
    {get("/", "X: " + std::string(1024, 'x') + "\r\n"), "431"},
    {get("/", "X: " + std::string(5000, 'x')), "431"},
    // Hosts.
    {"GET / HTTP/1.1\r\n\r\n", "400"},
    {"GET http://a/ HTTP/1.1\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "400"},
    {get("/", "Host: h\r\n"), "400"},
    {get("/", "hOST: i\r\n"), "400"},
    {"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: [g::1]\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: \xc3\xbc\r\n\r\n", "400"},
    // Where the body ends.
    {post("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "400"},
    {post("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", "0\r\n\r\n"), "400"},
    {post("Transfer-Encoding: gzip\r\nContent-Length: 2\r\n", "{}"), "400"},
    {post("Content-Length: 2\r\nTransfer-Encoding: identity\r\n", "{}"), "400"},
    {post("Content-Length: 2\r\nContent-Length: 3\r\n", "{}"), "400"},
    {post("Content-Length: 2\r\nContent-Length: 2\r\n", "{}"), "400"},
    {post("Content-Length: 2, 2\r\n", "{}"), "400"},
    {post("Content-Length: 2,\r\n", "{}"), "400"},
    {post("Content-Length:\r\n", "{}"), "400"},
    {post("Content-Length: +2\r\n", "{}"), "400"},
    {post("Content-Length: -2\r\n", "{}"), "400"},
    {post("Content-Length: 2x\r\n", "{}"), "400"},
    {post("Content-Length: 0x2\r\n", "{}"), "400"},
    {post("Content-Length: 1 1\r\n", "{}"), "400"},
    {post("Content-Length: 2\v\r\n", "{}"), "400"},
    {post("Content-Length: 99999999999999999999\r\n", "{}"), "400"},
    {post("Transfer-Encoding: gzip\r\n", "{}"), "501"},
    {post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), "501"},
    {post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"), "501"},
    {post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), "501"},
    {post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), "501"},
    {post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), "501"},
    {post("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n"), "501"},
    {post("Transfer-Encoding: identity\r\n", ""), "501"},
    {post("Transfer-Encoding:\r\n", ""), "501"},
    {post("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "501"},
    {post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "400"},
    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
    {post("Expect: 200-ok\r\n", ""), "417"},
    {post("Expect: 100-continue\r\nExpect: x\r\n", ""), "417"},
    // Chunks.
    {chunked("g\r\n{}\r\n0\r\n\r\n"), "400"},
    {chunked(" 2\r\n{}\r\n0\r\n\r\n"), "400"},
    {chunked("2 \r\n{}\r\n0\r\n\r\n"), "400"},
    {chunked("\t2\r\n{}\r\n0\r\n\r\n"), "400"},
    {chunked("+2\r\n{}\r\n0\r\n\r\n"), "400"},
    {chunked("-2\r\n{}\r\n0\r\n\r\n"), "400"},
    {chunked("0x2\r\n{}\r\n0\r\n\r\n"), "400"},
    {chunked("2_0\r\n{}\r\n0\r\n\r\n"), "400"},
    {chunked("\r\n2\r\n{}\r\n0\r\n\r\n"), "400"},
    {chunked("10000000000000002\r\n{}\r\n0\r\n\r\n"), "400"},
    {chunked("2\n{}\r\n0\r\n\r\n"), "400"},
    {chunked("2\r{}\r\n0\r\n\r\n"), "400"},
    {chunked("2\r\n{}0\r\n\r\n"), "400"},
    {chunked("2\r\n{}\n0\r\n\r\n"), "400"},
    {chunked("2\r\n{}\r0\r\n\r\n"), "400"},
    {chunked("2\r\n{}x\r\n0\r\n\r\n"), "400"},
    {chunked("0\n\r\n"), "400"},
    {chunked("0\r\nX: a\n\n"), "400"},
    {chunked("2;a=\"\n\"\r\n{}\r\n0\r\n\r\n"), "400"},
    {chunked("2;a=\"\r\n\"\r\n{}\r\n0\r\n\r\n"), "400"},
    {chunked("2;a\n{}\r\n0\r\n\r\n"), "400"},
    {chunked("2;;\r\n{}\r\n0\r\n\r\n"), "400"},
    {chunked("2a b\r\n{}\r\n0\r\n\r\n"), "400"},
    {chunked("0\r\nX : a\r\n\r\n"), "400"},
    {chunked("0\r\nX: a\r\n b\r\n\r\n"), "400"},
    {chunked("0\r\n X: a\r\n\r\n"), "400"},
    {chunked("0\r\nX\r\n\r\n"), "400"},
    {chunked("0\r\nContent-Length: 5\r\n\r\n"), "400"},
    {chunked("0\r\nX: " + std::string(5000, 'x')), "400"},
    {chunked("0;" + std::string(5000, 'x')), "400"},
    {chunked(std::string(5000, '0') + "1\r\nx\r\n0\r\n\r\n"), "400"},
};

INSTANTIATE_TEST_SUITE_P(Good, RequestTable, testing::ValuesIn(kGood));
INSTANTIATE_TEST_SUITE_P(Unfinished, RequestTable, testing::ValuesIn(kWaits));
INSTANTIATE_TEST_SUITE_P(Bad, RequestTable, testing::ValuesIn(kBad));

TEST(RequestParser, TakesAHeadOfExactlyTheLimitAndNoMore) {
  RequestParser parser(RequestLimits(128, 100));
  for (const std::size_t size : {128U, 129U}) {
    std::string bytes = get("/", "X: \r\n");
    bytes.insert(bytes.size() - 4, std::string(size - bytes.size(), 'x'));
    for (const auto& cuts : support::every_cut(size)) {
      ASSERT_EQ(outcome(parser, bytes, cuts) == "431", size == 129) << size;
    }
  }
}

TEST(RequestParser, BoundsTheNumberOfFields) {
  RequestParser parser;
  const auto with_fields = [](int count) {
    std::string fields;
    for (int i = 1; i < count; ++i) fields += "X:\r\n";
    return get("/", fields);
  };
  EXPECT_NE(outcome(parser, with_fields(128), {}), "431");
  EXPECT_EQ(outcome(parser, with_fields(129), {}), "431");
}

TEST(RequestParser, RefusesALargeBodyAsSoonAsItsLengthIsKnown) {
  RequestParser parser;
  const std::string bytes = post("Content-Length: 11\r\n", "");
  parser.start();
  ASSERT_EQ(parser.parse(bytes).state, State::head);
  EXPECT_EQ(parser.limit_body(11), State::head);
  EXPECT_EQ(parser.limit_body(10), State::refused);
  EXPECT_EQ(parser.refusal().status, 413U);
  EXPECT_EQ(parser.refusal().detail, "the body is too large");
  EXPECT_EQ(parser.parse("x").state, State::refused);
}

TEST(RequestParser, RefusesALargeChunkedBodyAtTheChunkThatGoesBeyond) {
  RequestParser parser;
  for (const std::string_view body : {"b\r\n"sv, "5\r\n12345\r\n6\r\n"sv, "ffffffffffffffff\r\n"sv}) {
    parser.start();
    ASSERT_EQ(parser.parse(chunked("")).state, State::head);
    parser.limit_body(10);
    support::show(parser, std::string(body) + "123456", {});
    ASSERT_EQ(parser.state(), State::refused);
    EXPECT_EQ(parser.refusal().status, 413U);
  }
  parser.start();
  ASSERT_EQ(parser.parse(chunked("")).state, State::head);
  parser.limit_body(10);
  support::show(parser, "a\r\n1234567890\r\n0\r\n\r\n", {});
  EXPECT_EQ(parser.state(), State::complete);
  EXPECT_EQ(parser.body(), "1234567890");
}

TEST(RequestParser, BoundsTheBodyAtOneMebibyteUnlessTold) {
  RequestParser parser;
  EXPECT_EQ(outcome(parser, post("Content-Length: 1048577\r\n", ""), {}), "413");
  EXPECT_EQ(outcome(parser, post("Content-Length: 1048576\r\n", ""), {}), "waits");
}

TEST(RequestParser, FlagsAClientThatWaitsBeforeItSendsItsBody) {
  RequestParser parser;
  const auto expects = [&](std::string_view bytes) {
    outcome(parser, bytes, {});
    return parser.expects_continue();
  };
  EXPECT_TRUE(expects(post("Expect: 100-Continue\r\nContent-Length: 5\r\n", "")));
  EXPECT_TRUE(expects(post("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", "")));
  EXPECT_FALSE(expects(post("Expect: 100-continue\r\n", "")));
  EXPECT_FALSE(expects(post("Content-Length: 5\r\n", "")));
  EXPECT_FALSE(expects("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"));
}

TEST(RequestParser, ReadsPipelinedRequestsOneByOne) {
  RequestParser parser;
  const std::string bytes = get("/1") + chunked("1\r\nx\r\n0\r\n\r\n") + get("/3");
  std::string_view rest = bytes;
  std::string seen;
  while (!rest.empty()) {
    parser.start();
    EXPECT_TRUE(parser.untouched());
    rest.remove_prefix(support::show(parser, rest, {}));
    ASSERT_EQ(parser.state(), State::complete);
    seen.append(parser.method_text()).append(" ").append(parser.path()).append(" ");
  }
  EXPECT_EQ(seen, "GET /1 POST / GET /3 ");
}

TEST(RequestParser, NamesMethodsAndKeepsTheTarget) {
  RequestParser parser;
  constexpr std::pair<std::string_view, Method> kMethods[] = {
      {"GET", Method::get},     {"HEAD", Method::head},       {"POST", Method::post},
      {"PUT", Method::put},     {"DELETE", Method::delete_},  {"PATCH", Method::patch},
      {"TRACE", Method::other}, {"OPTIONS", Method::options}, {"get", Method::other},
  };
  for (const auto& [text, method] : kMethods) {
    outcome(parser, std::string(text) + " http://a/b?c HTTP/1.1\r\nHost: h\r\n\r\n", {});
    EXPECT_EQ(parser.method(), method) << text;
    EXPECT_EQ(parser.target(), "http://a/b?c");
  }
}

TEST(RequestParser, SurvivesMutatedMessagesAndJudgesThemAlikeHoweverCut) {
  std::mt19937 random(20240608);
  const auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
  constexpr std::string_view kSpice[] = {"\r\n", "\r", "\n", "\0"sv, " ",         "\t",
                                         ";",    "0",  "f",  ":",    "0\r\n\r\n", "\x80"};
  RequestParser parser;
  for (int round = 0; round < 6000; ++round) {
    std::string bytes = kGood[below(std::size(kGood))].bytes;
    for (std::size_t edits = 1 + below(3); edits > 0 && !bytes.empty(); --edits) {
      const std::size_t at = below(bytes.size());
      switch (below(3)) {
        case 0:
          bytes[at] = static_cast<char>(below(256));
          break;
        case 1:
          bytes.erase(at, 1 + below(4));
          break;
        default:
          bytes.insert(at, kSpice[below(std::size(kSpice))]);
          break;
      }
    }
    support::Cuts every_byte;
    for (std::size_t i = 1; i < bytes.size(); ++i) every_byte.push_back(i);
    ASSERT_EQ(outcome(parser, bytes, every_byte), outcome(parser, bytes, {})) << testing::PrintToString(bytes);
  }
}

}  // namespace
}  // namespace sluice::gateway
