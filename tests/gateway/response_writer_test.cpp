// ResponseWriter: exact bytes, and what never gets out.
#include "gateway/response_writer.hpp"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

using namespace std::literals;

constexpr std::string_view kDate = "Sun, 06 Nov 1994 08:49:37 GMT";

TEST(ResponseWriter, WritesAHead) {
  std::string out = "rest of the reply before";
  ResponseWriter writer(out);
  backends::Headers fields;
  fields.add("Content-Type", "application/json");
  fields.add("Connection", "upgrade");
  fields.add("Content-Length", "99");
  writer.start(200, kDate);
  writer.add_all(fields);
  writer.finish(12, true, 11);
  EXPECT_EQ(out,
            "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json\r\n"
            "Content-Length: 12\r\n\r\n");
}

struct Ending {
  bool keep_alive;
  unsigned version;
  std::string_view expected;
};

TEST(ResponseWriter, SaysWhatBecomesOfTheConnectionWhereTheVersionNeedsIt) {
  std::string out;
  ResponseWriter writer(out);
  constexpr std::string_view kStart = "HTTP/1.1 204 No Content\r\n";
  for (const Ending& row :
       {Ending{true, 11, ""}, Ending{false, 11, "Connection: close\r\n"},
        Ending{true, 10, "Connection: keep-alive\r\n"}, Ending{false, 10, "Connection: close\r\n"}}) {
    writer.start(204, "");
    writer.finish_without_body(row.keep_alive, row.version);
    EXPECT_EQ(out, std::string(kStart) + std::string(row.expected) + "\r\n");
  }
}

TEST(ResponseWriter, StreamsInChunksOrUntilTheConnectionEnds) {
  std::string out;
  ResponseWriter writer(out);
  writer.start(200, "");
  writer.finish_stream(true, 11);
  EXPECT_EQ(out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  writer.start(200, "");
  writer.finish_stream(true, 10);
  EXPECT_EQ(out, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
}

TEST(ResponseWriter, SkipsFieldsThatWouldSplitTheReply) {
  std::string out;
  ResponseWriter writer(out);
  backends::Headers fields;
  fields.add("X", "a\r\nSet-Cookie: b");
  fields.add("Y", "a\0b"sv);
  fields.add("Z", "fine");
  writer.start(599, "");
  writer.add_all(fields);
  EXPECT_FALSE(writer.add("A\r\nB", "c"));
  EXPECT_EQ(out, "HTTP/1.1 599 Unknown\r\nZ: fine\r\n");
}

TEST(Problem, IsWrittenAsJson) {
  std::string out;
  append_problem(out, 404, "no endpoint for /x");
  EXPECT_EQ(out, R"({"type":"about:blank","title":"Not Found","status":404,"detail":"no endpoint for /x"})");
}

TEST(Problem, TakesFurtherMembersAndEscapesItsDetail) {
  std::string out;
  append_problem(out, 502, "a \"b\" \\ \n\xc3\xbc\x7f", R"("calls":{"user":"missing"})");
  EXPECT_EQ(out, R"({"type":"about:blank","title":"Bad Gateway","status":502,"detail":"a \"b\" \\ \u000a???",)"
                 R"("calls":{"user":"missing"}})");
}

}  // namespace
}  // namespace sluice::gateway
