// What a shape makes of a document, as text.
#pragma once

#include "gateway/config.hpp"
#include "gateway/json_shape.hpp"
#include "gateway/turns.hpp"
#include "tests/gateway/json_documents.hpp"

#include <cstddef>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace sluice::gateway {

inline std::string text_of(const Shaped& shaped) {
  std::string text;
  for (const std::string_view slice : shaped.slices) text += slice;
  return text;
}

/// The same, done bit by bit: a step at a time, or so many bytes.
inline void expect_the_same_in_turns(const JsonShape& shape, std::string_view document, const Shaped& whole,
                                     bool fits) {
  for (const std::size_t bytes : {1, 100, 1000}) {
    Shaped out;
    Shaping shaping(shape, document, &out);
    for (bool is_over = false; !is_over;) {
      Quantum quantum(bytes);
      is_over = shaping.run(quantum);
    }
    ASSERT_EQ(shaping.fits(), fits) << document;
    if (!fits) continue;
    ASSERT_EQ(text_of(out), text_of(whole)) << document << " by " << bytes;
    ASSERT_EQ(out.members.size(), whole.members.size());
    for (std::size_t i = 0; i < out.members.size(); ++i) {
      ASSERT_EQ(out.members[i].name, whole.members[i].name);
      ASSERT_EQ(out.members[i].begin, whole.members[i].begin);
      ASSERT_EQ(out.members[i].end, whole.members[i].end);
    }
  }
}

/// The shaped value in one piece; "invalid" if it does not fit.
inline std::string shaped(const CallConfig& call, std::string_view document) {
  EXPECT_TRUE(scan(document).is_valid) << document;
  const JsonShape shape(call);
  Shaped out;
  const bool fits = shape.apply(document, out);
  EXPECT_EQ(shape.fits(document), fits);
  expect_the_same_in_turns(shape, document, out, fits);
  if (!fits) return "invalid";
  const std::string text = text_of(out);
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
  const bool fits = shape.apply(document, out);
  expect_the_same_in_turns(shape, document, out, fits);
  if (!fits) return "invalid";
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
