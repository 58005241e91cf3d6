// What a shape makes of a document, as text.
#pragma once

#include "gateway/config.hpp"
#include "gateway/json_shape.hpp"
#include "tests/gateway/json_documents.hpp"

#include <cstddef>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace sluice::gateway {

/// The shaped value in one piece; "invalid" if it does not fit.
inline std::string shaped(const CallConfig& call, std::string_view document) {
  EXPECT_TRUE(scan(document).is_valid) << document;
  const JsonShape shape(call);
  Shaped out;
  const bool fits = shape.apply(document, out);
  EXPECT_EQ(shape.fits(document), fits);
  if (!fits) return "invalid";
  std::string text;
  for (const std::string_view slice : out.slices) text += slice;
  if (call.into != "") {
    EXPECT_TRUE(scan(text).is_valid) << text;
  }
  return text;
}

/// Of a call whose members are merged: each on a line, with its name.
inline std::string members(CallConfig call, std::string_view document) {
  call.into = "";
  const JsonShape shape(call);
  Shaped out;
  if (!shape.apply(document, out)) return "invalid";
  std::string text;
  std::size_t at = 0;
  for (const Shaped::Member& member : out.members) {
    EXPECT_EQ(member.begin, at);
    text.append(member.name).append(" = ");
    for (; at < member.end; ++at) text += out.slices[at];
    text += '\n';
  }
  EXPECT_EQ(at, out.slices.size());
  return text;
}

}  // namespace sluice::gateway
