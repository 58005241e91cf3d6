// Judges a response's body as JSON while it arrives.
#pragma once

#include "backends/body.hpp"
#include "backends/headers.hpp"
#include "gateway/json_scanner.hpp"

#include <memory>
#include <string_view>

namespace sluice::gateway {

/// Ends the keys under which bodies that make_by_type() judged are stored: never to be spliced into a merge.
inline constexpr std::string_view kPassedOnKey = "\nany";
/// The same for whole responses, whose bodies nobody judges.
inline constexpr std::string_view kWholeKey = "\nwhole";

class JsonCheck final : public backends::BodyCheck {
 public:
  /// What backends::Request::make_check takes, for bodies that are spliced. A content coding is refused: what the
  /// connection decodes has none any more.
  static std::unique_ptr<backends::BodyCheck> make(const backends::Headers& headers);
  /// The same for bodies that are passed on as they are: only what says that it is JSON must be, and a content coding
  /// that nobody asked for and that could not be decoded is refused.
  static std::unique_ptr<backends::BodyCheck> make_by_type(const backends::Headers& headers);

  bool feed(std::string_view chunk) override { return scanner_.feed(chunk); }
  bool finish() override { return scanner_.finish(); }
  [[nodiscard]] const JsonValue& value() const { return scanner_.value(); }

 private:
  JsonScanner scanner_;
};

/// Refuses every body.
class NoBody final : public backends::BodyCheck {
 public:
  bool feed(std::string_view) override { return false; }
  bool finish() override { return false; }
};

inline std::unique_ptr<backends::BodyCheck> JsonCheck::make(const backends::Headers& headers) {
  const auto coding = headers.find("Content-Encoding");
  if (coding && !backends::iequals(*coding, "identity")) return std::make_unique<NoBody>();
  return std::make_unique<JsonCheck>();
}

inline std::unique_ptr<backends::BodyCheck> JsonCheck::make_by_type(const backends::Headers& headers) {
  const auto coding = headers.find("Content-Encoding");
  if (coding && !backends::iequals(*coding, "identity")) return std::make_unique<NoBody>();
  std::string_view type = headers.find("Content-Type").value_or("");
  type = type.substr(0, type.find_first_of("; \t"));
  const bool is_json = backends::iequals(type, "application/json") ||
                       (type.size() > 5 && backends::iequals(type.substr(type.size() - 5), "+json"));
  return is_json ? std::make_unique<JsonCheck>() : nullptr;
}

/// The JSON value of a body that a JsonCheck has accepted; `null` for an empty one. Lives as long as the body.
[[nodiscard]] inline std::string_view json_of(const backends::Body& body) {
  if (body.bytes.empty()) return "null";
  return static_cast<const JsonCheck&>(*body.check).value().slice.of(body.bytes);
}

}  // namespace sluice::gateway
